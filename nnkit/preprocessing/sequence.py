"""pad_sequences, and Keras's older helpers for sequences."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np

from nnkit.data import PyDataset
from nnkit.errors import ArgumentError, DataError
from nnkit.utils.sequences import pad_sequences

__all__ = ["TimeseriesGenerator", "make_sampling_table", "pad_sequences", "skipgrams"]


class TimeseriesGenerator(PyDataset):
    """Windows of a series, batch by batch; new code has `timeseries_dataset_from_array`.

    Args:
        data: the series (steps, ...).
        targets: one for each step; a window's target is that of the step after it.
        length: steps in a window.
        sampling_rate: steps between the steps of a window.
        stride: steps between windows.
        start_index, end_index: the first and the last step to use.
        shuffle: windows at random places.
        reverse: the last step first.
        batch_size: windows.
        **kwargs: workers, use_multiprocessing and max_queue_size, as for PyDataset.

    Shape: (batch, length / sampling_rate, ...)
    """

    def __init__(
        self,
        data: Any,
        targets: Any,
        length: int,
        sampling_rate: int = 1,
        stride: int = 1,
        start_index: int = 0,
        end_index: int | None = None,
        shuffle: bool = False,
        reverse: bool = False,
        batch_size: int = 128,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if len(data) != len(targets):
            raise DataError(
                f"TimeseriesGenerator: data has {len(data)} steps, targets has {len(targets)}."
            )
        self.data, self.targets = data, targets
        self.length, self.sampling_rate, self.stride = length, sampling_rate, stride
        self.start_index = start_index + length
        self.end_index = len(data) - 1 if end_index is None else end_index
        self.shuffle, self.reverse, self.batch_size = shuffle, reverse, batch_size
        if self.start_index > self.end_index:
            raise ArgumentError(
                f"No window of {length} steps fits between start_index={start_index} and "
                f"end_index={self.end_index}."
            )

    def __len__(self) -> int:
        per_batch = self.batch_size * self.stride
        return (self.end_index - self.start_index + per_batch) // per_batch

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if self.shuffle:
            ends = np.random.randint(self.start_index, self.end_index + 1, size=self.batch_size)
        else:
            first = self.start_index + self.batch_size * self.stride * index
            last = min(first + self.batch_size * self.stride, self.end_index + 1)
            ends = np.arange(first, last, self.stride)
        windows = [self.data[end - self.length : end : self.sampling_rate] for end in ends]
        samples, targets = np.array(windows), np.array([self.targets[end] for end in ends])
        return (samples[:, ::-1], targets) if self.reverse else (samples, targets)

    def get_config(self) -> dict[str, Any]:
        """The settings, with data and targets as JSON texts."""
        config: dict[str, Any] = {}
        for name in ("data", "targets"):
            values = getattr(self, name)
            config[name] = json.dumps(values.tolist() if hasattr(values, "tolist") else values)
        for name in ("length", "sampling_rate", "stride", "start_index", "end_index"):
            config[name] = getattr(self, name)
        return config | {
            "shuffle": self.shuffle,
            "reverse": self.reverse,
            "batch_size": self.batch_size,
        }

    def to_json(self, **kwargs: Any) -> str:
        """The settings as one JSON text."""
        config = {"class_name": type(self).__name__, "config": self.get_config()}
        return json.dumps(config, **kwargs)


def make_sampling_table(size: int, sampling_factor: float = 1e-5) -> np.ndarray:
    """How likely the word of each rank is to be kept by `skipgrams`.

    Args:
        size: words.
        sampling_factor: smaller ones thin out frequent words more.

    Source: Mikolov et al., 2013, with frequencies after Zipf's law.
    """
    rank = np.arange(size)
    rank[:1] = 1
    euler = 0.577
    inverse = rank * (np.log(rank) + euler) + 0.5 - 1.0 / (12.0 * rank)
    frequency = sampling_factor * inverse
    return np.minimum(1.0, frequency / np.sqrt(frequency))


def skipgrams(
    sequence: Any,
    vocabulary_size: int,
    window_size: int = 4,
    negative_samples: float = 1.0,
    shuffle: bool = True,
    categorical: bool = False,
    sampling_table: Any = None,
    seed: int | None = None,
) -> tuple[list[list[int]], list[Any]]:
    """Pairs of words that stand near each other, and pairs that were drawn at random.

    Args:
        sequence: word numbers; 0 is no word.
        vocabulary_size: the largest number + 1.
        window_size: words to either side that count as near.
        negative_samples: random pairs for each real one.
        shuffle, seed: mix the pairs.
        categorical: labels [0, 1] and [1, 0] instead of 1 and 0.
        sampling_table: as from make_sampling_table.

    Returns: the pairs, and a label for each.
    """
    pairs = []
    for place, word in enumerate(sequence):
        if not word or (sampling_table is not None and sampling_table[word] < random.random()):
            continue
        for other in range(max(0, place - window_size), place + window_size + 1):
            if other != place and other < len(sequence) and sequence[other]:
                pairs.append([word, sequence[other]])
    real, made_up = ([0, 1], [1, 0]) if categorical else (1, 0)
    labels: list[Any] = [real] * len(pairs)
    if negative_samples > 0:
        count = int(len(pairs) * negative_samples)
        words = [pair[0] for pair in pairs]
        random.shuffle(words)
        for number in range(count):
            pairs.append([words[number % len(words)], random.randint(1, vocabulary_size - 1)])
        labels += [made_up] * count
    if shuffle:
        seed = random.randint(0, 10_000_000) if seed is None else seed
        for each in (pairs, labels):
            random.seed(seed)
            random.shuffle(each)
    return pairs, labels
