"""A file of plain data that is there whole or not at all, and cannot execute code."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from nnkit.errors import FileError
from nnkit.saving.atomic import replacing

__all__ = ["read_state", "write_state"]

_MARK = b"nnkit state 1\n"


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
    with replacing(path) as part, part.open("wb") as file:
        file.write(_MARK)
        through = _Hashing(file)
        torch.save(state, through)  # type: ignore[arg-type]  # all it needs is `write`
        file.write(through.hash.digest())


def read_state(path: Path) -> dict[str, Any]:
    """Read such a file; it cannot execute code.

    Raises: FileError if the file is damaged or something else.
    """
    data = path.read_bytes()
    body, digest = data[len(_MARK) : -32], data[-32:]
    if not data.startswith(_MARK) or hashlib.sha256(body).digest() != digest:
        raise FileError(f"{str(path)!r} is no state of a training, or is damaged.")
    try:
        found: dict[str, Any] = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except Exception as exc:  # whatever the bytes make torch raise
        raise FileError(f"{str(path)!r} holds more than plain data, and is refused.") from exc
    return found
