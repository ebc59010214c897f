"""Normalization by the mean and variance of data."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np
import torch

from nnkit.errors import ArgumentError, DataError, NotBuiltError, ShapeError
from nnkit.layers.raw_data import DataLayer, as_rows, plain_numbers, read_batches
from nnkit.probing import is_meta
from nnkit.shapes import Shape, describe

__all__ = ["Normalization"]

_CHUNK = 1 << 22  # numbers that adapt() turns into doubles at a time
_EPSILON = 1e-7


class Normalization(DataLayer):
    """Subtract the mean and divide by the standard deviation of the data given to `adapt`.

    Args:
        axis: the axis or axes (batch counted) whose entries each have a mean and a variance of
            their own; None for one of all numbers.
        mean, variance: the statistics, instead of adapting; they broadcast to the axes.
        invert: do the opposite, turn normalized numbers back.

    Shape: any -> the same, as floats
    Raises: NotBuiltError when called before adapt(); ShapeError if the axes do not fit.
    Example: `layer = Normalization(); layer.adapt(x_train); layer(x_test)`
    """

    supports_masking = True
    adapt_mean: torch.Tensor
    adapt_variance: torch.Tensor

    def __init__(
        self,
        axis: Any = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        given = () if axis is None else (axis,) if not isinstance(axis, (list, tuple)) else axis
        if any(not hasattr(a, "__index__") or isinstance(a, bool) for a in given):
            raise ArgumentError(
                f"{self.label}: axis must be a whole number, several or None, got {axis!r}."
            )
        self.axis = tuple(int(a) for a in given)
        # Statistics of the last axes broadcast as they are.
        self._trailing = sorted(self.axis) == list(range(-len(self.axis), 0))
        self.invert = invert
        self.input_mean, self.input_variance = self._statistics(mean, variance)
        self._adapted = mean is not None
        self._sizes: Shape | None = None
        self._rank = 0

    def _statistics(self, mean: Any, variance: Any) -> tuple[Any, Any]:
        if (mean is None) != (variance is None):
            raise ArgumentError(f"{self.label}: mean and variance go together; give both or none.")
        if mean is None:
            return None, None
        arrays = [
            np.asarray(plain_numbers(self.label, name, value), dtype="float64")
            for name, value in (("mean", mean), ("variance", variance))
        ]
        if arrays[0].shape != arrays[1].shape or arrays[0].ndim > len(self.axis):
            raise ArgumentError(
                f"{self.label}: mean and variance need one shape with at most {len(self.axis)} "
                f"axes (those of axis={self.axis}), got {arrays[0].shape} and {arrays[1].shape}."
            )
        if not (arrays[1] >= 0).all():
            raise ArgumentError(f"{self.label}: a variance is never negative, got {variance!r}.")
        return arrays[0].tolist(), arrays[1].tolist()

    def _kept(self, rank: int) -> list[int]:
        return sorted({axis % rank for axis in self.axis})

    def check_input(self, shape: Any) -> None:
        if not isinstance(shape, tuple) or any(
            not -len(shape) <= a < len(shape) for a in self.axis
        ):
            came = describe(shape) if isinstance(shape, tuple) else repr(shape)
            raise ShapeError(
                f"{self.label} keeps axis={self.axis}, which {came} does not have. Change axis."
            )
        sizes = tuple(shape[axis] for axis in self._kept(len(shape)))
        known = self._sizes
        if known is not None and (
            len(known) != len(sizes)
            or any(size not in (None, want) for size, want in zip(sizes, known, strict=True))
        ):
            raise ShapeError(
                f"{self.label} has statistics for {known} along axis={self.axis} but received "
                f"{describe(shape)}. Give data of that size, or adapt a new layer."
            )

    def build(self, input_shape: Any) -> None:
        kept = self._kept(len(input_shape))
        sizes = tuple(input_shape[axis] for axis in kept)
        if None in sizes:
            raise ShapeError(
                f"{self.label} needs to know the sizes along axis={self.axis}, but received "
                f"{describe(input_shape)}. Give them in Input(shape=...)."
            )
        if 0 in kept:
            warnings.warn(
                f"{self.label} with axis={self.axis} has statistics of its own for each sample of "
                f"{describe(input_shape)}. For one mean of all numbers give axis=None.",
                stacklevel=2,
            )
        if self.input_mean is None:
            self.add_weight_buffer("adapt_mean", "mean", torch.zeros(sizes, dtype=self._dtype))
            self.add_weight_buffer(
                "adapt_variance", "variance", torch.ones(sizes, dtype=self._dtype)
            )
            self.add_weight_buffer("count", "count", torch.zeros((), dtype=torch.int32))
        else:
            for key, value in (("mean", self.input_mean), ("variance", self.input_variance)):
                given = torch.tensor(value, dtype=self._dtype)
                try:
                    full = given.expand(sizes).contiguous()
                except RuntimeError as error:
                    raise ShapeError(
                        f"{self.label} has a {key} of shape {describe(given.shape)}, which does "
                        f"not fit {sizes}, the sizes along axis={self.axis}."
                    ) from error
                self.register_buffer(f"adapt_{key}", full, persistent=False)
        self._sizes, self._rank = sizes, len(input_shape)

    def adapt(self, data: Any) -> None:
        """Take the mean and variance of this data.

        Args:
            data: an array, tensor or list of samples; or batches, such as a DataLoader, a list of
                arrays or a generator. Of batches (x, y) only x is read.

        Raises: DataError for no data, words, NaN or infinite values.
        """
        if self.input_mean is not None:
            raise ArgumentError(f"{self.label} was given mean and variance; it cannot adapt.")
        count, mean, variance = 0, torch.zeros(()), torch.zeros(())
        for batch in read_batches(data, self.label):
            x = _numbers(batch, self.label)
            shape = tuple(x.shape)
            self.check_input(shape)
            kept = self._kept(x.ndim)
            if not self.built:
                self.build(shape if 0 in kept else (None, *shape[1:]))
            for chunk in _chunks(x, 0 in kept):
                reduced = [axis for axis in range(x.ndim) if axis not in kept]
                new = math.prod(chunk.shape[axis] for axis in reduced)
                values = chunk.detach().cpu().double().permute(*kept, *reduced)
                # In one axis: with none left to reduce torch would reduce them all.
                values = values.reshape(*values.shape[: len(kept)], -1)
                spread, centre = torch.var_mean(values, -1, correction=0)
                share = new / (count + new)
                # Chan's formula for two parts: within each, and between their means.
                between = share * (1 - share) * (centre - mean) ** 2
                variance = (1 - share) * variance + share * spread + between
                mean = mean + share * (centre - mean)
                count += new
        if not bool(torch.isfinite(variance).all()):
            raise DataError(f"{self.label}.adapt() met NaN or infinite values. Remove them first.")
        with torch.no_grad():
            self.adapt_mean.copy_(mean)
            self.adapt_variance.copy_(variance)
        self._adapted = True

    @property
    def mean(self) -> torch.Tensor | None:
        """The mean in a shape that broadcasts with the input, as Keras shows it."""
        return self._broadcast(self.adapt_mean, self._rank) if self.built else None

    @property
    def variance(self) -> torch.Tensor | None:
        """The variance in a shape that broadcasts with the input, as Keras shows it."""
        return self._broadcast(self.adapt_variance, self._rank) if self.built else None

    def _broadcast(self, value: torch.Tensor, rank: int) -> torch.Tensor:
        kept, sizes = self._kept(rank), iter(value.shape)
        return value.view([next(sizes) if axis in kept else 1 for axis in range(rank)])

    def _check_adapted(self) -> None:
        # Statistics may have come with a weights file; then they are no longer the first ones.
        fresh = (self.adapt_mean == 0).all() & (self.adapt_variance == 1).all() & (self.count == 0)
        if bool(fresh):
            raise NotBuiltError(f"{self.label} has no statistics yet: call adapt(data) first.")
        self._adapted = True

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        return inputs.new_empty(inputs.shape, dtype=self.adapt_mean.dtype)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        if not self._adapted and not is_meta(inputs) and not torch.compiler.is_compiling():
            self._check_adapted()
        mean, deviation = self.adapt_mean, self.adapt_variance.sqrt().clamp_min(_EPSILON)
        x = inputs.to(mean.dtype)
        if not self._trailing:
            mean, deviation = self._broadcast(mean, x.ndim), self._broadcast(deviation, x.ndim)
        return mean + x * deviation if self.invert else (x - mean) / deviation

    def get_config(self) -> dict[str, Any]:
        given = {"mean": self.input_mean, "variance": self.input_variance}
        return {**super().get_config(), "axis": list(self.axis), **given}


def _numbers(batch: Any, who: str) -> torch.Tensor:
    batch = as_rows(batch, who)
    if isinstance(batch, torch.Tensor):
        return batch if batch.ndim else batch.reshape(1)
    array = np.atleast_1d(np.asarray(batch))
    if array.dtype == object and all(isinstance(item, Real) for item in array.flat):
        array = array.astype("float64")  # a frame with columns of different types
    if array.dtype.kind not in "biuf":
        raise DataError(f"{who}.adapt() needs numbers, got an array of {array.dtype}.")
    # Torch can neither share read-only memory nor walk backwards.
    shared = array.flags.writeable and min(array.strides) >= 0
    return torch.from_numpy(array if shared else array.copy())


def _chunks(x: torch.Tensor, whole: bool) -> Iterable[torch.Tensor]:
    if whole or x.numel() <= _CHUNK:
        return [x]
    rows = max(1, _CHUNK // math.prod(x.shape[1:]))
    return (x[i : i + rows] for i in range(0, x.shape[0], rows))
