"""The levels of pixels: fewer of them, turned round, stretched or evened out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnkit.errors import ArgumentError
from nnkit.layers.augmentation.draws import Draws
from nnkit.layers.augmentation.factors import as_factor
from nnkit.layers.augmentation.pieces import each_image
from nnkit.layers.augmentation.pixel_layers import FactorLayer, RangedLayer

__all__ = ["AutoContrast", "RandomInvert", "RandomPosterization", "Solarization"]


class RandomPosterization(FactorLayer):
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
    _raw = True

    def _set_factor(self, factor: Any) -> None:
        super()._set_factor(factor)
        if any(each % 1 for each in self.factor):
            raise ArgumentError(f"{self.label}: factor is a number of bits, got {factor!r}.")

    def drawn(self, data: Any, draws: Draws) -> Any:
        low, high = (int(each) for each in self.factor)
        shape = (self.sizes_of(data)[0],)
        bits = draws.integers(shape, low, max(high, low + 1))
        return {"shift_factor": (8 - bits).to(torch.uint8)}

    def _written(
        self, images: Tensor, transformation: Any, interpolation: str, out: Tensor | None
    ) -> Tensor:
        shift = transformation["shift_factor"].reshape(-1, 1, 1, 1)
        if self.fill_bytes(images):
            return images & torch.bitwise_left_shift(torch.full_like(shift, 255), shift)
        images, (low, high) = self.as_floats(images), self.value_range
        step = each_image(torch.exp2(shift.float()), images)  # of a level, in 255ths of the range
        lifted = images - low if low else images
        levels = torch.mul(lifted, 255 / (high - low) / step, out=out)
        levels.floor_().mul_(step * ((high - low) / 255))
        return levels.add_(low) if low else levels


class RandomInvert(FactorLayer):
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
    _chosen, _raw = "apply_inversion", True

    def __init__(
        self,
        factor: Any = 1.0,
        value_range: Any = (0, 255),
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor, value_range, data_format, seed, **kwargs)

    def drawn(self, data: Any, draws: Draws) -> Any:
        chosen = draws.chances(self.sizes_of(data)[0], self.factor)
        return {"apply_inversion": chosen}

    def _written(
        self, images: Tensor, transformation: Any, interpolation: str, out: Tensor | None
    ) -> Tensor:
        if self.fill_bytes(images):
            return ~images
        images = self.as_floats(images)
        return torch.sub(images.new_full((), self.value_range[1]), images, out=out)


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

    def drawn(self, data: Any, draws: Draws) -> Any:
        shape = (self.sizes_of(data)[0], 1, 1, 1)
        ranges = ("additions", self.addition_factor), ("thresholds", self.threshold_factor)
        return {name: draws.uniform(shape, low, high * 255) for name, (low, high) in ranges}

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        levels = self.to_bytes(images)
        levels.add_(each_image(transformation["additions"], levels)).clamp_(0, 255)
        thresholds = each_image(transformation["thresholds"], levels)
        # 1 below the threshold and -1 from it on. Not where(): a CPU guesses wrong at every other
        # pixel.
        sign = levels.detach().clone().lt_(thresholds).mul_(2).sub_(1)
        return self.from_bytes(levels.sub_(127.5).mul_(sign).add_(127.5))


class AutoContrast(RangedLayer):
    """Stretch each channel of each image over the whole range, in training and inference.

    Args:
        value_range: the darkest and the brightest value.

    Shape: (batch, height, width, channels) or one image -> the same, floats
    Raises: ArgumentError for a value_range that is not two numbers.
    """

    _raw = True

    def __init__(self, value_range: Any = (0, 255), **kwargs: Any) -> None:
        super().__init__(value_range, **kwargs)

    def transform_images(
        self, images: Tensor, transformation: Any = None, training: bool = True
    ) -> Tensor:
        return self._changed(images, {}, "", self.output_type(images))

    def _written(
        self, images: Tensor, transformation: Any, interpolation: str, out: Tensor | None
    ) -> Tensor:
        height, width, _ = self.axes
        low = self.as_floats(images.amin(height, keepdim=True).amin(width, keepdim=True))
        high = self.as_floats(images.amax(height, keepdim=True).amax(width, keepdim=True))
        darkest, brightest = self.value_range
        flat = high == low  # one colour: nothing to stretch
        span = torch.where(flat, 1.0, high - low)
        scale = torch.where(flat, 1.0, (brightest - darkest) / span)
        # First the difference, then the product: the darkest level is exact.
        offset = torch.where(flat, 0.0, low)
        stretched = torch.sub(self.as_floats(images), self.a_row(offset, images), out=out)
        stretched = stretched.mul_(self.a_row(scale, images))
        if darkest:
            stretched = stretched.add_(self.a_row(torch.where(flat, 0.0, darkest), images))
        return self.clip(stretched)
