"""Transposed, depthwise and separable convolutions, adaptive pooling, spectral normalization."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import torch

from nnkit.layers import adaptive_pooling, convolution_transpose, separable, spectral_normalization
from nnkit.layers.convolution import Conv1D, Conv2D
from nnkit.layers.core import Dense
from nnkit.layers.input import Input
from nnkit.layers.reshaping import Reshape
from nnkit.models import Sequential
from nnkit.saving import load_weights, save_weights
from tests.parity.compare import compare_layer

# Keras's own get_weights() warns about NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

MODULES = (adaptive_pooling, convolution_transpose, separable, spectral_normalization)
OURS: dict[str, Any] = {n: getattr(m, n) for m in MODULES for n in m.__all__ if "Base" not in n}
SHAPES = {1: (2, 7, 3), 2: (2, 7, 5, 3), 3: (2, 7, 5, 6, 3)}


@pytest.mark.parametrize("name", OURS)
def test_arguments_are_keras_arguments(name: str) -> None:
    def arguments(kind: Any) -> dict[str, Any]:
        found = inspect.signature(kind.__init__).parameters
        return {n: p.default for n, p in found.items() if n not in ("self", "kwargs")}

    ours, theirs = arguments(OURS[name]), arguments(getattr(keras.layers, name))
    assert list(ours) == list(theirs)
    for key, value in theirs.items():
        # Keras writes some sizes as tuples of ones.
        same = value == (1,) * len(value) if isinstance(value, tuple) else value == ours[key]
        assert same, key


@pytest.mark.parametrize(
    ("rank", "arguments"),
    [
        (1, {"kernel_size": 3, "strides": 3, "output_padding": 2}),
        (1, {"kernel_size": 4, "dilation_rate": 2, "padding": "same", "output_padding": 0}),
        (1, {"kernel_size": 2, "strides": 3, "padding": "same", "data_format": "channels_first"}),
        (2, {"kernel_size": (2, 5), "strides": (3, 2), "padding": "same", "activation": "tanh"}),
        (2, {"kernel_size": (1, 3), "strides": (3, 2), "output_padding": (0, 1)}),
        (2, {"kernel_size": 3, "strides": 2, "output_padding": 1, "data_format": "channels_first"}),
        (3, {"kernel_size": 3, "strides": 2, "padding": "same", "output_padding": (0, 1, 0)}),
        (3, {"kernel_size": 2, "dilation_rate": (1, 2, 3), "use_bias": False}),
    ],
    ids=str,
)
def test_transposed(rank: int, arguments: dict[str, Any]) -> None:
    kind = OURS[f"Conv{rank}DTranspose"]
    free = (None,) * rank
    first = arguments.get("data_format") == "channels_first"
    symbolic = (3, *free) if first else (*free, 3)
    shape = (SHAPES[rank][0], 3, *SHAPES[rank][1:-1]) if first else SHAPES[rank]
    compare_layer(kind, {"filters": 4, **arguments}, shape, symbolic=symbolic)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("DepthwiseConv2D", {"kernel_size": (2, 3), "depth_multiplier": 2, "padding": "same"}),
        ("DepthwiseConv1D", {"kernel_size": 2, "strides": 3, "padding": "same"}),
        ("SeparableConv1D", {"filters": 4, "kernel_size": 3, "dilation_rate": 2}),
        (
            "SeparableConv2D",
            {
                "filters": 4,
                "kernel_size": (3, 2),
                "strides": 2,
                "padding": "same",
                "depth_multiplier": 2,
                "data_format": "channels_first",
                "pointwise_constraint": "unit_norm",
            },
        ),
    ],
    ids=str,
)
def test_separable(name: str, arguments: dict[str, Any]) -> None:
    compare_layer(OURS[name], arguments, SHAPES[2 if "2D" in name else 1])


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("size", [1, (5, 2, 3)])
@pytest.mark.parametrize("rank", SHAPES)
@pytest.mark.parametrize("kind", ["Average", "Max"])
def test_adaptive_pooling(kind: str, rank: int, size: Any, data_format: str) -> None:
    size = size if isinstance(size, int) else size[:rank]
    arguments = {"output_size": size, "data_format": data_format}
    compare_layer(OURS[f"Adaptive{kind}Pooling{rank}D"], arguments, SHAPES[rank])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("kind", "inner", "shape"),
    [
        (Dense, {"units": 4, "activation": "relu"}, (3, 5)),
        (Conv1D, {"filters": 4, "kernel_size": 3}, SHAPES[1]),
        (Conv2D, {"filters": 4, "kernel_size": 3, "use_bias": False}, SHAPES[2]),
        (OURS["Conv2DTranspose"], {"filters": 4, "kernel_size": 3}, SHAPES[2]),
        (OURS["DepthwiseConv2D"], {"kernel_size": 3, "depth_multiplier": 2}, SHAPES[2]),
    ],
)
@pytest.mark.parametrize("iterations", [1, 3])
def test_spectral_normalization(
    kind: Any, inner: Any, shape: Any, training: bool, iterations: int
) -> None:
    def ours(**arguments: Any) -> Any:
        return OURS["SpectralNormalization"](kind(**inner), **arguments)

    def theirs(**arguments: Any) -> Any:
        layer = getattr(keras.layers, kind.__name__)(**inner)
        return keras.layers.SpectralNormalization(layer, **arguments)

    arguments = {"power_iterations": iterations}
    compare_layer(ours, arguments, shape, theirs=theirs, training=training)


def model(k: Any) -> Any:
    return k.Sequential(
        [
            k.Input((6, 7, 3)),
            k.Conv2DTranspose(4, 3, strides=2, padding="same"),
            k.SpectralNormalization(k.Conv2D(6, 3)),
            k.DepthwiseConv2D(3, depth_multiplier=2),
            k.SeparableConv2D(5, 3, depth_multiplier=2),
            k.AdaptiveAveragePooling2D((4, 1)),
            k.Reshape((4, 5)),
            k.Conv1DTranspose(3, 2),
            k.DepthwiseConv1D(2),
            k.SeparableConv1D(2, 2, use_bias=False),
        ]
    )


@pytest.mark.parametrize("written_by", ["keras", "nnkit"])
def test_weight_files(tmp_path: Path, written_by: str) -> None:
    from_here = {n: getattr(keras.layers, n) for n in (*OURS, "Conv2D", "Reshape")}
    theirs = model(SimpleNamespace(**from_here, Sequential=keras.Sequential, Input=keras.Input))
    ours = model(
        SimpleNamespace(**OURS, Conv2D=Conv2D, Reshape=Reshape, Sequential=Sequential, Input=Input)
    )
    path = tmp_path / "a.weights.h5"
    if written_by == "keras":
        theirs.save_weights(path)
        load_weights(ours, path)
    else:
        save_weights(ours, path)
        theirs.load_weights(path)
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    x = torch.randn(2, 6, 7, 3)
    torch.testing.assert_close(ours(x), theirs(x))
