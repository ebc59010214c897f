"""Depthwise and separable convolutions against bare torch in channels-first."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from nnkit.errors import ArgumentError, ShapeError
from nnkit.layers.input import Input
from nnkit.layers.separable import (
    DepthwiseConv1D,
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
    SeparableConvolution1D,
    SeparableConvolution2D,
)

DEPTHWISE: dict[int, Any] = {1: DepthwiseConv1D, 2: DepthwiseConv2D}
SEPARABLE: dict[int, Any] = {1: SeparableConv1D, 2: SeparableConv2D}
TORCH: dict[int, Any] = {1: F.conv1d, 2: F.conv2d}
SHAPES = {1: (2, 9, 4), 2: (2, 9, 8, 4)}


def grads(outputs: torch.Tensor, *of: torch.Tensor) -> Any:
    factors = torch.linspace(-1, 1, outputs.numel(), dtype=outputs.dtype).reshape(outputs.shape)
    return torch.autograd.grad((outputs * factors).sum(), of)


def torch_weight(kernel: torch.Tensor) -> torch.Tensor:
    """(*window, channels, multiplier) as torch has it, the outputs of a channel together."""
    return torch.stack(
        [kernel[..., c, m] for c in range(kernel.shape[-2]) for m in range(kernel.shape[-1])]
    ).unsqueeze(1)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("multiplier", [1, 3])
@pytest.mark.parametrize(
    ("arguments", "bare"),
    [({"padding": "same"}, {"padding": 1}), ({"strides": 2}, {"stride": 2})],
    ids=str,
)
@pytest.mark.parametrize("rank", DEPTHWISE)
def test_depthwise_equals_torch(
    rank: int, arguments: Any, bare: Any, multiplier: int, data_format: str
) -> None:
    layer = DEPTHWISE[rank](
        3,
        depth_multiplier=multiplier,
        data_format=data_format,
        bias_initializer="random_normal",
        dtype="float64",
        **arguments,
    )
    first = data_format == "channels_first"
    x = torch.randn(SHAPES[rank], dtype=torch.float64, requires_grad=True)
    actual = layer(x.movedim(-1, 1) if first else x)
    actual = actual.movedim(1, -1) if first else actual
    assert layer.kernel.shape == (*[3] * rank, 4, multiplier)
    weight = torch_weight(layer.kernel)
    expected = TORCH[rank](x.movedim(-1, 1), weight, layer.bias, groups=4, **bare).movedim(1, -1)
    torch.testing.assert_close(actual, expected)
    weights = (x, layer.weight, layer.bias)
    for one, other in zip(grads(actual, *weights), grads(expected, *weights), strict=True):
        torch.testing.assert_close(one, other)
    shape = x.movedim(-1, 1).shape if first else x.shape
    symbol = layer(Input(shape[1:]))
    assert symbol.shape[1:] == (actual.movedim(-1, 1) if first else actual).shape[1:]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("rank", SEPARABLE)
def test_separable_equals_torch(rank: int, data_format: str) -> None:
    layer = SEPARABLE[rank](
        5, 3, depth_multiplier=2, data_format=data_format, bias_initializer="random_normal"
    )
    first = data_format == "channels_first"
    x = torch.randn(SHAPES[rank])
    actual = layer(x.movedim(-1, 1) if first else x)
    deep, points, bias = layer.depthwise_kernel, layer.pointwise_kernel, layer.bias
    assert [w.name for w in layer.collect()] == ["depthwise_kernel", "pointwise_kernel", "bias"]
    assert (deep.shape, points.shape) == ((*[3] * rank, 4, 2), (*[1] * rank, 8, 5))
    apart = TORCH[rank](x.movedim(-1, 1), torch_weight(deep), groups=4).movedim(1, -1)
    expected = apart @ points.reshape(8, 5) + bias
    torch.testing.assert_close(actual.movedim(1, -1) if first else actual, expected)
    symbol = layer(Input((x.movedim(-1, 1) if first else x).shape[1:]))
    assert symbol.shape[1:] == actual.shape[1:]


@pytest.mark.parametrize("multiplier", [1, 2])
def test_nothing_is_copied_between_layers(multiplier: int) -> None:
    layer, x = DepthwiseConv2D(3, depth_multiplier=multiplier), torch.randn(2, 6, 5, 4)
    assert layer(x).is_contiguous()
    assert SeparableConv2D(3, 3)(x).is_contiguous()
    assert layer.kernel.data_ptr() == layer.weight.data_ptr()
    assert layer.weight.is_contiguous(memory_format=torch.channels_last)


def test_options_of_each_weight() -> None:
    layer = SeparableConv2D(
        5,
        3,
        depthwise_initializer="ones",
        pointwise_initializer="zeros",
        bias_initializer="ones",
        depthwise_regularizer="l2",
        bias_regularizer="l1",
    )
    y = layer(torch.randn(1, 4, 4, 2))
    assert torch.equal(y, torch.ones(1, 2, 2, 5))
    assert [round(loss.item(), 4) for loss in layer.losses] == [0.18, 0.05]  # 18 and 5 ones, 0.01


@pytest.mark.parametrize("kind", [DepthwiseConv2D, SeparableConv2D])
def test_shape_after_an_activation(kind: Any) -> None:
    arguments = {"kernel_size": 3, "activation": lambda x: x.sum(-1, keepdim=True)}
    layer = kind(**arguments if kind is DepthwiseConv2D else {"filters": 5, **arguments})
    assert layer(Input((None, 8, 4))).shape == (None, None, 6, 1)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (DepthwiseConv2D, {"depth_multiplier": 0}, "depth_multiplier must be a whole number"),
        (DepthwiseConv2D, {"kernel_size": (3, 3, 3)}, "kernel_size must be an int or 2 ints"),
        (DepthwiseConv2D, {"kernel_initializer": "ones"}, "Did you mean 'depthwise_initializer'"),
        (DepthwiseConv1D, {"padding": "causal"}, "padding must be one of 'valid', 'same'"),
        (DepthwiseConv1D, {"data_format": "first"}, "one of 'channels_last', 'channels_first'"),
        (SeparableConv1D, {"filters": 2.5}, "filters must be a whole number"),
        (SeparableConv2D, {"filters": 2, "activation": "rellu"}, "Did you mean 'relu'"),
        (SeparableConv2D, {"filters": 2, "strides": 0}, "strides must be a whole number"),
    ],
)
def test_wrong_arguments(kind: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        kind(**{"kernel_size": 3, **arguments})


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (lambda: DepthwiseConv2D(3), (8, 8), r"height, width, channels\) but received"),
        (lambda: DepthwiseConv1D(3), (2, 4), r"windows of 3, larger.* of batch, time, channels"),
        (lambda: SeparableConv1D(3, 3), (2, 4), r"windows of 3, larger.* of batch, time, chan"),
        (lambda: SeparableConv2D(3, 3, dilation_rate=2), (9, 4, 4), "windows of 5 x 5, larger"),
        (lambda: SeparableConv2D(3, 1), (3, 32, 32), "looks like channels first"),
    ],
)
@pytest.mark.parametrize("symbolic", [False, True])
def test_wrong_shapes(layer: Any, shape: Any, message: str, symbolic: bool) -> None:
    with pytest.raises(ShapeError, match=message):
        layer()(Input(shape) if symbolic else torch.zeros(2, *shape))


@pytest.mark.parametrize("kind", [DepthwiseConv1D, lambda *size: SeparableConv1D(2, *size)])
def test_channels_must_be_known(kind: Any) -> None:
    with pytest.raises(ShapeError, match="needs to know the number of channels"):
        kind(3)(Input((8, None)))


def test_exports_with_a_free_batch() -> None:
    layer, x = SeparableConv2D(4, 3, 2, "same", depth_multiplier=2), torch.randn(2, 5, 4, 3)
    layer(x)
    program = torch.export.export(layer, (x,), dynamic_shapes=[{0: torch.export.Dim("batch")}])
    more = torch.randn(5, 5, 4, 3)
    torch.testing.assert_close(program.module()(more), layer(more))


def test_aliases() -> None:
    assert SeparableConvolution1D is SeparableConv1D
    assert SeparableConvolution2D is SeparableConv2D
