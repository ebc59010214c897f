"""Layers that prepare raw numbers."""

from __future__ import annotations

from typing import Any

import torch

from nnkit.errors import ShapeError
from nnkit.layers.identity import SameShape
from nnkit.layers.raw_data import plain_numbers
from nnkit.shapes import describe

__all__ = ["Rescaling"]


class Rescaling(SameShape):
    """Multiply by `scale` and add `offset`, in training and inference; integers become floats.

    Args:
        scale: a number, or one for each entry of the last axes (such as channels).
        offset: the same.

    Shape: any -> the same
    Raises: ArgumentError for what is not numbers, ShapeError if they do not fit the last axes.
    Example: `Rescaling(1 / 127.5, offset=-1)` takes 0..255 to -1..1.
    """

    _scale: torch.Tensor
    _offset: torch.Tensor

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = plain_numbers(self.label, "scale", scale)
        self.offset = plain_numbers(self.label, "offset", offset)
        for name, value in (("_scale", self.scale), ("_offset", self.offset)):
            known = torch.tensor(value, dtype=self._compute) if isinstance(value, list) else None
            self.register_buffer(name, known, persistent=False)

    def check_input(self, shape: Any) -> None:
        for name, value in (("scale", self._scale), ("offset", self._offset)):
            if value is None:
                continue
            pairs = zip(reversed(value.shape), reversed(shape), strict=False)
            if value.ndim > len(shape) or any(
                n not in (1, size, None) for n, size in pairs if size
            ):
                raise ShapeError(
                    f"{self.label} has a {name} of shape {describe(value.shape)}, which does not "
                    f"fit the last axes of {describe(shape)}. Give one number, or one a channel."
                )

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        made = super().infer_output(inputs)
        return made if made.is_floating_point() else made.new_empty(made.shape, dtype=self._compute)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        scaled = inputs if inputs.is_floating_point() else inputs.to(self._compute)
        scaled = scaled * (self.scale if self._scale is None else self._scale)
        if self._offset is None and self.offset == 0:
            return scaled
        return scaled + (self.offset if self._offset is None else self._offset)
