"""validation_split: hold back the tail of the arrays."""

from __future__ import annotations

import math
import numbers
import warnings
from typing import Any

import numpy as np
from torch import Tensor

from nnkit.data.arrays import check_lengths
from nnkit.data.columns import is_sliced
from nnkit.data.convert import as_array, map_data
from nnkit.data.make import kind_of
from nnkit.errors import ArgumentError, DataError
from nnkit.tree import map_structure

__all__ = ["split_validation"]

_LABELS_TO_COMPARE = 1 << 20


class _Part:
    """Some rows of a source that is read by slices, without reading them yet."""

    def __init__(self, source: Any, start: int, stop: int) -> None:
        self.source, self.start = source, start
        self.shape = (stop - start, *source.shape[1:])
        self.dtype = getattr(source, "dtype", None)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: Any) -> Any:
        if isinstance(rows, slice):
            first, last, step = rows.indices(self.shape[0])
            return self.source[first + self.start : last + self.start : step]
        return self.source[rows + self.start]


def split_validation(
    x: Any, y: Any, sample_weight: Any, fraction: float
) -> tuple[tuple[Any, Any, Any], tuple[Any, Any, Any]]:
    """Cut off the last samples for validation, before any shuffling.

    Args:
        x, y, sample_weight: arrays, nested or not.
        fraction: of the samples, between 0 and 1.

    Returns: the (x, y, sample_weight) to train with, and the ones to validate with.
    Raises: ArgumentError for a fraction outside 0..1 or a source that is no array; DataError if
        either part would be empty.
    """
    if not isinstance(fraction, numbers.Real) or not 0 < fraction < 1:
        raise ArgumentError(f"validation_split expects a fraction above 0, below 1: {fraction!r}.")
    if kind_of(x) != "arrays":
        raise ArgumentError(
            f"validation_split needs arrays; a {type(x).__name__} cannot be cut. "
            f"Give validation_data instead."
        )
    whole = tuple(
        map_data(_sliceable, part, role)
        for part, role in ((x, "x"), (y, "y"), (sample_weight, "sample_weight"))
    )
    lengths: list[tuple[str, int]] = []
    for part, role in zip(whole, ("x", "y", "sample_weight"), strict=True):
        map_data(lambda leaf, path: lengths.append((path, int(leaf.shape[0]))), part, role)
    samples = check_lengths(lengths, "validation_split")
    cut = math.floor(samples * (1.0 - fraction))
    if cut in (0, samples):
        raise DataError(
            f"validation_split={fraction} of {samples} samples leaves one part empty. "
            f"Give more samples, another fraction, or validation_data."
        )
    train = tuple(map_structure(lambda leaf: _rows(leaf, 0, cut), part) for part in whole)
    held = tuple(map_structure(lambda leaf: _rows(leaf, cut, samples), part) for part in whole)
    _warn_of_unseen_labels(train[1], held[1])
    return (train[0], train[1], train[2]), (held[0], held[1], held[2])


def _sliceable(leaf: Any, path: str) -> Any:
    kept = isinstance(leaf, (np.ndarray, Tensor)) or hasattr(leaf, "iloc") or is_sliced(leaf)
    if not kept:
        leaf = as_array(leaf, path)
    if len(leaf.shape) == 0:
        raise DataError(f"{path} is a single number; expected one row per sample.")
    return leaf.tocsr() if hasattr(leaf, "tocsr") else leaf


def _rows(leaf: Any, start: int, stop: int) -> Any:
    if leaf is None:
        return None
    if hasattr(leaf, "iloc"):
        return leaf.iloc[start:stop]
    if isinstance(leaf, (np.ndarray, Tensor)) or hasattr(leaf, "tocsr"):
        return leaf[start:stop]
    return _Part(leaf, start, stop)


def _labels(y: Any) -> np.ndarray | None:
    """Class numbers if y clearly holds some: whole numbers in one column, or one-hot rows."""
    if y is None or isinstance(y, (list, tuple, dict, _Part)):
        return None
    array = y.detach().cpu().numpy() if isinstance(y, Tensor) else as_array(y, "y")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.size > _LABELS_TO_COMPARE:
        return None
    if array.ndim == 1 and array.dtype.kind in "iu" and array.min() >= 0:
        return array
    one_hot = array.ndim == 2 and array.dtype.kind in "biuf" and array.shape[1] > 1
    if one_hot and np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all():
        return np.asarray(array.argmax(axis=1))
    return None


def _warn_of_unseen_labels(train: Any, held: Any) -> None:
    seen, later = _labels(train), _labels(held)
    if seen is None or later is None:
        return
    known = np.unique(seen)
    if 2 * len(known) > len(seen):
        return  # counts or ages to predict, not classes
    unseen = np.setdiff1d(later, known)
    if unseen.size:
        shown = ", ".join(map(str, unseen[:10]))
        warnings.warn(
            f"validation_split holds back the last samples, and they have classes that the rest "
            f"lacks: {shown}. The data seems to be sorted by class: shuffle it first.",
            UserWarning,
            stacklevel=3,
        )
