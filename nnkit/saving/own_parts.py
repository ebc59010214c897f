"""What layers of a user's own write and read in their own way: arrays and files.

A class that overrides `save_own_variables` or `load_own_variables` is asked for the arrays in its
group; one that overrides `save_assets` or `load_assets` for files in a folder of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from nnkit.errors import ArgumentError
from nnkit.layer import Layer
from nnkit.own_files import keeps
from nnkit.saving.places import Stored
from nnkit.weights import to_numpy

__all__ = ["apart", "arrays_of", "files_of", "give_arrays", "give_files"]


def arrays_of(layer: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """The arrays that a layer wants in its group, by their keys."""
    store: dict[str, Any] = {}
    layer.save_own_variables(store)
    for key, value in store.items():
        array = to_numpy(value) if isinstance(value, torch.Tensor) else np.asarray(value)
        if array.dtype.kind not in "biuf" or not key or "/" in key:
            raise ArgumentError(
                f"save_own_variables of {_label(layer)} must put arrays of numbers under plain "
                f"names, but {key!r} holds {value!r}."
            )
        yield key, torch.as_tensor(np.ascontiguousarray(array))


def _label(layer: Any) -> str:
    """How messages call it."""
    return str(getattr(layer, "label", type(layer).__name__))


def apart(
    found: Mapping[str, Stored], groups: Mapping[str, Layer]
) -> tuple[dict[str, Stored], dict[str, dict[str, Stored]]]:
    """The arrays of a file without those of some groups, and those of each group."""
    rest: dict[str, Stored] = {}
    kept: dict[str, dict[str, Stored]] = {group: {} for group in groups}
    for path, stored in found.items():
        group, _, key = path.rpartition("/")
        if group in kept:
            kept[group][key] = stored
        else:
            rest[path] = stored
    return rest, kept


def give_arrays(groups: Mapping[str, Layer], kept: Mapping[str, Mapping[str, Stored]]) -> None:
    """Let each layer read its arrays."""
    for group, layer in groups.items():
        layer.load_own_variables({key: to_numpy(one.read()) for key, one in kept[group].items()})


def files_of(layer: Any) -> dict[str, bytes]:
    """The files that a layer writes into a folder, by their paths in it."""
    if not keeps(layer, "assets"):
        return {}
    with tempfile.TemporaryDirectory() as folder:
        layer.save_assets(folder)
        paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def give_files(layer: Any, files: Mapping[str, bytes]) -> None:
    """Let a layer read its files from a folder that is there for the moment."""
    if not files or not keeps(layer, "assets"):
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            place = Path(folder, *PurePosixPath(name).parts)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        layer.load_assets(folder)
