"""Convolutions against bare torch in channels-first, and what they refuse."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from nnkit import ops
from nnkit.errors import ArgumentError, DataError, ShapeError
from nnkit.layers.convolution import Conv1D, Conv2D, Conv3D, Convolution2D
from nnkit.layers.convolution_transpose import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose
from nnkit.layers.input import Input
from nnkit.layers.separable import (
    DepthwiseConv1D,
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
)

TORCH = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
KINDS = {1: Conv1D, 2: Conv2D, 3: Conv3D}
SHAPES = {1: (2, 9, 4), 2: (2, 9, 8, 4), 3: (2, 6, 7, 5, 4)}


@pytest.mark.parametrize(
    ("arguments", "bare"),
    [
        ({}, {}),
        ({"padding": "same"}, {"padding": 1}),
        ({"strides": 2}, {"stride": 2}),
        ({"dilation_rate": 2}, {"dilation": 2}),
        ({"dilation_rate": 2, "padding": "same"}, {"dilation": 2, "padding": 2}),
        ({"groups": 2}, {"groups": 2}),
    ],
    ids=str,
)
@pytest.mark.parametrize("rank", KINDS)
def test_equals_torch(rank: int, arguments: dict[str, Any], bare: dict[str, Any]) -> None:
    x = torch.randn(SHAPES[rank])
    layer = KINDS[rank](6, 3, bias_initializer="random_normal", **arguments)
    expected = TORCH[rank](x.movedim(-1, 1), *_weights(layer, x), **bare).movedim(1, -1)
    torch.testing.assert_close(layer(x), expected)


def _weights(layer: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    layer(x)
    assert layer.kernel.shape == (*layer.kernel_size, 4 // layer.groups, 6)
    return layer.weight, layer.bias


def test_same_padding_puts_the_odd_pixel_last() -> None:
    layer = Conv2D(1, 3, strides=2, padding="same", kernel_initializer="ones")
    x = torch.arange(16.0).reshape(1, 4, 4, 1)
    expected = F.conv2d(F.pad(x.movedim(-1, 1), (0, 1, 0, 1)), torch.ones(1, 1, 3, 3), stride=2)
    torch.testing.assert_close(layer(x), expected.movedim(1, -1))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(
    ("kind", "shape", "window", "steps"),
    [
        (Conv2D, (8, 5, 1), (2, 5), (1, 2)),
        (Conv2D, (9, 5, 1), (3, 4), (1, 3)),
        (Conv3D, (4, 9, 3, 1), (2, 5, 2), (3, 1, 2)),
    ],
)
def test_one_channel_and_steps_that_leave_one_column(
    kind: Any, shape: Any, window: Any, steps: Any, data_format: str
) -> None:
    layer, wide = (
        kind(4, window, steps, data_format=data_format, dtype=t) for t in (None, "float64")
    )
    x = torch.randn(2, *shape)
    x = (x if data_format == "channels_last" else x.movedim(-1, 1)).requires_grad_()
    y = x.detach().double().requires_grad_()
    layer(x), wide(y)
    wide.set_weights(layer.get_weights())
    torch.testing.assert_close(layer(x).double(), wide(y), rtol=1e-4, atol=1e-4)
    for output in (layer(x), wide(y)):
        (output * torch.arange(output.numel()).view(output.shape)).sum().backward()
    torch.testing.assert_close(x.grad.double(), y.grad, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(layer.weight.grad.double(), wide.weight.grad, rtol=1e-4, atol=1e-3)
    kernel, last = layer.kernel.detach(), data_format == "channels_last"
    by_op = ops.conv(x, kernel, steps, "valid", data_format)
    bias = layer.bias if last else layer.bias.view(-1, *[1] * (len(shape) - 1))
    torch.testing.assert_close(by_op + bias, layer(x), rtol=1e-4, atol=1e-4)


def test_causal_sees_no_later_step() -> None:
    layer = Conv1D(3, 3, padding="causal", dilation_rate=2)
    x = torch.randn(2, 10, 4)
    changed = torch.cat([x[:, :6], torch.randn(2, 4, 4)], 1)
    torch.testing.assert_close(layer(x)[:, :6], layer(changed)[:, :6])
    assert layer(x).shape == (2, 10, 3)


@pytest.mark.parametrize("rank", KINDS)
def test_nothing_is_copied_between_layers(rank: int) -> None:
    layer = KINDS[rank](6, 3, padding="same")
    assert layer(torch.randn(SHAPES[rank])).is_contiguous()


def test_kernel_is_a_view_of_channels_last_memory() -> None:
    layer = Conv2D(6, 3)
    layer(torch.randn(1, 8, 8, 4))
    assert layer.weight.shape == (6, 4, 3, 3)
    assert layer.weight.is_contiguous(memory_format=torch.channels_last)
    assert layer.kernel.data_ptr() == layer.weight.data_ptr()


def test_channels_first() -> None:
    x = torch.randn(2, 4, 9, 8)
    layer = Conv2D(6, 3, data_format="channels_first")
    expected = F.conv2d(x, *_weights(layer, x))
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (Conv2D, {"filters": 0}, "filters must be a whole number of at least 1, got 0"),
        (Conv2D, {"kernel_size": (3, 3, 3)}, "kernel_size must be an int or 2 ints"),
        (Conv2D, {"kernel_size": 0}, "kernel_size must be a whole number of at least 1"),
        (Conv2D, {"strides": 0}, "strides must be a whole number of at least 1"),
        (Conv2D, {"padding": "full"}, "padding must be one of 'valid', 'same', got 'full'"),
        (Conv2D, {"padding": "causal"}, "padding must be one of 'valid', 'same', got 'causal'"),
        (Conv1D, {"padding": "full"}, "one of 'valid', 'same', 'causal'"),
        (Conv2D, {"data_format": "first"}, "one of 'channels_last', 'channels_first'"),
        (Conv2D, {"groups": 3}, "multiple of groups, got filters=4 and groups=3"),
        (Conv2D, {"strides": 2, "dilation_rate": 2}, "cannot both be above 1"),
        (Conv2D, {"activation": "rellu"}, "Did you mean 'relu'"),
        (Conv2D, {"kernal_size": 3}, "Did you mean 'kernel_size'"),
    ],
)
def test_wrong_arguments(kind: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        kind(**{"filters": 4, "kernel_size": 3, **arguments})


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            lambda: Conv2D(4, 3),
            (784,),
            r"received \((batch|2), 784\). Add Reshape\(\(28, 28, 1\)\)",
        ),
        (lambda: Conv2D(4, 3), (28, 28), r"Add the channels axis with Reshape\(\(28, 28, 1\)\)"),
        (lambda: Conv1D(4, 3), (28,), "expects .batch, time, channels. but received"),
        (lambda: Conv2D(4, 5), (4, 9, 2), r'5 x 5, larger .*, 4, 9, 2\).* padding="same"'),
        (lambda: Conv2D(4, 3, dilation_rate=3), (6, 9, 2), "windows of 7 x 7"),
        (lambda: Conv2D(4, 5), (3, 32, 48), r"permute them to the end: x.movedim\(1, -1\)"),
        (lambda: Conv1D(4, 5), (4, 2), r"windows of 5, larger .* or a larger sequence"),
        (lambda: Conv3D(4, 3), (2, 9, 9, 1), "a larger volume"),
        (lambda: Conv2D(4, 3, groups=2), (8, 8, 3), "groups=2, but 3 channels do not divide"),
        (lambda: Conv2D(4, 1), (3, 32, 32), r"looks like channels first.*movedim\(1, -1\)"),
        (lambda: Conv2D(4, 1), (1, 28, 28), r"Permute\(\(2, 3, 1\)\)"),
        (lambda: Conv2D(4, 3), (8, 8, None), "needs to know the number of channels"),
    ],
)
@pytest.mark.parametrize("symbolic", [False, True])
def test_wrong_shapes(layer: Any, shape: tuple[int, ...], message: str, symbolic: bool) -> None:
    if None in shape and not symbolic:
        shape, message = (8, 8), "expects"
    with pytest.raises(ShapeError, match=message):
        layer()(Input(shape) if symbolic else torch.zeros(2, *shape))


@pytest.mark.parametrize("shape", [(3, 4, 4), (3, 32, 8), (2, 32, 32), (3, 5, 3)])
def test_not_taken_for_channels_first(shape: tuple[int, ...]) -> None:
    assert Conv2D(4, 1)(Input(shape)).shape == (None, *shape[:2], 4)


def test_later_images() -> None:
    layer = Conv2D(4, 3)
    layer(torch.zeros(1, 8, 8, 3))
    assert layer(torch.zeros(2, 3, 20, 3)).shape == (2, 1, 18, 4)
    with pytest.raises(ShapeError, match="built for 3 channels"):
        layer(torch.zeros(1, 8, 8, 4))
    with pytest.raises(ShapeError, match="windows of 3 x 3"):
        layer(torch.zeros(1, 2, 8, 3))


def test_whole_numbers_are_refused() -> None:
    with pytest.raises(DataError, match=r"received torch.uint8. Add Rescaling\(1 / 255\)"):
        Conv2D(4, 3)(torch.zeros(1, 8, 8, 3, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("rank", "arguments"),
    [
        (1, {"padding": "causal"}),
        (1, {}),
        (2, {"padding": "same", "strides": 2, "activation": "relu"}),
        (2, {"data_format": "channels_first", "groups": 2}),
        (3, {"padding": "same"}),
    ],
)
def test_compiles(rank: int, arguments: dict[str, Any]) -> None:
    layer, x = KINDS[rank](6, 3, **arguments), torch.randn(SHAPES[rank][0], 4, *SHAPES[rank][1:-1])
    if "data_format" not in arguments:
        x = x.movedim(1, -1)
    expected = layer(x)
    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), expected)


def test_exports_with_a_free_batch() -> None:
    layer, x = Conv2D(4, 3, strides=2, padding="same"), torch.randn(2, 9, 8, 3)
    layer(x)
    program = torch.export.export(layer, (x,), dynamic_shapes=[{0: torch.export.Dim("batch")}])
    more = torch.randn(5, 9, 8, 3)
    torch.testing.assert_close(program.module()(more), layer(more))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_copies(copied: Any, data_format: str) -> None:
    layer, x = Conv2D(4, 3, activation="relu", data_format=data_format), torch.randn(2, 8, 8, 8)
    expected = layer(x)
    torch.testing.assert_close(copied(layer)(x), expected)


@pytest.mark.parametrize(
    "layer",
    [
        Conv1D(4, 3, padding="causal", dilation_rate=2),
        Conv2D(4, (3, 2), strides=2, data_format="channels_first", kernel_regularizer="l2"),
        Conv3D(4, 3, groups=2, use_bias=False, name="third"),
    ],
)
def test_config(layer: Any) -> None:
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    for name in ("filters", "kernel_size", "strides", "padding", "data_format", "groups", "name"):
        assert getattr(again, name) == getattr(layer, name)


def test_alias() -> None:
    assert Convolution2D is Conv2D


OTHERS = [
    (Conv1DTranspose, {"filters": 3, "strides": 2}, (2, 5, 4)),
    (Conv2DTranspose, {"filters": 3, "strides": 2, "padding": "same"}, (2, 5, 4, 3)),
    (Conv2DTranspose, {"filters": 3, "strides": 5, "kernel_size": 2}, (2, 5, 4, 3)),
    (Conv3DTranspose, {"filters": 3}, (2, 3, 4, 2, 3)),
    (DepthwiseConv1D, {"depth_multiplier": 2}, (2, 7, 4)),
    (DepthwiseConv2D, {"padding": "same", "strides": 2}, (2, 7, 8, 4)),
    (SeparableConv1D, {"filters": 3}, (2, 7, 4)),
    (SeparableConv2D, {"filters": 3, "data_format": "channels_first"}, (2, 4, 7, 8)),
]


@pytest.mark.parametrize(("kind", "arguments", "shape"), OTHERS)
def test_others(kind: Any, arguments: dict[str, Any], shape: tuple[int, ...]) -> None:
    layer, x = kind(**{"kernel_size": 3, **arguments}), torch.randn(shape)
    expected = layer(x)
    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), expected)
    again = kind.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    again(x)
    again.set_weights(layer.get_weights())
    for other in (again, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.testing.assert_close(other(x), expected)


@pytest.mark.parametrize(
    ("kind", "arguments", "error", "message"),
    [
        (Conv2DTranspose, {"output_padding": 2, "strides": 2}, ArgumentError, "smaller than str"),
        (Conv2DTranspose, {"output_padding": -1}, ArgumentError, "output_padding must be a whole"),
        (Conv2DTranspose, {"padding": "causal"}, ArgumentError, "one of 'valid', 'same'"),
        (Conv2DTranspose, {"strides": 2, "dilation_rate": 2}, ArgumentError, "both be above 1"),
        (SeparableConv2D, {"depth_multiplier": 0}, ArgumentError, "depth_multiplier must be"),
        (DepthwiseConv2D, {"kernel_size": 9}, ShapeError, "windows of 9 x 9, larger"),
        (SeparableConv2D, {"kernel_size": 9}, ShapeError, "windows of 9 x 9, larger"),
        (Conv2DTranspose, {"data": torch.zeros(2, 8)}, ShapeError, "expects .batch, height"),
        (DepthwiseConv2D, {"data": torch.zeros(1, 8, 8, 3).byte()}, DataError, "torch.uint8"),
        (Conv2DTranspose, {"data": torch.zeros(1, 8, 8, 3).byte()}, DataError, "torch.uint8"),
    ],
)
def test_others_refuse(kind: Any, arguments: dict[str, Any], error: Any, message: str) -> None:
    arguments = {"kernel_size": 3, **arguments}
    data = arguments.pop("data", torch.zeros(1, 8, 8, 3))
    with pytest.raises(error, match=message):
        kind(**arguments if kind is DepthwiseConv2D else {"filters": 3, **arguments})(data)


def test_transposed_windows_smaller_than_strides_leave_the_bias() -> None:
    layer = Conv2DTranspose(1, 1, 2, kernel_initializer="ones", bias_initializer="ones")
    y = layer(torch.full((1, 1, 2, 1), 3.0))
    assert y[0, :, :, 0].tolist() == [[4, 1, 4, 1], [1, 1, 1, 1]]


def test_depthwise_channels_are_neighbours() -> None:
    layer = DepthwiseConv2D(1, depth_multiplier=2)
    layer(torch.zeros(1, 1, 1, 3))
    layer.set_weights([torch.arange(1.0, 7).reshape(1, 1, 3, 2).numpy(), torch.zeros(6).numpy()])
    y = layer(torch.tensor([1.0, 10.0, 100.0]).reshape(1, 1, 1, 3))
    assert y.flatten().tolist() == [1, 2, 30, 40, 500, 600]


@pytest.mark.parametrize("kind", [Conv1D, Conv2D, Conv3D])
@pytest.mark.parametrize("channels", [1, 3])
def test_one_filter_on_one_sample_can_be_trained(kind: Any, channels: int) -> None:
    """Torch's slow kernels refuse the gradient of a weight with odd strides of an axis of 1."""
    x = torch.randn(1, *(6,) * kind.rank, channels)
    layer = kind(1, 3)
    weights = layer(x).sum().backward() or [
        w.layout.to_keras(w.tensor.grad) for w in layer.collect()
    ]
    windows = x.unfold(1, 3, 1)
    for axis in range(2, kind.rank + 1):
        windows = windows.unfold(axis, 3, 1)
    # Each weight's gradient is the sum of the pixels it meets.
    expected = windows.sum(tuple(range(kind.rank + 1))).movedim(0, -1).unsqueeze(-1)
    torch.testing.assert_close(weights[0], expected, rtol=1e-4, atol=1e-4)
