"""Images mixed with one another, and with noise, in whole or in a rectangle."""

from __future__ import annotations

import numbers
from typing import Any

import torch
from torch import Tensor

from nnkit.errors import ArgumentError
from nnkit.layers.augmentation.base import BaseImagePreprocessingLayer, images_of
from nnkit.layers.augmentation.draws import Draws
from nnkit.layers.augmentation.factors import as_factor
from nnkit.layers.augmentation.pieces import blended, covered, in_pieces
from nnkit.layers.augmentation.pixel_layers import PixelLayer, RangedLayer

__all__ = ["CutMix", "MixUp", "RandomErasing"]


def _mixed_labels(labels: Tensor, transformation: Any) -> Tensor:
    given = torch.as_tensor(transformation["mix_weight"], device=labels.device)
    weight = given.reshape(-1, *[1] * (max(labels.ndim, 2) - 1))
    floats = labels if labels.is_floating_point() else labels.to(torch.get_default_dtype())
    return torch.lerp(floats[transformation["permutation_order"]], floats, weight.to(floats.dtype))


class MixUp(BaseImagePreprocessingLayer):
    """Mix each image, and its label, with another one of the batch.

    The labels must be one-hot, or numbers that can be mixed. Boxes of both images are kept.

    Args:
        alpha: of the Beta distribution the weights come from; small values mix little.
        data_format: "channels_last" (also None) or "channels_first".
        seed: an int for draws that repeat.

    Shape: (batch, height, width, channels) -> the same, floats
    Raises: ArgumentError unless alpha is above 0.
    Source: Zhang et al., 1710.09412.
    """

    _USE_BASE_FACTOR = False

    def __init__(
        self, alpha: float = 0.2, data_format: str | None = None, seed: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        if not isinstance(alpha, numbers.Real) or not alpha > 0:
            raise ArgumentError(f"{self.label}: alpha must be a number above 0, got {alpha!r}.")
        self.alpha: float = float(alpha)

    def drawn(self, data: Any, draws: Draws) -> Any:
        batch = self.sizes_of(data)[0]
        order = draws.order(batch)
        weight = draws.dirichlet(self.alpha, (batch, 2))[:, 0]
        return {"mix_weight": weight, "permutation_order": order}

    def _changed(
        self, images: Tensor, transformation: Any, interpolation: str, dtype: torch.dtype
    ) -> Tensor:
        def change(some: Tensor, rows: Any, out: Tensor | None) -> Tensor:
            others = images[rows["permutation_order"]]
            return blended(others.to(dtype), some, rows["mix_weight"])

        if transformation is None:
            return images.to(dtype)
        return in_pieces(change, images, transformation, dtype)

    def transform_labels(
        self, labels: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return _mixed_labels(labels, transformation) if training else labels

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        if not training:
            return bounding_boxes
        order = transformation["permutation_order"]
        both = {k: bounding_boxes[k] for k in ("boxes", "labels")}
        return {**bounding_boxes, **{k: torch.cat((v, v[order]), 1) for k, v in both.items()}}

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return _mixed_labels(segmentation_masks, transformation) if training else segmentation_masks


class _Rectangles(PixelLayer):
    """Base of layers that change a rectangle of each image."""

    _FACTOR_BOUNDS = (0, 1)

    def _sides(self, draws: Draws, length: int, part: Tensor) -> tuple[Tensor, Tensor]:
        """Where a part of an axis begins and ends."""
        start = draws.uniform(part.shape) * (length - part * length)
        return start, start + part * length

    def _inside(self, x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor], size: Any) -> Tensor:
        """Booleans for the pixels of each image, with an axis of size 1 for the channels."""
        height, width = size
        down = torch.arange(height, device=x[0].device).reshape(1, -1, 1)
        across = torch.arange(width, device=x[0].device).reshape(1, 1, -1)
        (left, right), (top, bottom) = ([each[:, None, None] for each in pair] for pair in (x, y))
        columns = (across >= left) & (across < right)
        rows = (down >= top) & (down < bottom)
        # As bytes: a CPU takes booleans one at a time.
        inside = (rows.view(torch.uint8) & columns.view(torch.uint8)).view(torch.bool)
        return inside.unsqueeze(self.axes[2])


class RandomErasing(_Rectangles, RangedLayer):
    """Cover a rectangle of some images, with noise or one colour.

    Args:
        factor: the chance of each image, itself drawn: from 0 to a number, or between two.
        scale: width and height of the rectangle are the square roots of draws between these two
            fractions, or from 0 to a single one.
        fill_value: a number, or three of them for the channels; normal noise when None.
        value_range: the darkest and the brightest value.
        seed: an int for draws that repeat.
        data_format: "channels_last" (also None) or "channels_first".

    Shape: (batch, height, width, channels) or one image -> the same, floats
    Raises: ArgumentError for a factor or scale outside 0 to 1, or another fill_value.
    Source: Zhong et al., 1708.04896.
    """

    def __init__(
        self,
        factor: Any = 1.0,
        scale: Any = (0.02, 0.33),
        fill_value: Any = None,
        value_range: Any = (0, 255),
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(value_range, seed=seed, data_format=data_format, **kwargs)
        self._set_factor(factor)
        self.scale = as_factor(self.label, "scale", scale, (0, 1))
        values = fill_value if isinstance(fill_value, (tuple, list)) else (fill_value,) * 3
        real = all(isinstance(each, numbers.Real) for each in values) and len(values) == 3
        if fill_value is not None and not real:
            raise ArgumentError(
                f"{self.label}: fill_value must be a number, three numbers or None, "
                f"got {fill_value!r}."
            )
        self.fill_value = fill_value

    def drawn(self, data: Any, draws: Draws) -> Any:
        batch, height, width = self.sizes_of(data)
        parts = draws.uniform((batch, 2), *self.scale).sqrt()
        x = self._sides(draws, width, parts[:, 0])
        y = self._sides(draws, height, parts[:, 1])
        return {
            "batch_masks": self._inside(x, y, (height, width)),
            "apply_erasing": draws.chances(batch, self.factor),
            "fill_value": self._filling(data, draws),
        }

    def _filling(self, data: Any, draws: Draws) -> Tensor:
        if self.fill_value is None:
            return self.clip(draws.normal(images_of(data).shape) * self.value_range[1])
        value = torch.tensor(self.fill_value, dtype=torch.float32, device=draws.device)
        return self.clip(self.by_channel(value) if value.ndim else value)

    def _changed(
        self, images: Tensor, transformation: Any, interpolation: str, dtype: torch.dtype
    ) -> Tensor:
        if transformation is None:
            return images.to(dtype)
        filling = torch.as_tensor(transformation["fill_value"], device=images.device)
        chosen = torch.as_tensor(transformation["apply_erasing"], device=images.device)
        return covered(images, transformation["batch_masks"], filling, chosen, dtype)


class CutMix(_Rectangles):
    """Put a rectangle of another image of the batch into each image; labels are mixed by area.

    Args:
        factor: strength, 0 to 1: a draw from 0 to a number, or between two, is the parameter of
            the Beta distribution that the areas come from.
        seed: an int for draws that repeat.
        data_format: "channels_last" (also None) or "channels_first".

    Shape: (batch, height, width, channels) -> the same, floats; one image stays as it is
    Raises: ArgumentError for a factor outside 0 to 1; NotImplementedError for boxes.
    Source: Yun et al., 1905.04899.
    """

    def __init__(
        self, factor: Any = 1.0, seed: Any = None, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self._set_factor(factor)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training or images_of(data).ndim == 3:
            return None
        draws, (batch, height, width) = self.draws(data, seed), self.sizes_of(data)
        alpha = float(self.draws(data, seed, "cpu").uniform((), *self.factor)) + 1e-6
        part = (1 - draws.dirichlet(alpha, (batch, 2))[:, 0]).sqrt()
        x, y = self._sides(draws, width, part), self._sides(draws, height, part)
        return {
            "batch_masks": self._inside(x, y, (height, width)),
            "mix_weight": 1 - (x[1] - x[0]) * (y[1] - y[0]) / (width * height),
            "permutation_order": draws.order(batch),
        }

    def _changed(
        self, images: Tensor, transformation: Any, interpolation: str, dtype: torch.dtype
    ) -> Tensor:
        if transformation is None:
            return images.to(dtype)
        others = images[transformation["permutation_order"]]
        return covered(images, transformation["batch_masks"], others, None, dtype)

    def transform_labels(
        self, labels: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        mixed = training and transformation is not None
        return _mixed_labels(labels, transformation) if mixed else labels

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        raise NotImplementedError(f"{self.label} cannot cut boxes. Leave bounding_boxes out.")

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        given = transformation if training else None
        return self._changed(segmentation_masks, given, "", segmentation_masks.dtype)
