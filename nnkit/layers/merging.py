"""Layers that make one tensor of several, and the functions of the same names."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F

from nnkit.arguments import check_axes
from nnkit.errors import ArgumentError, ShapeError
from nnkit.layer import Layer
from nnkit.probing import like
from nnkit.shapes import Shape, describe

__all__ = [
    "Add", "Average", "Concatenate", "Dot", "Maximum", "Merge", "Minimum", "Multiply", "Subtract",
    "Tensors", "add", "average", "concatenate", "dot", "maximum", "minimum", "multiply", "subtract",
]  # fmt: skip

Tensors = list[torch.Tensor] | tuple[torch.Tensor, ...]


class Merge(Layer):
    """Base of the layers that take a list of tensors and combine them element by element.

    Sizes must be equal, or 1, which is repeated. Tensors of fewer axes get axes of size 1 after the
    batch axis. The output's mask is True where any input's is; one input without mask clears it.

    Attributes:
        exactly: how many inputs there must be; any number from 1 on when None.
    """

    supports_masking = True
    exactly: ClassVar[int | None] = None

    def check_input(self, shape: Any) -> None:
        one = isinstance(shape, tuple) and all(n is None or isinstance(n, int) for n in shape)
        if one or not isinstance(shape, (list, tuple)):
            came = f"one tensor {describe(shape)}" if one else f"a {type(shape).__name__}"
            raise ShapeError(
                f"{self.label} expects a list of tensors but received {came}. "
                f"Call it on a list: {type(self).__name__}(...)([a, b])."
            )
        for at, item in enumerate(shape):
            if not isinstance(item, tuple):
                raise ShapeError(
                    f"{self.label} expects tensors in its list, but item {at} is none. "
                    f"Turn arrays and numbers into tensors with torch.as_tensor."
                )
        if not shape or len(shape) != (self.exactly or len(shape)):
            wanted = f"{self.exactly} tensors" if self.exactly else "at least one tensor"
            raise ShapeError(f"{self.label} expects {wanted} in its list, got {len(shape)}.")
        self.check_shapes(list(shape))

    def check_shapes(self, shapes: list[Shape]) -> None:
        """Raise a ShapeError unless tensors of these shapes can be combined."""
        if shapes.count(shapes[0]) == len(shapes):
            return
        for one, other in itertools.combinations(shapes, 2):
            if one and other and None not in (one[0], other[0]) and one[0] != other[0]:
                self._refuse(one, other, "their batch sizes differ")
            for back in range(1, min(len(one), len(other))):
                sizes = {one[-back], other[-back]} - {1, None}
                if len(sizes) > 1:
                    axis = len(one) - back if len(one) == len(other) else -back
                    self._refuse(one, other, f"axis {axis} is {one[-back]} and {other[-back]}")

    def _refuse(self, one: Shape, other: Shape, why: str) -> None:
        raise ShapeError(
            f"{self.label} cannot combine {describe(one)} and {describe(other)}: {why}. "
            f"Sizes must be equal, or 1; bring them to one size with Dense, Reshape or padding."
        )

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None or any(one is None for one in mask):
            return None
        return functools.reduce(torch.logical_or, mask)

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        dtype = functools.reduce(torch.promote_types, [x.dtype for x in inputs])
        return inputs[0].new_empty(self.output_shape([x.shape for x in inputs]), dtype=dtype)

    def output_shape(self, shapes: list[torch.Size]) -> list[int]:
        """The output's shape; free sizes that should be equal may differ, the smallest counts."""
        rank = max(len(shape) for shape in shapes)
        ranked = [(*shape[:1], *[1] * (rank - len(shape)), *shape[1:]) for shape in shapes]
        return [
            min([size for size in sizes if size != 1], default=1)
            for sizes in zip(*ranked, strict=True)
        ]

    def call(self, inputs: Tensors) -> torch.Tensor:
        return self.merge(_one_rank(inputs))

    def merge(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        """Combine tensors of one rank."""
        raise NotImplementedError(f"{type(self).__name__} has no merge(self, inputs).")


def _one_rank(inputs: Tensors) -> list[torch.Tensor]:
    rank = max([x.ndim for x in inputs])
    return [x if x.ndim == rank else x[(slice(None), *[None] * (rank - x.ndim))] for x in inputs]


def _widened(inputs: list[torch.Tensor], before: Tensors, mask: Any) -> list[Any]:
    """Each mask with the rank of its input; None for inputs whose axes have been moved."""
    return [
        m[(..., *[None] * (x.ndim - m.ndim))] if m is not None and old.ndim == x.ndim else None
        for x, old, m in zip(inputs, before, mask, strict=True)
    ]


class Add(Merge):
    """Add tensors.

    Shape: [(batch, ...), ...] -> (batch, ...)
    Raises: ShapeError when the sizes do not match.
    """

    def merge(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        return functools.reduce(torch.add, inputs)


class Subtract(Merge):
    """Subtract the second tensor from the first.

    Shape: [(batch, ...), (batch, ...)] -> (batch, ...)
    Raises: ShapeError unless there are two inputs whose sizes match.
    """

    exactly = 2

    def merge(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        return inputs[0] - inputs[1]


class Average(Merge):
    """The mean of tensors, element by element.

    Shape: [(batch, ...), ...] -> (batch, ...)
    Raises: ShapeError when the sizes do not match.
    """

    def merge(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        return functools.reduce(torch.add, inputs) / len(inputs)

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        made = super().infer_output(inputs, **kwargs)
        return like(made, made.shape)  # the mean of integers is a float


class Multiply(Merge):
    """Multiply tensors; a masked step counts as 1, and as 0 where all inputs are masked.

    Shape: [(batch, ...), ...] -> (batch, ...)
    Raises: ShapeError when the sizes do not match.
    """

    def call(self, inputs: Tensors, mask: Any = None) -> torch.Tensor:
        ranked = _one_rank(inputs)
        if mask is None:
            return functools.reduce(torch.mul, ranked)
        masks = _widened(ranked, inputs, mask)
        ranked = [
            x if m is None else x.masked_fill(~m, 1) for x, m in zip(ranked, masks, strict=True)
        ]
        product = functools.reduce(torch.mul, ranked)
        if any(m is None for m in masks):
            return product
        return product.masked_fill(~functools.reduce(torch.logical_or, masks), 0)


class _Extreme(Merge):
    """Maximum and Minimum: a masked step leaves the choice to the other inputs."""

    choose: ClassVar[Callable[[torch.Tensor, torch.Tensor], torch.Tensor]]

    def call(self, inputs: Tensors, mask: Any = None) -> torch.Tensor:
        choose = type(self).choose
        ranked = _one_rank(inputs)
        if mask is None:
            return functools.reduce(choose, ranked)
        masks = _widened(ranked, inputs, mask)
        output, output_mask = ranked[0], masks[0]
        for x, one in zip(ranked[1:], masks[1:], strict=True):
            other = x if one is None else torch.where(one, x, output)
            kept = output if output_mask is None else torch.where(output_mask, output, other)
            both = one is not None and output_mask is not None
            output, output_mask = choose(kept, other), (output_mask | one) if both else None
        return output


class Maximum(_Extreme):
    """The largest of each element.

    Shape: [(batch, ...), ...] -> (batch, ...)
    Raises: ShapeError when the sizes do not match.
    """

    choose = torch.maximum


class Minimum(_Extreme):
    """The smallest of each element.

    Shape: [(batch, ...), ...] -> (batch, ...)
    Raises: ShapeError when the sizes do not match.
    """

    choose = torch.minimum


class Concatenate(Merge):
    """Join tensors end to end along an axis.

    Args:
        axis: the axis to join, the batch axis counted.

    Shape: [(batch, ..., a), (batch, ..., b)] -> (batch, ..., a + b)
    Raises: ShapeError when the other axes differ.
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = check_axes(self, axis)

    def check_shapes(self, shapes: list[Shape]) -> None:
        first = shapes[0]
        rank = len(first)
        if not -rank <= self.axis < rank:
            raise ShapeError(
                f"{self.label} joins axis {self.axis}, not there in {describe(first)}. "
                f"Change axis=; axis 0 is the batch."
            )
        for other in shapes[1:]:
            wrong = [
                f"axis {axis} is {a} and {b}"
                for axis, (a, b) in enumerate(zip(first, other, strict=False))
                if axis != self.axis % rank and a != b and None not in (a, b)
            ]
            if len(other) != rank:
                wrong = [f"they have {rank} and {len(other)} axes"]
            if wrong:
                raise ShapeError(
                    f"{self.label} cannot join {describe(first)} and {describe(other)} along axis "
                    f"{self.axis}: {', '.join(wrong)}. All other axes must be equal."
                )

    def output_shape(self, shapes: list[torch.Size]) -> list[int]:
        found = [min(sizes) for sizes in zip(*shapes, strict=True)]
        found[self.axis] = sum(shape[self.axis] for shape in shapes)
        return found

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        known = next((one for one in mask or () if one is not None), None)
        if known is None:
            return None
        # An input without a mask counts everywhere; its mask has the axes the others have.
        masks = [
            torch.ones_like(x[(..., *[0] * (x.ndim - known.ndim))], dtype=torch.bool)
            if one is None
            else one
            for x, one in zip(inputs, mask, strict=True)
        ]
        axis = self.axis % inputs[0].ndim
        if axis < known.ndim:
            return torch.cat(masks, dim=axis)
        return functools.reduce(torch.logical_or, masks)

    def call(self, inputs: Tensors) -> torch.Tensor:
        return torch.cat(inputs, dim=self.axis)


class Dot(Merge):
    """Sum the products of two tensors along an axis of each, sample by sample.

    Args:
        axes: the axis of both, or (of the first, of the second), the batch axis counted.
        normalize: divide by the lengths along the axis first, which gives the cosine.

    Shape: [(batch, ..., n), (batch, ..., n)] -> (batch, rest of the first, rest of the second);
        (batch, 1) for two matrices
    Raises: ShapeError when the axes differ in size.
    """

    exactly = 2

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        pair = tuple(axes) if isinstance(axes, (list, tuple)) else (axes, axes)
        ints = all(isinstance(axis, int) and not isinstance(axis, bool) for axis in pair)
        if len(pair) != 2 or not ints or 0 in pair:
            raise ArgumentError(
                f"{self.label}: axes must be an int or two ints other than 0, the batch axis, "
                f"got {axes!r}."
            )
        self.axes = axes
        self._pair: tuple[int, int] = (pair[0], pair[1])
        self.normalize = normalize

    def check_shapes(self, shapes: list[Shape]) -> None:
        for shape, axis in zip(shapes, self._pair, strict=True):
            if not -len(shape) < axis < len(shape):
                raise ShapeError(
                    f"{self.label} sums over axis {axis}, not there in {describe(shape)}. "
                    f"Axis 0 is the batch; change axes={self.axes}."
                )
        (one, other), (a, b) = shapes, self._pair
        what = f"{self.label} cannot multiply {describe(one)} and {describe(other)}"
        if None not in (one[0], other[0]) and one[0] != other[0]:
            raise ShapeError(f"{what}: their batch sizes differ. Give as many samples to both.")
        if None not in (one[a], other[b]) and one[a] != other[b]:
            raise ShapeError(
                f"{what}: axis {a} of the first is {one[a]}, axis {b} of the second {other[b]}. "
                f"Change axes={self.axes} or the sizes."
            )

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        self.check_shapes([tuple(x.shape) for x in inputs])
        shapes = [[*x.shape] for x in inputs]
        for shape, axis in zip(shapes, self._pair, strict=True):
            del shape[axis]
        rest = [*shapes[0][1:], *shapes[1][1:]]
        return inputs[0].new_empty([shapes[0][0], *(rest or [1])])

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None

    def call(self, inputs: Tensors) -> torch.Tensor:
        first = inputs[0].movedim(self._pair[0], -1)
        second = inputs[1].movedim(self._pair[1], 1)
        if self.normalize:
            first, second = F.normalize(first, dim=-1, eps=1e-7), F.normalize(second, eps=1e-7)
        rows, columns = first.shape[1:-1], second.shape[2:]
        # As matrices, (batch, rows, n) and (batch, n, columns); no rest makes one row or column.
        left = first.flatten(1, -2) if rows else first.unsqueeze(1)
        right = second.flatten(2) if columns else second.unsqueeze(2)
        rest = (*rows, *columns)
        return torch.bmm(left, right).reshape(first.shape[0], *(rest or (1,)))


def add(inputs: Any, **kwargs: Any) -> Any:
    """Add the tensors of a list; see `Add`."""
    return Add(**kwargs)(inputs)


def subtract(inputs: Any, **kwargs: Any) -> Any:
    """Subtract the second tensor of a list from the first; see `Subtract`."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Any, **kwargs: Any) -> Any:
    """Multiply the tensors of a list; see `Multiply`."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Any, **kwargs: Any) -> Any:
    """The mean of the tensors of a list; see `Average`."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Any, **kwargs: Any) -> Any:
    """The largest of each element of the tensors of a list; see `Maximum`."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Any, **kwargs: Any) -> Any:
    """The smallest of each element of the tensors of a list; see `Minimum`."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """Join the tensors of a list along `axis`; see `Concatenate`."""
    return Concatenate(axis, **kwargs)(inputs)


def dot(inputs: Any, axes: Any = -1, **kwargs: Any) -> Any:
    """Sum the products of two tensors along an axis of each; see `Dot`."""
    return Dot(axes, **kwargs)(inputs)
