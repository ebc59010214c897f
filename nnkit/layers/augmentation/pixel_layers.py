"""Bases of the layers that change colours and levels, and leave each pixel where it is."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import torch
from torch import Tensor

from nnkit.layers.augmentation.base import BaseImagePreprocessingLayer, images_of
from nnkit.layers.augmentation.factors import as_value_range

__all__ = ["FactorLayer", "PixelLayer", "RangedLayer"]


class PixelLayer(BaseImagePreprocessingLayer):
    """Base of layers that change colours and leave labels, boxes and masks as they are.

    Write `recolored`; or `_transform_images` where it does not matter which axis the channels are.
    """

    _USE_BASE_FACTOR = False

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        # Mixtures of channels are several times faster on whole planes.
        dtype, like = self.output_type(images), torch.contiguous_format
        planes = self.channels_first(images).to(dtype, copy=True, memory_format=like)
        return self.as_given(self.recolored(planes, transformation))

    def recolored(self, planes: Tensor, transformation: Any) -> Tensor:
        """Some images (batch, channels, height, width), a copy in floats, with their parameters."""
        raise NotImplementedError

    def mixed(self, images: Tensor, matrix: Tensor, out: Tensor | None = None) -> Tensor:
        """Each channel as a sum of the old ones: (old, new) weights, also for each image."""
        start = 2 if self._first else 1
        pixels, into = (
            None if each is None else each.flatten(start, start + 1) for each in (images, out)
        )
        factors = (matrix.mT, pixels) if self._first else (pixels, matrix)
        made = torch.matmul(*factors, out=into)
        return made.view_as(images) if out is None else out

    def by_channel(self, values: Tensor) -> Tensor:
        """One number for each channel, with axes to multiply a batch by."""
        return values.reshape(1, -1, 1, 1) if self._first else values.reshape(1, 1, 1, -1)

    def a_row(self, values: Tensor, images: Tensor) -> Tensor:
        """One number for each channel of each image, as a row of pixels where that is faster."""
        if self._first:
            return values
        return values.expand(-1, -1, images.shape[2], -1).contiguous()

    def transform_labels(
        self, labels: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return labels

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return bounding_boxes

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return segmentation_masks


class RangedLayer(PixelLayer):
    """Base of layers whose result depends on how bright the images can be.

    Args:
        value_range: the darkest and the brightest value, (0, 255) or (0, 1).
    """

    needs_range: ClassVar[bool] = True  # a wrong range spoils the images

    def __init__(self, value_range: Any = (0, 255), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.value_range = as_value_range(self.label, value_range)
        self._range_seen = False

    def call(self, data: Any, training: bool = True) -> Any:
        if training and not self._range_seen and not torch.compiler.is_compiling():
            self._check_range(images_of(data))
        return super().call(data, training)

    def _check_range(self, images: Tensor) -> None:
        """Warn of images that cannot have this range; only the first batch is looked at."""
        if images.is_meta or images.numel() == 0:
            return
        self._range_seen = True
        if not self.needs_range or not images.is_floating_point():
            return
        brightest = float(images.detach().max())
        low, high = self.value_range
        if (high >= 255 and 0 < brightest <= 1) or (high <= 1 < 2 < brightest):
            warnings.warn(
                f"{self.label} has value_range=({low}, {high}), but the brightest pixel of the "
                f"first images is {brightest:.3g}. Give value_range=(0, 1) for images from 0 to "
                f"1, and (0, 255) for images up to 255.",
                stacklevel=2,
            )

    def clip(self, images: Tensor) -> Tensor:
        """Images cut to the range, in place: give a tensor that was made here."""
        return images.clamp_(*self.value_range)

    def fill_bytes(self, images: Tensor) -> bool:
        """Whether images are bytes and have their range, so that bits can be changed."""
        return images.dtype is torch.uint8 and self.value_range == (0, 255)

    def to_bytes(self, images: Tensor) -> Tensor:
        """Images as if they went from 0 to 255."""
        return self._transform_value_range(images, self.value_range, (0, 255))

    def from_bytes(self, images: Tensor) -> Tensor:
        """The way back."""
        return self._transform_value_range(images, (0, 255), self.value_range)


class FactorLayer(RangedLayer):
    """Base of layers with a strength and a value range.

    Args:
        factor: the strength, within the layer's `_FACTOR_BOUNDS`.
        value_range: the darkest and the brightest value.
        data_format: "channels_last" (also None) or "channels_first".
        seed: an int for draws that repeat.
    """

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
