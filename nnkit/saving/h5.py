"""The layout of Keras 3's .weights.h5 files, so that Keras reads ours and we read Keras's.

A group in the file is an object in the model. Its path is the attribute that holds it: "cell",
"forward_layer". What lies in a list is named after its class and counted: the list `layers` of a
model gives "layers/dense", "layers/dense_1". An object's own weights lie in "vars" under their
numbers. An object is written where Keras's walk meets it first.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import torch
from torch import nn

from nnkit.layer import Layer
from nnkit.layers.raw_data import DataLayer
from nnkit.layers.recurrent_base import Recurrent
from nnkit.layouts import SAME
from nnkit.naming import to_snake_case
from nnkit.saving.hdf5 import datasets, group_at, read_dataset, read_text, size_of, write_dataset
from nnkit.saving.weights import Place, Stored
from nnkit.weights import Weight, WeightOwner
from nnkit.wrapper import TorchModuleWrapper

__all__ = [
    "children", "join", "opened", "opened_by_name", "places", "places_by_name", "walk", "write",
]  # fmt: skip

# Keras keeps these in the same file; they are no weights of the model.
_OTHER_OBJECTS = {"optimizer", "seed_generator"}


def write(model: Layer, path: Any, more: Iterable[tuple[str, Any, Any]] = ()) -> None:
    """Write all weights of a model.

    Args:
        model: the model.
        path: of the file, or an open one.
        more: further objects: path in the file, a thing with a name, tensors with their layouts.
    """
    with h5py.File(path, "w") as file:
        for prefix, module, weights in walk(model, "", set()):
            group = file.create_group(join(prefix, "vars"))
            if isinstance(module, Layer):
                group.attrs["name"] = module.name
            for key, weight in weights.items():
                write_dataset(group, key, weight.layout.to_keras(weight.tensor))
        for prefix, thing, values in more:
            group = file.create_group(join(prefix, "vars"))
            group.attrs["name"] = thing.name
            for number, (tensor, layout) in enumerate(values):
                write_dataset(group, str(number), layout.to_keras(tensor))


def places(model: Layer) -> dict[str, Place]:
    """For each weight, its path in the file and what it is."""
    found = {}
    for prefix, module, weights in walk(model, "", set()):
        name = module.name if isinstance(module, Layer) else prefix.rpartition("/")[2]
        for key, weight in weights.items():
            label = f"{weight.name} of {name!r}"
            path = f"{join(prefix, 'vars')}/{key}"
            found[path] = Place(prefix, label, weight.tensor, weight.layout)
    return found


@contextmanager
def opened(
    path: Path, source: Any = None, optimizer: bool = False
) -> Iterator[Mapping[str, Stored]]:
    """The weights in a file, by path; it stays open while they are read.

    Args:
        path: of the file, for messages too.
        source: what to read instead of the file: an open binary file.
        optimizer: whether what belongs to the optimizer is wanted, instead of the weights.

    Raises: FileError when the file is damaged, is something else, or reaches outside itself.
    """
    with datasets(path, source) as (_, found):
        yield _stored(path, found, optimizer)


def _stored(path: Path, found: Mapping[str, Any], optimizer: bool = False) -> dict[str, Stored]:
    return {
        key: Stored(tuple(item.shape or ()), partial(read_dataset, path, item), size_of(item))
        for key, item in found.items()
        if _OTHER_OBJECTS.isdisjoint(key.split("/")[:-1]) is not optimizer
    }


def places_by_name(model: Layer) -> dict[str, Place]:
    """As `places`, with the names of the layers at the top instead of their classes."""
    names = {
        prefix: module.name
        for prefix, module, _ in walk(model, "", set())
        if _TOP.fullmatch(prefix) and isinstance(module, Layer)
    }
    return {
        _renamed(key, names): place._replace(group=_renamed(place.group, names))
        for key, place in places(model).items()
    }


@contextmanager
def opened_by_name(path: Path) -> Iterator[Mapping[str, Stored]]:
    """As `opened`, with the names of the layers at the top instead of their classes."""
    with datasets(path) as (file, found):
        names = {}
        for key in found:
            top = _TOP.match(key)
            group = group_at(file, f"{top[0]}/vars") if top else None
            name = None if group is None else read_text(group, "name")
            if top and name is not None:
                names[top[0]] = name
        yield {_renamed(key, names): stored for key, stored in _stored(path, found).items()}


_TOP = re.compile(r"layers/[^/]+")


def _renamed(key: str, names: Mapping[str, str]) -> str:
    top = _TOP.match(key)
    return f"{names[top[0]]}{key[top.end() :]}" if top and top[0] in names else key


# -- Keras's walk over a model ---------------------------------------------------------------------

_Visit = tuple[str, nn.Module, dict[str, Weight]]


def walk(module: nn.Module, prefix: str, seen: set[int]) -> Iterator[_Visit]:
    """Each object once: its path in the file, itself, and its own weights by their keys."""
    module = _bare(module)
    if id(module) in seen:
        return
    seen.add(id(module))
    if not isinstance(module, WeightOwner):
        # Keras puts the whole state of a torch module in one place.
        state = {
            key: Weight(key, value, SAME)
            for key, value in module.state_dict().items()
            if isinstance(value, torch.Tensor)
        }
        yield prefix, module, state
        return
    own = {str(index): weight for index, weight in enumerate(module._own())}
    if isinstance(module, DataLayer):
        own |= {key: Weight(key, value, SAME) for key, value in module.learned_values().items()}
    if own and isinstance(module, Recurrent):
        # Keras's recurrent layers hold a cell, which holds the weights.
        yield prefix, module, {}
        yield join(prefix, "cell"), module, own
    else:
        yield prefix, module, own
    for name, child in children(module):
        path = join(prefix, name)
        if isinstance(child, nn.Module):
            yield from walk(child, path, seen)
        else:
            yield from _walk_list(child, path, seen)


def _walk_list(items: Iterable[nn.Module], prefix: str, seen: set[int]) -> Iterator[_Visit]:
    used: Counter[str] = Counter()
    for item in items:
        inner = _items(item)
        name = "container" if inner is not None else _class_name(item)
        path = join(prefix, f"{name}_{used[name]}" if used[name] else name)
        used[name] += 1
        if inner is None:
            yield from walk(item, path, seen)
        else:
            yield from _walk_list(inner, path, seen)


def children(module: WeightOwner) -> list[tuple[str, Any]]:
    """What Keras's walk meets below an object: attributes by name, private ones last."""
    found: dict[str, Any] = {
        name: child if _items(child) is None else _items(child)
        for name, child in module._modules.items()
        if child is not None
    }
    graph, stack = getattr(module, "_graph", None), getattr(module, "_stack", None)
    layers = getattr(module, "layers", None)
    if not isinstance(layers, list):
        return sorted(found.items(), key=_private_last)
    if graph is None and stack is None:
        return sorted([*found.items(), ("layers", layers)], key=_private_last)
    return [("layers", layers), *sorted(found.items(), key=_private_last)]


def _private_last(item: tuple[str, Any]) -> str:
    return f"~{item[0]}" if item[0].startswith("_") else item[0]


def _items(module: Any) -> list[nn.Module] | None:
    """The modules in a list or dict of them; None for anything else."""
    if isinstance(module, nn.ModuleDict):
        return list(module.values())
    return list(module) if isinstance(module, nn.ModuleList) else None


def _bare(module: Any) -> Any:
    """A torch module, whether a model has wrapped it or not."""
    return module.module if isinstance(module, TorchModuleWrapper) else module


def _class_name(module: nn.Module) -> str:
    name = type(module).__name__
    if isinstance(module, TorchModuleWrapper) or not isinstance(module, WeightOwner):
        name = "TorchModuleWrapper"
    elif name == "Model" and getattr(module, "_graph", None) is not None:
        name = "Functional"  # what Keras makes of a Model with inputs and outputs
    return to_snake_case(name)


def join(prefix: str, name: str) -> str:
    """A path one step further."""
    return f"{prefix}/{name}" if prefix else name
