"""The size of images: (height, width, channels), or a batch of them.

With `data_format="channels_first"` they are (channels, height, width).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nnkit.convert import in_range
from nnkit.errors import ArgumentError, ShapeError
from nnkit.ops.convolution import channels_first
from nnkit.ops.recording import as_tensor, out_of, recorded

__all__ = ["as_images", "crop_images", "pad_images", "proportioned", "resize"]

_RESIZE = {"nearest": "nearest-exact", "bilinear": "bilinear", "bicubic": "bicubic"}


def as_images(who: str, images: Any, data_format: str | None) -> tuple[Tensor, bool]:
    """An image or a batch of them as a tensor, and whether their channels come first."""
    x = as_tensor(images)
    if x.ndim not in (3, 4):
        raise ShapeError(
            f"{who} takes (height, width, channels) or a batch of them, got {tuple(x.shape)}."
        )
    return x, channels_first(who, data_format)


@recorded
def resize(
    images: Any,
    size: Any,
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Make images larger or smaller.

    Args:
        images: one image or a batch.
        size: (height, width) in pixels.
        interpolation: "bilinear", "nearest" or "bicubic".
        antialias: whether to smooth what becomes smaller.
        crop_to_aspect_ratio: cut the sides first, instead of distorting.
        pad_to_aspect_ratio: add borders of `fill_value` first, instead of distorting.
        fill_mode: must be "constant".
        data_format: "channels_last" (also None) or "channels_first".
    """
    x, first = as_images("resize", images, data_format)
    if len(size) != 2 or min(size) < 1:
        raise ArgumentError(f"resize: size must be (height, width) in pixels, got {size!r}.")
    if interpolation not in _RESIZE:
        raise out_of("resize", "interpolation", interpolation, tuple(_RESIZE))
    if fill_mode != "constant":
        raise out_of("resize", "fill_mode", fill_mode, ("constant",))
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ArgumentError("resize crops or pads to the aspect ratio, not both. Choose one.")
    kind = x.dtype
    x = x if kind in (torch.float32, torch.float64) else x.float()
    batch = x if x.ndim == 4 else x.unsqueeze(0)
    batch = batch if first else batch.movedim(-1, -3)
    if crop_to_aspect_ratio or pad_to_aspect_ratio:
        batch = proportioned(batch, size, crop_to_aspect_ratio, fill_value)
    if interpolation != "bilinear" and batch.device.type == "cpu":
        batch = batch.contiguous()  # only "bilinear" is faster with the channels last
    batch = F.interpolate(
        batch,
        (int(size[0]), int(size[1])),
        mode=_RESIZE[interpolation],
        align_corners=None if interpolation == "nearest" else False,
        antialias=antialias and interpolation != "nearest",
    )
    y = batch if first else batch.movedim(-3, -1)
    return in_range(y if x.ndim == 4 else y.squeeze(0), kind)


def proportioned(x: Tensor, size: Any, crop: bool, value: float) -> Tensor:
    """Images (..., height, width) cropped, or else padded, to the proportions of a size."""
    height, width = x.shape[-2:]
    high, wide = int(width * size[0] / size[1]), int(height * size[1] / size[0])
    if crop:
        high, wide = max(min(height, high), 1), max(min(width, wide), 1)
        top, left = int((height - high) / 2), int((width - wide) / 2)
        return x[..., top : top + high, left : left + wide]
    top, left = int((max(height, high) - height) / 2), int((max(width, wide) - width) / 2)
    return F.pad(x, (left, left, top, top), value=value)


@recorded
def pad_images(
    images: Any,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Add rows and columns of zeros around images.

    Args:
        images: one image or a batch.
        top_padding, bottom_padding: rows to add; give two of these and target_height.
        left_padding, right_padding: columns to add; give two of these and target_width.
        target_height, target_width: size of the result.
        data_format: "channels_last" (also None) or "channels_first".
    """
    x, first = as_images("pad_images", images, data_format)
    height, width = x.shape[-2:] if first else x.shape[-3:-1]
    rows = _added("pad_images", "height", top_padding, bottom_padding, target_height, height)
    columns = _added("pad_images", "width", left_padding, right_padding, target_width, width)
    return F.pad(x, [*columns, *rows] if first else [0, 0, *columns, *rows])


@recorded
def crop_images(
    images: Any,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Cut rows and columns off images.

    Args:
        images: one image or a batch.
        top_cropping, bottom_cropping: rows to cut; give two of these and target_height.
        left_cropping, right_cropping: columns to cut; give two of these and target_width.
        target_height, target_width: size of the result.
        data_format: "channels_last" (also None) or "channels_first".
    """
    x, first = as_images("crop_images", images, data_format)
    height, width = x.shape[-2:] if first else x.shape[-3:-1]
    rows = _added("crop_images", "height", top_cropping, bottom_cropping, target_height, height)
    columns = _added("crop_images", "width", left_cropping, right_cropping, target_width, width)
    flat = [-each for each in ([*columns, *rows] if first else [0, 0, *columns, *rows])]
    return F.pad(x, flat)


def _added(
    who: str, axis: str, front: int | None, back: int | None, target: int | None, size: int
) -> tuple[int, int]:
    """Pixels at the front and the end of an axis, from two of the three that say so."""
    ends = "top, bottom" if axis == "height" else "left, right"
    if [front, back, target].count(None) != 1:
        raise ArgumentError(
            f"{who} takes exactly two of {ends} and target_{axis}, got {front}, {back}, {target}."
        )
    if target is not None:
        change = target - size if who == "pad_images" else size - target
        front, back = (change - (back or 0), back) if front is None else (front, change - front)
    front, back = front or 0, back or 0
    fits = front >= 0 and back >= 0 and (who == "pad_images" or front + back <= size)
    if not fits:
        raise ShapeError(
            f"{who}: {axis} {size} cannot become that with {ends} = {front}, {back}. "
            f"Both must be 0 or more, and fit."
        )
    return front, back
