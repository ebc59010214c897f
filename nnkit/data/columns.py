"""Rows of one array, in memory or behind slices, checked before the first batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnkit.data.convert import as_array, check_dtype, final_dtype, to_tensor
from nnkit.errors import DataError

__all__ = ["Column", "SlicedColumn", "is_sliced", "make_column"]

_CHECKED_AT_ONCE = 1 << 20  # elements; keeps the sum in the processor's cache


class Column:
    """The rows of one array in memory.

    Args:
        tensor: the data, sharing the user's memory.
        path: its name in messages, such as "x[0]".
        role: "x", "y" or "sample_weight".
    """

    in_memory = True

    def __init__(self, tensor: Tensor, path: str, role: str) -> None:
        self.tensor = tensor
        self.path = path
        self.dtype = final_dtype(tensor.dtype, role)
        self.length = tensor.shape[0]
        self.row_bytes = tensor[:1].numel() * max(tensor.element_size(), self.dtype.itemsize)

    def span(self, start: int, stop: int) -> Tensor:
        """Rows start to stop: a view unless the dtype changes."""
        return self.tensor[start:stop].to(self.dtype)

    def pick(self, index: Tensor) -> Tensor:
        """The rows of this index, in its order."""
        return self.tensor.index_select(0, index.to(self.tensor.device)).to(self.dtype)

    def check_finite(self) -> None:
        """Raise DataError if there is a NaN or infinity anywhere."""
        rows = max(1, _CHECKED_AT_ONCE // max(1, self.tensor[:1].numel()))
        for start in range(0, self.length, rows):
            _check_finite(self.tensor[start : start + rows], self.path, start)


class SlicedColumn:
    """The rows of an array that is read by slices, such as a memory-mapped or HDF5 one.

    Args:
        source: anything with a shape that takes slices, and rising index arrays if it can.
        path: its name in messages.
        role: "x", "y" or "sample_weight".
    """

    in_memory = False
    _takes_indices = True

    def __init__(self, source: Any, path: str, role: str) -> None:
        self.source = source
        self.path = path
        self.role = role
        self.length = int(source.shape[0])
        self.row_bytes = int(np.prod(source.shape[1:], dtype=np.int64)) * _dtype(source).itemsize

    def span(self, start: int, stop: int) -> Tensor:
        """Rows start to stop, copied; NaN is looked for here, not before training."""
        return self._ready(self.source[start:stop], start)

    def pick(self, index: Tensor) -> Tensor:
        """The rows of this index, in its order, read in rising order as HDF5 asks."""
        rising, order = torch.sort(index)
        rows = self._ready(self._read(rising.numpy()), None)
        return torch.empty_like(rows).index_copy_(0, order, rows)

    def _read(self, rows: np.ndarray) -> Any:
        # Neighbours are read fastest by a slice: all that shuffle="batch" asks for are.
        if rows[-1] - rows[0] == len(rows) - 1:
            return self.source[int(rows[0]) : int(rows[-1]) + 1]
        if self._takes_indices:
            try:
                return self.source[rows]
            except (TypeError, ValueError, IndexError, NotImplementedError):
                self._takes_indices = False
        runs = np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1)
        parts = [self.source[int(run[0]) : int(run[-1]) + 1] for run in runs]
        return np.concatenate([as_array(part, self.path) for part in parts])

    def _ready(self, rows: Any, first: int | None) -> Tensor:
        tensor = to_tensor(rows, self.path, self.role)
        _check_finite(tensor, self.path, first)
        return tensor


def _check_finite(rows: Tensor, path: str, first: int | None) -> None:
    if not rows.is_floating_point() or rows.is_meta:
        return
    # A sum is one fast pass; it may overflow where every value is finite, so look again then.
    if torch.isfinite(rows.sum()):
        return
    bad = (~torch.isfinite(rows.reshape(rows.shape[0], -1))).any(dim=1)
    if not bad.any():
        return
    where = "" if first is None else f", first in row {first + int(bad.nonzero()[0])}"
    raise DataError(
        f"{path} has NaN or infinite values in {int(bad.sum())} of these {len(bad)} rows{where}. "
        f"Drop those rows or fill the gaps, for example with np.nan_to_num."
    )


def is_sliced(value: Any) -> bool:
    """Whether to read a source slice by slice instead of taking it into memory as a whole."""
    if isinstance(value, np.ndarray):
        # Torch cannot share these as they are: copying 16 batches is better than all of it.
        return (
            isinstance(value, np.memmap)
            or not value.flags.writeable
            or not value.dtype.isnative
            or any(step < 0 for step in value.strides)
        )
    if hasattr(value, "tocsr"):
        return True
    return (
        all(hasattr(value, name) for name in ("shape", "__getitem__"))
        and isinstance(getattr(value, "dtype", None), (np.dtype, type(None)))
        and not any(
            hasattr(value, name) for name in ("to_numpy", "__dlpack__", "__array_interface__")
        )
    )


def _dtype(source: Any) -> np.dtype:
    """The dtype of a sliced source; one that does not tell it is asked for a row."""
    dtype: np.dtype | None = getattr(source, "dtype", None)
    return np.asarray(source[0:1]).dtype if dtype is None else dtype


def make_column(value: Any, path: str, role: str) -> Column | SlicedColumn:
    """The column of one array a user gave.

    Raises: DataError for text, objects, ragged rows, single numbers, no rows, NaN and infinity.
    """
    if isinstance(value, Tensor):
        if value.layout is not torch.strided:
            raise DataError(f"{path} is a {value.layout} tensor. Call .to_dense() on it first.")
        source: Any = value.detach()
    elif is_sliced(value):
        source = value.tocsr() if hasattr(value, "tocsr") else value
    else:
        source = as_array(value, path)
    if len(source.shape) == 0:
        raise DataError(f"{path} is a single number; expected one row per sample.")
    if source.shape[0] == 0:
        raise DataError(f"{path} is empty: its shape is {tuple(source.shape)}.")
    if isinstance(source, Tensor):
        column = Column(source, path, role)
    elif is_sliced(source):
        check_dtype(_dtype(source), path)
        return SlicedColumn(source, path, role)
    else:
        column = Column(torch.from_numpy(source), path, role)
    column.check_finite()
    return column
