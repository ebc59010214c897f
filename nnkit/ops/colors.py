"""Colours of images, and what edges and blurs make of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nnkit.errors import ShapeError
from nnkit.ops.convolution import depthwise_conv
from nnkit.ops.recording import floats, recorded, tensors
from nnkit.ops.resizing import as_images

__all__ = [
    "GRAY", "filtered",
    "gaussian_blur", "hsv_to_rgb", "rgb_to_grayscale", "rgb_to_hsv", "sobel_edges",
    "ssim", "turned_hue", "weighted_sums",
]  # fmt: skip

GRAY = (0.2989, 0.587, 0.114)
"""How bright red, green and blue are."""


def _planes(who: str, images: Any, data_format: str | None) -> tuple[Tensor, int]:
    x, first = as_images(who, images, data_format)
    axis = -3 if first else -1
    if x.shape[axis] != 3:
        raise ShapeError(f"{who} takes 3 channels, got {x.shape[axis]} in {tuple(x.shape)}.")
    return x, axis


@recorded
def rgb_to_grayscale(images: Any, data_format: str | None = None) -> Tensor:
    """One channel of brightness from red, green and blue; gray images are copied."""
    x, first = as_images("rgb_to_grayscale", images, data_format)
    axis = -3 if first else -1
    if x.shape[axis] == 1:
        return x.clone()
    red, green, blue = _planes("rgb_to_grayscale", x, data_format)[0].unbind(axis)
    gray = GRAY[0] * red + GRAY[1] * green + GRAY[2] * blue
    return gray.to(x.dtype).unsqueeze(axis)


@recorded
def rgb_to_hsv(images: Any, data_format: str | None = None) -> Tensor:
    """Hue, saturation and value from red, green and blue, all 0 to 1."""
    x, axis = _planes("rgb_to_hsv", floats(images), data_format)
    x = torch.where(x.abs() < torch.finfo(x.dtype).eps, 0.0, x)
    hue, value, span = _hue(x.unbind(axis))
    saturation = torch.where(value > 0, span / torch.where(value > 0, value, 1), 0.0)
    return torch.stack([hue / 6 + (hue < 0), saturation, value], axis)


@recorded
def hsv_to_rgb(images: Any, data_format: str | None = None) -> Tensor:
    """Red, green and blue from hue, saturation and value, all 0 to 1."""
    x, axis = _planes("hsv_to_rgb", floats(images), data_format)
    hue, saturation, value = x.unbind(axis)
    return torch.stack(_from_hue(hue * 6, value, value * saturation), axis)


def turned_hue(planes: Tensor, turn: Any) -> Tensor:
    """Images with each colour turned around the colour wheel.

    Args:
        planes: (batch, 3, height, width) from 0 to 1.
        turn: fraction of a whole turn, (batch, 1, 1, 1).
    """
    hue, value, span = _hue(planes.unbind(1))
    return torch.stack(_from_hue(hue.add_(turn.squeeze(1) * 6), value, span), 1)


def _hue(colors: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Where red, green and blue lie on the colour wheel, the largest of them, and their span.

    The hue is in sixths of a turn, from -1 to 5, and 0 for gray.
    """
    red, green, blue = colors
    value = torch.maximum(torch.maximum(red, green), blue)
    span = value - torch.minimum(torch.minimum(red, green), blue)
    # Which is the largest, as numbers: a CPU chooses slowly, and multiplies fast.
    with torch.no_grad():
        is_red, is_green = (color.clone().eq_(value) for color in (red, green))
        is_green = is_green.mul_(1 - is_red)
        is_blue = 1 - is_red - is_green
    part = (green - blue) * is_red + (blue - red) * is_green + (red - green) * is_blue
    hue = part / (span + span.detach().clone().eq_(0))
    return hue + (2 * is_green + 4 * is_blue).mul_(span.detach().clone().ne_(0)), value, span


def _from_hue(hue: Tensor, value: Tensor, span: Tensor) -> list[Tensor]:
    """Red, green and blue from what `_hue` gives; any hue is taken around the wheel."""
    hue = hue - 6 * torch.floor(hue / 6)
    outside = (1 - ((hue - 3).abs() - 1)), (hue - 2).abs() - 1, (hue - 4).abs() - 1
    return [value - span * part.clamp(0, 1) for part in outside]


# -- filters ---------------------------------------------------------------------------------------


def _bell(size: int, sigma: Any, like: Tensor) -> Tensor:
    """A Gaussian of this many pixels that sums to 1."""
    places = torch.arange(size, dtype=like.dtype, device=like.device) - (size - 1) / 2
    weights = torch.exp(-0.5 * (places / sigma) ** 2)
    return weights / weights.sum()


def filtered(x: Tensor, kernel: Tensor, first: bool, padding: str) -> Tensor:
    """Each channel of a batch of images under the same window.

    Args:
        x: the batch.
        kernel: (rows, columns) of the window.
        first: whether channels come first.
        padding: "same" or "valid".
    """
    channels = x.shape[1 if first else -1]
    weight = kernel[:, :, None, None].expand(*kernel.shape, channels, 1)
    return depthwise_conv(x, weight, 1, padding, "channels_first" if first else None)


@recorded
def gaussian_blur(
    images: Any,
    kernel_size: Any = (3, 3),
    sigma: Any = (1.0, 1.0),
    data_format: str | None = None,
) -> Tensor:
    """Images blurred with a Gaussian.

    Args:
        images: one image or a batch.
        kernel_size: pixels of the window, odd numbers (across, down).
        sigma: its width in pixels (across, down).
        data_format: "channels_last" (also None) or "channels_first".
    """
    x, first = as_images("gaussian_blur", floats(images), data_format)
    across, down = (_bell(int(n), s, x) for n, s in zip(kernel_size, sigma, strict=True))
    if max(len(across), len(down)) > 9:
        batch = x if x.ndim == 4 else x.unsqueeze(0)
        blurred = filtered(
            filtered(batch, down[:, None], first, "same"), across[None], first, "same"
        )
        return blurred if x.ndim == 4 else blurred.squeeze(0)
    height, width = (-2, -1) if first else (-3, -2)
    return weighted_sums(weighted_sums(x, down.unbind(), height), across.unbind(), width)


def weighted_sums(x: Tensor, weights: Sequence[Any], axis: int) -> Tensor:
    """Sums of neighbouring elements along an axis, in a window around each; 0 outside.

    Args:
        x: any tensor of floats.
        weights: numbers, or tensors without axes.
    """
    middle, size = (len(weights) - 1) // 2, x.shape[axis]
    sums = x * weights[middle]
    for place, weight in enumerate(weights):
        offset = place - middle
        length = size - abs(offset)
        if offset and length > 0:
            here = sums.narrow(axis, max(0, -offset), length)
            there = x.narrow(axis, max(0, offset), length)
            if isinstance(weight, Tensor):
                here.addcmul_(there, weight)
            else:
                here.add_(there, alpha=weight)
    return sums


@recorded
def sobel_edges(images: Any, data_format: str | None = None) -> Tensor:
    """How fast brightness changes downward and to the right, on a new last axis.

    Shape: (batch, height, width, channels) -> (batch, height, width, channels, 2)
    """
    x, first = as_images("sobel_edges", floats(images), data_format)
    step, smooth = x.new_tensor([-1, 0, 1]), x.new_tensor([1, 2, 1])
    kernels = (torch.outer(step, smooth), torch.outer(smooth, step))
    return torch.stack([filtered(x, kernel, first, "same") for kernel in kernels], -1)


@recorded
def ssim(
    image1: Any,
    image2: Any,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str | None = None,
) -> Tensor:
    """The structural similarity of two images, 1 for equal ones. Source: Wang et al., 2004.

    Args:
        image1, image2: one image or a batch each.
        max_val: the brightest there can be.
        filter_size, filter_sigma: the Gaussian window in pixels, and its width.
        k1, k2: keep the quotients finite.
        data_format: "channels_last" (also None) or "channels_first".

    Returns: one number for each pair.
    """
    a, first = as_images("ssim", floats(image1), data_format)
    b = tensors(a, floats(image2))[1].to(a.dtype)
    if a.shape != b.shape:
        raise ShapeError(f"ssim compares equal shapes, got {tuple(a.shape)}, {tuple(b.shape)}.")
    single = a.ndim == 3
    a, b = (a.unsqueeze(0), b.unsqueeze(0)) if single else (a, b)
    bell = _bell(filter_size, filter_sigma, a)
    kernel = torch.outer(bell, bell)
    mean_a, mean_b, aa, bb, ab = (
        filtered(each, kernel, first, "valid") for each in (a, b, a * a, b * b, a * b)
    )
    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    both = mean_a * mean_b
    squares = mean_a.square() + mean_b.square()
    top = (2 * both + c1) * (2 * (ab - both) + c2)
    found = (top / ((squares + c1) * (aa + bb - squares + c2))).mean((1, 2, 3))
    return found[0] if single else found
