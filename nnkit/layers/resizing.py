"""Images to one size: by interpolation, or by cutting out the middle."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from nnkit.convert import in_range
from nnkit.errors import ArgumentError
from nnkit.layers.images import ImageLayer
from nnkit.probing import like
from nnkit.shapes import one_of, positive

__all__ = ["CenterCrop", "Resizing"]

_MODES = {"bilinear": "bilinear", "nearest": "nearest-exact", "bicubic": "bicubic"}


class _Sized(ImageLayer):
    """Base of the layers that give images a new size."""

    def __init__(self, height: int, width: int, data_format: str | None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.height = positive(self.label, "height", height)
        self.width = positive(self.label, "width", width)

    def new_shape(self, shape: Any) -> tuple[int, ...]:
        """The output shape for an input shape."""
        return self.sized(shape, (self.height, self.width))


def _middle(height: int, width: int, target: tuple[int, int]) -> tuple[slice, slice]:
    """The largest part in the middle of an image that has the target's proportions."""
    tall = max(min(height, int(width * target[0] / target[1])), 1)
    wide = max(min(width, int(height * target[1] / target[0])), 1)
    top, left = (height - tall) // 2, (width - wide) // 2
    return slice(top, top + tall), slice(left, left + wide)


def _resize(
    images: torch.Tensor, size: tuple[int, int], mode: str, antialias: bool = False
) -> torch.Tensor:
    batch = images if images.ndim == 4 else images[None]
    smooth = mode != "nearest"
    resized = F.interpolate(
        batch,
        size,
        mode=_MODES[mode],
        align_corners=False if smooth else None,
        antialias=antialias and smooth,
    )
    return resized if images.ndim == 4 else resized[0]


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
        self.interpolation = one_of(self.label, "interpolation", interpolation, tuple(_MODES))
        self.fill_mode = one_of(self.label, "fill_mode", fill_mode, ("constant",))
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            raise ArgumentError(f"{self.label} crops or pads to the aspect ratio, not both.")
        self.crop_to_aspect_ratio = crop_to_aspect_ratio
        self.pad_to_aspect_ratio = pad_to_aspect_ratio
        self.fill_value, self.antialias = float(fill_value), bool(antialias)

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        return inputs.new_empty(self.new_shape(inputs.shape))

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        size = (self.height, self.width)
        exact = inputs.dtype in (torch.float32, torch.float64)
        images = self.channels_first(inputs if exact else inputs.float())
        height, width = images.shape[-2:]
        if self.crop_to_aspect_ratio:
            rows, columns = _middle(height, width, size)
            images = images[..., rows, columns]
        elif self.pad_to_aspect_ratio:
            tall = max(height, int(width * size[0] / size[1])) - height
            wide = max(width, int(height * size[1] / size[0])) - width
            sides = (wide // 2, wide // 2, tall // 2, tall // 2)
            images = F.pad(images, sides, value=self.fill_value)
        resized = self.as_given(_resize(images, size, self.interpolation, self.antialias))
        return in_range(resized, inputs.dtype)


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

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        return like(inputs, self.new_shape(inputs.shape))

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        size = (self.height, self.width)
        images = self.channels_first(
            inputs if inputs.is_floating_point() else inputs.to(self._compute)
        )
        height, width = images.shape[-2:]
        if height >= size[0] and width >= size[1]:
            top, left = (height - size[0]) // 2, (width - size[1]) // 2
            return self.as_given(images[..., top : top + size[0], left : left + size[1]])
        rows, columns = _middle(height, width, size)
        return self.as_given(_resize(images[..., rows, columns], size, "bilinear"))
