"""Images to one size: by interpolation, or by cutting out the middle."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnkit.arguments import number, one_of, positive
from nnkit.errors import ArgumentError
from nnkit.layers.augmentation.base import BaseImagePreprocessingLayer, images_of
from nnkit.layers.augmentation.boxes import clip_to_image_size, convert_format
from nnkit.ops.resizing import resize

__all__ = ["CenterCrop", "Resizing"]

_KINDS = ("bilinear", "nearest", "bicubic")


class _Sized(BaseImagePreprocessingLayer):
    """Base of the layers that give images a new size, in training and inference."""

    starts_in_training = False
    _USE_BASE_FACTOR = False

    def __init__(self, height: int, width: int, data_format: str | None, **kwargs: Any) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.height = positive(self.label, "height", height)
        self.width = positive(self.label, "width", width)

    def output_shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return self.sized(shape, (self.height, self.width))

    def size_before(self, transformation: Any) -> tuple[int, int]:
        """Height and width of the images that a transformation was made for."""
        raise NotImplementedError

    def box_map(self, height: int, width: int) -> tuple[float, float, float, float]:
        """Factors across and down for the corners of boxes, and what is added to them then."""
        raise NotImplementedError

    def transform_labels(
        self, labels: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return labels

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return self._transform_images(segmentation_masks, transformation, "nearest")

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        form, (height, width) = self.bounding_box_format or "xyxy", self.size_before(transformation)
        corners = convert_format(bounding_boxes, form, "xyxy", height, width)
        boxes = corners["boxes"]
        numbers = boxes.new_tensor(self.box_map(height, width))
        moved = boxes * numbers[:2].repeat(2) + numbers[2:].repeat(2)
        changed = clip_to_image_size({**corners, "boxes": moved}, self.height, self.width)
        # Boxes of zeros, or of -1, fill up images that have fewer.
        filling = ((boxes == 0) | (boxes == -1)).all(-1, keepdim=True)
        changed["boxes"] = torch.where(filling, 0.0, changed["boxes"])
        return convert_format(changed, "xyxy", form, self.height, self.width)


class Resizing(_Sized):
    """Resize images.

    Args:
        height, width: of the outputs, in pixels.
        interpolation: "bilinear", "nearest" or "bicubic".
        crop_to_aspect_ratio: keep proportions, cut off what is too much at the sides.
        pad_to_aspect_ratio: keep proportions, add borders of `fill_value`.
        fill_mode: "constant" is the only one.
        antialias: smooth before making smaller; has no effect on "nearest".
        data_format: "channels_last", or "channels_first" for (batch, channels, height, width).

    Shape: (batch, height, width, channels) -> (batch, new_height, new_width, channels); also one
        image without batch. The dtype stays; whole numbers are rounded and kept in range.
    Raises: ShapeError for other ranks.
    """

    keeps_dtype = True

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(height, width, data_format, **kwargs)
        self.interpolation = one_of(self.label, "interpolation", interpolation, _KINDS)
        self.fill_mode = one_of(self.label, "fill_mode", fill_mode, ("constant",))
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            raise ArgumentError(f"{self.label} crops or pads to the aspect ratio, not both.")
        self.crop_to_aspect_ratio = crop_to_aspect_ratio
        self.pad_to_aspect_ratio = pad_to_aspect_ratio
        self.fill_value = float(number(self, "fill_value", fill_value))
        self.antialias = bool(antialias)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        return self.sizes_of(data)[1:]

    def size_before(self, transformation: Any) -> tuple[int, int]:
        height, width = transformation
        return height, width

    def transform_images(
        self, images: Tensor, transformation: Any = None, training: bool = True
    ) -> Tensor:
        return self._transform_images(images, transformation, self.interpolation)

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        resized: Tensor = resize(
            images,
            (self.height, self.width),
            interpolation,
            self.antialias,
            self.crop_to_aspect_ratio,
            self.pad_to_aspect_ratio,
            self.fill_mode,
            self.fill_value,
            self.data_format,
        )
        return resized

    def box_map(self, height: int, width: int) -> tuple[float, float, float, float]:
        across, down = self.width / width, self.height / height
        if self.pad_to_aspect_ratio:
            scale = min(across, down)
            return (
                scale,
                scale,
                (self.width - width * scale) // 2,
                (self.height - height * scale) // 2,
            )
        if self.crop_to_aspect_ratio:
            scale = max(across, down)
            left, top = (width * scale - self.width) // 2, (height * scale - self.height) // 2
            return scale, scale, -left, -top
        return across, down, 0.0, 0.0


class CenterCrop(_Sized):
    """Cut out the middle of images; smaller images are cut to the proportions and resized.

    Args:
        height, width: of the outputs, in pixels.
        data_format: "channels_last", or "channels_first" for (batch, channels, height, width).

    Shape: (batch, height, width, channels) -> (batch, new_height, new_width, channels), floats;
        also one image without batch
    Raises: ShapeError for other ranks.
    """

    def __init__(
        self, height: int, width: int, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(height, width, data_format, **kwargs)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        return {"input_shape": tuple(images_of(data).shape)}

    def size_before(self, transformation: Any) -> tuple[int, int]:
        shape = transformation["input_shape"]
        return shape[self.axes[0]], shape[self.axes[1]]

    def transform_images(
        self, images: Tensor, transformation: Any = None, training: bool = True
    ) -> Tensor:
        return self._transform_images(self.as_floats(images), transformation, "bilinear")

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        _, height, width = self.sizes_of(images)
        size = self.height, self.width
        if height < size[0] or width < size[1]:
            resized: Tensor = resize(
                images, size, interpolation, crop_to_aspect_ratio=True, data_format=self.data_format
            )
            return resized
        top, left = (height - size[0]) // 2, (width - size[1]) // 2
        rows, columns = slice(top, top + size[0]), slice(left, left + size[1])
        return self.as_given(self.channels_first(images)[..., rows, columns])

    def box_map(self, height: int, width: int) -> tuple[float, float, float, float]:
        if height >= self.height and width >= self.width:
            return 1.0, 1.0, -((width - self.width) // 2), -((height - self.height) // 2)
        tall = max(min(height, int(width * self.height / self.width)), 1)
        wide = max(min(width, int(height * self.width / self.height)), 1)
        across, down = self.width / wide, self.height / tall
        return across, down, -((width - wide) // 2) * across, -((height - tall) // 2) * down
