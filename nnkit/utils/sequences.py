"""Sequences to arrays: pad_sequences, timeseries_dataset_from_array."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, RandomSampler

from nnkit.data.pipeline import Pipeline
from nnkit.data.workers import watched
from nnkit.errors import ArgumentError, DataError, unknown_name

__all__ = ["pad_sequences", "timeseries_dataset_from_array"]


def pad_sequences(
    sequences: Any,
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Sequences of different lengths as one array.

    Args:
        sequences: a list of lists or arrays; what they hold may have a shape itself.
        maxlen: the length of all; that of the longest when None.
        dtype: of the result; object for words.
        padding: "pre" fills up at the beginning, "post" at the end.
        truncating: "pre" cuts what is too long at the beginning, "post" at the end.
        value: to fill up with.

    Shape: (sequences, maxlen, ...)
    Raises: DataError for what is no sequence, or holds another shape than the rest.
    """
    for name, where in (("padding", padding), ("truncating", truncating)):
        if where not in ("pre", "post"):
            raise unknown_name(name, where, ("pre", "post"))
    if not hasattr(sequences, "__len__") or isinstance(sequences, (str, bytes)):
        raise DataError(f"pad_sequences expects a list of sequences, got {sequences!r}.")
    for place, sequence in enumerate(sequences):
        if not hasattr(sequence, "__len__"):
            raise DataError(f"pad_sequences: item {place} is no sequence but {sequence!r}.")
    words = np.dtype(dtype).kind in "OSU"
    if isinstance(value, str) and not words:
        raise ArgumentError(f"pad_sequences: value {value!r} is text; give dtype=object.")
    if maxlen is None:
        maxlen = max(map(len, sequences), default=0)
    inner = next((np.asarray(s).shape[1:] for s in sequences if len(s)), ())
    padded = np.full((len(sequences), maxlen, *inner), value, dtype=dtype)
    for place, sequence in enumerate(sequences):
        if not len(sequence) or not maxlen:
            continue
        kept = sequence[-maxlen:] if truncating == "pre" else sequence[:maxlen]
        kept = np.asarray(kept, dtype=dtype)
        if kept.shape[1:] != inner:
            raise DataError(
                f"pad_sequences: item {place} holds values of shape {kept.shape[1:]}, the others "
                f"of {inner}."
            )
        if padding == "post":
            padded[place, : len(kept)] = kept
        else:
            padded[place, -len(kept) :] = kept
    return padded


class _Windows(Dataset[Any]):
    """Windows of a series by their number, many at a time."""

    def __init__(self, data: Any, targets: Any, starts: Any, offsets: Any) -> None:
        self.data, self.targets, self.starts, self.offsets = data, targets, starts, offsets

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> Any:
        return _first(self.__getitems__([index]))

    def __getitems__(self, indices: list[int]) -> Any:
        starts = self.starts[indices]
        windows = torch.as_tensor(self.data[starts[:, None] + self.offsets])
        return windows if self.targets is None else (windows, torch.as_tensor(self.targets[starts]))


def _first(batch: Any) -> Any:
    return tuple(part[0] for part in batch) if isinstance(batch, tuple) else batch[0]


def _as_it_is(batch: Any) -> Any:
    return batch


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> Pipeline:
    """Windows of a series as batches (windows, targets).

    Args:
        data: the series (steps, ...).
        targets: `targets[i]` belongs to the window that starts at step i; None for none.
        sequence_length: steps in a window.
        sequence_stride: steps between the starts of windows.
        sampling_rate: steps between the steps of a window.
        batch_size: windows; None gives them one by one.
        shuffle, seed: another order in each pass.
        start_index, end_index: the part of the series to use, end excluded.
        format: "tf" or "grain" in Keras; here the result is the same.

    Shape: (batch, sequence_length, ...)
    Raises: ArgumentError for numbers that leave no window.
    """
    if format not in ("tf", "grain"):
        raise unknown_name("format", format, ("tf", "grain"))
    steps = len(data)
    for name, number in (
        ("sequence_length", sequence_length),
        ("sequence_stride", sequence_stride),
        ("sampling_rate", sampling_rate),
    ):
        if not 0 < number < steps + (name == "sequence_length"):
            raise ArgumentError(f"{name} expects 1 to {steps - 1}, got {number} for {steps} steps.")
    first, last = start_index or 0, steps if end_index is None else end_index
    if not 0 <= first < last <= steps:
        raise ArgumentError(
            f"start_index={start_index} and end_index={end_index} expect steps 0 to {steps} in "
            f"this order."
        )
    count = last - first - (sequence_length - 1) * sampling_rate
    if targets is not None:
        targets = np.asarray(targets)[first:last]
        count = min(count, len(targets))
    if count < 1:
        raise ArgumentError(
            f"{last - first} steps hold no window of {sequence_length} with "
            f"sampling_rate={sampling_rate}. Give a longer series or shorter windows."
        )
    starts = np.arange(0, count, sequence_stride)
    if shuffle:
        seed = int(np.random.randint(10**6)) if seed is None else seed
        np.random.RandomState(seed).shuffle(starts)
    windows: Any = _Windows(
        np.asarray(data)[first:last], targets, starts, np.arange(sequence_length) * sampling_rate
    )
    sampler = None
    if shuffle:
        sampler = RandomSampler(windows, generator=torch.Generator().manual_seed(seed or 0))
    loader: DataLoader[Any] = DataLoader(
        windows, batch_size=batch_size, sampler=sampler, collate_fn=_as_it_is
    )
    return Pipeline(lambda: watched(loader, "The series"), len(loader))
