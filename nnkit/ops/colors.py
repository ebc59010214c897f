"""Colours of images, and what edges and blurs make of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnkit.errors import ShapeError
from nnkit.ops.convolution import depthwise_conv
from nnkit.ops.recording import floats, recorded, tensors
from nnkit.ops.resizing import as_images

__all__ = [
    "filtered", "gaussian_blur", "hsv_to_rgb", "rgb_to_grayscale", "rgb_to_hsv", "sobel_edges",
    "ssim",
]  # fmt: skip


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
    return (0.2989 * red + 0.587 * green + 0.114 * blue).to(x.dtype).unsqueeze(axis)


@recorded
def rgb_to_hsv(images: Any, data_format: str | None = None) -> Tensor:
    """Hue, saturation and value from red, green and blue, all 0 to 1."""
    x, axis = _planes("rgb_to_hsv", floats(images), data_format)
    x = torch.where(x.abs() < torch.finfo(x.dtype).eps, 0.0, x)
    red, green, blue = x.unbind(axis)
    value, span = x.amax(axis), x.amax(axis) - x.amin(axis)
    norm = 1 / (6 * torch.where(span > 0, span, 1))
    hue = torch.where(value == green, norm * (blue - red) + 1 / 3, norm * (red - green) + 2 / 3)
    hue = torch.where(value == red, norm * (green - blue), hue)
    hue = torch.where(span > 0, hue, 0.0)
    hue = hue + (hue < 0)
    saturation = torch.where(value > 0, span / torch.where(value > 0, value, 1), 0.0)
    return torch.stack([hue, saturation, value], axis)


@recorded
def hsv_to_rgb(images: Any, data_format: str | None = None) -> Tensor:
    """Red, green and blue from hue, saturation and value, all 0 to 1."""
    x, axis = _planes("hsv_to_rgb", floats(images), data_format)
    hue, saturation, value = x.unbind(axis)
    turn = torch.remainder(hue, 1.0) * 6
    parts = ((turn - 3).abs() - 1, 2 - (turn - 2).abs(), 2 - (turn - 4).abs())
    return torch.stack([value * (1 - saturation + saturation * p.clamp(0, 1)) for p in parts], axis)


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
    batch = x if x.ndim == 4 else x.unsqueeze(0)
    if max(len(across), len(down)) > 5:  # one axis after the other: fewer products
        blurred = filtered(batch, down[:, None], first, "same")
        blurred = filtered(blurred, across[None], first, "same")
    else:
        blurred = filtered(batch, torch.outer(down, across), first, "same")
    return blurred if x.ndim == 4 else blurred.squeeze(0)


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
