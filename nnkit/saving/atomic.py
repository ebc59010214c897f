"""Write a file so that it is there whole, or not at all."""

from __future__ import annotations

import glob
import io
import os
import platform
import re
import shutil
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from nnkit.errors import FileError

__all__ = ["check_room", "flowing", "replacing"]

# Hidden, and named after the machine and the process that writes it.
_PART = re.compile(r"\.(?P<target>.+)\.(?P<host>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{32}\.part")


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give the path of a new file to write; it takes the place of `path` when all went well.

    The new file lies in the same folder and is on the disk before it is renamed, so that neither
    an error nor a power cut leaves half a file. A link stays a link: the file it leads to is
    replaced, and keeps its permissions. What a process that was killed has left behind of the same
    file is removed.

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
    _remove_left_over(target)
    part = _part_of(target)
    _leave_memory(target)
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


def _leave_memory(path: Path) -> None:
    """Give the memory in which the system keeps a file to the one that will replace it."""
    if path.is_file():
        with suppress(OSError), open(path, "rb") as file:
            _not_needed(file.fileno(), 0, 0)


def _not_needed(file: int, start: int, size: int) -> None:
    """Tell the system that a part of a file (0 for all of it) need not stay in memory."""
    if hasattr(os, "posix_fadvise"):  # not on every system
        with suppress(OSError):  # nor on every disk
            os.posix_fadvise(file, start, size, os.POSIX_FADV_DONTNEED)


def flowing(path: Path) -> BinaryIO:
    """Open a new file for writing; the disk takes what is written while the rest is made."""
    return io.BufferedWriter(_Flowing(path, "wb"), _STEP)


_STEP = 2**22  # bytes


class _Flowing(io.FileIO):
    """Without it, the disk is idle until the end, and everything waits for it then."""

    _begun = 0

    def write(self, data: Any) -> int:
        count = super().write(memoryview(data)[:_STEP])  # the rest is asked for again
        here = self.tell()
        if here - self._begun >= _STEP:
            # At this the system begins to write it; it stays in memory meanwhile, for whoever reads
            # it next.
            _not_needed(self.fileno(), self._begun, here - self._begun)
            self._begun = here
        return count


def check_room(path: str | os.PathLike[str], size: int = 0) -> None:
    """See before a long run that a file can be written: its folder is made, and has room.

    Args:
        path: of the file.
        size: bytes it will need, about; an old file stays until the new one is whole.

    Raises: FileError that says what is wrong with the folder, or how much room is missing.
    """
    target = Path(os.path.realpath(path))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        probe = _part_of(target)
        probe.touch()
        probe.unlink()
    except OSError as exc:
        raise FileError(
            f"Nothing can be written to {str(path)!r}: {exc.strerror or exc}. "
            f"Choose another folder."
        ) from exc
    free = shutil.disk_usage(target.parent).free
    if free < size:
        raise FileError(
            f"{str(path)!r} will need about {size / 1e6:.0f} MB, but its disk has {free / 1e6:.0f} "
            f"MB left. Make room, or choose another folder."
        )


def _part_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.{_host()}-{os.getpid()}-{uuid.uuid4().hex}.part")


def _host() -> str:
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _remove_left_over(target: Path) -> None:
    """Remove the parts of this file whose writers, on this machine, are dead."""
    for path in target.parent.glob(f".{glob.escape(target.name)}.*.part"):
        found = _PART.fullmatch(path.name)
        ours = found and (found["target"], found["host"]) == (target.name, _host())
        if found and ours and not _is_alive(int(found["process"])):
            path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    if os.name != "posix":
        return True  # there, this question would end the process
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it belongs to somebody else
    return True


def _to_disk(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
