"""Normalization over the batch, over features, over groups of channels, and to unit length."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from nnkit import initializers
from nnkit.errors import ArgumentError, ShapeError
from nnkit.layer import Layer
from nnkit.shapes import Shape, describe, positive
from nnkit.weights import keras_view

__all__ = [
    "BatchNormalization",
    "GroupNormalization",
    "LayerNormalization",
    "RMSNormalization",
    "UnitNormalization",
]


class _Normalization(Layer):
    """What the layers share: a scale gamma, an offset beta, and the axes they work along."""

    supports_masking = True
    gamma = keras_view("weight")
    beta = keras_view("bias")

    def set_axis(self, axis: Any, several: bool = False) -> Any:
        """Keep the axis, or the axes where `several` are allowed; the batch axis is refused."""
        given = list(axis) if several and isinstance(axis, (list, tuple)) else [axis]
        for one in given:
            if isinstance(one, bool) or not hasattr(one, "__index__") or one == 0 or not given:
                kind = "a whole number or a list of them" if several else "a whole number"
                raise ArgumentError(
                    f"{self.label}: axis must be {kind} and not 0, the batch axis; got {axis!r}."
                )
        if not given:
            raise ArgumentError(f"{self.label}: axis is empty; name at least one axis.")
        return given if isinstance(axis, (list, tuple)) else int(axis)

    def resolve(self, rank: int) -> list[int]:
        """The axes counted from the front, in rising order."""
        given = self.axis if isinstance(self.axis, list) else [self.axis]
        return sorted({axis % rank for axis in given})

    def check_input(self, shape: Any) -> None:
        if not isinstance(shape, tuple):
            raise ShapeError(f"{self.label} expects one tensor, got {shape!r}.")
        rank = len(shape)
        given = self.axis if isinstance(self.axis, list) else [self.axis]
        for axis in given:
            if not -rank < axis < rank or rank < 2:
                raise ShapeError(
                    f"{self.label} normalizes axis {axis}, but received {describe(shape)}, which "
                    f"has the axes 1 to {rank - 1} besides the batch. Change axis=."
                )
        built = self.weight if self.weight is not None else self.bias
        if built is None:
            return
        sizes = tuple(shape[axis] for axis in self.resolve(rank))
        pairs = zip(sizes, built.shape, strict=False)
        if len(sizes) != built.ndim or any(size not in (None, want) for size, want in pairs):
            raise ShapeError(
                f"{self.label} was built for {tuple(built.shape)} along axis {self.axis} but "
                f"received {describe(shape)}. Make a new layer for the new size."
            )

    def add_gamma_beta(self, shape: Shape, input_shape: Shape) -> None:
        """Make the weights that `scale` and `center` ask for."""
        if None in shape:
            raise ShapeError(
                f"{self.label} needs to know the size of axis {self.axis}, but received "
                f"{describe(input_shape)}. Give that size in Input(shape=...)."
            )
        if self.scale:
            self.weight = self.add_named_weight("gamma", shape)
        if self.center:
            self.bias = self.add_named_weight("beta", shape)
