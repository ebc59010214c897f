"""Weights in torch's own way: a state_dict in a .pt or .safetensors file."""

from __future__ import annotations

import importlib
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from nnkit.errors import ArgumentError, FileError
from nnkit.layer import Layer
from nnkit.saving.atomic import flowing
from nnkit.saving.checksum import checksum
from nnkit.saving.places import Contents, Place, Stored, group_of

__all__ = ["opened_pt", "opened_safetensors", "places", "write_pt", "write_safetensors"]


def places(model: Layer) -> dict[str, Place]:
    """For each entry of the state_dict, where it goes."""
    return {
        key: Place(group_of(key), key.rpartition(".")[2], value)
        for key, value in model.state_dict().items()
    }


def write_pt(model: Layer, path: Path) -> None:
    """Write the state_dict as torch does."""
    # To a file, as torch would write the name of a path, which is a passing one, into the archive.
    with flowing(path) as file:
        try:
            torch.save(model.state_dict(), file)
        except RuntimeError as exc:
            if isinstance(
                exc.__context__, OSError
            ):  # such as a full disk, of which torch says less
                raise exc.__context__ from None
            raise


@contextmanager
def opened_pt(path: Path) -> Iterator[Contents]:
    """The entries of a .pt file."""
    yield _stored(path, lambda: _load_pt(path))


def _load_pt(path: Path) -> Any:
    # Torch writes its archives uncompressed and trusts the sizes in them.
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            declared = sum(member.file_size for member in archive.infolist())
        if declared > 2 * path.stat().st_size:
            raise FileError(f"it claims to hold {declared} bytes, more than there can be")
    if _is_tar(path):  # torch would make a folder for what is in it
        raise FileError("it is a tar, as torch wrote before version 0.4: save it anew with torch")
    return torch.load(path, map_location="cpu", weights_only=True)


def _is_tar(path: Path) -> bool:
    try:
        with tarfile.open(path, "r:"):
            return True
    except tarfile.TarError:
        return False


def write_safetensors(model: Layer, path: Path) -> None:
    """Write the state_dict and its checksums."""
    state = _apart(model.state_dict())
    sums = json.dumps({key: _checksum(value) for key, value in state.items()})
    package = _safetensors()
    try:
        package.save_file(state, str(path), {"format": "pt", "checksums": sums})
    except Exception as exc:  # the package has one error for everything
        if "I/O error" not in str(exc):
            raise
        raise OSError(str(exc)) from exc


def _apart(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors, as copies where they lie in another order or share memory with others.

    The format takes neither.
    """
    found, taken = {}, set()
    for key, value in state.items():
        memory = value.untyped_storage()
        alone = memory.nbytes() == value.nbytes and memory.data_ptr() not in taken
        if not (value.is_cpu and value.is_contiguous() and alone):
            value = torch.empty(value.shape, dtype=value.dtype).copy_(value)
        taken.add(memory.data_ptr())
        found[key] = value
    return found


@contextmanager
def opened_safetensors(path: Path) -> Iterator[Contents]:
    """The entries of a .safetensors file."""
    package = _safetensors()
    yield _stored(path, lambda: _load_safetensors(package, path))


def _load_safetensors(package: Any, path: Path) -> dict[str, torch.Tensor]:
    with package.safe_open(str(path), "pt") as file:
        sums = json.loads((file.metadata() or {}).get("checksums", "{}"))
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no dict
    wrong = [key for key in state if key in sums and sums[key] != _checksum(state[key])]
    if wrong:
        raise FileError(f"the checksum of {wrong[0]!r} is another")
    return state


def _checksum(value: torch.Tensor) -> int:
    return checksum(value.reshape(-1).view(torch.uint8).numpy())


def _safetensors() -> ModuleType:
    try:
        return importlib.import_module("safetensors.torch")
    except ImportError as exc:
        raise ArgumentError(
            "A name that ends in '.safetensors' needs the package of that name: "
            "pip install safetensors. Or choose '.weights.h5' or '.pt'."
        ) from exc


def _stored(path: Path, load: Callable[[], Any]) -> Contents:
    try:
        state = load()
    except Exception as exc:  # bytes that are no such file can make a reader raise anything
        raise FileError(
            f"{str(path)!r} cannot be read as weights: it is damaged, or written by something "
            f"else ({_first_line(exc)})."
        ) from exc
    if not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
        raise FileError(
            f"{str(path)!r} holds a {type(state).__name__}, but a state_dict was expected: "
            f"names with tensors. Write it with save_weights() or torch.save(model.state_dict())."
        )
    return Contents({key: Stored(value) for key, value in state.items()}, {})


def _first_line(exc: BaseException) -> str:
    return (str(exc).strip() or type(exc).__name__).splitlines()[0][:200]
