"""Normalization by data, and what all layers on raw data share: how they read and encode it."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from nnkit.errors import ArgumentError, DataError, NotBuiltError, ShapeError
from nnkit.layer import Layer
from nnkit.probing import is_meta
from nnkit.shapes import Shape, describe, one_of
from nnkit.symbolic import SymbolicTensor
from nnkit.tree import flatten

__all__ = [
    "MODES",
    "DataLayer",
    "Normalization",
    "as_rows",
    "encode",
    "encoded_shape",
    "output_mode_of",
    "read_batches",
    "salt_of",
    "thinned",
]

MODES = ("int", "one_hot", "multi_hot", "count")

_CHUNK = 1 << 22  # numbers that adapt() turns into doubles at a time
_EPSILON = 1e-7


class DataLayer(Layer):
    """Base of layers that are also called on raw data: Python numbers, words and lists of them."""

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(inputs, torch.Tensor):
            inputs = as_rows(inputs, self.label)
        return super().__call__(inputs, *args, **kwargs)

    def learned_files(self) -> dict[str, bytes]:
        """What was learned and is no weight, as Keras keeps it in a model's file: files by name."""
        return {}

    def learned_values(self) -> dict[str, torch.Tensor]:
        """What was learned and lies among the weights of a model's file, though it is none."""
        return {}

    def take_files(self, read: Callable[[str], bytes | None]) -> None:
        """Take what `learned_files` gave; `read` gives a file's contents, or None."""


def as_rows(value: Any, who: str) -> Any:
    """Numbers or words in (nested) lists or a pandas object as one array; tensors as they are.

    Raises: DataError for rows of different lengths.
    """
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    if not isinstance(value, (list, tuple)):
        return value
    leaves = flatten(value)
    if any(isinstance(leaf, SymbolicTensor) for leaf in leaves):
        return value
    if any(isinstance(leaf, torch.Tensor) for leaf in leaves):
        return _stack(value)
    words = any(isinstance(leaf, (str, bytes)) for leaf in leaves)
    try:
        # As objects: NumPy's own text type pads each word to the length of the longest.
        made = np.array(value, dtype=object if words else None)
    except ValueError:
        made = None
    if made is None or (words and any(isinstance(item, (list, tuple)) for item in made.flat)):
        raise DataError(f"{who} got rows of different lengths. Pad them to one length.")
    return made


def _stack(value: Any) -> torch.Tensor:
    parts = [_stack(v) if isinstance(v, (list, tuple)) else torch.as_tensor(v) for v in value]
    return torch.stack(parts)


def read_batches(data: Any, who: str, steps: int | None = None) -> Iterator[Any]:
    """The batches to adapt to: the whole of an array, or what an iterable of batches gives.

    Args:
        data: an array, tensor, pandas object or list of numbers or words (one batch); a list of
            arrays, a DataLoader, a torch Dataset, a PyDataset, a generator (many). Of a batch
            (x, y) or (x, y, sample_weight) only x is read.
        who: the layer, for messages.
        steps: the most batches to read; all when None.

    Raises: DataError when there is nothing to read.
    """
    empty = True
    for batch in itertools.islice(_batches(data, who), steps):
        empty = False
        yield batch
    if empty:
        raise DataError(f"{who}.adapt() was given no data. Give at least one sample.")


def _batches(data: Any, who: str) -> Iterable[Any]:
    if isinstance(data, (str, bytes)) or data is None:
        raise DataError(f"{who}.adapt() takes an array, a list or batches, got {data!r}.")
    if isinstance(data, Dataset) and not isinstance(data, IterableDataset):
        data = DataLoader(data, batch_size=128)
    if isinstance(data, (list, tuple)) and not any(np.ndim(item) for item in flatten(data)):
        return [data] if data else []
    if any(hasattr(data, name) for name in ("shape", "to_numpy", "__array__")):
        return [data] if len(data) else []
    if not hasattr(data, "__iter__") and hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return (_inputs_of(data[i]) for i in range(len(data)))
    if not hasattr(data, "__iter__"):
        raise DataError(
            f"{who}.adapt() cannot read a {type(data).__name__}. Give an array, a list or batches."
        )
    return map(_inputs_of, data)


def _inputs_of(batch: Any) -> Any:
    """The x of a batch (x, y); a batch that is a list of numbers or words stays whole."""
    if isinstance(batch, (list, tuple)) and batch:
        first = batch[0]
        rows = isinstance(first, (list, tuple)) and any(np.ndim(p) for p in flatten(batch[1:]))
        if rows or (hasattr(first, "shape") and len(first.shape)):
            return first
    return batch


def output_mode_of(who: str, mode: Any, allowed: Sequence[str], sparse: Any) -> str:
    """The output mode, old names included; sparse tensors are refused."""
    if sparse:
        raise ArgumentError(f"{who}: sparse outputs do not exist here; leave sparse=False.")
    mode = {"binary": "multi_hot", "tf-idf": "tf_idf"}.get(mode, mode)
    return str(one_of(who, "output_mode", mode, allowed))


def encoded_shape(shape: Sequence[int], mode: str, depth: int) -> tuple[int, ...]:
    """The shape that `encode` gives for indices of this shape."""
    if mode == "int":
        return tuple(shape)
    shape = tuple(shape) or (1,)
    if mode == "one_hot" and (len(shape) == 1 or shape[-1] != 1):
        return (*shape, depth)
    return (*shape[:-1], depth)


def encode(
    indices: torch.Tensor, mode: str, depth: int, dtype: torch.dtype, weights: Any = None
) -> torch.Tensor:
    """Indices as they are, as one-hot codes, or as one row of hits or counts for the last axis.

    Args:
        indices: whole numbers from 0 to depth - 1.
        mode: "int", "one_hot", "multi_hot" or "count".
        depth: the size of the code.
        weights: what each index counts in "count" mode; 1 when None.
    """
    if mode == "int":
        return indices.to(dtype)
    at = indices.to(torch.int64)
    zeros = at.new_zeros(encoded_shape(at.shape, mode, depth), dtype=dtype)
    if mode == "one_hot":
        return zeros.scatter(-1, at.reshape(*zeros.shape[:-1], 1), 1)
    at = at if at.ndim else at.reshape(1)
    if mode == "multi_hot":
        return zeros.scatter(-1, at, 1)
    ones = zeros.new_ones(()).expand(at.shape) if weights is None else weights.reshape(at.shape)
    return zeros.scatter_add(-1, at, ones)


def salt_of(who: str, salt: Any) -> list[int] | None:
    """A salt as two whole numbers."""
    pair = list(salt) if isinstance(salt, (list, tuple)) else [salt, salt]
    if len(pair) != 2 or (salt is not None and not all(type(n) is int for n in pair)):
        raise ArgumentError(f"{who}: salt must be one or two whole numbers, got {salt!r}.")
    return None if salt is None else pair


def thinned(summary: np.ndarray, epsilon: float) -> np.ndarray:
    """A summary (values; how many samples each stands for) of about 1 / epsilon values."""
    if summary.shape[1] * epsilon < 1:
        return summary
    shares = epsilon + np.arange(0.0, 1.0, epsilon)
    total = summary[1].cumsum()
    reached = total / total[-1]
    values = np.interp(shares, reached, summary[0])
    counts = np.diff(np.interp(shares, reached, total), prepend=0)
    return np.stack([values, counts]).astype("float32")


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
            np.asarray(v.detach().cpu() if isinstance(v, torch.Tensor) else v, dtype="float64")
            for v in (mean, variance)
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
