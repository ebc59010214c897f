"""The layout of Keras 3's .weights.h5 files, so that Keras reads ours and we read Keras's.

A group in the file is an object in the model. Its path is the attribute that holds it: "cell",
"forward_layer". What lies in a list is named after its class and counted: the list `layers` of a
model gives "layers/dense", "layers/dense_1". An object's own weights lie in "vars" under their
numbers. An object is written where Keras's walk meets it first.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nnkit.conventions import Held
from nnkit.layer import Layer
from nnkit.layers.raw_data import DataLayer
from nnkit.layers.recurrent_base import Recurrent
from nnkit.layouts import SAME
from nnkit.naming import to_snake_case
from nnkit.own_files import keeps
from nnkit.saving.file_part import Part
from nnkit.saving.hdf5 import Reader, group_at, reading, telling
from nnkit.saving.hdf5_writer import new_file
from nnkit.saving.own_parts import arrays_of
from nnkit.saving.places import Contents, Place, Stored
from nnkit.weights import Weight, WeightOwner
from nnkit.wrapper import TorchModuleWrapper

__all__ = [
    "children", "join", "opened", "opened_by_name", "own_groups", "places", "places_by_name",
    "places_in_list", "walk", "write",
]  # fmt: skip

_Visit = tuple[str, nn.Module, dict[str, Weight]]

# Keras keeps these in the same file; they are no weights of the model.
_OTHER_OBJECTS = {"optimizer", "seed_generator"}


def write(model: Layer, target: Any, more: Iterable[tuple[str, Any, Any]] = ()) -> None:
    """Write all weights of a model.

    Args:
        model: the model.
        target: see `nnkit.saving.hdf5_writer.new_file`.
        more: further objects: path in the file, a thing with a name, tensors with their layouts.
    """
    with new_file(target) as file:
        for prefix, module, weights in walk(model, "", set()):
            group = file.root.create_group(join(prefix, "vars"))
            if isinstance(module, Layer):
                group.attrs["name"] = module.name
            for key, weight in weights.items():
                file.add(group, key, weight.tensor, weight.layout)
            if keeps(module, "own_variables"):
                for key, value in arrays_of(module):
                    file.add(group, key, value)
        for prefix, thing, values in more:
            group = file.root.create_group(join(prefix, "vars"))
            group.attrs["name"] = thing.name
            for number, (tensor, layout) in enumerate(values):
                file.add(group, str(number), tensor, layout)


def places(model: Layer) -> dict[str, Place]:
    """For each weight, its path in the file and what it is."""
    return _places(walk(model, "", set()))


def places_in_list(
    model: Any, expected: Mapping[str, Place], found: Mapping[str, Stored]
) -> dict[str, Place]:
    """The places, in the list `layers` for what the file does not have under its attribute.

    So a model of a class of its own takes the weights of a Sequential or functional model of the
    same layers, in the order in which it made them, as in Keras.
    """
    listed = _places(_walk_list(getattr(model, "layers", ()), "layers", {id(model)}))
    other = {id(place.value): (key, place) for key, place in listed.items()}
    moved: dict[str, Place] = {}
    for _, group in itertools.groupby(expected.items(), lambda item: item[1].group):
        here = dict(group)
        there = dict(other.get(id(place.value), (key, place)) for key, place in here.items())
        fits = all(key in found and found[key].shape == p.shape for key, p in there.items())
        moved |= there if fits and not here.keys() <= found.keys() else here
    return moved


def _places(visits: Iterable[_Visit]) -> dict[str, Place]:
    found = {}
    for prefix, module, weights in visits:
        name = module.name if isinstance(module, Layer) else prefix.rpartition("/")[2]
        for key, weight in weights.items():
            label = f"{weight.name} of {name!r}"
            path = f"{join(prefix, 'vars')}/{key}"
            found[path] = Place(prefix, label, weight.tensor, weight.layout)
    return found


def own_groups(model: Layer) -> dict[str, Any]:
    """The layers that write and read their arrays themselves, by the groups of these."""
    return {
        join(prefix, "vars"): module
        for prefix, module, _ in walk(model, "", set())
        if keeps(module, "own_variables")
    }


@contextmanager
def opened(path: Path, part: Part | None = None) -> Iterator[Contents]:
    """The arrays in a file; it stays open while they are read.

    Args:
        path: of the file, for messages too.
        part: what to read instead of the file.

    Raises: FileError when the file is damaged, is something else, or reaches outside itself.
    """
    with reading(path, part) as reader:
        yield _contents(reader)


def _contents(reader: Reader) -> Contents:
    found: tuple[dict[str, Stored], dict[str, Stored]] = ({}, {})
    for key, array in reader.arrays.items():
        found[not _OTHER_OBJECTS.isdisjoint(key.split("/")[:-1])][key] = array
    return Contents(*found)


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
def opened_by_name(path: Path, part: Part | None = None) -> Iterator[Contents]:
    """As `opened`, with the names of the layers at the top instead of their classes."""
    with reading(path, part) as reader:
        names = {}
        weights, optimizer = _contents(reader)
        with telling(path):
            for top in {top[0] for top in map(_TOP.match, weights) if top}:
                group = group_at(reader.root, f"{top}/vars")
                name = None if group is None else reader.text(group, "name")
                if name is not None:
                    names[top] = name
        yield Contents({_renamed(key, names): item for key, item in weights.items()}, optimizer)


_TOP = re.compile(r"layers/[^/]+")


def _renamed(key: str, names: Mapping[str, str]) -> str:
    top = _TOP.match(key)
    return f"{names[top[0]]}{key[top.end() :]}" if top and top[0] in names else key


# -- Keras's walk over a model ---------------------------------------------------------------------


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
    if keeps(module, "own_variables"):
        yield prefix, module, {}
    elif own and isinstance(module, Recurrent):
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
        child.attribute if isinstance(child, Held) else name: (
            child if _items(child) is None else _items(child)
        )
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
    """The modules in a list or dict of them; None for anything else.

    A list with weights of its own, as torch's parametrizations are, is an object like others.
    """
    if isinstance(module, nn.ModuleList) and (module._parameters or module._buffers):
        return None
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
