"""The layout of .h5 files before Keras 3, which Keras still reads and published weights still have.

The file lists its layers by name ("layer_names"), and each layer's group its weights
("weight_names"): those that train, then the others. Without names to go by, the layers that have
weights are taken in their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nnkit.errors import ArgumentError, FileError
from nnkit.layer import Layer
from nnkit.saving.hdf5 import Reader, group_at, reading, telling
from nnkit.saving.hdf5_writer import NewFile, new_file
from nnkit.saving.keras_weights import children
from nnkit.saving.places import Contents, Place, Stored
from nnkit.weights import Weight
from nnkit.wrapper import as_layer

__all__ = [
    "is_legacy", "is_model", "listed_names", "numbered", "opened", "opened_by_name", "places",
    "places_by_name", "write", "write_group",
]  # fmt: skip

_TOP = "top_level_model_weights"
_LIST_LIMIT = 2**24  # bytes that one list may claim
_LIMIT = 64512  # bytes in one attribute; longer lists are cut into several


def write(model: Layer, path: Path) -> None:
    """Write all weights of a model."""
    with new_file(path) as file:
        write_group(file, file.root, model)


def write_group(file: NewFile, group: Any, model: Layer) -> None:
    """Write all weights of a model into a group of a file in the making.

    Raises: ArgumentError when the model has weights outside its layers, which have no place there.
    """
    layers = _layers(model)
    written = {id(weight.tensor) for _, weights in layers for weight in weights}
    left_out = [weight.name for weight in model.collect() if id(weight.tensor) not in written]
    if left_out:
        raise ArgumentError(
            f"The .h5 layout has no place for {len(left_out)} weights of {model.label} that are in "
            f"none of its layers ({', '.join(left_out[:3])}). Save as '.weights.h5'."
        )
    _set_names(group, "layer_names", [name for name, _ in layers if name != _TOP])
    group.attrs["backend"] = b"torch"
    group.attrs["keras_version"] = b"3.15.0"
    for name, weights in sorted(layers, key=lambda item: item[0]):
        inside = group.create_group(name)
        names = _distinct(f"{name}/{weight.name}" for weight in weights)
        _set_names(inside, "weight_names", names)
        for key, weight in zip(names, weights, strict=True):
            file.add(inside, key, weight.tensor, weight.layout)


def places(model: Layer) -> dict[str, Place]:
    """For each weight, the number of its layer and its own: "3/0"."""
    with_weights = [(name, weights) for name, weights in _layers(model) if weights]
    return _places(
        (_key(at, name), name, weights) for at, (name, weights) in enumerate(with_weights)
    )


def places_by_name(model: Layer) -> dict[str, Place]:
    """For each weight, the name of its layer and its number."""
    return _places((name, name, weights) for name, weights in _layers(model))


@contextmanager
def opened(path: Path) -> Iterator[Contents]:
    """The weights in a file by the numbers of their layers; see `keras_weights.opened`."""
    with reading(path) as reader:
        yield Contents(numbered(reader), {})


@contextmanager
def opened_by_name(path: Path) -> Iterator[Contents]:
    """The weights in a file by the names of their layers."""
    with reading(path) as reader:
        yield Contents(_numbered(_listed(reader).items()), {})


def numbered(reader: Reader) -> dict[str, Stored]:
    """The weights in an open file by the numbers of their layers.

    Raises: FileError when it lists no layers, or some that it does not hold.
    """
    filled = [(name, stored) for name, stored in _listed(reader).items() if stored]
    return _numbered((_key(at, name), stored) for at, (name, stored) in enumerate(filled))


def is_legacy(path: Path) -> bool:
    """Whether a file has this layout; False for one that cannot be read."""
    try:
        with h5py.File(path, "r") as file:
            return _root(file) is not None
    except Exception:  # bytes that are no such file can make h5py raise nearly anything
        return False


def is_model(path: Path) -> bool:
    """Whether an .h5 file has a whole model; False for one that cannot be read."""
    try:
        with h5py.File(path, "r") as file:
            return "model_config" in file.attrs
    except Exception:  # as above
        return False


def _root(file: Any) -> str | None:
    """Where the list of layers is: "" or, in the file of a whole model, "model_weights/"."""
    if _has_names(file):
        return ""
    inside = group_at(file, "model_weights")
    return "model_weights/" if inside is not None and _has_names(inside) else None


def _has_names(group: Any) -> bool:
    return "layer_names" in group.attrs or "layer_names0" in group.attrs


def _listed(reader: Reader) -> dict[str, list[Stored]]:
    with telling(reader.path):
        root = _root(reader.root)
        if root is None:
            raise FileError(
                f"{str(reader.path)!r} does not list its layers, as an .h5 file of weights does. "
                f"Is it something else?"
            )
        top = reader.root[root] if root else reader.root
        names = listed_names(reader, top, "layer")
        own = group_at(reader.root, f"{root}{_TOP}")
        if own is not None and listed_names(reader, own, "weight"):
            names.append(_TOP)
        return {name: _stored(reader, root, name) for name in names}


def _stored(reader: Reader, root: str, layer: str) -> list[Stored]:
    group = group_at(reader.root, f"{root}{layer}")
    if group is None:
        raise FileError(f"{str(reader.path)!r} lists the layer {layer!r}, which it does not hold.")
    names = listed_names(reader, group, "weight")
    lacking = [name for name in names if f"{root}{layer}/{name}" not in reader.arrays]
    if lacking:
        raise FileError(f"{str(reader.path)!r} lists {layer}/{lacking[0]}, which it does not hold.")
    return [reader.arrays[f"{root}{layer}/{name}"] for name in names]


def listed_names(reader: Reader, group: Any, kind: str) -> list[str]:
    """The names of layers or weights in an attribute, which may be cut in parts."""
    names = f"{kind}_names"
    parts = [reader.attribute(group, names, _LIST_LIMIT)]
    if parts[0] is None:
        cut = (reader.attribute(group, f"{names}{at}", _LIST_LIMIT) for at in count())
        parts = list(takewhile(lambda part: part is not None, cut))
    every = [name for part in parts for name in np.asarray(part).ravel().tolist()]
    return [name.decode() if isinstance(name, bytes) else str(name) for name in every]


def _set_names(group: Any, attribute: str, names: list[str]) -> None:
    data = np.asarray([name.encode() for name in names]) if names else np.zeros(0, "S1")
    count = 1
    while any(part.nbytes > _LIMIT for part in np.array_split(data, count)):
        count += 1
    if count == 1:
        group.attrs[attribute] = data
        return
    for number, part in enumerate(np.array_split(data, count)):
        group.attrs[f"{attribute}{number}"] = part


# -- the model's side ------------------------------------------------------------------------------


def _layers(model: Any) -> list[tuple[str, list[Weight]]]:
    """The layers at the top by name, and what the model owns itself, in the old order."""
    layers = dict(children(model)).get("layers")
    if layers is None:
        return [(model.name, _old_order(model))]
    listed = [(layer.name, _old_order(layer)) for layer in map(as_layer, layers)]
    return [*listed, (_TOP, model._own())]


def _old_order(layer: Any) -> list[Weight]:
    every = layer.collect()
    trainable = {id(tensor) for tensor in layer.trainable_weights}
    return sorted(every, key=lambda weight: id(weight.tensor) not in trainable)


def _key(number: int, name: str) -> str:
    return _TOP if name == _TOP else str(number)


def _places(layers: Iterable[tuple[str, str, list[Weight]]]) -> dict[str, Place]:
    return {
        f"{key}/{number}": Place(key, f"{weight.name} of {name!r}", weight.tensor, weight.layout)
        for key, name, weights in layers
        for number, weight in enumerate(weights)
    }


def _numbered(layers: Iterable[tuple[str, list[Stored]]]) -> dict[str, Stored]:
    return {f"{key}/{at}": value for key, stored in layers for at, value in enumerate(stored)}


def _distinct(names: Iterable[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        number = 1
        free = name
        while free in found:
            free = f"{name}_{number}"
            number += 1
        found.append(free)
    return found
