"""make_batches: choose how to read what a user gave."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from nnkit.data.arrays import ArrayBatches
from nnkit.data.batches import Batches
from nnkit.data.class_weights import ClassWeights
from nnkit.data.py_dataset import PyDatasetBatches, is_py_dataset
from nnkit.data.streams import IteratorBatches, StreamBatches
from nnkit.errors import ArgumentError, DataError

__all__ = ["kind_of", "make_batches", "takes_batch_size"]


def kind_of(x: Any) -> str:
    """How a source is read: "loader", "dataset", "py_dataset", "iterator", "iterable", "arrays"."""
    if isinstance(x, DataLoader):
        return "loader"
    if isinstance(x, Dataset):
        return "dataset"
    if x is None or isinstance(x, (list, tuple, dict, str, bytes)):
        return "arrays"
    if is_py_dataset(x):
        return "py_dataset"
    if hasattr(x, "__next__"):
        return "iterator"
    if any(hasattr(x, name) for name in ("shape", "__array__", "to_numpy")):
        return "arrays"
    return "iterable" if hasattr(x, "__iter__") else "arrays"


def takes_batch_size(x: Any) -> bool:
    """Whether nnkit cuts this into batches itself; other sources come in batches already."""
    return kind_of(x) in ("arrays", "dataset")


def make_batches(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    shuffle: bool | str | None = False,
    steps: int | None = None,
    class_weight: dict[int, float] | None = None,
    device: str | torch.device = "cpu",
    name: str = "fit",
) -> Batches:
    """The batches of whatever a user passes to fit, evaluate or predict.

    Args:
        x: arrays, tensors or lists, tuples, dicts of them; a pandas frame; a torch Dataset or
            DataLoader; a PyDataset; a generator or any other iterable of batches.
        y, sample_weight: arrays along with arrays; other sources hold them themselves.
        batch_size: samples; 32 when None, for sources that are not in batches yet.
        shuffle: True, False, or "batch" (within batches); sources with an order of their own
            (DataLoader, iterables) keep it.
        steps: batches per epoch; the next epoch goes on from there.
        class_weight: {class: weight}.
        device: where the batches go.
        name: the method, for messages.

    Raises: ArgumentError for arguments that do not fit the source, DataError for unfit data.
    """
    batch_size = _count(batch_size, "batch_size", name)
    steps = _count(steps, "steps", name)
    if shuffle not in (True, False, None, "batch"):
        raise ArgumentError(f"{name}: shuffle expects True, False or 'batch', got {shuffle!r}.")
    weights = None if class_weight is None else ClassWeights(class_weight)
    if weights is not None and sample_weight is not None:
        raise ArgumentError(f"{name}: class_weight and sample_weight were both given. Use one.")
    kind = kind_of(x)
    tensors = _tensors_of(x)
    if tensors is not None and len(tensors) <= 3 and y is None and sample_weight is None:
        # It only holds tensors, and cutting those is far faster than taking sample by sample.
        kind, (x, y, sample_weight) = "arrays", (*tensors, None, None)[:3]
        if weights is not None and sample_weight is not None:
            raise ArgumentError(f"{name}: class_weight was given, but the data has weights too.")
    target = torch.device(device)
    if target.type == "cuda" and target.index is None:
        target = torch.device("cuda", torch.cuda.current_device())
    if kind == "arrays":
        _refuse_single_objects(x, name)
        return ArrayBatches(
            x,
            y,
            sample_weight,
            batch_size=batch_size,
            shuffle=shuffle or False,
            limit=steps,
            weights=weights,
            device=target,
            name=name,
        )
    _check_stream(x, y, sample_weight, kind, batch_size, shuffle, name)
    options: dict[str, Any] = {
        "limit": steps,
        "weights": weights,
        "device": target,
        "name": name,
    }
    if kind == "iterator":
        return IteratorBatches(x, **options)
    if kind == "py_dataset":
        return PyDatasetBatches(x, shuffle=bool(shuffle), **options)
    if kind == "dataset":
        mix = bool(shuffle) and not isinstance(x, IterableDataset)
        x = DataLoader(x, batch_size=batch_size or 32, shuffle=mix)
    return StreamBatches(x, available=_known_length(x), **options)


def _tensors_of(x: Any) -> tuple[torch.Tensor, ...] | None:
    """The tensors of a TensorDataset, or a copy of the rows that a Subset takes from one."""
    if type(x) is TensorDataset:
        return x.tensors
    inner = _tensors_of(x.dataset) if type(x) is Subset else None
    if inner is None:
        return None
    rows = torch.from_numpy(np.asarray(x.indices, dtype=np.int64))
    return tuple(tensor[rows] for tensor in inner)


def _count(value: Any, argument: str, name: str) -> int | None:
    if value is None:
        return None
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < 1:
        raise ArgumentError(f"{name}: {argument} expects a whole number >= 1, got {value!r}.")
    return int(value)


def _known_length(source: Any) -> int | None:
    # A DataLoader over an IterableDataset has __len__ but raises TypeError in it.
    try:
        return len(source)
    except TypeError:
        return None


def _refuse_single_objects(x: Any, name: str) -> None:
    if isinstance(x, (str, bytes)):
        raise DataError(f"{name}: x is the text {x[:40]!r}. Load the data first; fit takes arrays.")
    known = any(hasattr(x, item) for item in ("shape", "__array__", "to_numpy", "__len__"))
    if x is not None and not known:
        raise DataError(
            f"{name}: cannot read data from a {type(x).__name__}. Give arrays, tensors, a "
            f"DataLoader, a PyDataset or a generator."
        )


def _check_stream(
    x: Any, y: Any, sample_weight: Any, kind: str, batch_size: Any, shuffle: Any, name: str
) -> None:
    what = type(x).__name__
    for argument, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ArgumentError(
                f"{name}: {argument} cannot be given along with a {what}. "
                f"Let the {what} give (x, y) or (x, y, sample_weight)."
            )
    if kind != "dataset" and batch_size is not None:
        warnings.warn(
            f"{name}: batch_size={batch_size} has no effect on a {what}, which makes its own "
            f"batches. Set the batch size there.",
            stacklevel=4,
        )
    if shuffle == "batch":
        raise ArgumentError(f"{name}: shuffle='batch' works with arrays, not with a {what}.")
