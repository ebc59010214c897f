"""Colours of images: brightness, contrast, saturation, hue, and how much colour there is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnkit.layers.augmentation.draws import Draws
from nnkit.layers.augmentation.factors import as_factor
from nnkit.layers.augmentation.pieces import each_image
from nnkit.layers.augmentation.pixel_layers import FactorLayer, PixelLayer, RangedLayer
from nnkit.ops.colors import GRAY, rgb_to_grayscale, turned_hue

__all__ = [
    "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast",
    "RandomGrayscale", "RandomHue", "RandomSaturation",
]  # fmt: skip


class _Linear(FactorLayer):
    """Base of the layers that multiply or add; their third argument is the seed."""

    def __init__(
        self, factor: Any, value_range: Any = (0, 255), seed: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(factor, value_range, seed=seed, **kwargs)


class RandomContrast(_Linear):
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

    def drawn(self, data: Any, draws: Draws) -> Any:
        shape = (self.sizes_of(data)[0], 1, 1, 1)
        low, high = 1.0 - self.factor[0], 1.0 + self.factor[1]
        return {"contrast_factor": draws.uniform(shape, low, high)}

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        height, width, _ = self.axes
        mean = images.mean(height, keepdim=True).mean(width, keepdim=True)
        factor = each_image(transformation["contrast_factor"], images)
        return self.clip(images.mul_(factor).add_(self.a_row(mean * (1 - factor), images)))


class RandomBrightness(_Linear):
    """Add a number to all pixels of an image.

    Args:
        factor: fraction of the value range, -1 to 1; 0.2 adds from -20% to 20% of it.
        value_range: the darkest and the brightest value; results are cut there.
        seed: an int for draws that repeat.

    Shape: (batch, height, width, channels) or one image -> the same, also in dtype
    Raises: ArgumentError for a factor out of bounds.
    """

    keeps_dtype = True

    def drawn(self, data: Any, draws: Draws) -> Any:
        shape = (self.sizes_of(data)[0], 1, 1, 1)
        low, high = self.value_range
        return {"rgb_delta": draws.uniform(shape, *self.factor) * (high - low)}

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        delta = transformation["rgb_delta"].reshape(-1, 1, 1, 1)
        if images.is_floating_point():
            return self.clip(images.add_(delta.to(images.dtype)))
        return self.clip(images.int() + delta.int()).to(images.dtype)


class RandomSaturation(FactorLayer):
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

    _raw = True
    channels = (3,)
    needs_range = False

    def drawn(self, data: Any, draws: Draws) -> Any:
        factor = draws.uniform((self.sizes_of(data)[0],), *self.factor)
        return {"factor": factor / (1 - factor + 1e-7)}

    def recolored(self, planes: Tensor, transformation: Any) -> Tensor:
        # A colour of another saturation is as far from the brightest channel as that says.
        top = planes.amax(1, keepdim=True)
        change = self._change(planes, top, each_image(transformation["factor"], planes))
        recorded = planes.requires_grad
        return torch.sub(planes, top, out=None if recorded else planes).mul_(change).add_(top)

    def _change(self, planes: Tensor, top: Tensor, factor: Tensor) -> Tensor:
        """The factor, limited so that no saturation leaves the range of values."""
        low, high = self.value_range
        looked_at = low == 0 and planes.device.type == "cpu" and not torch.compiler.is_compiling()
        if looked_at and bool((factor <= high).all() & (planes.amin((1, 2, 3)) >= 0).all()):
            return factor.clamp(min=0)  # saturations go from 0 to 1
        # Gray pixels are no distance away from the brightest channel: any quotient does for them.
        span = (top - planes.amin(1, keepdim=True)).clamp_(min=1e-12)
        part = top.clamp(min=0).div_(span)  # one over the saturation
        return torch.clamp(factor, part * low, part * high)


class RandomHue(FactorLayer):
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
    _raw = True
    channels = (3,)
    needs_range = False

    def drawn(self, data: Any, draws: Draws) -> Any:
        shape = (self.sizes_of(data)[0],)
        return {"factor": draws.signs(shape) * draws.uniform(shape, *self.factor) * 0.5}

    def recolored(self, planes: Tensor, transformation: Any) -> Tensor:
        unit = self._transform_value_range(planes, self.value_range, (0, 1))
        rgb = turned_hue(unit, each_image(transformation["factor"], planes))
        return self._transform_value_range(rgb.clamp_(0, 1), (0, 1), self.value_range)


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
    _chosen, _raw = "images", True

    def __init__(
        self, factor: float = 0.5, data_format: str | None = None, seed: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        if isinstance(factor, (tuple, list)):
            factor = float("nan")  # refused below, as Keras has one chance here
        self.factor: Any = as_factor(self.label, "factor", factor, (0, 1))[1]

    def drawn(self, data: Any, draws: Draws) -> Any:
        return draws.uniform((self.sizes_of(data)[0], 1, 1, 1)) < self.factor

    def _changed(
        self, images: Tensor, transformation: Any, interpolation: str, dtype: torch.dtype
    ) -> Tensor:
        given = None if transformation is None else {self._chosen: transformation}
        return super()._changed(images, given, interpolation, dtype)

    def _written(
        self, images: Tensor, transformation: Any, interpolation: str, out: Tensor | None
    ) -> Tensor:
        if images.shape[self.axes[2]] == 1 or out is None:
            return rgb_to_grayscale(images, self.data_format).expand_as(images)
        if images.is_floating_point():  # the same sums by matrices, in one go
            return self.mixed(images, images.new_tensor(GRAY).reshape(3, 1).expand(3, 3), out)
        # Rounded one after the other, as whole numbers show it.
        red, green, blue = (
            channel.float().mul_(part)
            for channel, part in zip(images.unbind(self.axes[2]), GRAY, strict=True)
        )
        gray = red.add_(green).add_(blue).to(out.dtype)
        for channel in out.unbind(self.axes[2]):
            channel.copy_(gray)
        return out


class RandomColorDegeneration(FactorLayer):
    """Mix images with their gray versions.

    Args:
        factor: -1 to 1; 0 leaves an image, 1 is gray, below 0 colours grow stronger.
        value_range: the darkest and the brightest value; results are cut there.
        data_format: "channels_last" (also None) or "channels_first".
        seed: an int for draws that repeat.

    Shape: (batch, height, width, 1 or 3) or one image -> the same, floats
    Raises: ArgumentError for a factor out of bounds, ShapeError for other channels.
    """

    _raw = True
    channels = (1, 3)
    needs_range = False

    def drawn(self, data: Any, draws: Draws) -> Any:
        shape = (self.sizes_of(data)[0], 1, 1, 1)
        return {"factor": draws.uniform(shape, *self.factor)}

    def _written(
        self, images: Tensor, transformation: Any, interpolation: str, out: Tensor | None
    ) -> Tensor:
        images = self.as_floats(images)
        if images.shape[self.axes[2]] == 1:
            return images.clamp(*self.value_range)
        factor = each_image(transformation["factor"], images).squeeze(1)
        gray = images.new_tensor(GRAY).reshape(3, 1).expand(3, 3)
        same = torch.eye(3, dtype=images.dtype, device=images.device)
        return self.clip(self.mixed(images, gray * factor + same * (1 - factor), out))


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
        for name, step in self.steps.items():
            images = step._transform_images(images, transformation[name], interpolation)
        return images
