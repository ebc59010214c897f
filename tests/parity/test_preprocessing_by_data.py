"""Layers that learn from data, encode or resize it, against Keras.

Keras's Hashing, lookups and TextVectorization need TensorFlow; the values that it gives for them
stand in tests/layers.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest
import torch

from nnkit.layers.categorical import CategoryEncoding, Discretization
from nnkit.layers.input import Input
from nnkit.layers.normalization_by_data import Normalization
from nnkit.layers.resizing import CenterCrop, Resizing
from tests.parity.compare import compare_layer

# Keras's Variable.numpy() predates NumPy's copy argument.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RANDOM = np.random.default_rng(3)
NUMBERS = (RANDOM.normal(size=(40, 6, 3)) * [1, 20, 0.1] + [5, -300, 0]).astype("float32")
NUMBERS[:, 2] = 7.0  # no variance there
IMAGES = RANDOM.integers(0, 255, (2, 6, 9, 3))


def same(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float = 1e-5) -> None:
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("axis", [-1, None, 1, (1, 2), (-1, 1)])
@pytest.mark.parametrize("invert", [False, True])
def test_normalization_adapts(axis: object, invert: bool) -> None:
    pair = Normalization(axis, invert=invert), keras.layers.Normalization(axis, invert=invert)
    for layer in pair:
        layer.adapt(NUMBERS)
    ours, theirs = pair
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-5, atol=1e-6)
        assert mine.dtype == other.dtype
    assert [w.name for w in ours.collect()] == [w.name for w in theirs.weights]
    assert ours.mean.shape == theirs.mean.shape
    assert ours.count_params() == theirs.count_params()
    ours.set_weights(theirs.get_weights())
    for x in (NUMBERS[:4], NUMBERS[:2].astype("int32"), NUMBERS[:2].astype("float64")):
        same(ours(torch.tensor(x)), theirs(x))


def test_normalization_adapts_to_batches() -> None:
    batches = [NUMBERS[:7], torch.tensor(NUMBERS[7:8]), NUMBERS[8:]]
    ours, theirs = Normalization(), keras.layers.Normalization()
    ours.adapt(batches)
    theirs.adapt(NUMBERS)  # Keras reads batches only where TensorFlow is
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({"mean": 3.0, "variance": 2.0}, (4, 3)),
        ({"mean": [1.0, 2.0, 3.0], "variance": [1.0, 0.0, 4.0]}, (4, 5, 3)),
        ({"axis": (1, -1), "mean": [1.0, 2.0], "variance": [1.0, 4.0]}, (4, 3, 5, 2)),
        ({"axis": None, "mean": 3.0, "variance": 2.0, "invert": True}, (6,)),
    ],
)
def test_normalization_with_given_statistics(arguments: dict, shape: tuple) -> None:
    compare_layer(Normalization, arguments, shape)


@pytest.mark.parametrize("size", [7, 40, 1500])
@pytest.mark.parametrize(("bins", "epsilon"), [(4, 0.01), (10, 0.1), (1, 0.01)])
def test_discretization_adapts(size: int, bins: int, epsilon: float) -> None:
    x = np.random.default_rng(size).normal(size=(size, 2)).astype("float32")
    ours, theirs = (
        kind(num_bins=bins, epsilon=epsilon)
        for kind in (Discretization, keras.layers.Discretization)
    )
    for batches in ([x], [x[:5], x[5:]]):
        ours.adapt(batches)
        theirs.reset_state()  # what Keras's adapt does, without its look for TensorFlow's data
        for batch in batches:
            theirs.update_state(batch)
        theirs.finalize_state()
        assert ours.bin_boundaries == theirs.bin_boundaries
    same(ours(x), theirs(x))


@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot", "count"])
@pytest.mark.parametrize("shape", [(5,), (5, 1), (4, 3)])
@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_discretization(mode: str, shape: tuple, dtype: str) -> None:
    x = np.random.default_rng(0).integers(-3, 4, shape).astype(dtype)
    pair = [
        kind([-1.0, 0.0, 2.5], output_mode=mode)
        for kind in (Discretization, keras.layers.Discretization)
    ]
    same(*(layer(torch.tensor(x)) for layer in pair))
    if len(shape) == 2:
        symbolic = [pair[0](Input(shape[1:])), pair[1](keras.Input(shape[1:]))]
        assert symbolic[0].shape == symbolic[1].shape


@pytest.mark.parametrize("mode", ["one_hot", "multi_hot", "count"])
@pytest.mark.parametrize("shape", [(), (5,), (5, 1), (4, 3)])
def test_category_encoding(mode: str, shape: tuple) -> None:
    x = np.random.default_rng(0).integers(0, 6, shape)
    pair = [kind(6, output_mode=mode) for kind in (CategoryEncoding, keras.layers.CategoryEncoding)]
    same(*(layer(torch.tensor(x)) for layer in pair))
    if len(shape) == 2:
        made = pair[0](Input(shape[1:], dtype="int64"))
        assert made.shape == pair[1](keras.Input(shape[1:], dtype="int64")).shape
    if mode == "count" and shape:
        weights = np.random.default_rng(1).random(shape).astype("float32")
        same(*(layer(torch.tensor(x), count_weights=weights) for layer in pair))


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int32"])
@pytest.mark.parametrize(
    "arguments",
    [
        {"height": 4, "width": 11},
        {"height": 13, "width": 5, "interpolation": "nearest"},
        {"height": 13, "width": 5, "interpolation": "bicubic"},
        {"height": 4, "width": 4, "antialias": True},
        {"height": 4, "width": 4, "antialias": True, "interpolation": "nearest"},
        {"height": 5, "width": 4, "crop_to_aspect_ratio": True},
        {"height": 2, "width": 7, "crop_to_aspect_ratio": True},
        {"height": 5, "width": 4, "pad_to_aspect_ratio": True, "fill_value": 9.0},
        {"height": 2, "width": 7, "pad_to_aspect_ratio": True},
        {"height": 4, "width": 11, "data_format": "channels_first"},
    ],
)
def test_resizing(arguments: dict, dtype: str) -> None:
    ours, theirs = Resizing(**arguments), keras.layers.Resizing(**arguments)
    for x in (torch.tensor(IMAGES.astype(dtype)), torch.tensor(IMAGES[0].astype(dtype))):
        same(ours(x), theirs(x), 1e-4)
    shape = (None, None, 3)
    assert ours(Input(shape)).shape == theirs(keras.Input(shape)).shape


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("size", [(4, 4), (3, 8), (6, 9), (5, 12), (8, 4), (20, 20)])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_center_crop(size: tuple, dtype: str, data_format: str) -> None:
    ours, theirs = (
        kind(*size, data_format=data_format) for kind in (CenterCrop, keras.layers.CenterCrop)
    )
    images = IMAGES if data_format == "channels_last" else IMAGES.transpose(0, 3, 1, 2)
    for x in (torch.tensor(images.astype(dtype)), torch.tensor(images[0].astype(dtype))):
        same(ours(x), theirs(x), 1e-4)
    assert ours(Input((None, 9, 3))).shape == theirs(keras.Input((None, 9, 3))).shape


def test_configs_hold_what_keras_takes() -> None:
    layer = Discretization(num_bins=4)
    layer.adapt(NUMBERS)
    config = {k: v for k, v in layer.get_config().items() if k != "trainable"}
    theirs = keras.layers.Discretization.from_config(config)
    assert theirs.bin_boundaries == layer.bin_boundaries
    layer = Normalization((1, 2), mean=np.ones(3), variance=torch.ones(3))
    theirs = keras.layers.Normalization.from_config(layer.get_config())
    same(layer(NUMBERS), theirs(NUMBERS))
