"""Transposed convolutions against bare torch in channels-first: sizes, memory, what they refuse."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from nnkit import activations
from nnkit.errors import ArgumentError, ShapeError
from nnkit.layers.convolution_transpose import (
    Conv1DTranspose,
    Conv2DTranspose,
    Conv3DTranspose,
    Convolution1DTranspose,
    Convolution2DTranspose,
    Convolution3DTranspose,
)
from nnkit.layers.input import Input

KINDS: dict[int, Any] = {1: Conv1DTranspose, 2: Conv2DTranspose, 3: Conv3DTranspose}
TORCH: dict[int, Any] = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
SHAPES = {1: (2, 5, 4), 2: (2, 5, 3, 4), 3: (2, 3, 4, 2, 4)}


def made(rank: int, arguments: dict[str, Any], **more: Any) -> Any:
    """A layer with weights, whose bias is not zero."""
    layer = KINDS[rank](3, bias_initializer="random_normal", **arguments, **more)
    layer(torch.zeros(SHAPES[rank], dtype=layer._dtype))
    return layer


@pytest.mark.parametrize(
    ("arguments", "bare", "cut"),
    [
        ({"kernel_size": 3}, {}, 0),
        ({"kernel_size": 3, "padding": "same"}, {"padding": 1}, 0),
        ({"kernel_size": 3, "dilation_rate": 2}, {"dilation": 2}, 0),
        ({"kernel_size": 4, "strides": 2, "padding": "same"}, {"stride": 2, "padding": 1}, 0),
        ({"kernel_size": 3, "strides": 2, "padding": "same"}, {"stride": 2}, 1),
        ({"kernel_size": 4, "padding": "same"}, {"padding": 1}, 1),
        ({"kernel_size": 3, "strides": 2, "output_padding": 1}, {"stride": 2}, -1),
        ({"kernel_size": 2, "strides": 4}, {"stride": 4}, -2),
    ],
    ids=str,
)
@pytest.mark.parametrize("rank", KINDS)
def test_equals_torch(rank: int, arguments: dict[str, Any], bare: Any, cut: int) -> None:
    """Torch cuts both ends alike; `cut` is what Keras takes off the end beyond that."""
    x = torch.randn(SHAPES[rank], dtype=torch.float64)
    layer = made(rank, arguments, dtype="float64")
    assert layer.kernel.shape == (*layer.kernel_size, 3, 4)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    whole = TORCH[rank](inputs[0].movedim(-1, 1), layer.weight, None, **bare)
    expected = F.pad(whole, [0, -cut] * rank).movedim(1, -1) + layer.bias
    actual = layer(inputs[1])
    torch.testing.assert_close(actual, expected)
    factors = torch.randn_like(expected)
    wanted = torch.autograd.grad((expected * factors).sum(), [inputs[0], *layer.parameters()])
    found = torch.autograd.grad((actual * factors).sum(), [inputs[1], *layer.parameters()])
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("kernel_size", [1, 2, 3])
@pytest.mark.parametrize("rank", KINDS)
def test_nothing_is_copied_between_layers(rank: int, kernel_size: int) -> None:
    layer = KINDS[rank](6, kernel_size, 2, "same")
    assert layer(torch.randn(SHAPES[rank])).is_contiguous()


def options() -> list[tuple[int, int, int, int | None]]:
    """Every small window, step, spacing and output padding that go together."""
    return [
        (window, step, gap, more)
        for window, step, gap in itertools.product((1, 2, 3, 4, 5), (1, 2, 3), (1, 2))
        if 1 in (step, gap)
        for more in (None, *range(step))
    ]


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("size", [2, 7])
def test_sizes(padding: str, size: int) -> None:
    """Real, symbolic and asked-for output sizes follow Keras's formula."""
    for window, step, gap, more in options():
        layer = Conv1DTranspose(2, window, step, padding, more, dilation_rate=gap)
        reach = (window - 1) * gap + 1
        wanted = (size - 1) * step
        if padding == "valid":
            wanted += max(reach, step) if more is None else reach + more
        else:
            wanted += step if more is None else reach % 2 + more
        said = (window, step, gap, more)
        assert layer(Input((size, 3))).shape == (None, wanted, 2), said
        assert layer(torch.zeros(1, size, 3)).shape == (1, wanted, 2), said
        assert layer(Input((None, 3))).shape == (None, None, 2), said


@pytest.mark.parametrize("activation", ["relu", lambda x: torch.cat([x, x], -1)])
def test_shape_after_an_activation(activation: Any) -> None:
    layer = Conv2DTranspose(3, 3, 2, "same", activation=activation)
    found = layer(Input((4, None, 5))).shape
    assert found == (None, 8, None, 3 if activations.keeps_shape(layer.activation) else 6)
    assert layer.compute_output_shape((None, 4, None, 5)) == found


@pytest.mark.parametrize("rank", KINDS)
@pytest.mark.parametrize("output_padding", [None, 0, 1])
def test_channels_first(rank: int, output_padding: Any) -> None:
    arguments = {"kernel_size": 3, "strides": 2, "padding": "same"}
    arguments["output_padding"] = output_padding
    last, x = made(rank, arguments), torch.randn(SHAPES[rank])
    first = KINDS[rank](3, data_format="channels_first", **arguments)
    first(x.movedim(-1, 1))
    first.set_weights(last.get_weights())
    torch.testing.assert_close(first(x.movedim(-1, 1)), last(x).movedim(-1, 1))
    symbol = first(Input(x.movedim(-1, 1).shape[1:]))
    assert symbol.shape[1:] == last(x).movedim(-1, 1).shape[1:]


@pytest.mark.parametrize("strides", [2, 3])
def test_gradients_where_no_window_reaches(strides: int) -> None:
    layer = Conv2DTranspose(2, 1, strides, dtype="float64")
    x = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert layer(x).shape == (2, 3 * strides, 2 * strides, 2)
    assert torch.autograd.gradcheck(layer, (x,))


def test_kernel_is_a_view_of_channels_last_memory() -> None:
    layer = made(2, {"kernel_size": 3})
    assert layer.weight.shape == (4, 3, 3, 3)
    assert layer.weight.is_contiguous(memory_format=torch.channels_last)
    assert layer.kernel.data_ptr() == layer.weight.data_ptr()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strides": (2, 3), "output_padding": (1, 3)}, r"output_padding=\(1, 3\) and strides=\(2"),
        ({"output_padding": 1}, r"smaller than strides, got output_padding=\(1, 1\) and strid"),
        ({"strides": 2, "output_padding": (1, 1, 1)}, "output_padding must be an int or 2 ints"),
        ({"strides": 2, "output_padding": 0.5}, "output_padding must be a whole number"),
        ({"filters": 0}, "filters must be a whole number of at least 1, got 0"),
        ({"kernel_size": 0}, "kernel_size must be a whole number of at least 1"),
        ({"activation": "rellu"}, "Did you mean 'relu'"),
        ({"groups": 2}, "Unknown argument of Conv2DTranspose 'groups'"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Conv2DTranspose(**{"filters": 4, "kernel_size": 3, **arguments})


@pytest.mark.parametrize(
    ("arguments", "shape", "message"),
    [
        ({}, (5, 5), r"expects \(batch, height, width, channels\).*Reshape\(\(5, 5, 1\)\)"),
        ({}, (3, 32, 32), "looks like channels first"),
        (
            {"kernel_size": 2, "strides": 2, "padding": "same", "output_padding": 0},
            (1, 4, 3),
            r"makes nothing of \(batch, 1, 4, 3\): its output would have 0 x 6 pixels. Use a la",
        ),
    ],
)
@pytest.mark.parametrize("symbolic", [False, True])
def test_wrong_shapes(arguments: Any, shape: Any, message: str, symbolic: bool) -> None:
    layer = Conv2DTranspose(**{"filters": 4, "kernel_size": 3, **arguments})
    if not symbolic:
        message = message.replace(r"\(batch, 1", r"\(2, 1")
    with pytest.raises(ShapeError, match=message):
        layer(Input(shape) if symbolic else torch.zeros(2, *shape))


def test_channels_must_be_known() -> None:
    with pytest.raises(ShapeError, match=r"number of channels, but received \(batch, 8, 8, chan"):
        Conv2DTranspose(4, 3)(Input((8, 8, None)))


def test_exports_with_a_free_batch() -> None:
    layer, x = Conv2DTranspose(4, 3, 2, "same"), torch.randn(2, 5, 4, 3)
    layer(x)
    program = torch.export.export(layer, (x,), dynamic_shapes=[{0: torch.export.Dim("batch")}])
    more = torch.randn(5, 5, 4, 3)
    torch.testing.assert_close(program.module()(more), layer(more))


def test_aliases() -> None:
    assert Convolution1DTranspose is Conv1DTranspose
    assert Convolution2DTranspose is Conv2DTranspose
    assert Convolution3DTranspose is Conv3DTranspose


def test_positions_in_three_dimensions() -> None:
    """Keras has these two arguments the other way round in Conv3DTranspose alone."""
    flat = Conv2DTranspose(2, 3, 2, "same", 1, "channels_first")
    deep = Conv3DTranspose(2, 3, 2, "same", "channels_first", 1)
    for layer in (flat, deep):
        again = type(layer).from_config(layer.get_config())
        assert (again.output_padding, again.data_format) == ((1,) * layer.rank, "channels_first")
