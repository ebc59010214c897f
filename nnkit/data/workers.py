"""Batches computed ahead by worker processes, and what happens when one of them dies."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable
from contextlib import suppress
from typing import Any

from torch.utils.data import DataLoader

from nnkit.errors import DataError

__all__ = ["in_processes", "watched"]

_PATIENCE = 1.0  # seconds until the system has noted how a process ended


def in_processes(source: Any, indices: Iterable[int], workers: int, ahead: int) -> DataLoader[Any]:
    """The batches `source[index]` in the order of the indices, computed by processes.

    Args:
        source: computes a whole batch per index.
        indices: which, in which order; may be endless.
        workers: processes.
        ahead: batches computed ahead at most, by all of them.
    """
    return DataLoader(
        source,
        batch_size=None,
        sampler=indices,
        num_workers=workers,
        prefetch_factor=max(1, ahead // workers),
    )


def watched(loader: DataLoader[Any], name: str) -> Generator[Any, None, None]:
    """The batches of a DataLoader, whose workers end with this generator.

    Args:
        loader: the DataLoader.
        name: the method the data was given to, for messages.

    Raises: DataError when a worker process was killed or crashed.
    """
    iterator = iter(loader)
    try:
        while True:
            try:
                batch = next(iterator)
            except StopIteration:
                return
            except (RuntimeError, OSError, EOFError) as exc:
                ended = _how_one_ended(iterator, exc)
                if ended is None:
                    raise
                raise DataError(
                    f"{name}: a worker process of the data ended with {ended}. Often that is a "
                    f"lack of memory: use fewer workers or smaller batches. With num_workers=0 "
                    f"(workers=1 without processes) the data's own error shows."
                ) from exc
            yield batch
    finally:
        if not loader.persistent_workers and hasattr(iterator, "_shutdown_workers"):
            iterator._shutdown_workers()


def _how_one_ended(iterator: Any, exc: Exception) -> str | None:
    """The exit of a dead worker; None when the error is one that the data itself raised."""
    if "in DataLoader worker process" in str(exc):
        return None
    processes = getattr(iterator, "_workers", ())
    deadline = time.monotonic() + _PATIENCE
    while processes:
        codes = [process.exitcode for process in processes if process.exitcode]
        if codes:
            return f"signal {-codes[0]}" if codes[0] < 0 else f"exit code {codes[0]}"
        if time.monotonic() > deadline:
            break
        with suppress(RuntimeError):  # torch's own word of the death, which may come just now
            time.sleep(0.01)
    return None
