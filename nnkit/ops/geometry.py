"""Images moved, turned and looked up between their pixels."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nnkit.arguments import one_of
from nnkit.errors import ShapeError
from nnkit.ops.convolution import conv
from nnkit.ops.recording import as_tensor, floats, recorded, tensors
from nnkit.ops.resizing import as_images

__all__ = [
    "affine_transform", "extract_patches", "extract_patches_3d", "homography", "map_coordinates",
    "perspective_transform", "resampled",
]  # fmt: skip

_ORDERS = {"nearest": 0, "bilinear": 1}


def _mirror(index: Tensor, size: int) -> Tensor:
    last = size - 1
    return ((index + last) % (2 * last) - last).abs() if last else index * 0


# What stands for an index outside of 0 .. size - 1.
_INSIDE: dict[str, Callable[[Tensor, int], Tensor]] = {
    "constant": lambda i, n: i.clamp(0, n - 1),
    "nearest": lambda i, n: i.clamp(0, n - 1),
    "wrap": lambda i, n: i % n,
    "mirror": _mirror,
    "reflect": lambda i, n: (_mirror(2 * i + 1, 2 * n + 1) - 1) // 2,
}


def _neighbours(place: Tensor, order: int) -> list[tuple[Tensor, Any]]:
    """The pixels a place lies between, and how much each counts."""
    if order == 0:
        return [((torch.round(place) if place.is_floating_point() else place).long(), 1)]
    lower = torch.floor(place)
    part = place - lower
    return [(lower.long(), 1 - part), (lower.long() + 1, part)]


def _fitting(value: Any, x: Tensor) -> Any:
    """The constant outside; a whole number among whole numbers."""
    whole = isinstance(value, (int, float)) and not x.is_floating_point()
    return int(value) if whole else value


def _look_up(
    x: Tensor,
    leading: Sequence[Tensor],
    places: Sequence[Tensor],
    order: int,
    fill: tuple[str, Any],
) -> Tensor:
    """Values of x at places between its pixels; `leading` are the indices of axes before them."""
    mode, value = fill[0], _fitting(fill[1], x)
    extra = x.ndim - len(leading) - len(places)
    choices = []
    for axis, place in enumerate(places, start=len(leading)):
        size = x.shape[axis]
        choices.append(
            [
                (_INSIDE[mode](index, size), (index >= 0) & (index < size), weight)
                for index, weight in _neighbours(place, order)
            ]
        )
    parts = []
    for corner in itertools.product(*choices):
        index, inside, weight = zip(*corner, strict=True)
        pixel = x[(*leading, *index)]
        if mode == "constant":
            known = functools.reduce(operator.and_, inside)
            pixel = torch.where(known.reshape(*known.shape, *[1] * extra), pixel, value)
        share = functools.reduce(operator.mul, weight)
        share = share.reshape(*share.shape, *[1] * extra) if isinstance(share, Tensor) else share
        parts.append(share * pixel)
    total = functools.reduce(operator.add, parts)
    if not x.is_floating_point() and total.is_floating_point():
        total = torch.round(total)
    return total.to(x.dtype)


@recorded
def map_coordinates(
    inputs: Any, coordinates: Any, order: int, fill_mode: str = "constant", fill_value: Any = 0
) -> Tensor:
    """The values of a tensor at places between its elements.

    Args:
        inputs: any tensor.
        coordinates: one tensor of indices, which may be fractions, for each of its axes.
        order: 0 takes the nearest element, 1 interpolates.
        fill_mode: outside: "constant", "nearest", "wrap", "mirror" or "reflect".
        fill_value: the constant.

    Shape: the result has that of one of the coordinates.
    """
    order = one_of("map_coordinates", "order", order, (0, 1))
    fill_mode = one_of("map_coordinates", "fill_mode", fill_mode, tuple(_INSIDE))
    x = as_tensor(inputs)
    places = tensors(x, *coordinates)[1:]
    if len(places) != x.ndim:
        raise ShapeError(
            f"map_coordinates takes one tensor of coordinates for each axis of "
            f"{tuple(x.shape)}, got {len(places)}."
        )
    return _look_up(x, (), places, order, (fill_mode, fill_value))


# What torch's sampling calls the ways to go on beyond the edge.
_WIDE = (torch.float64, torch.int32, torch.int64)  # what float32 cannot hold
_PADDING = {
    "constant": "zeros", "nearest": "border", "wrap": "border", "mirror": "reflection",
    "reflect": "reflection",
}  # fmt: skip


def _warped(x: Tensor, rows: Tensor, columns: Tensor, order: int, fill: tuple[str, Any]) -> Tensor:
    """A batch of images with each pixel taken from a place of its own, by torch's kernel."""
    if order and not x.is_floating_point():  # where the kernel's rounding errors would show
        number = torch.arange(x.shape[0], device=x.device).reshape(-1, 1, 1)
        return _look_up(x, (number,), (rows, columns), order, fill)
    mode, value = fill[0], _fitting(fill[1], x)
    kind, wide = x.dtype, torch.float64 if x.dtype in _WIDE else torch.float32
    images = x.to(wide).movedim(-1, 1)
    if order == 0:  # here, since the kernel's units would make it half a pixel more or less
        rows, columns = rows.round(), columns.round()
    if mode == "wrap":
        rows, columns = rows % x.shape[1], columns % x.shape[2]
        images = F.pad(images, (0, 1, 0, 1), mode="circular")
    places = []
    for place, size in ((columns, images.shape[3]), (rows, images.shape[2])):
        # From pixels to -1 .. 1; a mirror turns back at the middle of the last pixel.
        factor = 2 / max(size - 1, 1) if mode == "mirror" else 2 / size
        offset = -1.0 if mode == "mirror" else 1 / size - 1
        places.append((place * factor + offset).to(wide))
    grid = torch.stack(torch.broadcast_tensors(*places), 1).movedim(1, -1)  # type: ignore[no-untyped-call]
    shifted = mode == "constant" and value != 0
    sampled = F.grid_sample(
        images - value if shifted else images,
        grid.expand(len(x), -1, -1, -1),
        "bilinear" if order else "nearest",
        _PADDING[mode],
        align_corners=mode == "mirror",
    )
    return (sampled + value if shifted else sampled).movedim(1, -1).to(kind)


@recorded
def affine_transform(
    images: Any,
    transform: Any,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: Any = 0,
    data_format: str | None = None,
) -> Tensor:
    """Images turned, sheared, scaled and moved.

    Args:
        images: one image or a batch.
        transform: eight numbers [a0, a1, a2, b0, b1, b2, c0, c1], or a row of them for each image.
            The pixel (x, y) comes from ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k) with
            k = c0 x + c1 y + 1.
        interpolation: "bilinear" or "nearest".
        fill_mode: outside: "constant", "nearest", "wrap", "mirror" or "reflect".
        fill_value: the constant.
        data_format: "channels_last" (also None) or "channels_first".
    """
    order = _ORDERS[one_of("affine_transform", "interpolation", interpolation, tuple(_ORDERS))]
    fill_mode = one_of("affine_transform", "fill_mode", fill_mode, tuple(_INSIDE))
    x, first = as_images("affine_transform", images, data_format)
    numbers = floats(tensors(x, transform)[1])
    if numbers.ndim not in (1, 2) or numbers.shape[-1] != 8:
        raise ShapeError(
            f"affine_transform takes 8 numbers, or 8 for each image, got {tuple(numbers.shape)}."
        )
    x, last = _batch_last(x, first)
    numbers = numbers.reshape(-1, 8)
    # Only a CPU is asked whether there is something to divide by, and only while it computes.
    asked = numbers.device.type == "cpu" and not torch.compiler.is_compiling()
    if asked and not bool(numbers[:, 6:].any()):
        numbers = numbers[:, :6]
    return last(_warped(x, *_places(x, numbers), order, (fill_mode, fill_value)))


def _places(x: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """The row and the column in the input for each pixel of a batch of images.

    Args:
        x: the images.
        numbers: six for an affine map, eight for a perspective one.
    """
    down, across = (
        torch.arange(n, dtype=numbers.dtype, device=x.device).reshape(shape)
        for n, shape in zip(x.shape[1:3], ((1, -1, 1), (1, 1, -1)), strict=True)
    )
    # In the order in which Keras adds: halves, where "nearest" turns, come out as there.
    numbers = numbers[:, :, None, None]
    parts = [
        numbers[:, at] * across + numbers[:, at + 1] * down + (numbers[:, at + 2] if at < 6 else 1)
        for at in range(0, numbers.shape[1], 3)
    ]
    columns, rows, *depth = parts
    return (rows / depth[0], columns / depth[0]) if depth else (rows, columns)


def _batch_last(x: Tensor, first: bool) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """A batch with channels last, and the way back."""
    single = x.ndim == 3
    batch = x.movedim(-3, -1) if first else x

    def back(y: Tensor) -> Tensor:
        y = y.movedim(-1, -3) if first else y
        return y.squeeze(0) if single else y

    return (batch.unsqueeze(0) if single else batch), back


def resampled(
    images: Tensor,
    rows: Tensor,
    columns: Tensor,
    interpolation: str,
    fill: tuple[str, Any],
    data_format: str | None = None,
) -> Tensor:
    """Images with each pixel taken from a place of its own.

    Args:
        images: one image or a batch.
        rows, columns: the places, (batch, height, width).
        interpolation: "bilinear" or "nearest".
        fill: the mode outside, see `affine_transform`, and the constant.
        data_format: "channels_last" (also None) or "channels_first".
    """
    x, first = as_images("resampled", images, data_format)
    x, last = _batch_last(x, first)
    return last(_warped(x, rows, columns, _ORDERS[interpolation], fill))


@recorded
def perspective_transform(
    images: Any,
    start_points: Any,
    end_points: Any,
    interpolation: str = "bilinear",
    fill_value: Any = 0,
    data_format: str | None = None,
) -> Tensor:
    """Images drawn so that four points come to lie at four others.

    Args:
        images: one image or a batch.
        start_points: four corners (x, y) in the image, (4, 2) or (batch, 4, 2).
        end_points: where they go.
        interpolation: "bilinear" or "nearest".
        fill_value: what is outside.
        data_format: "channels_last" (also None) or "channels_first".
    """
    order = _ORDERS[one_of("perspective_transform", "interpolation", interpolation, tuple(_ORDERS))]
    x, first = as_images("perspective_transform", images, data_format)
    start, end = (floats(each) for each in tensors(x, start_points, end_points)[1:])
    if start.shape != end.shape or start.shape[-2:] != (4, 2) or start.ndim not in (2, 3):
        raise ShapeError(
            f"perspective_transform takes four points (x, y) twice, got {tuple(start.shape)} "
            f"and {tuple(end.shape)}."
        )
    x, last = _batch_last(x, first)
    numbers = homography(start.reshape(-1, 4, 2), end.reshape(-1, 4, 2))
    return last(_warped(x, *_places(x, numbers), order, ("constant", fill_value)))


def homography(start: Tensor, end: Tensor) -> Tensor:
    """The eight numbers of the map from four end points back to their start points.

    Shape: (batch, 4, 2) twice -> (batch, 8)
    """
    one, zero = torch.ones_like(end[..., :1]), torch.zeros_like(end)
    spot = torch.cat([end, one], -1)
    empty = torch.cat([zero, zero[..., :1]], -1)
    across = torch.cat([spot, empty, -start[..., :1] * end], -1)
    down = torch.cat([empty, spot, -start[..., 1:] * end], -1)
    known = torch.cat([start[..., 0], start[..., 1]], 1)
    system = torch.cat([across, down], 1)
    # An accelerator would have to be waited for to say whether there is a solution.
    return torch.linalg.solve_ex(system, known, check_errors=system.device.type == "cpu").result


@recorded
def extract_patches(
    images: Any,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The windows of images, each as one vector of its pixels.

    Args:
        images: one image or a batch; volumes when size has three numbers.
        size: of the window in pixels, a number or (height, width).
        strides: step in pixels; size when None.
        dilation_rate: distance of the pixels in a window.
        padding: "valid" or "same".
        data_format: "channels_last" (also None) or "channels_first".

    Shape: (batch, height, width, channels) -> (batch, rows, columns, pixels * channels)
    """
    x = as_tensor(images)
    window = (size, size) if isinstance(size, int) else tuple(size)
    if len(window) not in (2, 3) or x.ndim not in (len(window) + 1, len(window) + 2):
        raise ShapeError(
            f"extract_patches takes images with size (height, width), or volumes with three "
            f"numbers, got {tuple(x.shape)} and {size!r}."
        )
    single = x.ndim == len(window) + 1
    batch = x.unsqueeze(0) if single else x
    channels = batch.shape[1 if data_format == "channels_first" else -1]
    count = functools.reduce(operator.mul, window) * channels
    kernel = torch.eye(count, dtype=x.dtype, device=x.device).reshape(*window, channels, count)
    steps = window if strides is None else strides
    patches = conv(batch, kernel, steps, padding, data_format, dilation_rate)
    return patches.squeeze(0) if single else patches


@recorded
def extract_patches_3d(
    volumes: Any,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """`extract_patches` of volumes; size is a number or (depth, height, width)."""
    window = (size, size, size) if isinstance(size, int) else size
    return extract_patches(volumes, window, strides, dilation_rate, padding, data_format)
