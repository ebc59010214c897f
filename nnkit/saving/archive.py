"""Keras 3's .keras archive: a whole model in one file.

An archive is a zip of `config.json` (the architecture and how it is trained), `metadata.json`,
`model.weights.h5` (weights and the optimizer's state) and, for layers that learned a vocabulary,
files under `assets`. Nothing is unpacked to a disk; members are read where they lie.
"""

from __future__ import annotations

import io
import json
import os
import struct
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from nnkit.custom_objects import supplying
from nnkit.errors import FileError
from nnkit.saving.atomic import flowing
from nnkit.saving.checksum import Sum, seal
from nnkit.saving.file_part import Part, SummedPart
from nnkit.saving.keras_weights import opened
from nnkit.saving.model_parts import (
    CONFIG_LIMIT,
    assets,
    fill,
    load_optimizer,
    made,
    read_config,
    take_assets,
    write,
)
from nnkit.saving.places import Contents
from nnkit.serialization import is_object_config, sharing_objects

__all__ = ["load", "opened_weights", "save"]

# The version of Keras whose format this is; Keras reads files of its own and of later ones.
_KERAS_VERSION = "3.15.1"
_CONFIG, _METADATA, _WEIGHTS, _ASSETS = "config.json", "metadata.json", "model.weights.h5", "assets"


def save(model: Any, path: Path, config: dict[str, Any], optimizer: bool) -> None:
    """Write a model whose config is given; `optimizer` is whether its state is wanted."""
    now = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    saved = time.strftime("%Y-%m-%d@%H:%M:%S", now)
    metadata = json.dumps({"keras_version": _KERAS_VERSION, "date_saved": saved})
    text = json.dumps(config)
    with flowing(path) as file, zipfile.ZipFile(file, "w") as archive:
        _add(archive, _METADATA, metadata.encode())
        _add(archive, _CONFIG, text.encode())
        info = _member_info(_WEIGHTS)
        with archive.open(info, "w", force_zip64=True) as member:
            summed = _Summed(member)
            write(model, summed, optimizer)
        archive.comment = _seal(info, summed.sum.total)
        for name, content in sorted(assets(model).items()):
            _add(archive, f"{_ASSETS}/{name}", content)


class _Summed:
    """A file that adds up what is written to it."""

    def __init__(self, file: Any) -> None:
        self._file, self.sum = file, Sum()

    def write(self, data: Any) -> None:
        self._file.write(data)
        self.sum.add(data)


def _seal(member: zipfile.ZipInfo, total: int) -> bytes:
    """What stands in the comment of an archive: a checksum of its weights that is quick to take.

    With it stands the one that every zip file has, so that it counts only for the weights that it
    is of, even if another program puts other weights into the archive and leaves the comment.
    """
    return struct.pack("<I", member.CRC) + seal(total, member.file_size)


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(_member_info(name), content)


def _member_info(name: str) -> zipfile.ZipInfo:
    # With the date that zip files begin at, so that equal models give equal files.
    member = zipfile.ZipInfo(name)
    member.external_attr = 0o644 << 16
    return member


def load(path: Path, size: int, custom_objects: Any, compile: bool) -> Any:
    """The model in a file of this size.

    Raises: FileError when it holds no model, or one that does not fit its weights; whatever else
        comes of damage.
    """
    # Twice, as the weights are read by several threads, with a position that zipfile does not know.
    with open(path, "rb") as first, open(path, "rb") as file:
        if not os.path.sameopenfile(first.fileno(), file.fileno()):  # replaced in between
            return load(path, os.fstat(file.fileno()).st_size, custom_objects, compile)
        with zipfile.ZipFile(first) as archive:
            return _load(archive, path, file, size, custom_objects, compile)


def _load(
    archive: zipfile.ZipFile, path: Path, file: Any, size: int, custom_objects: Any, compile: bool
) -> Any:
    members = _members(archive, size)
    config = read_config(_read(archive, members[_CONFIG], CONFIG_LIMIT))
    if not is_object_config(config):
        raise FileError(f"its {_CONFIG} is not the config of a model.")
    compiled = config.pop("compile_config", None)
    part = _part(archive, file, members[_WEIGHTS], size)
    with opened(path, part) as found:
        with supplying(custom_objects), sharing_objects():
            declared = sum(stored.size for stored in found.weights.values())
            model = made(config, declared, size)
            names = [name.removeprefix(f"{_ASSETS}/") for name in members if name[-1:] != "/"]
            take_assets(model, names, lambda name: _asset(archive, members, name, size))
            if model.built:
                fill(model, found.weights)
            elif found.weights:
                raise FileError(
                    f"the model {model.name!r} could not be built, so its weights have no place. "
                    f"Write build_from_config(self, config) in its class."
                )
            if compile and compiled:
                model.compile_from_config(compiled)
        if compile and compiled:
            load_optimizer(model, found.optimizer)
    _verify(archive, members[_WEIGHTS], part)  # the model is not handed out before
    return model


@contextmanager
def opened_weights(path: Path, opened: Callable[..., Any] = opened) -> Iterator[Contents]:
    """The weights in an archive, for a model that is there already; the file stays open.

    Args:
        path: of the archive.
        opened: how the file of weights inside it is opened.

    Raises: FileError when it is damaged, or something else.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open(path, "rb"))
            size = os.fstat(file.fileno()).st_size
            archive = stack.enter_context(zipfile.ZipFile(stack.enter_context(open(path, "rb"))))
            member = _members(archive, size)[_WEIGHTS]
            part = _part(archive, file, member, size)
            _verify(archive, member, part)  # nothing is taken from a damaged file
        except FileError as error:
            raise FileError(f"{str(path)!r}: {error}") from error
        except Exception as error:  # bytes that are no zip can make its reader raise anything
            raise FileError(
                f"{str(path)!r} is no archive of a model, or is damaged "
                f"({type(error).__name__}: {error})."
            ) from error
        yield stack.enter_context(opened(path, part))


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """What is in the archive of a model, by name."""
    members = {member.filename: member for member in archive.infolist()}
    for name, member in members.items():
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if ".." in parts or name.startswith(("/", "\\")) or ":" in name:
            raise FileError(f"its member {name!r} reaches out of the archive, which is refused.")
        if member.compress_type == zipfile.ZIP_STORED and member.file_size > size:
            raise FileError(f"its member {name!r} claims to be larger than the file.")
    if _CONFIG not in members or _WEIGHTS not in members:
        raise FileError(f"a model's archive holds {_CONFIG} and {_WEIGHTS}; this one does not.")
    return members


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int) -> bytes:
    """The bytes of a member, unless it claims to be more than `limit`; its checksum is checked."""
    if member.file_size > limit:
        raise FileError(f"its member {member.filename!r} claims to be {member.file_size} bytes.")
    with archive.open(member) as opened:
        return opened.read(limit + 1)


def _asset(archive: zipfile.ZipFile, members: Any, name: str, size: int) -> bytes | None:
    member = members.get(f"{_ASSETS}/{name}")
    return None if member is None else _read(archive, member, size + 2**23)


def _part(archive: zipfile.ZipFile, file: Any, member: zipfile.ZipInfo, size: int) -> Part:
    """The weights as a file: the part of the archive they are, or their unpacked bytes."""
    if member.compress_type != zipfile.ZIP_STORED:
        unpacked = _read(archive, member, 2 * size + 2**26)
        return Part(io.BytesIO(unpacked), 0, len(unpacked))
    archive.open(member).close()  # sees whether the member is one that can be read
    file.seek(member.header_offset)
    name, extra = struct.unpack("<26xHH", file.read(30))
    start = member.header_offset + 30 + name + extra
    return SummedPart(file, start, member.file_size)


def _verify(archive: zipfile.ZipFile, member: zipfile.ZipInfo, part: Part) -> None:
    """Compare the checksum of a part that was read where it lies."""
    if not isinstance(part, SummedPart):
        return  # zipfile has looked
    if archive.comment != _seal(member, part.total()) and part.crc32() != member.CRC:
        raise FileError(f"its member {member.filename!r} is damaged: its checksum is another.")
