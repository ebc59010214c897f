"""Merging layers against Keras: values, gradients, broadcasting and masks."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch

from nnkit.layers import merging
from nnkit.layers.identity import Masking
from nnkit.layers.input import Input
from tests.parity.compare import compare_layer

MANY = ["Add", "Average", "Multiply", "Maximum", "Minimum"]


@pytest.mark.parametrize("name", [*MANY, "Subtract"])
@pytest.mark.parametrize(
    "shapes",
    [
        [(4, 5), (4, 5)],
        [(2, 3, 4), (2, 1, 4)],
        [(2, 1, 4), (2, 3, 1)],
        [(2, 3, 4, 5), (2, 5)],
        [(2, 5), (2, 4, 5)],
        [(2, 1), (2, 3, 4, 5)],
        [(3,), (3, 4)],
        [(3,), (3,)],
    ],
)
def test_two(name: str, shapes: list) -> None:
    compare_layer(getattr(merging, name), {}, shapes)


@pytest.mark.parametrize("name", MANY)
@pytest.mark.parametrize(
    "shapes",
    [[(4, 5)], [(4, 5)] * 3, [(2, 3, 4), (2, 4), (2, 1, 1), (2, 3, 1)]],
)
@pytest.mark.parametrize("training", [False, True])
def test_one_and_many(name: str, shapes: list, training: bool) -> None:
    compare_layer(getattr(merging, name), {}, shapes, training=training)


@pytest.mark.parametrize("name", ["Add", "Subtract", "Multiply", "Maximum", "Minimum"])
def test_integers(name: str) -> None:
    compare_layer(getattr(merging, name), {}, [(3, 4), (3, 4)], dtype="int32")


@pytest.mark.parametrize(
    ("axis", "shapes"),
    [
        (-1, [(2, 3), (2, 4), (2, 1)]),
        (1, [(2, 3, 4), (2, 5, 4)]),
        (-2, [(2, 3, 4), (2, 5, 4)]),
        (3, [(2, 3, 3, 4), (2, 3, 3, 1)]),
        (-1, [(2, 3)]),
        (1, [(2, 0, 4), (2, 5, 4)]),
    ],
)
def test_concatenate(axis: int, shapes: list) -> None:
    compare_layer(merging.Concatenate, {"axis": axis}, shapes)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(
    ("axes", "shapes"),
    [
        (-1, [(4, 5), (4, 5)]),
        (1, [(4, 5), (4, 5)]),
        (2, [(2, 3, 4), (2, 5, 4)]),
        (1, [(2, 3, 4), (2, 3, 5)]),
        ((1, 2), [(2, 3, 4), (2, 5, 3)]),
        ([2, 1], [(2, 3, 4), (2, 4, 5)]),
        ((1, 1), [(2, 4), (2, 4, 5)]),
        ((2, 1), [(2, 3, 4), (2, 4)]),
        ((3, 1), [(2, 3, 5, 4), (2, 4, 6)]),
        ((2, 2), [(2, 3, 4, 5), (2, 3, 4, 6)]),
        ((-1, -2), [(2, 3, 4), (2, 4, 5)]),
    ],
)
def test_dot(axes: Any, shapes: list, normalize: bool) -> None:
    if axes == (-1, -2):  # Keras's symbolic check does not know negative pairs
        symbolic = [keras.layers.Dot((2, 1)), merging.Dot(axes)]
        made = [
            tuple(layer([maker(s[1:]) for s in shapes]).shape)
            for layer, maker in zip(symbolic, (keras.Input, Input), strict=True)
        ]
        assert made[0] == made[1]
        axes = (2, 1)
    compare_layer(merging.Dot, {"axes": axes, "normalize": normalize}, shapes)


def test_normalized_dot_of_zeros_is_zero() -> None:
    zeros = [np.zeros((2, 3), "float32"), np.ones((2, 3), "float32")]
    layers = (keras.layers.Dot(1, normalize=True), merging.Dot(1, normalize=True))
    for layer in layers:
        assert layer([torch.tensor(z) for z in zeros]).tolist() == [[0], [0]]


@pytest.mark.parametrize("name", ["Add", "Multiply", "Maximum"])
@pytest.mark.parametrize(
    "symbolic", [[(None, 8), (None, 8)], [(None, 8), (None, 1)], [(8,), (None, 8)]]
)
def test_free_sizes(name: str, symbolic: list) -> None:
    shapes = [(2, *(4 if size is None else size for size in shape)) for shape in symbolic]
    compare_layer(getattr(merging, name), {}, shapes, symbolic=symbolic)


@pytest.mark.parametrize("axis", [1, 2])
def test_concatenate_free_sizes(axis: int) -> None:
    compare_layer(
        merging.Concatenate,
        {"axis": axis},
        [(2, 4, 8), (2, 4, 8)],
        symbolic=[(None, 8), (None, 8)],
    )


def _masked(masking: type, array: np.ndarray, masked: bool) -> Any:
    tensor = torch.tensor(array)
    return masking()(tensor) if masked else tensor


def _pair(seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    arrays = [random.normal(size=(3, 6, 4)).astype("float32") for _ in range(3)]
    for array in arrays:
        array[random.random((3, 6)) < 0.5] = 0
    return arrays


@pytest.mark.parametrize("name", [*MANY, "Subtract", "Concatenate"])
@pytest.mark.parametrize("masked", [(1, 1), (1, 0), (0, 1), (1, 1, 1), (1, 1, 0), (0, 1, 1)])
def test_masks(name: str, masked: tuple) -> None:
    if name == "Subtract" and len(masked) == 3:
        masked = masked[:2]
    layers = (getattr(keras.layers, name)(), getattr(merging, name)())
    results = [
        layer([_masked(kind, a, bool(m)) for a, m in zip(_pair(5), masked, strict=False)])
        for layer, kind in zip(layers, (keras.layers.Masking, Masking), strict=True)
    ]
    np.testing.assert_allclose(results[1], results[0], atol=1e-6)
    masks = [getattr(result, "_keras_mask", None) for result in results]
    assert (masks[0] is None) == (masks[1] is None)
    if masks[0] is not None:
        np.testing.assert_array_equal(masks[1], masks[0])


@pytest.mark.parametrize("name", ["Multiply", "Maximum", "Minimum"])
def test_a_mask_of_an_input_with_fewer_axes_is_left_out(name: str) -> None:
    arrays = [_pair(5)[0], np.float32([[1, 2, 3, 4], [0, 0, 0, 0], [5, -6, 7, 8]])]
    results = [
        getattr(where, name)()([_masked(kind, a, i == 0) for i, a in enumerate(arrays)])
        for where, kind in ((keras.layers, keras.layers.Masking), (merging, Masking))
    ]
    np.testing.assert_allclose(results[1], results[0], atol=1e-6)


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("masked", [(1, 1), (1, 0), (0, 1)])
def test_concatenated_masks(axis: int, masked: tuple) -> None:
    results = [
        layer([_masked(kind, a, bool(m)) for a, m in zip(_pair(3), masked, strict=False)])
        for layer, kind in (
            (keras.layers.Concatenate(axis), keras.layers.Masking),
            (merging.Concatenate(axis), Masking),
        )
    ]
    np.testing.assert_array_equal(results[1]._keras_mask, results[0]._keras_mask)


@pytest.mark.parametrize(
    "name",
    ["add", "subtract", "multiply", "average", "maximum", "minimum", "concatenate", "dot"],
)
def test_functions(name: str) -> None:
    arrays = [torch.randn(2, 3, 4), torch.randn(2, 3, 4)]
    more = {"axes": 2} if name == "dot" else {}
    expected = getattr(keras.layers, name)(arrays, **more)
    np.testing.assert_allclose(getattr(merging, name)(arrays, **more), expected, atol=1e-6)
    symbolic = getattr(merging, name)([Input((3, 4)), Input((3, 4))], name="joined", **more)
    assert symbolic.name == "joined"
    assert symbolic.shape[1:] == expected.shape[1:]
