"""Colours of images: brightness, contrast, saturation, hue, and how much colour there is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnkit.layers.augmentation.base import PixelLayer, RangedLayer
from nnkit.layers.augmentation.factors import as_factor
from nnkit.ops.colors import hsv_to_rgb, rgb_to_grayscale, rgb_to_hsv

__all__ = [
    "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast",
    "RandomGrayscale", "RandomHue", "RandomSaturation", "each_image",
]  # fmt: skip


def each_image(values: Any, images: Tensor) -> Tensor:
    """One number for each image, or for all, with axes to multiply a batch by."""
    return torch.as_tensor(values, device=images.device).reshape(-1, 1, 1, 1).to(images.dtype)


class RandomContrast(RangedLayer):
    """Move pixels away from the mean of their channel in each image.

    Args:
        factor: 0 to 1; the distance from the mean is multiplied by 1 to 1 + factor, or for a pair
            by 1 - factor[0] to 1 + factor[1].
        value_range: the darkest and the brightest value; results are cut there.
        seed: an int for draws that repeat.

    Shape: (batch, height, width, channels) or one image -> the same, floats
    Raises: ArgumentError for a factor out of bounds.
    """

    _FACTOR_BOUNDS = (0, 1)
    needs_range = False

    def __init__(
        self, factor: Any, value_range: Any = (0, 255), seed: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(value_range, seed=seed, **kwargs)
        self._set_factor(factor)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        shape = (self.sizes_of(data)[0], 1, 1, 1)
        low, high = 1.0 - self.factor[0], 1.0 + self.factor[1]
        return {"contrast_factor": self.draws(data, seed).uniform(shape, low, high)}

    def recolored(self, planes: Tensor, transformation: Any) -> Tensor:
        mean = planes.mean((2, 3), keepdim=True)
        factor = each_image(transformation["contrast_factor"], planes)
        return self.clip(torch.lerp(mean, planes, factor))


class RandomBrightness(RangedLayer):
    """Add a number to all pixels of an image.

    Args:
        factor: fraction of the value range, -1 to 1; 0.2 adds from -20% to 20% of it.
        value_range: the darkest and the brightest value; results are cut there.
        seed: an int for draws that repeat.

    Shape: (batch, height, width, channels) or one image -> the same, also in dtype
    Raises: ArgumentError for a factor out of bounds.
    """

    keeps_dtype = True

    def __init__(
        self, factor: Any, value_range: Any = (0, 255), seed: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(value_range, seed=seed, **kwargs)
        self._set_factor(factor)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        shape = (self.sizes_of(data)[0], 1, 1, 1)
        low, high = self.value_range
        return {"rgb_delta": self.draws(data, seed).uniform(shape, *self.factor) * (high - low)}

    def transform_images(
        self, images: Tensor, transformation: Any = None, training: bool = True
    ) -> Tensor:
        if not training:
            return images
        delta = transformation["rgb_delta"].reshape(-1, 1, 1, 1)
        if images.is_floating_point():
            return self.clip(images + delta.to(images.dtype))
        return self.clip(images.int() + delta.int()).to(images.dtype)


class RandomSaturation(RangedLayer):
    """Make colours paler or stronger.

    Args:
        factor: 0 for gray, 0.5 for unchanged, 1 for the strongest; a single number draws from
            minus itself, which is gray, to itself.
        value_range: the darkest and the brightest value.
        data_format: "channels_last" (also None) or "channels_first".
        seed: an int for draws that repeat.

    Shape: (batch, height, width, 3) or one image -> the same, floats
    Raises: ArgumentError for a factor out of bounds, ShapeError unless there are 3 channels.
    """

    channels = (3,)
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
        factor = self.draws(data, seed).uniform((self.sizes_of(data)[0],), *self.factor)
        return {"factor": factor / (1 - factor + 1e-7)}

    def recolored(self, planes: Tensor, transformation: Any) -> Tensor:
        # A colour of another saturation is as far from the brightest channel as that says. Gray
        # pixels are no distance away, so that their quotients do not matter.
        top, bottom = planes.amax(1, keepdim=True), planes.amin(1, keepdim=True)
        part = top.clamp(min=0) / (top - bottom).clamp(min=1e-12)  # one over the saturation
        low, high = self.value_range
        factor = each_image(transformation["factor"], planes)
        change = torch.maximum(torch.minimum(factor, part * high), part * low)
        return torch.lerp(top, planes, change)


class RandomHue(RangedLayer):
    """Turn colours around the colour wheel.

    Args:
        factor: fraction of half a turn, 0 to 1; 0.5 turns by up to a quarter either way.
        value_range: the darkest and the brightest value.
        data_format: "channels_last" (also None) or "channels_first".
        seed: an int for draws that repeat.

    Shape: (batch, height, width, 3) or one image -> the same, floats
    Raises: ArgumentError for a factor out of bounds, ShapeError unless there are 3 channels.
    """

    _FACTOR_BOUNDS = (0, 1)
    channels = (3,)
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
        shape, draws = (self.sizes_of(data)[0],), self.draws(data, seed)
        return {"factor": draws.signs(shape) * draws.uniform(shape, *self.factor) * 0.5}

    def recolored(self, planes: Tensor, transformation: Any) -> Tensor:
        unit = self._transform_value_range(planes, self.value_range, (0, 1))
        hue, *others = rgb_to_hsv(unit, "channels_first").unbind(1)
        hue = hue + each_image(transformation["factor"], planes)[:, 0]
        rgb = hsv_to_rgb(torch.stack([hue, *others], 1), "channels_first").clamp_(0, 1)
        return self._transform_value_range(rgb, (0, 1), self.value_range)


class RandomGrayscale(PixelLayer):
    """Take the colour out of some images; the channels stay.

    Args:
        factor: the chance of each image, 0 to 1.
        data_format: "channels_last" (also None) or "channels_first".
        seed: an int for draws that repeat.

    Shape: (batch, height, width, 1 or 3) or one image -> the same, also in dtype
    Raises: ArgumentError for a factor out of bounds, ShapeError for other channels.
    """

    channels = (1, 3)
    keeps_dtype = True

    def __init__(
        self, factor: float = 0.5, data_format: str | None = None, seed: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        if isinstance(factor, (tuple, list)):
            factor = float("nan")  # refused below, as Keras has one chance here
        self.factor: Any = as_factor(self.label, "factor", factor, (0, 1))[1]

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        return self.draws(data, seed).uniform((self.sizes_of(data)[0], 1, 1, 1)) < self.factor

    def transform_images(
        self, images: Tensor, transformation: Any = None, training: bool = True
    ) -> Tensor:
        if not training:
            return images
        if transformation is None:
            transformation = self.get_random_transformation(images)
        return torch.where(transformation, rgb_to_grayscale(images, self.data_format), images)


class RandomColorDegeneration(RangedLayer):
    """Mix images with their gray versions.

    Args:
        factor: -1 to 1; 0 leaves an image, 1 is gray, below 0 colours grow stronger.
        value_range: the darkest and the brightest value; results are cut there.
        data_format: "channels_last" (also None) or "channels_first".
        seed: an int for draws that repeat.

    Shape: (batch, height, width, 1 or 3) or one image -> the same, floats
    Raises: ArgumentError for a factor out of bounds, ShapeError for other channels.
    """

    channels = (1, 3)
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
        shape = (self.sizes_of(data)[0], 1, 1, 1)
        return {"factor": self.draws(data, seed).uniform(shape, *self.factor)}

    def recolored(self, planes: Tensor, transformation: Any) -> Tensor:
        gray = rgb_to_grayscale(planes, "channels_first")
        return self.clip(torch.lerp(planes, gray, each_image(transformation["factor"], planes)))


class RandomColorJitter(RangedLayer):
    """Change brightness, contrast, saturation and hue, in this order; each is off when None.

    Args:
        value_range: the darkest and the brightest value.
        brightness_factor: see RandomBrightness.
        contrast_factor: see RandomContrast.
        saturation_factor: see RandomSaturation.
        hue_factor: see RandomHue.
        seed: an int for draws that repeat.
        data_format: "channels_last" (also None) or "channels_first".

    Shape: (batch, height, width, 3) or one image -> the same, floats
    Raises: ArgumentError for a factor out of bounds, ShapeError unless there are 3 channels.
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        brightness_factor: Any = None,
        contrast_factor: Any = None,
        saturation_factor: Any = None,
        hue_factor: Any = None,
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(value_range, seed=seed, data_format=data_format, **kwargs)
        self.brightness_factor, self.contrast_factor = brightness_factor, contrast_factor
        self.saturation_factor, self.hue_factor = saturation_factor, hue_factor
        same = {"value_range": self.value_range, "seed": seed, "data_format": self.data_format}
        for name, kind, factor in (
            ("random_brightness", RandomBrightness, brightness_factor),
            ("random_contrast", RandomContrast, contrast_factor),
            ("random_saturation", RandomSaturation, saturation_factor),
            ("random_hue", RandomHue, hue_factor),
        ):
            setattr(self, name, None if factor is None else kind(factor, **same))

    @property
    def steps(self) -> dict[str, RangedLayer]:
        """The layers that are on, in their order."""
        order = ("random_brightness", "random_contrast", "random_saturation", "random_hue")
        return {name: getattr(self, name) for name in order if getattr(self, name) is not None}

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        seed = self.generator if seed is None else seed
        return {
            n: step.get_random_transformation(data, seed=seed) for n, step in self.steps.items()
        }

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        if transformation is None:
            transformation = self.get_random_transformation(images)
        for name, step in self.steps.items():
            images = step.transform_images(images, transformation[name])
        return images
