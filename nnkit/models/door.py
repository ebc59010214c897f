"""Where data enters a functional model: its shape and dtype are checked at each input."""

from __future__ import annotations

import math
from typing import Any

import torch

from nnkit.errors import ArgumentError, ShapeError
from nnkit.shapes import describe
from nnkit.symbolic import SymbolicTensor

__all__ = ["Door"]


class Door:
    """Checks and casts what comes in at one input.

    Args:
        tensor: the input.
    """

    def __init__(self, tensor: SymbolicTensor) -> None:
        self.name = tensor.node.op.name
        self.shape = tensor.shape
        self.dtype = self.declared = tensor.dtype
        self.fixed = tuple((i, size) for i, size in enumerate(self.shape) if size is not None)

    def __call__(self, value: Any, model: Any) -> torch.Tensor:
        if not isinstance(value, torch.Tensor):
            value = self._tensor(value, model)
        if value.ndim != len(self.shape):
            value = self._with_rank(value)
        fits = value.ndim == len(self.shape)
        sizes = value.shape
        for axis, size in self.fixed if fits else ():
            if sizes[axis] != size:
                fits = False
        if not fits and not model._admits(tuple(sizes)):
            raise ShapeError(
                f"{model.label} expects {describe(self.shape)} at its input {self.name!r} but "
                f"received {describe(tuple(sizes))}. {self._advice(tuple(sizes))}"
            )
        return value if value.dtype is self.dtype else value.to(self.dtype)

    def _tensor(self, value: Any, model: Any) -> torch.Tensor:
        try:
            return torch.as_tensor(value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ArgumentError(
                f"{model.label} needs an array or tensor of numbers at its input {self.name!r}, "
                f"got {type(value).__name__}."
            ) from error

    def _with_rank(self, value: torch.Tensor) -> torch.Tensor:
        """Keras's courtesy: a last axis of size 1 may be missing or too much."""
        if value.ndim == len(self.shape) - 1 and self.shape[-1] == 1:
            return value.unsqueeze(-1)
        if value.ndim == len(self.shape) + 1 and value.shape[-1] == 1:
            return value.squeeze(-1)
        return value

    def _advice(self, sizes: tuple[int, ...]) -> str:
        if len(sizes) == len(self.shape) - 1 and all(
            size == sizes[axis - 1] for axis, size in self.fixed if axis
        ):
            return "The batch axis seems to be missing: give x[None], or an array of samples."
        if len(sizes) == 4 and len(self.shape) == 4 and sizes[1] == self.shape[-1]:
            return "The channels seem to come first: permute them to the end, x.movedim(1, -1)."
        wanted = [size for _, size in self.fixed]
        known = len(wanted) == len(self.shape) - 1 and self.shape[0] is None
        if known and math.prod(wanted) == math.prod(sizes[1:]):
            return f"The data has as many numbers: x.reshape({', '.join(map(str, (-1, *wanted)))})."
        return "Reshape the data, or change the Input's shape."
