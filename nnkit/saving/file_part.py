"""A part of an open file, as a file of its own."""

from __future__ import annotations

import io
import threading
import zlib
from collections.abc import Iterator
from typing import Any

from nnkit.saving.checksum import BLOCK

__all__ = ["Part"]


class Part(io.RawIOBase):
    """A part of an open file, as a file of its own; several threads can read it."""

    def __init__(self, file: Any, start: int, size: int) -> None:
        self._file, self._start, self.size, self._at = file, start, size, 0
        self._lock = threading.Lock()

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
        wanted = max(min(len(buffer), self.size - at), 0)
        with self._lock:
            self._file.seek(self._start + at)
            count: int = self._file.readinto(memoryview(buffer)[:wanted])
        return count

    def bytes_at(self, at: int, count: int) -> bytes:
        """The bytes at a place, fewer at the end."""
        buffer = bytearray(count)
        return bytes(buffer[: self.read_at(at, buffer)])

    def find(self, sought: bytes) -> Iterator[int]:
        """Where bytes are."""
        for at in range(0, self.size, BLOCK):
            data = self.bytes_at(at, BLOCK + len(sought) - 1)  # they may lie across
            start = data.find(sought)
            while start >= 0:
                yield at + start
                start = data.find(sought, start + 1)

    def crc32(self) -> int:
        """The checksum that a zip file has for it."""
        total, buffer = 0, memoryview(bytearray(BLOCK))
        for at in range(0, self.size, BLOCK):
            total = zlib.crc32(buffer[: self.read_at(at, buffer)], total)
        return total
