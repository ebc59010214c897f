"""Images mirrored, and parts cut out of them: pixels go elsewhere but stay as they are."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnkit.arguments import one_of, positive
from nnkit.layers.augmentation.affine import WarpLayer
from nnkit.layers.augmentation.base import images_of
from nnkit.layers.augmentation.boxes import clip_to_image_size, convert_format
from nnkit.layers.augmentation.draws import Draws
from nnkit.ops.resizing import resize

__all__ = ["RandomCrop", "RandomFlip"]


class RandomFlip(WarpLayer):
    """Mirror each image with a chance of one half.

    Args:
        mode: "horizontal" (left becomes right), "vertical", or "horizontal_and_vertical", which
            does both to an image or nothing.
        seed: an int for draws that repeat.
        data_format: "channels_last" (also None) or "channels_first".

    Shape: (batch, height, width, channels) or one image -> the same, floats
    Raises: ArgumentError for an unknown mode.
    """

    _raw = True
    _chosen = "flips"

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__("nearest", "nearest", seed, data_format=data_format, **kwargs)
        known = ("horizontal", "vertical", "horizontal_and_vertical")
        self.mode = one_of(self.label, "mode", mode, known)

    def drawn(self, data: Any, draws: Draws) -> Any:
        images = images_of(data)
        shape = (images.shape[0], 1, 1, 1) if images.ndim == 4 else (1, 1, 1)
        flips = draws.uniform(shape) <= 0.5
        return {"flips": flips, "input_shape": tuple(images.shape)}

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        height, width, _ = self.axes
        sides = [
            axis
            for axis, name in ((width, "horizontal"), (height, "vertical"))
            if name in self.mode
        ]
        return images.flip(sides)

    def move_boxes(self, boxes: Tensor, transformation: Any, height: int, width: int) -> Tensor:
        x1, y1, x2, y2 = boxes.unbind(-1)
        if "horizontal" in self.mode:
            x1, x2 = width - x2, width - x1
        if "vertical" in self.mode:
            y1, y2 = height - y2, height - y1
        flipped = torch.stack((x1, y1, x2, y2), -1)
        return torch.where(transformation["flips"].reshape(-1, 1, 1), flipped, boxes)


class _Corner(tuple[Any, Any]):
    """The first row and column of a part, with the sizes of the part and of the image."""

    part: tuple[int, int]
    image: tuple[int, int]


class RandomCrop(WarpLayer):
    """Cut a part out of images, at a place drawn for each batch; in inference out of the middle.

    In inference, and if an image is smaller than the part, the largest window with the part's
    proportions is taken and resized.

    Args:
        height, width: of the outputs, in pixels.
        seed: an int for draws that repeat.
        data_format: "channels_last" (also None) or "channels_first".

    Shape: (batch, height, width, channels) -> (batch, new_height, new_width, channels), floats;
        also one image without batch
    Raises: ArgumentError unless the sizes are whole numbers above 0.
    """

    def __init__(
        self,
        height: int,
        width: int,
        seed: Any = None,
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__("nearest", seed=seed, data_format=data_format, name=name, **kwargs)
        self.height = positive(self.label, "height", height)
        self.width = positive(self.label, "width", width)

    def output_shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return self.sized(shape, (self.height, self.width))

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """The first row and the first column of the part."""
        _, height, width = self.sizes_of(data)
        part = (self.height, self.width)
        if training and height > part[0] and width > part[1]:
            # A compiled graph cannot hand numbers to Python: there they stay tensors.
            compiled = torch.compiler.is_compiling()
            draws = self.draws(data, seed, None if compiled else "cpu").uniform((2,))
            down, across = draws.unbind() if compiled else draws.tolist()
            down, across = down * (height - part[0] + 1), across * (width - part[1] + 1)
            corner = _Corner((down.long(), across.long()) if compiled else (int(down), int(across)))
        else:
            tall, wide = self._window(height, width)
            corner = _Corner(((height - tall) // 2, (width - wide) // 2))
            part = (min(height, part[0]), min(width, part[1])) if training else (tall, wide)
        corner.part, corner.image = part, (height, width)
        return corner

    def _window(self, height: int, width: int) -> tuple[int, int]:
        """The largest part of an image that has the proportions of the outputs."""
        tall = max(min(height, int(width * self.height / self.width)), 1)
        wide = max(min(width, int(height * self.width / self.height)), 1)
        return tall, wide

    def _part(self, images: Tensor, transformation: Any, training: bool, kind: str) -> Tensor:
        size = self.height, self.width
        tall, wide = size if training else self._window(*self.sizes_of(images)[1:])
        places = transformation if torch.compiler.is_compiling() else map(int, transformation)
        rows, columns = (
            start + torch.arange(length, device=images.device)
            if isinstance(start, Tensor)
            else slice(start, start + length)
            for start, length in zip(places, (tall, wide), strict=True)
        )
        part = self.as_given(self.channels_first(images)[..., rows, :][..., columns])
        if self.sizes_of(part)[1:] == size:
            return part
        part = part if kind == "nearest" else self.as_floats(part)
        resized: Tensor = resize(part, size, kind, data_format=self.data_format)
        return resized

    def transform_images(
        self, images: Tensor, transformation: Any = None, training: bool = True
    ) -> Tensor:
        return self.as_floats(self._part(images, transformation, training, "bilinear"))

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return self._part(segmentation_masks, transformation, training, "nearest")

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        form, size = self.bounding_box_format or "xyxy", (self.height, self.width)
        image = getattr(transformation, "image", size)
        tall, wide = getattr(transformation, "part", size)
        corners = convert_format(bounding_boxes, form, "xyxy", *image)
        top, left = (int(each) for each in transformation)
        offset = corners["boxes"].new_tensor([left, top] * 2)
        scale = corners["boxes"].new_tensor([size[1] / wide, size[0] / tall] * 2)
        moved = {**corners, "boxes": (corners["boxes"] - offset) * scale}
        return convert_format(clip_to_image_size(moved, *size), "xyxy", form, *size)
