"""Images made sharper, or blurred."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from nnkit.arguments import sizes
from nnkit.errors import ArgumentError
from nnkit.layers.augmentation.draws import Draws
from nnkit.layers.augmentation.factors import as_factor
from nnkit.layers.augmentation.pieces import each_image
from nnkit.layers.augmentation.pixel_layers import FactorLayer
from nnkit.ops.colors import gaussian_blur, weighted_sums

__all__ = ["RandomGaussianBlur", "RandomSharpness"]


class RandomSharpness(FactorLayer):
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

    def drawn(self, data: Any, draws: Draws) -> Any:
        return {"factor": draws.uniform((self.sizes_of(data)[0],), *self.factor)}

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        # The blur is (the sum of 3 x 3 pixels + 4 times the middle one) / 13.
        height, width, _ = self.axes
        factor = each_image(transformation["factor"], images) * 2
        blur = weighted_sums(weighted_sums(images, (1, 1, 1), width), (1, 1, 1), height)
        # factor * images + (1 - factor) * blur
        changed = blur.mul_((1 - factor) / 13)
        return self.clip(changed.add_(images * ((1 - factor) * (4 / 13) + factor)))


class RandomGaussianBlur(FactorLayer):
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
    _chosen, _for_all = "should_apply_blur", ("blur_factor",)

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
        super().__init__(factor, value_range, data_format, seed, **kwargs)
        self.kernel_size = sizes(self.label, "kernel_size", kernel_size, 2)
        if any(size % 2 == 0 for size in self.kernel_size):
            raise ArgumentError(f"{self.label}: kernel_size must be odd, got {kernel_size!r}.")
        self.sigma = as_factor(self.label, "sigma", sigma, (0, 1))

    def drawn(self, data: Any, draws: Draws) -> Any:
        return {
            "should_apply_blur": draws.chances(self.sizes_of(data)[0], self.factor),
            "blur_factor": draws.uniform((2,), *self.sigma) + 1e-6,
        }

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        sigma = transformation["blur_factor"].unbind()
        return self.clip(gaussian_blur(images, self.kernel_size, sigma, self.data_format))
