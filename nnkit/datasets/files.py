"""The files of data sets: fetched once, checked, and found where Keras left them."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nnkit.arguments import path_text
from nnkit.errors import ArgumentError, DataError, DownloadError
from nnkit.utils.download import cache_folder, get_file, matches_hash

__all__ = ["KERAS", "RemoteFile", "arrays_of", "check_fraction", "fetch", "unpickled"]

KERAS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


class RemoteFile(NamedTuple):
    """A file of a data set.

    Attributes:
        origin: its URL.
        file_hash: its SHA-256, or MD5 where only that was published.
        name: what it is called in the cache, also by Keras.
        extract: whether it is an archive whose contents are wanted.
        folder: below the cache.
    """

    origin: str
    file_hash: str
    name: str
    extract: bool = False
    folder: str = "datasets"


def fetch(file: RemoteFile, title: str, name: str | None = None, otherwise: str = "") -> Path:
    """The file (or the folder it was extracted to), downloaded if it is nowhere yet.

    Args:
        file: which one.
        title: what errors call the data set.
        name: another name in the cache.
        otherwise: what else one could do without a connection, for the error.

    Raises: DownloadError, which says what to save where.
    """
    name = path_text(title, "path", name or file.name)
    kept = f"{name}_archive" if file.extract else name
    own = cache_folder() / file.folder / kept
    keras = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    theirs = keras / file.folder / kept
    algorithm = "md5" if len(file.file_hash) == 32 else "sha256"
    found = not own.exists() and theirs.is_file()
    home = keras if found and matches_hash(theirs, file.file_hash, algorithm) else None
    try:
        return Path(
            get_file(
                name, origin=file.origin, file_hash=file.file_hash, extract=file.extract,
                cache_subdir=file.folder, cache_dir=home,
            )
        )  # fmt: skip
    except DownloadError as exc:
        raise DownloadError(
            f"{title} could not be downloaded. Fetch {file.origin} on a connected machine and save "
            f"it as {own}{otherwise}."
        ) from exc


# All that an array of objects needs to be rebuilt; anything else in a pickle is refused.
_ALLOWED = {
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED:
            return super().find_class(module, name)
        raise DataError(f"A data set's file names {module}.{name}. It is damaged or malicious.")


def unpickled(data: bytes, encoding: str = "ASCII") -> Any:
    """What a pickle of arrays, numbers and texts holds; it cannot run code.

    Raises: DataError for a pickle that names anything else, or is damaged.
    """
    try:
        return _ArraysOnly(io.BytesIO(data), encoding=encoding).load()
    except (pickle.UnpicklingError, EOFError, ValueError, KeyError, IndexError) as exc:
        if isinstance(exc, DataError):
            raise
        raise DataError(f"A data set's file is damaged: {exc}. Delete it, and try again.") from exc


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file, those of lists too, which NumPy keeps as pickles."""
    arrays: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            data = archive.read(member)
            stream = io.BytesIO(data)
            major, _ = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0
            if major > 1:
                read = np.lib.format.read_array_header_2_0
            _, _, dtype = read(stream)
            if dtype.hasobject:
                array = unpickled(data[stream.tell() :], encoding="latin1")
            else:
                array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
            arrays[member.removesuffix(".npy")] = array
    return arrays


def check_fraction(test_split: float) -> None:
    """Refuse a part of the samples that leaves none to train on."""
    if not 0 <= test_split < 1:
        raise ArgumentError(f"test_split must be at least 0 and below 1, got {test_split!r}.")
