"""Convolution and pooling over one to three spatial axes; channels last unless told otherwise.

Kernels have Keras's layout (*window, channels in, channels out). Torch is handed views.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nnkit.arguments import one_of, sizes
from nnkit.errors import ShapeError
from nnkit.layouts import untied
from nnkit.ops.recording import floats, out_of, recorded, tensors
from nnkit.shapes import same_padding

__all__ = [
    "adaptive_average_pool", "adaptive_max_pool", "average_pool", "channels_first", "conv",
    "conv_transpose", "depthwise_conv", "max_pool", "separable_conv",
]  # fmt: skip

_CONV = (F.conv1d, F.conv2d, F.conv3d)
_TRANSPOSE = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
_MAX = (F.max_pool1d, F.max_pool2d, F.max_pool3d)
_AVERAGE = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)
_ADAPTIVE_MAX = (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)
_ADAPTIVE_AVERAGE: tuple[Callable[..., Tensor], ...] = (
    F.adaptive_avg_pool1d,
    F.adaptive_avg_pool2d,
    F.adaptive_avg_pool3d,
)


def channels_first(who: str, data_format: str | None) -> bool:
    """Whether the channels come first; "channels_last" is what None means."""
    if data_format not in (None, "channels_last", "channels_first"):
        raise out_of(who, "data_format", data_format, ("channels_last", "channels_first"))
    return data_format == "channels_first"


def _spatial(who: str, x: Tensor, data_format: str | None) -> tuple[Tensor, int, bool]:
    """The input with its channels first, the number of its spatial axes, and how it came."""
    first = channels_first(who, data_format)
    rank = x.ndim - 2
    if not 1 <= rank <= 3:
        raise ShapeError(
            f"{who} takes (batch, one to three spatial axes, channels), got {tuple(x.shape)}."
        )
    return (x if first else x.movedim(-1, 1)), rank, first


def _back(x: Tensor, first: bool) -> Tensor:
    return x if first else x.movedim(1, -1)


def _kernel(kernel: Tensor, rank: int) -> Tensor:
    return kernel.permute(rank + 1, rank, *range(rank))


def _padded(x: Tensor, window: Any, steps: Any, gaps: Any, value: float = 0.0) -> Tensor:
    """Zeros around the image, so that it is as large as "same" wants it."""
    pads = [same_padding(*each) for each in zip(x.shape[2:], window, steps, gaps, strict=True)]
    flat = [each for pair in reversed(pads) for each in pair]
    return F.pad(x, flat, value=value) if any(flat) else x


@recorded
def conv(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """Slide a window over the spatial axes.

    Args:
        inputs: (batch, *spatial, channels).
        kernel: (*window, channels in, channels out); fewer channels in make groups.
        strides: step in pixels, a number or one for each spatial axis.
        padding: "valid" (none) or "same" (output = ceil(input / strides)).
        data_format: "channels_last" (also None) or "channels_first".
        dilation_rate: distance of the pixels in a window.
    """
    inputs, kernel = tensors(inputs, kernel)
    x, rank, first = _spatial("conv", inputs, data_format)
    padding = one_of("conv", "padding", padding, ("valid", "same"))
    steps = sizes("conv", "strides", strides, rank)
    gaps = sizes("conv", "dilation_rate", dilation_rate, rank)
    channels, per_group = x.shape[1], kernel.shape[-2]
    if kernel.ndim != rank + 2 or channels % per_group:
        raise ShapeError(
            f"conv: a kernel of shape {tuple(kernel.shape)} does not fit inputs of shape "
            f"{tuple(inputs.shape)}. It is (*window, channels in, channels out)."
        )
    if padding == "same":
        x = _padded(x, kernel.shape[:rank], steps, gaps)
    x, weight = untied(x, _kernel(kernel, rank), steps)
    groups = channels // per_group
    return _back(_CONV[rank - 1](x, weight, None, steps, 0, gaps, groups), first)


@recorded
def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """`conv` of each channel on its own; the kernel is (*window, channels, outputs for each)."""
    inputs, kernel = tensors(inputs, kernel)
    channels = inputs.shape[1 if channels_first("depthwise_conv", data_format) else -1]
    if kernel.shape[-2] != channels:
        raise ShapeError(
            f"depthwise_conv: a kernel of shape {tuple(kernel.shape)} is for {kernel.shape[-2]} "
            f"channels, got inputs of shape {tuple(inputs.shape)}."
        )
    single = kernel.reshape(*kernel.shape[:-2], 1, -1)
    return conv(inputs, single, strides, padding, data_format, dilation_rate)


@recorded
def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """`depthwise_conv`, then a `conv` of single pixels that mixes the channels."""
    x = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(x, pointwise_kernel, data_format=data_format)


def _ends(window: int, step: int, gap: int, padding: str, more: int | None) -> tuple[int, int]:
    """Pixels to cut off at the front and the end of all that the windows reach; or to add."""
    reach = (window - 1) * gap + 1
    if padding == "valid":
        return 0, -(max(step - reach, 0) if more is None else more)
    total = reach + step - 2 if more is None else reach + reach % 2 - 2 + more
    front = min(total - total // 2, reach - 1)
    return reach - 1 - front, reach - 1 - (total - front)


@recorded
def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """Add a weighted window to the output for every input pixel: `conv` the other way round.

    Args:
        inputs: (batch, *spatial, channels).
        kernel: (*window, channels out, channels in).
        strides: how many times larger the output is.
        padding: "valid" or "same" (output = input * strides).
        output_padding: pixels more than the least output; by padding when None.
        data_format: "channels_last" (also None) or "channels_first".
        dilation_rate: distance of the pixels in a window.
    """
    inputs, kernel = tensors(inputs, kernel)
    x, rank, first = _spatial("conv_transpose", inputs, data_format)
    padding = one_of("conv_transpose", "padding", padding, ("valid", "same"))
    steps = sizes("conv_transpose", "strides", strides, rank)
    gaps = sizes("conv_transpose", "dilation_rate", dilation_rate, rank)
    more: tuple[int | None, ...] = (None,) * rank
    if output_padding is not None:
        more = sizes("conv_transpose", "output_padding", output_padding, rank, least=0)
    window = kernel.shape[:rank]
    y = _TRANSPOSE[rank - 1](x, _kernel(kernel, rank), None, steps, 0, 0, 1, gaps)
    every = zip(window, steps, gaps, [padding] * rank, more, strict=True)
    # Negative padding cuts.
    flat = [-each for ends in reversed([_ends(*one) for one in every]) for each in ends]
    return _back(F.pad(y, flat) if any(flat) else y, first)


def _pooled(
    who: str,
    fns: tuple[Callable[..., Tensor], ...],
    inputs: Any,
    arguments: tuple[Any, Any, str],
    data_format: str | None,
) -> Tensor:
    pool_size, strides, padding = arguments
    x, rank, first = _spatial(who, floats(inputs), data_format)
    padding = one_of(who, "padding", padding, ("valid", "same"))
    window = sizes(who, "pool_size", pool_size, rank)
    steps = window if strides is None else sizes(who, "strides", strides, rank)
    fn, average = fns[rank - 1], fns is _AVERAGE
    if padding == "valid":
        return _back(fn(x, window, steps), first)
    gaps = (1,) * rank
    if not average:
        return _back(fn(_padded(x, window, steps, gaps, -torch.inf), window, steps), first)
    pads = [same_padding(*each) for each in zip(x.shape[2:], window, steps, strict=True)]
    if all(before == after for before, after in pads):
        front = [before for before, _ in pads]
        return _back(fn(x, window, steps, front, count_include_pad=False), first)
    both = [pixels for pair in reversed(pads) for pixels in pair]
    return _back(fn(F.pad(x, both, "replicate"), window, steps), first)


@recorded
def max_pool(
    inputs: Any,
    pool_size: Any,
    strides: Any = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The largest value in each window of the spatial axes.

    Args:
        inputs: (batch, *spatial, channels).
        pool_size: window in pixels, a number or one for each spatial axis.
        strides: step in pixels; pool_size when None.
        padding: "valid" (none) or "same" (output = ceil(input / strides)).
        data_format: "channels_last" (also None) or "channels_first".
    """
    return _pooled("max_pool", _MAX, inputs, (pool_size, strides, padding), data_format)


@recorded
def average_pool(
    inputs: Any,
    pool_size: Any,
    strides: Any = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The mean of each window of the spatial axes; arguments as for `max_pool`.

    Padding does not count where it is alike at both ends; else border pixels are repeated.
    """
    return _pooled("average_pool", _AVERAGE, inputs, (pool_size, strides, padding), data_format)


@recorded
def adaptive_max_pool(inputs: Any, output_size: Any, data_format: str | None = None) -> Tensor:
    """`max_pool` with windows chosen for an output of this size."""
    x, rank, first = _spatial("adaptive_max_pool", floats(inputs), data_format)
    wanted = sizes("adaptive_max_pool", "output_size", output_size, rank)
    return _back(_ADAPTIVE_MAX[rank - 1](x, wanted), first)


@recorded
def adaptive_average_pool(inputs: Any, output_size: Any, data_format: str | None = None) -> Tensor:
    """`average_pool` with windows chosen for an output of this size."""
    x, rank, first = _spatial("adaptive_average_pool", floats(inputs), data_format)
    wanted = sizes("adaptive_average_pool", "output_size", output_size, rank)
    return _back(_ADAPTIVE_AVERAGE[rank - 1](x, wanted), first)
