"""Writing HDF5 files from the first byte to the last, with no copy of the arrays in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import torch

from nnkit.layouts import SAME, Layout
from nnkit.saving.atomic import flowing
from nnkit.saving.checksum import BLOCK, Sum, seal
from nnkit.saving.file_part import Bytes
from nnkit.saving.pieces import as_rows, in_pieces

__all__ = ["NewFile", "new_file"]

_WAITING = 2  # blocks that may wait for the disk


class _Planned(NamedTuple):
    """Where an array will begin, what it will be, and how that lies in the file."""

    start: int
    tensor: torch.Tensor
    layout: Layout


class NewFile:
    """An HDF5 file in the making: `root` takes groups and attributes, `add` takes arrays.

    The values follow when HDF5 has laid out everything else.
    """

    def __init__(self, root: Any) -> None:
        self.root = root
        self.arrays: list[_Planned] = []

    def add(self, group: Any, key: str, tensor: torch.Tensor, layout: Layout = SAME) -> None:
        """Put a tensor into a group, in Keras's order."""
        tensor = tensor.detach()
        value = layout.to_keras(tensor)
        if value.ndim:
            plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plan.set_layout(h5py.h5d.CONTIGUOUS)
            plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)  # so that its place is known
            plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            dataset = group.create_dataset(key, tuple(value.shape), _dtype(value), dcpl=plan)
            if value.numel():
                self.arrays.append(_Planned(dataset.id.get_offset(), tensor, layout))
        else:  # h5py makes single numbers in its own way
            dataset = group.create_dataset(key, (), _dtype(value))
            dataset[()] = _bytes(value.cpu()).view(_dtype(value))[0]
        if value.dtype is torch.bfloat16:
            dataset.attrs["dtype"] = "bfloat16"


@contextmanager
def new_file(target: Any) -> Iterator[NewFile]:
    """Make an HDF5 file; it is written at the end, if all went well.

    Args:
        target: the path of a file, which gets a seal; or a binary file, written from where it is.
    """
    frame = _Frame()
    with h5py.File(frame, "w") as root:
        made = NewFile(root)
        yield made
    if not isinstance(target, Path):
        _write(frame, made.arrays, target.write)
        return
    total = Sum()
    with flowing(target) as file:

        def write(block: Any) -> None:
            file.write(block)
            total.add(block)

        _write(frame, made.arrays, write)
        file.write(seal(total.total, total.size))


def _write(frame: _Frame, arrays: list[_Planned], write: Callable[[Any], Any]) -> None:
    with ThreadPoolExecutor(1) as pool:
        blocks = _Blocks(lambda block: pool.submit(write, block))
        end = 0
        for start, tensor, layout in sorted(arrays, key=lambda array: array.start):
            blocks.add(frame.part(end, start))
            for piece in in_pieces(as_rows(layout.to_keras(tensor))):
                # In its own order first, then turned: at once, a copy that turns takes seven times
                # longer.
                here = piece.cpu()
                here = here if here.is_contiguous() else here.clone().contiguous()
                blocks.add(_bytes(here))
            end = start + tensor.nbytes
        blocks.add(frame.part(end, frame.size))
        blocks.finish()


class _Blocks:
    """Hands on what is added in blocks of one size, while the next one is filled."""

    def __init__(self, submit: Callable[[Any], Future[None]]) -> None:
        self._submit = submit
        self._pending: deque[Future[None]] = deque()
        self._block, self._used = np.empty(BLOCK, np.uint8), 0

    def add(self, data: Any) -> None:
        data = np.frombuffer(data, np.uint8)
        while len(data):
            taken = data[: BLOCK - self._used]
            self._block[self._used : self._used + len(taken)] = taken
            self._used += len(taken)
            data = data[len(taken) :]
            if self._used == BLOCK:
                self._hand_on()

    def finish(self) -> None:
        self._hand_on()
        while self._pending:
            self._pending.popleft().result()

    def _hand_on(self) -> None:
        self._pending.append(self._submit(self._block[: self._used]))
        self._block, self._used = np.empty(BLOCK, np.uint8), 0
        while len(self._pending) > _WAITING:
            self._pending.popleft().result()  # raises what went wrong, such as a full disk


def _bytes(value: torch.Tensor) -> Any:
    # Not by a reshape, which leaves any stride to a single number.
    return value.as_strided((value.numel(),), (1,)).view(torch.uint8).numpy()


def _dtype(value: torch.Tensor) -> Any:
    if value.dtype is torch.bfloat16:  # which NumPy does not know: two raw bytes a number
        return np.dtype("V2")
    return torch.empty(0, dtype=value.dtype).numpy().dtype


class _Frame(Bytes):
    """A file in memory with room only for what is written to it: here, all but the arrays."""

    _PAGE = 4096

    def __init__(self) -> None:
        super().__init__()
        self._pages: dict[int, bytearray] = {}

    def writable(self) -> bool:
        return True

    def truncate(self, size: int | None = None) -> int:
        self.size = self._at if size is None else size
        return self.size

    def write(self, data: Any) -> int:
        data = memoryview(data).cast("B")
        for page, inside, outside in self._spans(self._at, self._at + len(data)):
            self._pages.setdefault(page, bytearray(self._PAGE))[inside] = data[outside]
        self._at += len(data)
        self.size = max(self.size, self._at)
        return len(data)

    def read_at(self, at: int, buffer: Any) -> int:
        part = self.part(at, min(at + len(buffer), self.size))
        buffer[: len(part)] = part
        return len(part)

    def part(self, start: int, stop: int) -> bytes:
        """The bytes of a range; zeros where nothing was written."""
        empty = bytes(self._PAGE)
        spans = self._spans(start, stop)
        return b"".join(self._pages.get(page, empty)[inside] for page, inside, _ in spans)

    def _spans(self, start: int, stop: int) -> Iterator[tuple[int, slice, slice]]:
        """For each page of a range: its number, what of it, and what of the range."""
        at = start
        while at < stop:
            page, first = divmod(at, self._PAGE)
            count = min(self._PAGE - first, stop - at)
            yield page, slice(first, first + count), slice(at - start, at - start + count)
            at += count
