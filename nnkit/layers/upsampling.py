"""Layers that enlarge a sequence, image or volume."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from nnkit.arguments import one_of, sizes
from nnkit.convert import in_range
from nnkit.layers.padding import SpatialAxes

__all__ = ["UpSampling1D", "UpSampling2D", "UpSampling3D"]


class _UpSampling(SpatialAxes):
    def __init__(self, size: Any, data_format: str | None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.factors = sizes(self.label, "size", size, self.rank)
        self.size: Any = self.factors if self.rank > 1 else self.factors[0]

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        found = [*inputs.shape]
        for axis, factor in enumerate(self.factors, 2 if self.first else 1):
            found[axis] *= factor
        return inputs.new_empty(found)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.first:
            return self.enlarge(inputs)
        return self.enlarge(inputs.movedim(-1, 1)).movedim(1, -1)

    def enlarge(self, x: torch.Tensor) -> torch.Tensor:
        """The result for (batch, channels, ...)."""
        return _repeat(x, self.factors)


class UpSampling1D(_UpSampling):
    """Repeat each step of a sequence.

    Args:
        size: how many times.

    Shape: (batch, time, channels) -> (batch, time * size, channels)
    Raises: ArgumentError unless size is a whole number of at least 1.
    """

    accepts = "(batch, time, channels)"

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(size, None, **kwargs)


class UpSampling2D(_UpSampling):
    """Enlarge an image.

    Args:
        size: factor, a whole number or (height, width).
        data_format: "channels_last" (also None) or "channels_first".
        interpolation: "nearest" (repeats pixels), "bilinear", "bicubic", "lanczos3" or "lanczos5".

    Shape: (batch, height, width, channels) -> (batch, new_height, new_width, channels)
    Raises: ArgumentError for an unknown interpolation.
    """

    accepts = "(batch, height, width, channels)"

    def __init__(
        self,
        size: Any = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(size, data_format, **kwargs)
        known = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
        self.interpolation = one_of(self.label, "interpolation", interpolation, known)

    def enlarge(self, x: torch.Tensor) -> torch.Tensor:
        if self.interpolation == "nearest":
            return _repeat(x, self.factors)
        if self.interpolation.startswith("lanczos"):
            return _lanczos(x, self.factors, int(self.interpolation[-1]))
        factors = [float(factor) for factor in self.factors]
        values = x if x.is_floating_point() else x.float()
        enlarged = F.interpolate(values, scale_factor=factors, mode=self.interpolation)
        return enlarged if values is x else in_range(enlarged, x.dtype)


class UpSampling3D(_UpSampling):
    """Repeat each voxel of a volume.

    Args:
        size: factor, a whole number or (depth, height, width).
        data_format: "channels_last" (also None) or "channels_first".

    Shape: (batch, depth, height, width, channels) -> the same with larger sizes
    """

    accepts = "(batch, depth, height, width, channels)"

    def __init__(self, size: Any = (2, 2, 2), data_format: str | None = None, **kwargs: Any):
        super().__init__(size, data_format, **kwargs)


def _repeat(x: torch.Tensor, factors: tuple[int, ...]) -> torch.Tensor:
    """Repeat the elements of (batch, channels, ...) along the spatial axes."""
    if not x.is_floating_point():
        for axis, factor in enumerate(factors, 2):
            x = x.repeat_interleave(factor, dim=axis)
        return x
    if x.ndim == 3:  # as an image one pixel high, for which torch knows channels-last memory
        return _repeat(x.unsqueeze(2), (1, *factors)).squeeze(2)
    # "nearest" divides in float32 and can miss by one pixel, except by powers of two.
    exact = all(factor & (factor - 1) == 0 for factor in factors)
    mode = "nearest" if exact else "nearest-exact"
    return F.interpolate(x, scale_factor=[float(factor) for factor in factors], mode=mode)


def _lanczos(x: torch.Tensor, factors: tuple[int, ...], radius: int) -> torch.Tensor:
    """Enlarge (batch, channels, height, width) by a windowed sinc that spans `radius` pixels."""
    for axis, factor in enumerate(factors, 2):
        count = x.shape[axis]
        at = (torch.arange(count * factor, device=x.device) + 0.5) / factor - 0.5
        distance = (at.unsqueeze(1) - torch.arange(count, device=x.device)).abs()
        weights = torch.sinc(distance) * torch.sinc(distance / radius) * (distance < radius)
        weights = (weights / weights.sum(1, keepdim=True)).to(x.dtype)
        x = (x.movedim(axis, -1) @ weights.T).movedim(-1, axis)
    return x
