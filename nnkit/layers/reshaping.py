"""Layers that give each sample another shape, without computing with its elements."""

from __future__ import annotations

import math
from typing import Any

import torch

from nnkit.arguments import image_format, positive
from nnkit.errors import ArgumentError, ShapeError
from nnkit.layer import Layer
from nnkit.shapes import describe

__all__ = ["Flatten", "Permute", "RepeatVector", "Reshape"]


class Flatten(Layer):
    """Put all elements of a sample in one row.

    Args:
        data_format: "channels_last" (also None), or "channels_first" to move axis 1 to the end
            first, so that both formats give the same row.

    Shape: (batch, ...) -> (batch, features); (batch,) -> (batch, 1)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = image_format(self.label, data_format)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        if inputs.ndim < 2:
            return inputs.unsqueeze(-1)
        if self.data_format == "channels_first":
            inputs = inputs.movedim(1, -1)
        return inputs.flatten(1)


class Reshape(Layer):
    """Give each sample another shape.

    Args:
        target_shape: the new sizes without the batch axis; one may be -1, which takes the rest.

    Shape: (batch, ...) -> (batch, *target_shape)
    Raises: ShapeError when the number of elements differs.
    """

    def __init__(self, target_shape: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        target = tuple(target_shape) if isinstance(target_shape, (list, tuple)) else (target_shape,)
        self.target_shape = tuple(
            -1 if size in (-1, None) else positive(self.label, "a target size", size, least=0)
            for size in target
        )
        self._known = math.prod(size for size in self.target_shape if size != -1)
        if self.target_shape.count(-1) > 1 or (-1 in self.target_shape and self._known == 0):
            raise ArgumentError(
                f"{self.label}: target_shape may have one -1, and no 0 beside it, "
                f"got {self.target_shape}."
            )

    def check_input(self, shape: Any) -> None:
        if None in shape[1:]:
            return
        count, known = math.prod(shape[1:]), self._known
        if -1 not in self.target_shape and count != known:
            fault = f"{known} elements"
        elif -1 in self.target_shape and (known == 0 or count % known):
            fault = f"a multiple of {known} elements"
        else:
            return
        raise ShapeError(
            f"{self.label} cannot turn {describe(shape)} into "
            f"{describe((None, *self.target_shape))}: the input has {count} elements a sample, the "
            f"target {fault}. The batch axis does not belong in target_shape."
        )

    def _sizes(self, inputs: torch.Tensor) -> list[int]:
        # Torch cannot find a -1 when there are no samples, so it is worked out here.
        sizes = [inputs.shape[0], *self.target_shape]
        if -1 in self.target_shape:
            sizes[sizes.index(-1, 1)] = math.prod(inputs.shape[1:]) // self._known
        return sizes

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        # Not by running it: free sizes may only fit the target once they are known.
        return inputs.new_empty(self._sizes(inputs))

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.reshape(self._sizes(inputs))


class Permute(Layer):
    """Put the axes of each sample in another order.

    Args:
        dims: for each new axis, the old one it is; counted from 1, without the batch axis.

    Shape: (batch, ...) -> (batch, ...)
    Raises: ArgumentError unless dims has every number from 1 to its length once.
    Example: `Permute((2, 1))` takes (batch, time, features) to (batch, features, time).
    """

    def __init__(self, dims: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims) if isinstance(dims, (list, tuple)) else (dims,)
        if {*self.dims} != {*range(1, len(self.dims) + 1)}:
            raise ArgumentError(
                f"{self.label}: dims must hold each of 1 to the number of axes once, the batch "
                f"axis not counted, got {dims!r}."
            )

    def check_input(self, shape: Any) -> None:
        if len(shape) != len(self.dims) + 1:
            raise ShapeError(
                f"{self.label} has dims={self.dims} for {len(self.dims)} axes after the batch "
                f"axis, but received {describe(shape)}. Give one number an axis."
            )

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.permute(0, *self.dims)


class RepeatVector(Layer):
    """Repeat a vector along a new time axis.

    Args:
        n: number of time steps.

    Shape: (batch, features) -> (batch, n, features)
    Raises: ArgumentError unless n is a whole number of at least 1.
    """

    accepts = "(batch, features)"

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = positive(self.label, "n", n)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.unsqueeze(1).repeat(1, self.n, 1)

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        return inputs.new_empty((inputs.shape[0], self.n, inputs.shape[1]))
