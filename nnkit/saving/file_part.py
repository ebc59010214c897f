"""Parts of files, and other bytes, as files of their own."""

from __future__ import annotations

import io
import threading
import zlib
from typing import Any

from nnkit.saving.checksum import BLOCK, part_sum

__all__ = ["Bytes", "Part", "SummedPart"]


class Bytes(io.RawIOBase):
    """What has bytes at places, `read_at`, as a file with a position."""

    def __init__(self, size: int = 0) -> None:
        self.size, self._at = size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def readinto(self, buffer: Any) -> int:
        count = self.read_at(self._at, buffer)
        self._at += count
        return count

    def read_at(self, at: int, buffer: Any) -> int:
        """Fill a buffer with the bytes at a place; how many there were."""
        raise NotImplementedError


class Part(Bytes):
    """A part of an open file, as a file of its own; several threads can read it."""

    def __init__(self, file: Any, start: int, size: int) -> None:
        super().__init__(size)
        self._file, self._start, self._lock = file, start, threading.Lock()

    def read_at(self, at: int, buffer: Any) -> int:
        wanted = max(min(len(buffer), self.size - at), 0)
        with self._lock:
            self._file.seek(self._start + at)
            count: int = self._file.readinto(memoryview(buffer)[:wanted])
        return count

    def bytes_at(self, at: int, count: int) -> bytes:
        """The bytes at a place, fewer at the end."""
        buffer = bytearray(max(min(count, self.size - at), 0))
        return bytes(buffer[: self.read_at(at, buffer)])

    def crc32(self) -> int:
        """The checksum that a zip file has for it."""
        total, buffer = 0, memoryview(bytearray(BLOCK))
        for at in range(0, self.size, BLOCK):
            total = zlib.crc32(buffer[: self.read_at(at, buffer)], total)
        return total


class SummedPart(Part):
    """A part that is added up while it is read, which costs less than to read it for that alone."""

    def __init__(self, file: Any, start: int, size: int) -> None:
        super().__init__(file, start, size)
        self._sums: dict[int, tuple[int, int]] = {}

    def read_at(self, at: int, buffer: Any) -> int:
        count = super().read_at(at, buffer)
        self._sums[at] = count, part_sum(memoryview(buffer)[:count], at)
        return count

    def total(self) -> int:
        """The sum of all its bytes, as `part_sum` takes it; what was not read is read now."""
        total = here = 0
        for at, (count, part) in [*sorted(self._sums.items()), (self.size, (0, 0))]:
            if at < here:
                continue  # read twice, in other steps
            while here < at:
                between = self.bytes_at(here, min(BLOCK, at - here))
                if not between:
                    raise ValueError("it breaks off")
                total += part_sum(between, here)
                here += len(between)
            total, here = total + part, at + count
        return total % 2**64
