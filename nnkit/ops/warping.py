"""Images pulled about at random, and scaled and shifted along single axes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from nnkit import random
from nnkit.arguments import one_of
from nnkit.errors import ShapeError
from nnkit.ops.colors import gaussian_blur
from nnkit.ops.geometry import resampled
from nnkit.ops.recording import as_tensor, floats, recorded
from nnkit.ops.resizing import as_images

__all__ = ["WINDOWS", "elastic_transform", "pulled", "resized_by", "scale_and_translate"]

_FILLS = ("constant", "nearest", "wrap", "mirror", "reflect")


def pulled(
    images: Tensor,
    noise: Tensor,
    alpha: Any,
    sigma: Any,
    interpolation: str,
    fill: tuple[str, Any],
    data_format: str | None = None,
    widest: float | None = None,
) -> Tensor:
    """Images whose pixels come from places that noise, blurred, moves them to.

    Args:
        images: a batch.
        noise: (2, batch, height, width), with mean 0 and deviation 1: to the right, and down.
        alpha: how far, in pixels for noise that is not blurred.
        sigma: deviation of the noise and of the blur, in pixels.
        interpolation: "bilinear" or "nearest".
        fill: the mode outside, and the constant.
        data_format: "channels_last" (also None) or "channels_first".
        widest: sigma at most, where sigma is a tensor that Python cannot read.
    """
    window = int(6 * (sigma if widest is None else widest)) | 1
    moves = gaussian_blur((noise * sigma).flatten(0, 1).unsqueeze(-1), (window,) * 2, (sigma,) * 2)
    right, down = (moves.squeeze(-1) * alpha).chunk(2)
    y = torch.arange(noise.shape[2], device=noise.device).unsqueeze(1)
    x = torch.arange(noise.shape[3], device=noise.device)
    return resampled(images, y + down, x + right, interpolation, fill, data_format)


@recorded
def elastic_transform(
    images: Any,
    alpha: float = 20.0,
    sigma: float = 5.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    seed: Any = None,
    data_format: str | None = None,
) -> Tensor:
    """Pull images about as if drawn on rubber: neighbouring pixels move by similar distances.

    Args:
        images: one image or a batch.
        alpha: how far pixels move.
        sigma: how smoothly, in pixels.
        interpolation: "bilinear" or "nearest".
        fill_mode: outside: "reflect", "wrap", "constant", "nearest" or "mirror".
        fill_value: the constant.
        seed: an int or SeedGenerator.
        data_format: "channels_last" (also None) or "channels_first".

    Source: Simard et al., ICDAR 2003; keras.ops.image.elastic_transform
    """
    one_of("elastic_transform", "interpolation", interpolation, ("bilinear", "nearest"))
    one_of("elastic_transform", "fill_mode", fill_mode, _FILLS)
    given, first = as_images("elastic_transform", images, data_format)
    x = floats(given if given.ndim == 4 else given.unsqueeze(0))
    height, width = (-2, -1) if first else (-3, -2)
    noise = random.normal((2, len(x), x.shape[height], x.shape[width]), seed=seed).to(x)
    fill = fill_mode, fill_value
    changed = pulled(x, noise, float(alpha), float(sigma), interpolation, fill, data_format)
    return (changed if given.ndim == 4 else changed.squeeze(0)).to(given.dtype)


def _triangle(x: Tensor) -> Tensor:
    return (1 - x).clamp(min=0)


def _cubic(x: Tensor) -> Tensor:
    # Keys's kernel with a = -0.5.
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x >= 2, 0.0, torch.where(x >= 1, far, near))


def _lanczos(radius: int) -> Callable[[Tensor], Tensor]:
    return lambda x: torch.where(x > radius, 0.0, torch.sinc(x) * torch.sinc(x / radius))


_KERNELS: dict[str, Callable[[Tensor], Tensor]] = {
    **dict.fromkeys(("linear", "bilinear", "trilinear"), _triangle),
    **dict.fromkeys(("cubic", "bicubic", "tricubic"), _cubic),
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
}


@recorded
def scale_and_translate(
    images: Any,
    output_shape: Sequence[int],
    scale: Any,
    translation: Any,
    spatial_dims: Sequence[int],
    method: str,
    antialias: bool = True,
) -> Tensor:
    """Scale and shift a tensor along some of its axes; what lies outside counts as zero.

    Args:
        images: any tensor of floats.
        output_shape: sizes of all axes of the result.
        scale: a factor for each of `spatial_dims`.
        translation: elements of the result to shift by, for each of them.
        spatial_dims: the axes.
        method: "linear", "cubic", "lanczos3" or "lanczos5".
        antialias: whether to average over more when making smaller.

    Raises: ShapeError unless there is one scale and one translation an axis.
    Source: keras.ops.image.scale_and_translate
    """
    kernel = _KERNELS[one_of("scale_and_translate", "method", method, tuple(_KERNELS))]
    x = floats(images)
    scales, shifts = (as_tensor(value).reshape(-1).to(x) for value in (scale, translation))
    if not len(scales) == len(shifts) == len(spatial_dims) or len(output_shape) != x.ndim:
        raise ShapeError(
            f"scale_and_translate takes one scale and one translation for each of "
            f"spatial_dims={tuple(spatial_dims)} and a size for each of {x.ndim} axes, got "
            f"{len(scales)}, {len(shifts)} and {len(output_shape)}."
        )
    for axis, factor, shift in zip(spatial_dims, scales, shifts, strict=True):
        size = output_shape[axis]
        weights = _weights(x.shape[axis], size, factor, shift, kernel, antialias)
        x = torch.tensordot(x.movedim(axis, -1), weights, 1).movedim(-1, axis)
    return x


def _weights(
    size: int, new_size: int, scale: Tensor, shift: Tensor, kernel: Any, antialias: bool
) -> Tensor:
    """How much each old element counts in each new one: (size, new_size)."""
    step = 1 / scale
    reach = step.clamp(min=1) if antialias else torch.ones_like(step)
    at = (torch.arange(new_size, device=scale.device) + 0.5 - shift) * step - 0.5
    old = torch.arange(size, device=scale.device).unsqueeze(1)
    weights = kernel((at - old).abs() / reach)
    total = weights.sum(0, keepdim=True)
    tiny = 1000 * torch.finfo(weights.dtype).eps
    weights = torch.where(total.abs() > tiny, weights / torch.where(total != 0, total, 1), 0.0)
    return torch.where((at >= -0.5) & (at <= size - 0.5), weights, 0.0)


def _gaussian(x: Tensor) -> Tensor:
    return torch.where(x < 1.5, torch.exp(-2 * x * x), 0.0)


def _mitchell(x: Tensor) -> Tensor:
    near = (7 * x - 12) * x * x / 6 + 8 / 9
    far = ((-7 * x + 36) * x - 60) * x / 18 + 16 / 9
    return torch.where(x >= 2, 0.0, torch.where(x >= 1, far, near))


WINDOWS: dict[str, Any] = {
    "area": None,
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
    "gaussian": _gaussian,
    "mitchellcubic": _mitchell,
}
"""The ways of `resized_by`."""


def resized_by(images: Tensor, size: tuple[int, int], method: str) -> Tensor:
    """Images of another size, each pixel a weighted mean of old ones; nothing is smoothed.

    Args:
        images: (..., height, width), floats.
        size: (height, width) in pixels.
        method: "area" (the mean of what a new pixel covers), "lanczos3", "lanczos5", "gaussian" or
            "mitchellcubic".
    """
    for axis, new in ((-2, size[0]), (-1, size[1])):
        weights = _table(images.shape[axis], new, method).to(images)
        images = torch.tensordot(images.movedim(axis, -1), weights, 1).movedim(-1, axis)
    return images


@functools.lru_cache(maxsize=64)
def _table(size: int, new_size: int, method: str) -> Tensor:
    if method != "area":
        scale, none = torch.tensor(new_size / size), torch.zeros(())
        return _weights(size, new_size, scale, none, WINDOWS[method], False)
    step = size / new_size
    old = torch.arange(size, dtype=torch.float64).unsqueeze(1)
    start = torch.arange(new_size, dtype=torch.float64) * step
    common = torch.minimum(old + 1, start + step) - torch.maximum(old, start)
    return (common.clamp(min=0) / step).float()
