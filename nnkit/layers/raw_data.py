"""What all layers on raw data share: how they read it, learn from it and encode it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from nnkit.arguments import one_of
from nnkit.errors import ArgumentError, DataError
from nnkit.layer import Layer
from nnkit.symbolic import SymbolicTensor
from nnkit.tracing import is_traced
from nnkit.tree import flatten

__all__ = [
    "MODES",
    "DataLayer",
    "as_rows",
    "encode",
    "encoded_shape",
    "output_mode_of",
    "plain_numbers",
    "read_batches",
    "salt_of",
    "thinned",
]

MODES = ("int", "one_hot", "multi_hot", "count")


class DataLayer(Layer):
    """Base of layers that are also called on raw data: Python numbers, words and lists of them."""

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(inputs, torch.Tensor) and not is_traced(inputs):
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
    old = {"binary": "multi_hot", "tf-idf": "tf_idf"}
    mode = old.get(mode, mode) if isinstance(mode, str) else mode
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


def plain_numbers(who: str, argument: str, value: Any) -> Any:
    """A number as it is, anything array-like as (nested) lists."""
    try:
        array = np.asarray(value.detach().cpu() if isinstance(value, torch.Tensor) else value)
    except ValueError:  # lists of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "iuf":
        raise ArgumentError(
            f"{who}: {argument} must be a number or an array of numbers, got {value!r}."
        )
    return array.tolist()
