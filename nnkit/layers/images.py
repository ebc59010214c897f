"""What the layers of images share: where the axes are, and what is no image."""

from __future__ import annotations

from typing import Any

import torch

from nnkit.arguments import image_format
from nnkit.errors import ShapeError
from nnkit.layer import Layer
from nnkit.shapes import describe

__all__ = ["ImageLayer"]


class ImageLayer(Layer):
    """Base of the layers that take one image or a batch of them.

    Args:
        data_format: "channels_last", or "channels_first" for (batch, channels, height, width).
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = image_format(self.label, data_format)
        self._first = self.data_format == "channels_first"

    def check_input(self, shape: Any) -> None:
        if not isinstance(shape, tuple) or len(shape) not in (3, 4):
            axes = "channels, height, width" if self._first else "height, width, channels"
            came = describe(shape) if isinstance(shape, tuple) else type(shape).__name__
            raise ShapeError(
                f"{self.label} expects images (batch, {axes}) or one ({axes}), but received {came}."
            )

    @property
    def axes(self) -> tuple[int, int, int]:
        """Where height, width and channels are, counted from the end."""
        return (-2, -1, -3) if self._first else (-3, -2, -1)

    def sized(self, shape: Any, size: tuple[int, int]) -> tuple[int, ...]:
        """The shape of these images with another height and width."""
        return (*shape[:-2], *size) if self._first else (*shape[:-3], *size, shape[-1])

    def channels_first(self, images: torch.Tensor) -> torch.Tensor:
        """A view (..., channels, height, width)."""
        return images if self._first else images.movedim(-1, -3)

    def as_given(self, images: torch.Tensor) -> torch.Tensor:
        """The view with channels where the user has them."""
        return images if self._first else images.movedim(-3, -1)
