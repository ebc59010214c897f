"""Images made sharper, or blurred."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnkit.errors import ArgumentError
from nnkit.layers.augmentation.base import RangedLayer
from nnkit.layers.augmentation.colors import each_image
from nnkit.layers.augmentation.factors import as_factor
from nnkit.ops.colors import filtered, gaussian_blur
from nnkit.shapes import sizes

__all__ = ["RandomGaussianBlur", "RandomSharpness"]


class RandomSharpness(RangedLayer):
    """Move pixels away from, or towards, what a small blur makes of them.

    Args:
        factor: 0 to 1: 0 is blurred, 0.5 unchanged, 1 sharp; a single number draws from 0.
        value_range: the darkest and the brightest value; results are cut there.
        data_format: "channels_last" (also None) or "channels_first".
        seed: an int for draws that repeat.

    Shape: (batch, height, width, channels) or one image -> the same, floats
    Raises: ArgumentError for a factor out of bounds.
    """

    _FACTOR_BOUNDS = (0, 1)
    needs_range = False

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(value_range, data_format=data_format, seed=seed, **kwargs)
        self._set_factor(factor)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        return {"factor": self.draws(data, seed).uniform((self.sizes_of(data)[0],), *self.factor)}

    def recolored(self, planes: Tensor, transformation: Any) -> Tensor:
        window = planes.new_full((3, 3), 1 / 13)
        window[1, 1] = 5 / 13
        blurred = filtered(planes, window, True, "same").to(planes.dtype)
        # planes + (1 - 2 * factor) * (blurred - planes)
        sharpness = each_image(transformation["factor"] * 2, planes)
        return self.clip(torch.lerp(blurred, planes, sharpness))


class RandomGaussianBlur(RangedLayer):
    """Blur some images with a Gaussian.

    Args:
        factor: the chance of each image, itself drawn: from 0 to a number, or between two.
        kernel_size: pixels of the window, an odd number or two (across, down).
        sigma: the Gaussian's width in pixels, 0 to 1, drawn from 0 to a number or between two, once
            for a batch.
        value_range: the darkest and the brightest value; results are cut there.
        data_format: "channels_last" (also None) or "channels_first".
        seed: an int for draws that repeat.

    Shape: (batch, height, width, channels) or one image -> the same, floats
    Raises: ArgumentError for a factor or sigma out of bounds, or an even kernel_size.
    """

    _FACTOR_BOUNDS = (0, 1)
    needs_range = False

    def __init__(
        self,
        factor: Any = 1.0,
        kernel_size: Any = 3,
        sigma: Any = 1.0,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(value_range, data_format=data_format, seed=seed, **kwargs)
        self._set_factor(factor)
        self.kernel_size = sizes(self.label, "kernel_size", kernel_size, 2)
        if any(size % 2 == 0 for size in self.kernel_size):
            raise ArgumentError(f"{self.label}: kernel_size must be odd, got {kernel_size!r}.")
        self.sigma = as_factor(self.label, "sigma", sigma, (0, 1))

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        draws = self.draws(data, seed)
        return {
            "should_apply_blur": draws.chances(self.sizes_of(data)[0], self.factor),
            "blur_factor": draws.uniform((2,), *self.sigma) + 1e-6,
        }

    def recolored(self, planes: Tensor, transformation: Any) -> Tensor:
        sigma = transformation["blur_factor"].unbind()
        blurred = gaussian_blur(planes, self.kernel_size, sigma, "channels_first")
        chosen = transformation["should_apply_blur"][:, None, None, None]
        return self.clip(torch.where(chosen, blurred, planes))
