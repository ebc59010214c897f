"""The convolutions against real Keras."""

from __future__ import annotations

from typing import Any

import pytest

from nnkit.layers import convolution as ours
from nnkit.layers import convolution_transpose, separable
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


def transposed(rank: int, arguments: dict[str, Any], **more: Any) -> None:
    shape = more.pop("shape", {1: (2, 5, 4), 2: (2, 5, 4, 3), 3: (2, 3, 4, 2, 3)}[rank])
    kind = getattr(convolution_transpose, f"Conv{rank}DTranspose")
    compare_layer(kind, {"filters": 3, **arguments}, shape, **more)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("strides", [1, 2, 3, 4])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_transposed_windows(rank: int, strides: int, kernel_size: int, padding: str) -> None:
    transposed(rank, {"kernel_size": kernel_size, "strides": strides, "padding": padding})


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("kernel_size", [2, 3, 5])
@pytest.mark.parametrize(("strides", "output_padding"), [(1, 0), (2, 0), (2, 1), (3, 1), (3, 2)])
def test_output_padding(strides: int, output_padding: int, kernel_size: int, padding: str) -> None:
    transposed(
        2,
        {
            "kernel_size": kernel_size,
            "strides": strides,
            "padding": padding,
            "output_padding": output_padding,
        },
    )


@pytest.mark.parametrize(
    ("rank", "arguments"),
    [
        (1, {"kernel_size": 3, "dilation_rate": 2}),
        (2, {"kernel_size": (2, 3), "dilation_rate": (2, 3), "padding": "same"}),
        (2, {"kernel_size": (4, 3), "strides": (2, 3), "activation": "relu"}),
        (2, {"kernel_size": 3, "use_bias": False, "kernel_regularizer": "l2"}),
    ],
    ids=str,
)
def test_transposed_arguments(rank: int, arguments: dict[str, Any]) -> None:
    transposed(rank, arguments)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_transposed_channels_first(rank: int) -> None:
    arguments = {"kernel_size": 3, "strides": 2, "padding": "same", "data_format": "channels_first"}
    transposed(rank, arguments, shape=(2, 3, *(4, 5, 2)[:rank]))


def test_transposed_free_sizes() -> None:
    arguments = {"kernel_size": 3, "strides": 2, "padding": "same"}
    transposed(2, arguments, symbolic=(None, None, 3))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 3},
        {"kernel_size": 2, "strides": 2},
        {"kernel_size": 3, "dilation_rate": 2},
        {"kernel_size": 3, "depth_multiplier": 3, "activation": "relu"},
        {"kernel_size": 3, "use_bias": False, "depthwise_regularizer": "l2"},
        {"kernel_size": 3, "depthwise_constraint": "unit_norm", "depth_multiplier": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["Depthwise", "Separable"])
@pytest.mark.parametrize("rank", [1, 2])
def test_depthwise(rank: int, kind: str, arguments: dict[str, Any], padding: str) -> None:
    arguments = {**arguments, "padding": padding}
    if kind == "Separable":
        arguments["filters"] = 5
    compare_layer(getattr(separable, f"{kind}Conv{rank}D"), arguments, SHAPES[rank])


@pytest.mark.parametrize("kind", ["Depthwise", "Separable"])
@pytest.mark.parametrize("rank", [1, 2])
def test_depthwise_channels_first(rank: int, kind: str) -> None:
    arguments = {"kernel_size": 3, "strides": 2, "padding": "same", "data_format": "channels_first"}
    if kind == "Separable":
        arguments["filters"] = 5
    layer = getattr(separable, f"{kind}Conv{rank}D")
    compare_layer(layer, arguments, (2, 4, *(9, 8)[:rank]))


@pytest.mark.parametrize("data", [(None, None, 4)])
def test_depthwise_free_sizes(data: tuple[int | None, ...]) -> None:
    compare_layer(separable.DepthwiseConv2D, {"kernel_size": 3}, SHAPES[2], symbolic=data)
