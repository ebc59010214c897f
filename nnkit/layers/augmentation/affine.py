"""Images turned, moved, sheared and zoomed: a matrix for each, applied to a batch at once."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from nnkit.arguments import number, one_of
from nnkit.errors import ArgumentError
from nnkit.layers.augmentation.base import BaseImagePreprocessingLayer, images_of
from nnkit.layers.augmentation.boxes import clip_to_image_size, convert_format, moved_boxes
from nnkit.layers.augmentation.draws import Draws
from nnkit.layers.augmentation.factors import as_factor
from nnkit.ops.geometry import affine_transform

__all__ = ["RandomRotation", "RandomShear", "RandomTranslation", "RandomZoom", "WarpLayer"]

FILL_MODES = ("reflect", "wrap", "constant", "nearest")


class WarpLayer(BaseImagePreprocessingLayer):
    """Base of layers that move pixels: masks go with the images, labels stay.

    Args:
        fill_mode: what lies outside: "reflect" (d c b a | a b c d | d c b a), "nearest", "wrap" or
            "constant".
        interpolation: "bilinear" or "nearest"; masks are always "nearest".
        seed: an int for draws that repeat.
        fill_value: the constant.
        data_format: "channels_last" (also None) or "channels_first".
    """

    _USE_BASE_FACTOR = False
    fill_modes: tuple[str, ...] = FILL_MODES

    def __init__(
        self,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Any = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        self.fill_mode = one_of(self.label, "fill_mode", fill_mode, self.fill_modes)
        kinds = ("bilinear", "nearest")
        self.interpolation = one_of(self.label, "interpolation", interpolation, kinds)
        self.fill_value = number(self, "fill_value", fill_value)

    def matrix(self, transformation: Any, height: int, width: int) -> Tensor:
        """(batch, 8): from a pixel of the output to its place in the input."""
        raise NotImplementedError

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        _, height, width = self.sizes_of(images)
        moved: Tensor = affine_transform(
            images,
            self.matrix(transformation, height, width),
            interpolation,
            self.fill_mode,
            self.fill_value,
            self.data_format,
        )
        return moved

    def transform_labels(
        self, labels: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return labels

    def move_boxes(self, boxes: Tensor, transformation: Any, height: int, width: int) -> Tensor:
        """The corners (batch, boxes, 4) after the transformation."""
        return moved_boxes(boxes, self.matrix(transformation, height, width))

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        if not training or transformation is None:
            return bounding_boxes
        form, (height, width) = self.bounding_box_format or "xyxy", self.seen(transformation)
        corners = convert_format(bounding_boxes, form, "xyxy", height, width)
        boxes = corners["boxes"]
        batch = boxes if boxes.ndim == 3 else boxes.unsqueeze(0)
        moved = self.move_boxes(batch, transformation, height, width).reshape(boxes.shape)
        clipped = clip_to_image_size({**corners, "boxes": moved}, height, width)
        return convert_format(clipped, "xyxy", form, height, width)

    def seen(self, transformation: Any) -> tuple[int, int]:
        """Height and width of the images that a transformation was made for."""
        shape = transformation["input_shape"]
        return shape[self.axes[0]], shape[self.axes[1]]


def _affine(*rows: Any) -> Tensor:
    """(batch, 8) from six columns, of which at least one is a tensor (batch,)."""
    like = next(each for each in rows if isinstance(each, Tensor))
    columns = [each if isinstance(each, Tensor) else torch.full_like(like, each) for each in rows]
    return torch.stack([*columns, torch.zeros_like(like), torch.zeros_like(like)], 1)


class RandomRotation(WarpLayer):
    """Turn images around their middle.

    Args:
        factor: fraction of a full turn, -1 to 1; 0.1 turns by up to 36 degrees either way, and
            (0.1, 0.2) by 36 to 72 degrees counter-clockwise.
        fill_mode: what lies outside: "reflect", "wrap", "constant" or "nearest".
        interpolation: "bilinear" or "nearest".
        seed: an int for draws that repeat.
        fill_value: the constant.
        data_format: "channels_last" (also None) or "channels_first".

    Shape: (batch, height, width, channels) or one image -> the same, floats
    Raises: ArgumentError for a factor out of bounds or an unknown mode.
    """

    _USE_BASE_FACTOR = True

    def __init__(
        self,
        factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Any = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            fill_mode, interpolation, seed, fill_value, data_format, factor=factor, **kwargs
        )

    def drawn(self, data: Any, draws: Draws) -> Any:
        batch, height, width = self.sizes_of(data)
        low, high = self.factor
        angle = draws.uniform((batch,), low * 360.0, high * 360.0)
        return {
            "angle": angle,
            "rotation_matrix": self._turn(angle, height, width),
            "image_height": height,
            "image_width": width,
            "batch_size": batch,
        }

    def _turn(self, angle: Tensor, height: int, width: int) -> Tensor:
        cos, sin = torch.cos(angle * (math.pi / 180)), torch.sin(angle * (math.pi / 180))
        x, y = 0.5 * (width - 1), 0.5 * (height - 1)
        return _affine(cos, -sin, x - x * cos + y * sin, sin, cos, y - x * sin - y * cos)

    def matrix(self, transformation: Any, height: int, width: int) -> Tensor:
        matrix: Tensor = transformation["rotation_matrix"]
        return matrix.reshape(-1, 8)

    def seen(self, transformation: Any) -> tuple[int, int]:
        return transformation["image_height"], transformation["image_width"]


class RandomTranslation(WarpLayer):
    """Move images up, down, left and right.

    Args:
        height_factor: fraction of the height, -1 to 1; 0.2 moves by up to 20% either way, and
            (-0.2, 0.3) from 20% up to 30% down.
        width_factor: the same for the width; positive is to the right.
        fill_mode: what lies outside: "reflect", "wrap", "constant" or "nearest".
        interpolation: "bilinear" or "nearest".
        seed: an int for draws that repeat.
        fill_value: the constant.
        data_format: "channels_last" (also None) or "channels_first".

    Shape: (batch, height, width, channels) or one image -> the same, floats
    Raises: ArgumentError for a factor out of bounds or an unknown mode.
    """

    def __init__(
        self, height_factor: Any, width_factor: Any, fill_mode: str = "reflect",
        interpolation: str = "bilinear", seed: Any = None, fill_value: float = 0.0,
        data_format: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._rows = as_factor(self.label, "height_factor", height_factor, (-1, 1))
        self._columns = as_factor(self.label, "width_factor", width_factor, (-1, 1))

    def drawn(self, data: Any, draws: Draws) -> Any:
        batch, height, width = self.sizes_of(data)
        down = draws.uniform((batch, 1), *self._rows) * height
        right = draws.uniform((batch, 1), *self._columns) * width
        return {
            "translations": torch.cat((right, down), 1),
            "input_shape": tuple(images_of(data).shape),
        }

    def matrix(self, transformation: Any, height: int, width: int) -> Tensor:
        right, down = transformation["translations"].unbind(1)
        return _affine(1.0, 0.0, -right, 0.0, 1.0, -down)


class RandomShear(WarpLayer):
    """Slant images along an axis.

    Args:
        x_factor: how far a row moves sideways for each row further down, 0 to 1: 0.3 for up to 0.3
            either way, or a pair of sizes whose sign is drawn.
        y_factor: the same for columns.
        interpolation: "bilinear" or "nearest".
        fill_mode: what lies outside: "reflect", "wrap", "constant" or "nearest".
        fill_value: the constant.
        data_format: "channels_last" (also None) or "channels_first".
        seed: an int for draws that repeat.

    Shape: (batch, height, width, channels) or one image -> the same, floats
    Raises: ArgumentError for a factor out of bounds or an unknown mode.
    """

    def __init__(
        self,
        x_factor: Any = 0.0,
        y_factor: Any = 0.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        data_format: str | None = None,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.x_factor = self._range("x_factor", x_factor)
        self.y_factor = self._range("y_factor", y_factor)

    def _range(self, argument: str, factor: Any) -> tuple[float, float]:
        # Keras writes (-0.2, 0.2) into files for 0.2.
        pair = isinstance(factor, (tuple, list))
        return as_factor(self.label, argument, factor, (-1 if pair else 0, 1), -1)

    def drawn(self, data: Any, draws: Draws) -> Any:
        batch, _, _ = self.sizes_of(data)
        sign = draws.signs((batch, 1))
        y, x = (draws.uniform((batch, 1), *each) for each in (self.y_factor, self.x_factor))
        return {
            "shear_factor": torch.cat((x, y), 1) * sign,
            "input_shape": tuple(images_of(data).shape),
        }

    def matrix(self, transformation: Any, height: int, width: int) -> Tensor:
        x, y = transformation["shear_factor"].unbind(1)
        return _affine(1.0, x, 0.0, y, 1.0, 0.0)


class RandomZoom(WarpLayer):
    """Zoom images in and out.

    Args:
        height_factor: fraction, above -1 and up to 1; positive zooms out: (0.2, 0.3) shows 20% to
            30% more than the image, 0.2 is from 20% in to 20% out.
        width_factor: the same for the width; None keeps the proportions.
        fill_mode: what lies outside: "reflect", "wrap", "constant" or "nearest".
        interpolation: "bilinear" or "nearest".
        seed: an int for draws that repeat.
        fill_value: the constant.
        data_format: "channels_last" (also None) or "channels_first".

    Shape: (batch, height, width, channels) or one image -> the same, floats
    Raises: ArgumentError for a factor out of bounds or an unknown mode.
    """

    def __init__(
        self, height_factor: Any, width_factor: Any = None, fill_mode: str = "reflect",
        interpolation: str = "bilinear", seed: Any = None, fill_value: float = 0.0,
        data_format: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._rows = self._range("height_factor", height_factor)
        self._columns = None if width_factor is None else self._range("width_factor", width_factor)

    def _range(self, argument: str, factor: Any) -> tuple[float, float]:
        low, high = as_factor(self.label, argument, factor, (-1, 1))
        if -1 in (factor if isinstance(factor, (tuple, list)) else (factor,)):
            raise ArgumentError(f"{self.label}: {argument} must be above -1, got {factor!r}.")
        return 1 + low, 1 + high

    def drawn(self, data: Any, draws: Draws) -> Any:
        batch, _, _ = self.sizes_of(data)
        rows = draws.uniform((batch, 1), *self._rows)
        columns = rows if self._columns is None else draws.uniform((batch, 1), *self._columns)
        return {
            "height_zoom": rows,
            "width_zoom": columns,
            "input_shape": tuple(images_of(data).shape),
        }

    def matrix(self, transformation: Any, height: int, width: int) -> Tensor:
        x, y = transformation["width_zoom"][:, 0], transformation["height_zoom"][:, 0]
        return _affine(x, 0.0, (width - 1) / 2 * (1 - x), 0.0, y, (height - 1) / 2 * (1 - y))
