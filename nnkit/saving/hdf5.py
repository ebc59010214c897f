"""Reading HDF5 files without trust in what is in them."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from nnkit.errors import FileError
from nnkit.saving.checksum import unsealed_size
from nnkit.saving.file_part import Part
from nnkit.saving.hdf5_texts import Texts
from nnkit.saving.pieces import as_rows, in_pieces
from nnkit.saving.places import Stored

_MANY, _THREADS = 8, 2  # arrays of so many pieces are read by so many threads

__all__ = ["Array", "Reader", "group_at", "reading", "telling"]


class Reader:
    """An open file: its `root`, and its `arrays` by their paths, those behind links left out."""

    def __init__(self, path: Path, root: Any, part: Part) -> None:
        self.path, self.root, self._part = path, root, part
        self.arrays: dict[str, Array] = {}
        self._texts = Texts(part, root.userblock_size)
        # It follows no links, so that what they lead to counts as missing.
        root.visititems(self._visit)

    def _visit(self, name: str | bytes, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            key = name if isinstance(name, str) else name.decode(errors="backslashreplace")
            self.arrays[key] = Array(self.path, item, self._part)

    def attribute(self, owner: Any, name: str, limit: int = 2**16) -> Any:
        """The value of an attribute of the root or a group; None if there is no such attribute.

        Raises: FileError when it claims more than `limit` bytes, or reading would not end.
        """
        if name not in owner.attrs:
            return None
        about = owner.attrs.get_id(name)
        if math.prod(about.shape or ()) * about.dtype.itemsize > limit:
            raise FileError(f"its attribute {name!r} claims to be longer than there can be.")
        if about.dtype.hasobject:
            texts = self._texts.read(h5py.h5o.get_info(owner.id).addr, name, limit)
            return texts if about.shape else texts[0]
        return owner.attrs[name]

    def text(self, owner: Any, name: str, limit: int = 2**16) -> str | None:
        """As `attribute`, for a text."""
        value = self.attribute(owner, name, limit)
        if value is not None and not isinstance(value, (str, bytes)):
            raise FileError(f"its attribute {name!r} is no text.")
        return value.decode() if isinstance(value, bytes) else value


def group_at(root: Any, path: str) -> Any:
    """The group at a path of a file; None if there is none, or only a link leads there."""
    group = root
    for part in path.split("/"):
        links, key = group.id.links, part.encode()
        if not links.exists(key) or links.get_info(key).type != h5py.h5l.TYPE_HARD:
            return None
        group = group[part]
        if not isinstance(group, h5py.Group):
            return None
    return group


@contextmanager
def reading(path: Path, part: Part | None = None) -> Iterator[Reader]:
    """Open a file.

    Args:
        path: of the file, for messages too.
        part: what to read instead of the file.

    Raises: FileError when the file is damaged, is something else, or keeps arrays in other files.
    """
    with ExitStack() as stack:
        if part is None:
            file = stack.enter_context(open(path, "rb"))
            with telling(path):
                part = Part(file, 0, unsealed_size(file, os.fstat(file.fileno()).st_size))
        try:
            root = stack.enter_context(h5py.File(io.BufferedReader(part, 2**16), "r"))
        except Exception as exc:  # bytes that are no such file can make h5py raise nearly anything
            raise FileError(
                f"{str(path)!r} is no HDF5 file, or is damaged ({exc}). Save the weights anew."
            ) from exc
        with telling(path):
            reader = Reader(path, root, part)
        outside = [key for key, array in reader.arrays.items() if array.outside]
        if outside:
            raise FileError(
                f"{str(path)!r} keeps {outside[0]!r} in another file, which is refused."
            )
        yield reader


class Array(Stored):
    """An array of a file."""

    def __init__(self, path: Path, dataset: Any, part: Part) -> None:
        self._path, self._dataset, self._part = path, dataset, part
        self._dtype = dataset.dtype  # which a damaged header makes h5py raise at
        self.shape = tuple(dataset.shape or ())
        self.size = math.prod(self.shape) * int(self._dtype.itemsize)
        self.outside = bool(dataset.external or dataset.is_virtual)

    def check(self) -> None:
        """Read it, if that can fail.

        Raises: FileError when it cannot be read.
        """
        with telling(self._path, self._dataset.name):
            if self._start is None:
                self.read()

    def read(self, target: torch.Tensor | None = None) -> torch.Tensor:
        """The values; or fill a tensor of this shape with them, which is given back.

        Raises: FileError when it cannot be read.
        """
        with telling(self._path, self._dataset.name):
            if self._start is None:
                value = _tensor(np.asarray(self._dataset[()]))
                return value if target is None else target.copy_(value)
            if target is None:
                target = torch.empty(self.shape, dtype=_tensor(np.empty(0, self._dtype)).dtype)
            self._fill(as_rows(target.detach()), self._start)
        return target

    def _fill(self, rows: torch.Tensor, start: int) -> None:
        """Copy the plain bytes of the file, piece by piece."""
        pieces = in_pieces(rows)
        step = pieces[0].nbytes
        # Each thread has a part of its own, so that they do not wait for the same new memory.
        share = -(-len(pieces) // (_THREADS if len(pieces) >= _MANY else 1))

        def copy(first: int) -> None:
            buffer = np.empty(pieces[0].numel(), self._dtype)
            for number, piece in enumerate(pieces[first : first + share], first):
                values = buffer[: piece.numel()]
                if self._part.read_at(start + number * step, values.view(np.uint8)) < values.nbytes:
                    raise ValueError("it breaks off")
                piece.copy_(_tensor(values).view(piece.shape))

        parts = range(0, len(pieces), share)
        if len(parts) == 1:
            copy(0)
            return
        with ThreadPoolExecutor(len(parts)) as pool:
            for _ in pool.map(copy, parts):
                pass

    @cached_property
    def _start(self) -> int | None:
        """Where the values lie in the file as plain bytes; None if HDF5 has to make them."""
        if self._dtype.hasobject:
            raise ValueError("it holds no numbers")
        dataset, plan = self._dataset.id, self._dataset.id.get_create_plist()
        plain = (
            self._dtype.kind in "iufV"
            and self._dtype.isnative
            and dataset.get_type() == h5py.h5t.py_create(self._dtype)
            and plan.get_layout() == h5py.h5d.CONTIGUOUS
            and dataset.get_storage_size() == self.size
            and self._dataset.file.userblock_size == 0
        )
        start = dataset.get_offset() if plain else None
        if start is not None and start + self.size > self._part.size:
            raise ValueError("it breaks off")
        return start


def _tensor(value: np.ndarray) -> torch.Tensor:
    if value.dtype == np.dtype("V2"):  # only bfloat16 is written so
        return torch.from_numpy(value.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(value.astype(value.dtype.newbyteorder("="), copy=False))


@contextmanager
def telling(path: Path, key: str = "") -> Iterator[None]:
    """Whatever goes wrong inside is damage of a file, at a key: h5py can raise nearly anything."""
    try:
        yield
    except FileError:
        raise
    except Exception as exc:
        where = f" at {key!r}" if key else ""
        raise FileError(f"{str(path)!r} is damaged{where}: {exc}. Save the weights anew.") from exc
