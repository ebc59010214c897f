"""The levels of pixels: fewer of them, turned round, stretched or evened out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnkit.errors import ArgumentError
from nnkit.layers.augmentation.base import RangedLayer
from nnkit.layers.augmentation.colors import each_image
from nnkit.layers.augmentation.factors import as_factor

__all__ = ["AutoContrast", "RandomInvert", "RandomPosterization", "Solarization"]


class RandomPosterization(RangedLayer):
    """Keep only the first bits of each pixel.

    Args:
        factor: how many of 8 bits stay: 1 to 8, drawn from 1 to below a single number, or between
            two, the second excluded.
        value_range: the darkest and the brightest value.
        data_format: "channels_last" (also None) or "channels_first".
        seed: an int for draws that repeat.

    Shape: (batch, height, width, channels) or one image -> the same, floats
    Raises: ArgumentError unless the factor is made of whole numbers from 1 to 8.
    """

    _FACTOR_BOUNDS = (1, 8)

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
        if any(each % 1 for each in self.factor):
            raise ArgumentError(f"{self.label}: factor is a number of bits, got {factor!r}.")

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        low, high = (int(each) for each in self.factor)
        shape, draws = (self.sizes_of(data)[0],), self.draws(data, seed)
        bits = draws.integers(shape, low, max(high, low + 1))
        return {"shift_factor": (8 - bits).to(torch.uint8)}

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        shift = transformation["shift_factor"].reshape(-1, 1, 1, 1)
        bits = torch.bitwise_left_shift(torch.full_like(shift, 255), shift)
        return self.from_bytes((self.to_bytes(images).to(torch.uint8) & bits).to(images.dtype))


class RandomInvert(RangedLayer):
    """Turn some images into their negatives: the brightest value minus the pixel.

    Args:
        factor: the chance of each image, itself drawn: from 0 to a number, or between two.
        value_range: the darkest and the brightest value.
        seed: an int for draws that repeat.
        data_format: "channels_last" (also None) or "channels_first".

    Shape: (batch, height, width, channels) or one image -> the same, floats
    Raises: ArgumentError for a factor outside 0 to 1.
    """

    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self,
        factor: Any = 1.0,
        value_range: Any = (0, 255),
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(value_range, seed=seed, data_format=data_format, **kwargs)
        self._set_factor(factor)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        chosen = self.draws(data, seed).chances(self.sizes_of(data)[0], self.factor)
        return {"apply_inversion": chosen}

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        chosen = transformation["apply_inversion"][:, None, None, None]
        return torch.where(chosen, self.value_range[1] - images, images)


class Solarization(RangedLayer):
    """Add to all pixels, then turn those above a threshold into their negatives.

    Args:
        addition_factor: how much is added, a fraction of the range from 0 to 1: drawn from 0 to a
            single number. The lower end of a pair counts in 255ths, as in Keras.
        threshold_factor: where negatives begin; the same.
        value_range: the darkest and the brightest value.
        seed: an int for draws that repeat.

    Shape: (batch, height, width, channels) or one image -> the same, floats
    Raises: ArgumentError for a factor outside 0 to 1.
    """

    def __init__(
        self,
        addition_factor: Any = 0.0,
        threshold_factor: Any = 0.0,
        value_range: Any = (0, 255),
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(value_range, seed=seed, **kwargs)
        bounds = (0, 1)
        self.addition_factor = as_factor(self.label, "addition_factor", addition_factor, bounds)
        self.threshold_factor = as_factor(self.label, "threshold_factor", threshold_factor, bounds)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        shape, draws = (self.sizes_of(data)[0], 1, 1, 1), self.draws(data, seed)
        ranges = ("additions", self.addition_factor), ("thresholds", self.threshold_factor)
        return {name: draws.uniform(shape, low, high * 255) for name, (low, high) in ranges}

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        if transformation is None:
            return images
        levels = self.to_bytes(images)
        levels = (levels + each_image(transformation["additions"], levels)).clamp_(0, 255)
        dark = levels < each_image(transformation["thresholds"], levels)
        # Not where(): a CPU guesses wrong at every other pixel.
        return self.from_bytes(torch.lerp(255 - levels, levels, dark.to(levels.dtype)))


class AutoContrast(RangedLayer):
    """Stretch each channel of each image over the whole range, in training and inference.

    Args:
        value_range: the darkest and the brightest value.

    Shape: (batch, height, width, channels) or one image -> the same, floats
    Raises: ArgumentError for a value_range that is not two numbers.
    """

    def __init__(self, value_range: Any = (0, 255), **kwargs: Any) -> None:
        super().__init__(value_range, **kwargs)

    def transform_images(
        self, images: Tensor, transformation: Any = None, training: bool = True
    ) -> Tensor:
        return self._transform_images(self.as_floats(images), {}, "")

    def recolored(self, planes: Tensor, transformation: Any) -> Tensor:
        low, high = planes.amin((2, 3), keepdim=True), planes.amax((2, 3), keepdim=True)
        darkest, brightest = self.value_range
        flat = high == low  # one colour: nothing to stretch
        span = torch.where(flat, 1.0, high - low)
        scale = torch.where(flat, 1.0, (brightest - darkest) / span)
        # First the difference, then the product: the darkest level is exact.
        offset = torch.where(flat, 0.0, low)
        stretched = (planes - offset).mul_(scale)
        return self.clip(stretched.add_(torch.where(flat, 0.0, darkest)) if darkest else stretched)
