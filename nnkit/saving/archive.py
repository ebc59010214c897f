"""Whole models in files: Keras 3's .keras archive.

An archive is a zip of `config.json` (the architecture and how it is trained), `metadata.json`,
`model.weights.h5` (weights and the optimizer's state) and, for layers that learned a vocabulary,
files under `assets`. Nothing is unpacked to a disk; members are read where they lie.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import time
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from nnkit.custom_objects import supplying
from nnkit.errors import ArgumentError, FileError, NnkitError
from nnkit.saving.atomic import replacing
from nnkit.serialization import is_object_config, serialize_keras_object, sharing_objects

__all__ = ["load_model", "save_model"]

# The version of Keras whose format this is; Keras reads files of its own and of later ones.
_KERAS_VERSION = "3.15.1"
_CONFIG, _METADATA, _WEIGHTS, _ASSETS = "config.json", "metadata.json", "model.weights.h5", "assets"
_LEGACY = (".h5", ".hdf5")


def save_model(model: Any, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
    """Write a whole model to a file that Keras and nnkit open: whole, or not at all.

    Args:
        model: the model. One that has no weights yet is written without.
        filepath: ends in ".keras"; or ".h5", the format before Keras 3. Its folder must exist.
        overwrite: False refuses to replace a file.
        include_optimizer: False leaves out how the model is trained.

    Raises: ArgumentError for another ending; ConfigError for what a file cannot hold;
        FileExistsError if overwrite is False; FileNotFoundError if there is no such folder.
    Source: keras.saving.save_model
    """
    include_optimizer = bool(kwargs.pop("include_optimizer", True))
    for unused in ("save_format", "zipped"):
        kwargs.pop(unused, None)
    if kwargs:
        raise ArgumentError(f"save_model() has no argument {min(kwargs)!r}.")
    path = _path(filepath)
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"{str(path)!r} exists. Give overwrite=True to replace it, or another name."
        )
    if not model.built:
        warnings.warn(
            f"{model.label} has no weights yet, so the file holds only how it is made. Build it, "
            f"or call it on data, before saving.",
            stacklevel=3,
        )
    # Before the file is begun: whatever cannot be written shows here.
    with sharing_objects():
        config = serialize_keras_object(model)
    if not include_optimizer:
        config.pop("compile_config", None)
    if path.suffix in _LEGACY:
        compiled = config.pop("compile_config", None)
        with replacing(path) as part:
            _library("whole_h5").save(model, part, config, compiled)
        return
    text = json.dumps(config)
    with replacing(path) as part, open(part, "w+b") as file, zipfile.ZipFile(file, "w") as archive:
        now = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
        saved = time.strftime("%Y-%m-%d@%H:%M:%S", now)
        metadata = json.dumps({"keras_version": _KERAS_VERSION, "date_saved": saved})
        _add(archive, _METADATA, metadata.encode())
        _add(archive, _CONFIG, text.encode())
        with archive.open(_member_info(_WEIGHTS), "w", force_zip64=True) as member:
            # Written where it belongs, as HDF5 goes back and forth, then given to zipfile for its
            # checksum: so neither memory nor a second file has to hold all weights.
            window = _Window(file, file.tell())
            _library("whole").write(model, window, include_optimizer)
            window.pass_to(member)
        for name, content in sorted(_library("whole").assets(model).items()):
            _add(archive, f"{_ASSETS}/{name}", content)


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(_member_info(name), content)


def _member_info(name: str) -> zipfile.ZipInfo:
    # With the date that zip files begin at, so that equal models give equal files.
    member = zipfile.ZipInfo(name)
    member.external_attr = 0o644 << 16
    return member


def load_model(
    filepath: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True
) -> Any:
    """The model in a file that `model.save` wrote, here or in Keras 3.

    Args:
        filepath: ends in ".keras"; or ".h5", the format before Keras 3.
        custom_objects: your own classes and functions by the names the file has for them; a lambda
            and a torch module go by the name of their layer.
        compile: whether to compile the model as it was, with the optimizer's state.
        safe_mode: accepted, and without effect: code in a file is never run.

    Raises: FileError for a file that is damaged, is something else, or names what is not known
        here; FileNotFoundError if there is no such file.
    Source: keras.saving.load_model
    """
    path = _path(filepath)
    with open(path, "rb") as file:  # the system's own errors come as they are
        size = os.fstat(file.fileno()).st_size
        if path.suffix in _LEGACY:
            with _naming(path):
                return _library("whole_h5").load(path, size, custom_objects, compile)
        with _naming(path), zipfile.ZipFile(file) as archive:
            return _load(archive, path, file, size, custom_objects, compile)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Whatever goes wrong inside is an error of this file."""
    try:
        yield
    except Warning:
        raise  # made an error by the caller's filters
    except FileError as error:
        if str(path) in str(error):
            raise
        raise FileError(f"{str(path)!r}: {error}") from error
    except NnkitError as error:
        raise FileError(f"{str(path)!r} cannot be loaded: {error}") from error
    except RecursionError as error:
        raise FileError(
            f"{str(path)!r} cannot be loaded: its config is nested too deeply for that of a model."
        ) from error
    except Exception as error:  # bytes that are no such file can make a reader raise anything
        said = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise FileError(
            f"{str(path)!r} cannot be loaded, it is damaged or no such file "
            f"({type(error).__name__}: {said})."
        ) from error


def _load(
    archive: zipfile.ZipFile, path: Path, file: Any, size: int, custom_objects: Any, compile: bool
) -> Any:
    members = {member.filename: member for member in archive.infolist()}
    for name, member in members.items():
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if ".." in parts or name.startswith(("/", "\\")) or ":" in name:
            raise FileError(f"its member {name!r} reaches out of the archive, which is refused.")
        if member.compress_type == zipfile.ZIP_STORED and member.file_size > size:
            raise FileError(f"its member {name!r} claims to be larger than the file.")
    if _CONFIG not in members or _WEIGHTS not in members:
        raise FileError(f"a model's archive holds {_CONFIG} and {_WEIGHTS}; this one does not.")
    whole = _library("whole")
    config = whole.read_config(_read(archive, members[_CONFIG], whole.CONFIG_LIMIT))
    if not is_object_config(config):
        raise FileError(f"its {_CONFIG} is not the config of a model.")
    compiled = config.pop("compile_config", None)
    h5 = _library("h5")
    with _member(archive, file, members[_WEIGHTS], size) as weights:
        with h5.opened(path, weights) as found, supplying(custom_objects), sharing_objects():
            model = whole.made(config, sum(stored.size for stored in found.values()), size)
            whole.take_assets(model, lambda name: _asset(archive, members, name, size))
            if model.built:
                whole.fill(model, found)
            elif found:
                raise FileError(
                    f"the model {model.name!r} could not be built, so its weights have no place. "
                    f"Write build_from_config(self, config) in its class."
                )
            if compile and compiled:
                model.compile_from_config(compiled)
        if compile and compiled:
            whole.load_optimizer(model, path, weights)
    return model


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int) -> bytes:
    """The bytes of a member, unless it claims to be more than `limit`; its checksum is checked."""
    if member.file_size > limit:
        raise FileError(f"its member {member.filename!r} claims to be {member.file_size} bytes.")
    with archive.open(member) as opened:
        return opened.read(limit + 1)


def _asset(archive: zipfile.ZipFile, members: Any, name: str, size: int) -> bytes | None:
    member = members.get(f"{_ASSETS}/{name}")
    return None if member is None else _read(archive, member, size + 2**23)


@contextmanager
def _member(archive: zipfile.ZipFile, file: Any, member: zipfile.ZipInfo, size: int) -> Any:
    """The weights as a file: the part of the archive they are, or their unpacked bytes."""
    if member.compress_type != zipfile.ZIP_STORED:
        yield io.BytesIO(_read(archive, member, 2 * size + 2**26))
        return
    with archive.open(member) as opened:
        start = opened._orig_compress_start  # type: ignore[attr-defined]  # no public name for it
        while opened.read(2**20):
            pass  # at the end, zipfile compares the checksum
    yield io.BufferedReader(_Window(file, start, member.file_size), 2**16)


class _Window(io.RawIOBase):
    """A part of an open file, as a file of its own: to read if it has a size, else to write."""

    def __init__(self, file: Any, start: int, size: int = 0) -> None:
        self._file, self._start, self._size, self._at = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return bool(self._file.writable())

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = max(min(len(buffer), self._size - self._at), 0)
        self._file.seek(self._start + self._at)
        count: int = self._file.readinto(memoryview(buffer)[:wanted])
        self._at += count
        return count

    def write(self, data: Any) -> int:
        self._file.seek(self._start + self._at)
        count: int = self._file.write(data)
        self._at += count
        self._size = max(self._size, self._at)
        return count

    def truncate(self, size: int | None = None) -> int:
        self._size = self._at if size is None else size
        self._file.truncate(self._start + self._size)
        return self._size

    def pass_to(self, member: Any) -> None:
        """Write each piece again through `member`, which writes at the place of the file."""
        for at in range(0, self._size, 2**20):
            self.seek(at)
            piece = self.read(2**20)
            self._file.seek(self._start + at)
            member.write(piece)


def _path(filepath: Any) -> Path:
    try:
        path = Path(filepath)
    except TypeError as error:
        raise ArgumentError(
            f"A file's name must be a string or a path, got {filepath!r}."
        ) from error
    if path.suffix not in (".keras", *_LEGACY):
        raise ArgumentError(
            f"The name of a model's file must end in '.keras' (or '.h5', as before Keras 3), "
            f"got {str(path)!r}."
        )
    if path.is_dir():
        raise ArgumentError(f"{str(path)!r} is a folder; give the name of a file.")
    return path


def _library(name: str) -> Any:
    # Loaded by name: h5py is slow to import, and most programs never save.
    if name == "h5":
        return importlib.import_module("nnkit.saving.h5")
    old = name == "whole_h5"
    return importlib.import_module("nnkit.saving.whole_h5" if old else "nnkit.saving.whole")
