"""split_dataset: two parts of a data set."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, Subset, TensorDataset, random_split

from nnkit.errors import ArgumentError, DataError

__all__ = ["split_dataset"]


def split_dataset(
    dataset: Any,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Dataset[Any], Dataset[Any]]:
    """Split data into a left and a right part, such as for training and testing.

    Args:
        dataset: a torch Dataset, an array or tensor, or a tuple or list of them.
        left_size, right_size: a number of samples, or a fraction; the rest when None.
        shuffle: mix the samples before the split; else the left part comes first.
        seed: for the same mixing in each run.
        preferred_backend: "torch" or None.

    Returns: two torch Datasets, TensorDatasets where the data was arrays.
    Raises: ArgumentError for sizes that leave a part empty or are too large together.
    """
    if preferred_backend not in (None, "torch"):
        raise ArgumentError(f"split_dataset gives torch Datasets, not {preferred_backend!r}.")
    if isinstance(dataset, (np.ndarray, torch.Tensor)):
        dataset = TensorDataset(torch.as_tensor(dataset))
    elif isinstance(dataset, (list, tuple)):
        dataset = TensorDataset(*map(torch.as_tensor, dataset))
    if not isinstance(dataset, Dataset) or not hasattr(dataset, "__len__"):
        raise DataError(
            f"split_dataset expects a torch Dataset with a length, or arrays; got a "
            f"{type(dataset).__name__}."
        )
    left, right = _sizes(left_size, right_size, len(dataset))
    if not shuffle:
        count = len(dataset)
        return _part(dataset, range(left)), _part(dataset, range(count - right, count))
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    rest = len(dataset) - left - right
    parts = random_split(dataset, [left, right, *([rest] if rest else [])], generator=generator)
    return _part(dataset, parts[0].indices), _part(dataset, parts[1].indices)


def _part(dataset: Any, indices: Any) -> Dataset[Any]:
    if type(dataset) is not TensorDataset:
        return Subset(dataset, indices)
    # What fit cuts from memory, instead of taking it sample by sample.
    rows: Any = list(indices)
    if isinstance(indices, range):
        rows = slice(indices.start, indices.stop)
    return TensorDataset(*(tensor[rows] for tensor in dataset.tensors))


def _sizes(left: float | None, right: float | None, total: int) -> tuple[int, int]:
    if left is None and right is None:
        raise ArgumentError("split_dataset needs left_size or right_size.")
    counts = []
    for name, size in (("left_size", left), ("right_size", right)):
        whole = isinstance(size, (int, np.integer))
        if size is not None and not (0 < size < (total if whole else 1)):
            raise ArgumentError(
                f"{name} expects a number of samples below {total}, or a fraction between 0 and "
                f"1; got {size!r}."
            )
        counts.append(None if size is None else int(size) if whole else round(size * total))
    first, second = counts
    first = total - second if first is None else first  # type: ignore[operator]
    second = total - first if second is None else second
    if first + second > total or not first or not second:
        raise ArgumentError(
            f"left_size={left} and right_size={right} make {first} and {second} of {total} samples."
        )
    return first, second
