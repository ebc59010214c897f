"""PyDataset: a source that computes whole batches by number, Keras's protocol."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch

from nnkit.data.streams import StreamBatches
from nnkit.data.workers import in_processes, watched
from nnkit.errors import ArgumentError

__all__ = ["PyDataset", "PyDatasetBatches", "is_py_dataset"]


class PyDataset:
    """The base of a data set that gives one whole batch per index.

    Write `__getitem__(index)`, which returns (x,), (x, y) or (x, y, sample_weight) for a batch, and
    `__len__`, the number of batches. `on_epoch_begin` and `on_epoch_end` may be written too.

    Args:
        workers: threads or processes that compute batches ahead; 1 thread computes them as they
            are needed.
        use_multiprocessing: workers are processes, each with a copy of the data set that is made
            at the beginning of an epoch.
        max_queue_size: batches computed ahead at most.
    """

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs a __getitem__(index).")

    def __iter__(self) -> Iterator[Any]:
        count = self.num_batches
        return map(self.__getitem__, itertools.count() if count is None else range(count))

    @property
    def num_batches(self) -> int | None:
        """Batches per epoch; None for a data set without end, which needs `steps_per_epoch`."""
        length = getattr(self, "__len__", None)
        if length is None:
            raise NotImplementedError(f"{type(self).__name__} needs a __len__, or num_batches.")
        return int(length())

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch, to mix samples for example; as in Keras, also before the first
        one of `fit` and before each evaluation."""


class PyDatasetBatches(StreamBatches):
    """Batches of a PyDataset, this one or Keras's, or of any object with the same methods.

    Args:
        source: the data set.
        shuffle: take the batches in a new order at each pass.
        **options: as for StreamBatches.
    """

    def __init__(self, source: Any, *, shuffle: bool, limit: int | None, **options: Any) -> None:
        count = source.num_batches if hasattr(source, "num_batches") else len(source)
        if count is None and limit is None:
            raise ArgumentError(
                f"{type(source).__name__} has no end (num_batches is None). "
                f"Say how many batches make an epoch with steps."
            )
        super().__init__(source, available=count, limit=limit, **options)
        self._shuffle = shuffle

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        if not self._first:
            self._tell("on_epoch_begin")
        yield from super().__iter__()
        self._tell("on_epoch_end")

    def reset(self) -> None:
        super().reset()
        self._tell("on_epoch_end")

    def _tell(self, event: str) -> None:
        """Call a method that the source may have, and that may draw random numbers."""
        method = getattr(self.source, event, None)
        if method is None or getattr(method, "__func__", None) is getattr(PyDataset, event):
            return
        if self.snapshot is not None:
            self._events.append((event, self.snapshot()))
        method()

    def _pass_after(self, taken: int) -> Generator[tuple[Any, ...], None, None]:
        if self._works_ahead():  # each worker draws random numbers from batch to batch
            return super()._pass_after(taken)
        indices = itertools.islice(self._indices(), taken, None)
        return (self._ready(self.source[index]) for index in indices)

    def _works_ahead(self) -> bool:
        source = self.source
        return getattr(source, "workers", 1) > 1 or getattr(source, "use_multiprocessing", False)

    def _indices(self) -> Iterable[int]:
        source = self.source
        if self._available is None:
            return itertools.count()
        # The data set may change its length between epochs.
        count = source.num_batches if hasattr(source, "num_batches") else len(source)
        return torch.randperm(count).tolist() if self._shuffle else range(count)

    def _raw_batches(self) -> Iterator[Any]:
        source, indices = self.source, self._indices()
        workers = getattr(source, "workers", 1)
        ahead = max(workers, getattr(source, "max_queue_size", 10))
        if workers > 0 and getattr(source, "use_multiprocessing", False):
            return watched(in_processes(source, indices, workers, ahead), self._name)
        if workers > 1:
            return _in_threads(source, indices, workers, ahead)
        return map(source.__getitem__, indices)


def _in_threads(
    source: Any, indices: Iterable[int], workers: int, ahead: int
) -> Generator[Any, None, None]:
    pool = ThreadPoolExecutor(workers, thread_name_prefix="nnkit-data")
    waiting: deque[Future[Any]] = deque()
    try:
        for index in indices:
            waiting.append(pool.submit(source.__getitem__, index))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def is_py_dataset(value: Any) -> bool:
    """Whether this gives whole batches by index: it has no shape and is no plain container."""
    if isinstance(value, PyDataset):
        return True
    return (
        hasattr(value, "__getitem__")
        and (hasattr(value, "__len__") or hasattr(value, "num_batches"))
        and not isinstance(value, (list, tuple, dict, str, bytes))
        and not any(hasattr(value, name) for name in ("shape", "__array__", "to_numpy"))
    )
