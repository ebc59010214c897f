"""Worker processes: their batches, their errors, their end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from nnkit.data import PyDataset, make_batches
from nnkit.errors import DataError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="kills processes as Unix does")


class Rows(Dataset):
    """Rows of one number; row 10 does what it is told."""

    def __init__(self, fault: Any = None) -> None:
        self.fault = fault

    def __len__(self) -> int:
        return 16

    def __getitem__(self, index: int) -> torch.Tensor:
        if index == 10 and self.fault is not None:
            self.fault()
        return torch.tensor([float(index)])


class Numbered(PyDataset):
    """Batches that say which process made them."""

    def __init__(self, fault: Any = None, count: int | None = 4, **options: Any) -> None:
        super().__init__(**options)
        self.fault, self.count, self.epoch = fault, count, 0

    @property
    def num_batches(self) -> int | None:
        return self.count

    def __getitem__(self, index: int) -> Any:
        if index == 2 and self.fault is not None:
            self.fault()
        return np.full((2, 1), index + 100.0 * self.epoch), np.full(2, os.getpid())

    def on_epoch_end(self) -> None:
        self.epoch += 1


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave() -> None:
    os._exit(3)


def fail() -> None:
    raise LookupError("row 10 is bad")


def refuse() -> None:
    raise ConnectionResetError("the server hung up")


def processes_left() -> list[Any]:
    deadline = time.monotonic() + 5
    while (left := multiprocessing.active_children()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def sources(fault: Any) -> Iterator[Any]:
    yield DataLoader(Rows(fault), batch_size=2, num_workers=1)
    yield DataLoader(Rows(fault), batch_size=2, num_workers=2, persistent_workers=False)
    yield Numbered(fault, workers=1, use_multiprocessing=True)


@pytest.mark.parametrize("kind", range(3))
@pytest.mark.parametrize("fault", [kill, leave])
def test_a_dead_worker_is_an_error_soon(kind: int, fault: Any) -> None:
    started = time.monotonic()
    # Torch's own error, from a signal handler, may come first where there are two workers.
    with pytest.raises(
        (DataError, RuntimeError), match=r"(?i)worker.*(signal|exit|killed)"
    ) as caught:
        list(make_batches(list(sources(fault))[kind], name="fit"))
    assert time.monotonic() - started < 10
    if kind != 1:
        assert isinstance(caught.value, DataError)
        assert ("signal 9" if fault is kill else "exit code 3") in str(caught.value)
    assert not processes_left()


@pytest.mark.parametrize("kind", range(3))
@pytest.mark.parametrize("fault", [fail, refuse])
def test_the_error_of_a_worker_is_its_own(kind: int, fault: Any) -> None:
    expected = LookupError if fault is fail else ConnectionResetError
    with pytest.raises(expected, match=f"in {fault.__name__}\n"):
        list(make_batches(list(sources(fault))[kind]))
    assert not processes_left()


@pytest.mark.parametrize("steps", [None, 3])
@pytest.mark.parametrize("kind", range(3))
def test_processes_end_with_the_pass(kind: int, steps: int | None) -> None:
    batches = make_batches(list(sources(None))[kind], steps=steps)
    epoch = iter(batches)
    next(epoch)
    assert multiprocessing.active_children()
    batches.close()
    assert not processes_left()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_py_dataset_in_processes(workers: int) -> None:
    batches = make_batches(Numbered(workers=workers, use_multiprocessing=True))
    for epoch in range(2):
        seen = list(batches)
        assert [x[0].item() for x, _ in seen] == [100 * epoch + i for i in range(4)]
        makers = {y[0].item() for _, y in seen}
        assert len(makers) == workers
        assert os.getpid() not in makers


def test_an_endless_py_dataset_in_processes_goes_on() -> None:
    source = Numbered(count=None, workers=2, use_multiprocessing=True, max_queue_size=2)
    batches = make_batches(source, steps=3)
    firsts = [[x[0].item() for x, _ in batches] for _ in range(2)]
    assert firsts == [[0, 1, 2], [3, 4, 5]]
    batches.close()
    assert not processes_left()
