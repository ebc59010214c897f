"""A checksum that costs less than reading: it tells a damaged file or weight from another one."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["BLOCK", "Seal", "checksum", "unsealed_size"]

BLOCK = 2**20  # bytes that a sealed file is added up by
_SEAL = struct.Struct("<8sQ")
_MAGIC = b"nnkitsum"
_FACTOR = 0x9E3779B97F4A7C15  # any odd number: so it matters where a block lies


def checksum(value: Any) -> int:
    """The sum of an array's bytes, taken as 64-bit numbers, without carry.

    Any single changed byte, and nearly any other damage, gives another sum. It protects against
    accidents, not against malice.
    """
    data = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
    whole = data.size // 8 * 8
    total = int(np.add.reduce(data[:whole].view("<u8"), dtype=np.uint64))
    return (total + int.from_bytes(data[whole:].tobytes(), "little")) % 2**64


class Seal:
    """The checksum of a whole file, which lies behind its last byte.

    HDF5 does not look there, and drops it when it changes the file, so that a file of others, or
    changed by others, is not taken for a damaged one.
    """

    def __init__(self) -> None:
        self._total = self._size = 0

    def add(self, block: Any) -> None:
        """Add the next block, which is of `BLOCK` bytes unless it is the last one."""
        self._total = (self._total * _FACTOR + checksum(block)) % 2**64
        self._size += len(block)

    def __bytes__(self) -> bytes:
        return _SEAL.pack(_MAGIC, (self._total * _FACTOR + self._size) % 2**64)


def unsealed_size(file: Any, size: int) -> int:
    """The size of a file without its seal, if it has one, which is compared.

    Raises: ValueError when the file is not what was sealed.
    """
    inner = size - _SEAL.size
    if inner < 0:
        return size
    file.seek(inner)
    written = file.read(_SEAL.size)
    if not written.startswith(_MAGIC):
        return size
    seal = Seal()
    for block in _blocks(file, inner):
        seal.add(block)
    if bytes(seal) != written:
        raise ValueError("its checksum is another")
    return inner


def _blocks(file: Any, size: int) -> Iterator[Any]:
    buffer = np.empty(BLOCK, np.uint8)
    file.seek(0)
    for start in range(0, size, BLOCK):
        block = buffer[: min(BLOCK, size - start)]
        if file.readinto(block) != len(block):
            raise ValueError("it breaks off")
        yield block
