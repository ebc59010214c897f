"""Reading and writing arrays in HDF5 files, without trust in what is in them."""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from nnkit.errors import FileError
from nnkit.saving.checksum import checksum

__all__ = [
    "damaged", "datasets", "group_at", "read_attribute", "read_dataset", "read_text", "size_of",
    "write_dataset",
]  # fmt: skip

_CHECKSUM, _PIECE = "checksum", 2**24


@contextmanager
def datasets(path: Path, source: Any = None) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Open a file: it, and its arrays by their paths, those behind links left out.

    Args:
        path: of the file, for messages too.
        source: what to read instead of the file: an open binary file.

    Raises: FileError when the file is damaged, is something else, or keeps arrays in other files.
    """
    try:
        file = h5py.File(path if source is None else source, "r")
    except Exception as exc:  # bytes that are no such file can make h5py raise nearly anything
        raise FileError(
            f"{str(path)!r} is no HDF5 file, or is damaged ({exc}). Save the weights anew."
        ) from exc
    found: dict[str, Any] = {}
    outside: list[str] = []

    def visit(name: str | bytes, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            key = name if isinstance(name, str) else name.decode(errors="backslashreplace")
            _ = item.dtype, item.shape  # which a damaged header makes h5py raise at
            found[key] = item
            if item.external or item.is_virtual:
                outside.append(key)

    with file:
        try:
            file.visititems(visit)  # follows no links, so that what they lead to counts as missing
        except Exception as exc:  # as above
            raise damaged(path, exc) from exc
        if outside:
            raise FileError(
                f"{str(path)!r} keeps {outside[0]!r} in another file, which is refused."
            )
        yield file, found


def group_at(file: Any, path: str) -> Any:
    """The group at a path of a file; None if there is none, or only a link leads there."""
    for part in path.split("/"):
        links, key = file.id.links, part.encode()
        if not links.exists(key) or links.get_info(key).type != h5py.h5l.TYPE_HARD:
            return None
        file = file[part]
        if not isinstance(file, h5py.Group):
            return None
    return file


def size_of(dataset: Any) -> int:
    """The bytes that an array claims to have."""
    return math.prod(dataset.shape or ()) * int(dataset.dtype.itemsize)


def read_attribute(owner: Any, name: str, limit: int = 2**16) -> Any:
    """The value of an attribute of a file, group or array; None if there is no such attribute.

    Raises: FileError when it claims more than `limit` bytes, or lies where reading would not end.
    """
    if name not in owner.attrs:
        return None
    about = owner.attrs.get_id(name)
    if math.prod(about.shape or ()) * about.dtype.itemsize > limit:
        raise FileError(f"its attribute {name!r} claims to be longer than there can be.")
    if about.dtype.hasobject:
        _check_heaps(owner.file.filename)
    return owner.attrs[name]


def read_text(owner: Any, name: str, limit: int = 2**16) -> str | None:
    """As `read_attribute`, for a text."""
    value = read_attribute(owner, name, limit)
    if value is not None and not isinstance(value, (str, bytes)):
        raise FileError(f"its attribute {name!r} is no text.")
    return value.decode() if isinstance(value, bytes) else value


_HEAP, _OBJECTS = b"GCOL\x01\0\0\0", 2**16


def _check_heaps(filename: str) -> None:
    """Refuse a file whose texts have sizes that the HDF5 library would follow in a circle.

    Texts lie in collections: a head of 16 bytes, with the collection's size, then for each text a
    head of 16 bytes, with its number and size, and the text, filled up to 8 bytes. The library adds
    up these sizes with overflow, and then never comes to the end.
    """
    with open(filename, "rb") as file:
        data, left = file.read(), _OBJECTS
    start = data.find(_HEAP)
    while start >= 0:
        size = int.from_bytes(data[start + 8 : start + 16], "little")
        at, end = start + 16, min(start + size, len(data))
        while at + 16 <= end:
            number, taken = struct.unpack_from("<H6xQ", data, at)
            # Number 0 is what is free, with its own head.
            taken = taken if number == 0 else 16 + -(-taken // 8) * 8
            left -= 1
            if taken < 16 or at + taken > end or left < 0:
                raise FileError("the sizes of its texts are damaged.")
            at += taken
        start = data.find(_HEAP, start + 8)


def read_dataset(path: Path, dataset: Any) -> torch.Tensor:
    """The values of an array.

    Raises: FileError when it cannot be read, or is not what was written.
    """
    try:
        if dataset.dtype.hasobject:
            raise ValueError("it holds no numbers")
        value = np.asarray(dataset[()])
        written = _written_checksum(dataset)
        if written is not None and written != checksum(value):
            raise ValueError("its checksum is another")
        if value.dtype == np.dtype("V2"):  # only bfloat16 is written so
            return torch.from_numpy(value.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(value.astype(value.dtype.newbyteorder("="), copy=False))
    except Exception as exc:  # as above
        raise damaged(path, exc, dataset.name) from exc


def _written_checksum(dataset: Any) -> int | None:
    written = read_attribute(dataset, _CHECKSUM)
    return None if written is None else int(written)


def damaged(path: Path, exc: Exception, key: str = "") -> FileError:
    """The error for a file that breaks off or contradicts itself."""
    where = f" at {key!r}" if key else ""
    return FileError(f"{str(path)!r} is damaged{where}: {exc}. Save the weights anew.")


def write_dataset(group: Any, key: str, value: torch.Tensor) -> None:
    """Write an array with its checksum, which Keras does not look at.

    A large one goes piece by piece, as a copy in Keras's order is as large as it is.
    """
    value = value.detach()
    if value.nbytes <= _PIECE or value.ndim == 0:
        raw = _raw(value)
        dataset = group.create_dataset(key, data=raw)
        total = checksum(raw)
    else:
        dataset = group.create_dataset(key, tuple(value.shape), _raw(value[:1]).dtype)
        total = 0
        # Of eight rows or a multiple, as the checksum adds up numbers of eight bytes.
        rows = max(_PIECE * len(value) // value.nbytes // 8, 1) * 8
        for start in range(0, len(value), rows):
            raw = _raw(value[start : start + rows])
            dataset[start : start + len(raw)] = raw
            total += checksum(raw)
    dataset.attrs[_CHECKSUM] = np.uint64(total % 2**64)
    if value.dtype is torch.bfloat16:
        dataset.attrs["dtype"] = "bfloat16"


def _raw(value: torch.Tensor) -> Any:
    value = value.cpu()
    if not value.is_contiguous() and value.nbytes >= 2**16:
        # A copy in pages of its own, which go back to the system: on the heap, the freed ones would
        # lie between what HDF5 keeps, and come to as much as all weights.
        pages = torch.frombuffer(mmap.mmap(-1, value.nbytes), dtype=value.dtype)
        value = pages.view(value.shape).copy_(value)
    value = value.contiguous()  # NumPy would be six times slower at this
    short = value.dtype is torch.bfloat16  # which NumPy does not know: two raw bytes a number
    return value.view(torch.int16).numpy().view("V2") if short else value.numpy()
