"""A file of plain data that is there whole or not at all, and cannot execute code."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import torch

from nnkit.errors import FileError
from nnkit.saving.atomic import flowing, replacing
from nnkit.saving.checksum import BLOCK
from nnkit.saving.file_part import Part

__all__ = ["read_state", "write_state"]

_MARK, _HASH_SIZE = b"nnkit state 1\n", 32


class _Hashing(io.RawIOBase):
    """A file for writing that knows the hash of what went through it."""

    def __init__(self, file: Any) -> None:
        self.hash = hashlib.sha256()
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.hash.update(data)
        return int(self._file.write(data))


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write plain data into a file, whole or not at all, with a hash at its end."""
    with replacing(path) as part, flowing(part) as file:
        file.write(_MARK)
        through = _Hashing(file)
        torch.save(state, through)  # type: ignore[arg-type]  # all it needs is `write`
        file.write(through.hash.digest())


def read_state(path: Path) -> dict[str, Any]:
    """Read such a file; it cannot execute code.

    Raises: FileError if the file is damaged or something else.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size - len(_MARK) - _HASH_SIZE
        mark, part = file.read(len(_MARK)), Part(file, len(_MARK), size)
        found = hashlib.sha256()
        for at in range(0, size, BLOCK):
            found.update(part.bytes_at(at, BLOCK))
        if mark != _MARK or size < 0 or found.digest() != file.read(_HASH_SIZE):
            raise FileError(f"{str(path)!r} is no state of a training, or is damaged.")
        try:
            state: dict[str, Any] = torch.load(part, map_location="cpu", weights_only=True)  # type: ignore[arg-type]
        except Exception as exc:  # whatever the bytes make torch raise
            raise FileError(f"{str(path)!r} holds more than plain data, and is refused.") from exc
    return state
