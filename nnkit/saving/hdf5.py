"""Reading and writing arrays in HDF5 files, without trust in what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from nnkit.errors import FileError
from nnkit.saving.checksum import checksum

__all__ = ["damaged", "datasets", "read_dataset", "write_dataset"]

_CHECKSUM = "checksum"


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


def read_dataset(path: Path, dataset: Any) -> torch.Tensor:
    """The values of an array.

    Raises: FileError when it cannot be read, or is not what was written.
    """
    try:
        value = np.asarray(dataset[()])
        written = dataset.attrs.get(_CHECKSUM)
        if written is not None and int(written) != checksum(value):
            raise ValueError("its checksum is another")
        if dataset.attrs.get("dtype") == "bfloat16":
            # NumPy does not know this type: the file has two raw bytes a number.
            return torch.from_numpy(value.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(value.astype(value.dtype.newbyteorder("="), copy=False))
    except Exception as exc:  # as above
        raise damaged(path, exc, dataset.name) from exc


def damaged(path: Path, exc: Exception, key: str = "") -> FileError:
    """The error for a file that breaks off or contradicts itself."""
    where = f" at {key!r}" if key else ""
    return FileError(f"{str(path)!r} is damaged{where}: {exc}. Save the weights anew.")


def write_dataset(group: Any, key: str, value: torch.Tensor) -> None:
    """Write an array with its checksum, which Keras does not look at."""
    value = value.detach().cpu().contiguous()  # NumPy would be six times slower at this
    short = value.dtype is torch.bfloat16
    raw = value.view(torch.int16).numpy().view("V2") if short else value.numpy()
    dataset = group.create_dataset(key, data=raw)
    dataset.attrs[_CHECKSUM] = np.uint64(checksum(raw))
    if short:
        dataset.attrs["dtype"] = "bfloat16"
