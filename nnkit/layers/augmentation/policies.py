"""Augmentations chosen at random: RandAugment and AugMix."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnkit.arguments import positive
from nnkit.errors import ArgumentError
from nnkit.layers.augmentation.affine import RandomRotation, RandomShear, RandomTranslation
from nnkit.layers.augmentation.base import BaseImagePreprocessingLayer
from nnkit.layers.augmentation.colors import (
    RandomBrightness,
    RandomColorDegeneration,
    RandomContrast,
)
from nnkit.layers.augmentation.filters import RandomSharpness
from nnkit.layers.augmentation.histograms import Equalization
from nnkit.layers.augmentation.levels import AutoContrast, RandomPosterization, Solarization
from nnkit.layers.augmentation.pixel_layers import RangedLayer

__all__ = ["AugMix", "RandAugment"]


class _Policy(RangedLayer):
    """Base of layers that hold others and choose among them, once for a batch.

    Args:
        value_range: the darkest and the brightest value.
        factor: strength of all layers, 0 to 1.
        interpolation: of those that move pixels.
    """

    _FACTOR_BOUNDS = (0, 1)
    channels = (1, 3)
    choices: tuple[str, ...] = (
        "random_shear", "random_translation", "random_rotation", "random_brightness",
        "random_color_degeneration", "random_contrast", "random_sharpness",
        "random_posterization", "solarization", "auto_contrast", "equalization",
    )  # fmt: skip

    def __init__(self, value_range: Any, factor: Any, interpolation: str, **kwargs: Any) -> None:
        super().__init__(value_range, **kwargs)
        self._set_factor(factor)
        self.interpolation = interpolation
        self._make_layers()

    def _make_layers(self) -> None:
        factor, seed, form = self.factor, self.seed, self.data_format
        moving: dict[str, Any] = {"interpolation": self.interpolation, "seed": seed}
        levels: dict[str, Any] = {"value_range": self.value_range, "data_format": form}
        seeded = {**levels, "seed": seed}
        moving |= {"data_format": form, "bounding_box_format": self.bounding_box_format}
        self.random_shear = RandomShear(factor, factor, **moving)
        self.random_translation = RandomTranslation(factor, factor, **moving)
        self.random_rotation = RandomRotation(factor, **moving)
        self.random_brightness = RandomBrightness(factor, **seeded)
        self.random_color_degeneration = RandomColorDegeneration(factor, **seeded)
        self.random_contrast = RandomContrast(factor, **seeded)
        self.random_sharpness = RandomSharpness(factor, **seeded)
        bits = max(1, int(8 * factor[1]))
        self.random_posterization = RandomPosterization(bits, **seeded)
        self.solarization = Solarization(factor, factor, **seeded)
        self.auto_contrast = AutoContrast(**levels)
        self.equalization = Equalization(**levels)

    def _changed(
        self, images: Tensor, transformation: Any, interpolation: str, dtype: torch.dtype
    ) -> Tensor:
        floats = images.to(dtype)
        if transformation is None:
            return floats
        return self._transform_images(floats, transformation, interpolation)

    def chosen(self, name: str) -> BaseImagePreprocessingLayer:
        """The layer of this name."""
        layer: BaseImagePreprocessingLayer = getattr(self, name)
        return layer

    def draw_for(self, name: str, data: Any, seed: Any) -> Any:
        """A transformation for the layer of this name."""
        seed = self.generator if seed is None else seed
        return self.chosen(name).get_random_transformation(data, seed=seed)


class RandAugment(_Policy):
    """Apply a few augmentations to each batch, drawn from eleven.

    Args:
        value_range: the darkest and the brightest value.
        num_ops: how many are drawn; one may come twice.
        factor: their strength, 0 to 1.
        interpolation: "bilinear" or "nearest", of those that move pixels.
        seed: an int for draws that repeat.
        data_format: "channels_last" (also None) or "channels_first".

    Shape: (batch, height, width, 1 or 3) or one image -> the same, floats
    Raises: ArgumentError for a factor outside 0 to 1, or num_ops below 0.
    Source: Cubuk et al., 1909.13719.
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        num_ops: int = 2,
        factor: Any = 0.5,
        interpolation: str = "bilinear",
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            value_range, factor, interpolation, seed=seed, data_format=data_format, **kwargs
        )
        self.num_ops = positive(self.label, "num_ops", num_ops, least=0)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        drawn = self.draws(data, seed, "cpu").integers((self.num_ops,), 0, len(self.choices))
        names = dict.fromkeys(self.choices[index] for index in drawn.tolist())
        transforms = {name: self.draw_for(name, data, seed) for name in names}
        return {"transforms": transforms, "layer_idxes": drawn}

    def _in_turn(self, method: str, value: Any, transformation: Any) -> Any:
        """What this method of each layer drawn makes of a part of the data, one after the other."""
        for index in transformation["layer_idxes"]:
            name = self.choices[int(index)]
            value = getattr(self.chosen(name), method)(value, transformation["transforms"][name])
        return value

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        changed: Tensor = self._in_turn("transform_images", images, transformation)
        return changed

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        if not training:
            return bounding_boxes
        return self._in_turn("transform_bounding_boxes", bounding_boxes, transformation)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        if not training:
            return segmentation_masks
        return self._in_turn("transform_segmentation_masks", segmentation_masks, transformation)


class AugMix(_Policy):
    """Mix each batch with what several chains of augmentations make of it.

    Args:
        value_range: the darkest and the brightest value.
        num_chains: how many chains.
        chain_depth: how many augmentations in each, of which some may do nothing.
        factor: their strength, 0 to 1.
        alpha: of the Beta and Dirichlet distributions that the weights come from.
        all_ops: whether brightness, contrast, colour and sharpness take part.
        interpolation: "bilinear" or "nearest", of those that move pixels.
        seed: an int for draws that repeat.
        data_format: "channels_last" (also None) or "channels_first".

    Shape: (batch, height, width, 1 or 3) or one image -> the same, floats
    Raises: ArgumentError for a factor outside 0 to 1, or a number of chains or steps below 1.
    Source: Hendrycks et al., 1912.02781.
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        num_chains: int = 3,
        chain_depth: int = 3,
        factor: Any = 0.3,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: str = "bilinear",
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            value_range, factor, interpolation, seed=seed, data_format=data_format, **kwargs
        )
        self.num_chains = positive(self.label, "num_chains", num_chains)
        self.chain_depth = positive(self.label, "chain_depth", chain_depth)
        if not isinstance(alpha, (int, float)) or not alpha > 0:
            raise ArgumentError(f"{self.label}: alpha must be a number above 0, got {alpha!r}.")
        self.alpha, self.all_ops = float(alpha), bool(all_ops)
        if not all_ops:
            colours = ("random_brightness", "random_color", "random_contrast", "random_sharpness")
            self.choices = tuple(n for n in self.choices if not n.startswith(colours))

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        count, draws = self.num_chains, self.draws(data, seed)
        host = self.draws(data, seed, "cpu")
        picks = host.integers((count, self.chain_depth), 0, len(self.choices) + 1).tolist()
        names = [[self.choices[i] for i in chain if i < len(self.choices)] for chain in picks]
        return {
            "chain_mixing_weights": draws.dirichlet(self.alpha, (count,)),
            "weight_sample": draws.dirichlet(self.alpha, (2,))[0],
            "chain_transforms": [
                [
                    {"layer_name": name, "transformation": self.draw_for(name, data, seed)}
                    for name in chain
                ]
                for chain in names
            ],
        }

    def _blend(self, inputs: Tensor, transformation: Any, method: str) -> Tensor:
        """The inputs mixed with what `method` of the layers in each chain makes of them."""
        mixed = torch.zeros_like(inputs)
        weights = transformation["chain_mixing_weights"].to(inputs.dtype)
        for weight, chain in zip(weights, transformation["chain_transforms"], strict=True):
            changed = inputs
            for step in chain:
                layer = self.chosen(step["layer_name"])
                changed = getattr(layer, method)(changed, step["transformation"])
            mixed = mixed + changed * weight
        return torch.lerp(mixed, inputs, transformation["weight_sample"].to(inputs.dtype))

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        return self.clip(self._blend(images, transformation, "transform_images"))

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        if not training:
            return segmentation_masks
        masks = self.as_floats(segmentation_masks)
        return self._blend(masks, transformation, "transform_segmentation_masks")
