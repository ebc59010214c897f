"""The normalization layers against real Keras."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch

from nnkit import layers as ours
from tests.parity.compare import compare_layer

# Keras's own get_weights() warns about NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CHOICES: list[dict[str, Any]] = [
    {},
    {"momentum": 0.9, "epsilon": 1e-2},
    {"center": False},
    {"scale": False},
    {"center": False, "scale": False},
    {"beta_initializer": "ones", "gamma_initializer": "zeros"},
    {"moving_mean_initializer": "ones", "moving_variance_initializer": "zeros"},
    {"beta_regularizer": "l2", "gamma_regularizer": "l1", "gamma_constraint": "non_neg"},
]
SHAPES = [(6, 5), (4, 7, 3), (3, 5, 4, 2), (2, 3, 4, 3, 2)]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("arguments", CHOICES, ids=str)
def test_batch_normalization(arguments: dict[str, Any], training: bool) -> None:
    compare_layer(ours.BatchNormalization, arguments, (3, 5, 4, 2), training=training)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("axis", [-1, 1, -2, 2])
def test_batch_normalization_axis(shape: tuple[int, ...], axis: int, training: bool) -> None:
    if -len(shape) < axis < len(shape):
        compare_layer(ours.BatchNormalization, {"axis": axis}, shape, training=training)


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [((4, 6, 3), (None, 3)), ((2, 4, 4, 3), (None, None, 3)), ((2, 4, 3), (4, 3))],
    ids=str,
)
def test_free_sizes(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> None:
    compare_layer(ours.BatchNormalization, {}, shape, training=True, symbolic=wanted)
    compare_layer(ours.LayerNormalization, {}, shape, symbolic=wanted)


def test_single_value() -> None:
    compare_layer(ours.BatchNormalization, {}, (1, 3), training=True)


def test_batch_normalization_frozen() -> None:
    compare_layer(ours.BatchNormalization, {"trainable": False}, (4, 5, 3), training=True)


MASKS = {
    "steps": ((4, 7, 3), np.arange(7) < np.array([[7], [3], [1], [5]])),
    "none left in a row": ((3, 4, 2), np.arange(4) < np.array([[4], [0], [2]])),
    "image": ((2, 4, 5, 3), np.random.default_rng(0).random((2, 4, 5)) < 0.6),
    "rows": ((6, 3), np.array([True, False, True, True, False, True])),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("case", MASKS)
def test_batch_normalization_mask(case: str, training: bool) -> None:
    shape, mask = MASKS[case]
    compare_layer(ours.BatchNormalization, {}, shape, training=training, call={"mask": mask})


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "clipping",
    [None, {"rmin": 0.5}, {"rmax": 1.5}, {"dmax": 0.1}, {"rmin": 0.9, "rmax": 1.1, "dmax": 0}],
    ids=str,
)
def test_renorm(clipping: dict[str, float] | None, training: bool) -> None:
    arguments = {"renorm": True, "renorm_clipping": clipping, "renorm_momentum": 0.8}
    compare_layer(ours.BatchNormalization, arguments, (5, 4, 3), training=training)


def test_moving_statistics_over_steps() -> None:
    theirs, layer = keras.layers.BatchNormalization(), ours.BatchNormalization()
    random = np.random.default_rng(0)
    for step in range(20):
        x = torch.tensor(random.normal(step / 5, 2, (5, 3, 4)).astype("float32"))
        theirs(x, training=True)
        layer(x, training=True)
    for expected, actual in zip(theirs.get_weights(), layer.get_weights(), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_whole_numbers(dtype: str) -> None:
    data = np.arange(24).reshape(4, 6).astype(dtype)
    compare_layer(ours.BatchNormalization, {}, (4, 6), dtype=dtype, data=data, gradients=False)


@pytest.mark.parametrize("arguments", [*CHOICES[2:5], {"epsilon": 0.1}, {}], ids=str)
@pytest.mark.parametrize("shape", [(6, 5), (4, 7, 3), (3, 5, 4, 2)], ids=str)
def test_layer_normalization(arguments: dict[str, Any], shape: tuple[int, ...]) -> None:
    compare_layer(ours.LayerNormalization, arguments, shape)


@pytest.mark.parametrize("kind", ["LayerNormalization", "RMSNormalization", "UnitNormalization"])
@pytest.mark.parametrize("axis", [-1, 3, [-1], [2, 3], [3, 2], [-2, -1], [1, 2, 3]], ids=str)
def test_axes(kind: str, axis: Any) -> None:
    compare_layer(getattr(ours, kind), {"axis": axis}, (3, 4, 5, 6))


# Keras's torch backend fails for most axes that are not the last; tests/layers has the others.
@pytest.mark.parametrize(
    ("kind", "axis"),
    [("LayerNormalization", (1, 3)), ("UnitNormalization", (1, 3)), ("UnitNormalization", 2)],
)
def test_inner_axes(kind: str, axis: Any) -> None:
    compare_layer(getattr(ours, kind), {"axis": axis}, (3, 4, 5, 6))


@pytest.mark.parametrize("epsilon", [1e-6, 0.5])
@pytest.mark.parametrize("shape", [(6, 5), (4, 7, 3)], ids=str)
def test_rms_normalization(epsilon: float, shape: tuple[int, ...]) -> None:
    compare_layer(ours.RMSNormalization, {"epsilon": epsilon}, shape)


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({"groups": 2}, (3, 6)),
        ({"groups": 3}, (3, 5, 6)),
        ({"groups": 2, "epsilon": 0.1}, (2, 5, 4, 6)),
        ({"groups": 1}, (2, 5, 4, 6)),
        ({"groups": -1}, (2, 5, 4, 6)),
        ({"groups": 2, "axis": 1}, (2, 4, 5, 3)),
        ({"groups": 5, "axis": 2}, (2, 4, 5, 3)),
        ({"groups": 3, "axis": 3}, (2, 4, 5, 6)),
        ({"groups": 2, "center": False}, (3, 5, 6)),
        ({"groups": 2, "scale": False}, (3, 5, 6)),
        ({}, (2, 3, 64)),
        ({"groups": 4}, (1, 4)),
    ],
    ids=str,
)
def test_group_normalization(arguments: dict[str, Any], shape: tuple[int, ...]) -> None:
    compare_layer(ours.GroupNormalization, arguments, shape)
