"""Checksums that cost less than reading: they tell a damaged file or weight from another one.

They protect against accidents, not against malice.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

__all__ = ["BLOCK", "Sum", "checksum", "part_sum", "seal", "unsealed_size"]

BLOCK = 2**20  # bytes of a file that are added up alike
_SEAL = struct.Struct("<8sQ")
_MAGIC = b"nnkitsm2"
_FACTOR = 0x9E3779B97F4A7C15  # any odd number: so it matters where a block lies


def checksum(value: Any) -> int:
    """The sum of an array's bytes, taken as 64-bit numbers, without carry.

    Any single changed byte, and nearly any other damage, gives another sum.
    """
    return _sum(np.ascontiguousarray(value).reshape(-1).view(np.uint8), 0)


def part_sum(data: Any, at: int) -> int:
    """What a part of a file contributes to the file's sum, modulo 2**64.

    It does not matter how a file is divided into parts, nor in which order they are added up, but
    it does where in the file they lie.

    Args:
        data: bytes.
        at: their place in the file.
    """
    data, total = np.frombuffer(data, np.uint8), 0
    while data.size:
        here = data[: BLOCK - at % BLOCK]
        total += _sum(here, at % 8) * pow(_FACTOR, at // BLOCK, 2**64)
        data, at = data[here.size :], at + here.size
    return total % 2**64


def _sum(data: Any, skipped: int) -> int:
    """The sum of bytes as 64-bit numbers, of the first of which so many bytes lie elsewhere."""
    first = min(-skipped % 8, data.size)
    last = first + (data.size - first) // 8 * 8
    total = int.from_bytes(data[:first].tobytes(), "little") << 8 * skipped
    total += int(np.add.reduce(data[first:last].view("<u8"), dtype=np.uint64))
    return (total + int.from_bytes(data[last:].tobytes(), "little")) % 2**64


class Sum:
    """The sum of a file that is written from the first byte to the last."""

    def __init__(self) -> None:
        self.total = self.size = 0

    def add(self, data: Any) -> None:
        """Add the bytes that come next."""
        self.total += part_sum(data, self.size)
        self.size += len(data)


def seal(total: int, size: int) -> bytes:
    """The sum and the size of a file in a form to be kept with it.

    Behind the last byte of an HDF5 file, HDF5 does not look at it, and drops it when it changes the
    file, so that a file of others, or changed by others, is not taken for a damaged one.
    """
    return _SEAL.pack(_MAGIC, (total + size * _FACTOR) % 2**64)


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
    found, buffer = Sum(), memoryview(bytearray(BLOCK))
    file.seek(0)
    while found.size < inner:
        count = file.readinto(buffer[: inner - found.size])
        if not count:
            raise ValueError("it breaks off")
        found.add(buffer[:count])
    if seal(found.total, inner) != written:
        raise ValueError("its checksum is another")
    return inner
