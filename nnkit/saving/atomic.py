"""Write a file so that it is there whole, or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replacing"]


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give the path of a new file to write; it takes the place of `path` when all went well.

    The new file lies in the same folder and is on the disk before it is renamed, so that neither
    an error nor a power cut leaves half a file. A link stays a link: the file it leads to is
    replaced, and keeps its permissions.

    Example:
        with replacing("notes.txt") as part:
            part.write_text("all of it")

    Raises: FileNotFoundError if the folder does not exist; whatever is raised inside.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"Cannot write {str(path)!r}: there is no folder {str(target.parent)!r}. "
            f"Make it first, with os.makedirs()."
        )
    part = target.with_name(f".{uuid.uuid4().hex}{target.suffix}.part")
    try:
        yield part
        if target.exists():
            shutil.copymode(target, part)
        _to_disk(part, os.O_RDWR)
        os.replace(part, target)
        # The new name lives in the folder; Windows cannot open a folder and needs no such call.
        if os.name == "posix":
            _to_disk(target.parent, os.O_RDONLY)
    finally:
        part.unlink(missing_ok=True)


def _to_disk(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
