"""The convolutions against real Keras."""

from __future__ import annotations

from typing import Any

import pytest

from nnkit.layers import convolution as ours
from tests.parity.compare import compare_layer

# Keras's own get_weights() warns about NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SHAPES = {1: (2, 11, 4), 2: (2, 9, 8, 4), 3: (2, 7, 6, 5, 4)}


def check(rank: int, arguments: dict[str, Any], **more: Any) -> None:
    shape = more.pop("shape", SHAPES[rank])
    compare_layer(getattr(ours, f"Conv{rank}D"), {"filters": 6, **arguments}, shape, **more)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_windows(rank: int, strides: int, kernel_size: int, padding: str) -> None:
    check(rank, {"kernel_size": kernel_size, "strides": strides, "padding": padding})


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("dilation", [2, 3])
@pytest.mark.parametrize("kernel_size", [2, 3])
@pytest.mark.parametrize("rank", [1, 2])
def test_dilation(rank: int, kernel_size: int, dilation: int, padding: str) -> None:
    check(rank, {"kernel_size": kernel_size, "dilation_rate": dilation, "padding": padding})


@pytest.mark.parametrize("groups", [2, 4])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_groups(rank: int, groups: int) -> None:
    check(rank, {"filters": 8, "kernel_size": 3, "groups": groups, "padding": "same"})


@pytest.mark.parametrize("arguments", [{"strides": 2}, {"strides": 3}, {"dilation_rate": 3}, {}])
@pytest.mark.parametrize("kernel_size", [1, 2, 3])
def test_causal(kernel_size: int, arguments: dict[str, Any]) -> None:
    check(1, {"kernel_size": kernel_size, "padding": "causal", **arguments})


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": (2, 5), "strides": (3, 1), "padding": "same"},
        {"kernel_size": [1, 3], "strides": [1, 2]},
        {"kernel_size": (3, 2), "dilation_rate": (1, 3), "padding": "same"},
        {"kernel_size": 3, "use_bias": False},
        {"kernel_size": 3, "padding": "SAME", "activation": "relu"},
        {"kernel_size": 3, "activation": "softmax"},
        {"kernel_size": 3, "bias_initializer": "ones", "kernel_initializer": "zeros"},
        {"kernel_size": 3, "kernel_regularizer": "l2", "bias_regularizer": "l1"},
        {"kernel_size": 3, "kernel_constraint": "max_norm", "bias_constraint": "non_neg"},
    ],
    ids=str,
)
def test_arguments(arguments: dict[str, Any]) -> None:
    check(2, arguments)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("activation", [None, "softmax"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_channels_first(rank: int, activation: str | None, padding: str) -> None:
    batch, *spatial, channels = SHAPES[rank]
    check(
        rank,
        {
            "kernel_size": 3,
            "strides": 2,
            "padding": padding,
            "activation": activation,
            "data_format": "channels_first",
        },
        shape=(batch, channels, *spatial),
    )


@pytest.mark.parametrize(
    ("rank", "arguments", "wanted"),
    [
        (1, {"padding": "causal"}, (None, 4)),
        (1, {"strides": 2}, (None, 4)),
        (2, {"padding": "same", "strides": 2}, (None, None, 4)),
        (2, {"padding": "same"}, (9, None, 4)),
        (3, {}, (None, None, 5, 4)),
    ],
)
def test_free_sizes(rank: int, arguments: dict[str, Any], wanted: tuple[int | None, ...]) -> None:
    check(rank, {"kernel_size": 3, **arguments}, symbolic=wanted)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [1, 28])
def test_common_images(size: int, channels: int) -> None:
    check(2, {"kernel_size": 3, "padding": "same"}, shape=(3, size, size, channels))
