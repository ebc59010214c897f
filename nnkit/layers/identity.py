"""Layers that pass their input on: unchanged, or with a mask."""

from __future__ import annotations

import math
import numbers
from typing import Any

import torch

from nnkit.errors import ArgumentError
from nnkit.layer import Layer

__all__ = ["Identity", "Masking", "SameShape"]


class SameShape(Layer):
    """Base of layers whose output has the input's shape, and its mask."""

    supports_masking = True
    keeps_shape = True


class Identity(Layer):
    """Return the input itself, a tensor or any nesting of tensors.

    Shape: any -> the same
    """

    supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs


class Masking(Layer):
    """Mark the time steps whose features all have one value, for later layers to skip.

    Args:
        mask_value: the value that padding was filled with.

    Shape: (batch, ..., features) -> the same, zero where masked; the mask is (batch, ...)
    Raises: ArgumentError unless mask_value is a number; NaN equals nothing and is refused.
    """

    accepts = "(batch, ..., features)"
    supports_masking = True

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        real = isinstance(mask_value, numbers.Real)
        if not real or math.isnan(mask_value):
            raise ArgumentError(
                f"{self.label}: mask_value must be a number other than NaN, got {mask_value!r}."
            )
        self.mask_value = mask_value

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return (inputs != self.mask_value).any(-1)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        # Not a product with the mask: infinities among the padding have to go too.
        return inputs.masked_fill((inputs == self.mask_value).all(-1, keepdim=True), 0)
