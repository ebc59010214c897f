"""What a model's file holds besides how it is made: its weights, and the state of all else.

The optimizer's variables lie in "optimizer/vars" under their numbers. A vocabulary that a layer has
learned is a file of its own, in a folder with the layer's path.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import torch

from nnkit.errors import FileError
from nnkit.initializers import left_empty
from nnkit.layer import Layer
from nnkit.layers.raw_data import DataLayer
from nnkit.layouts import SAME, Layout
from nnkit.optimizers import Optimizer
from nnkit.own_files import keeps
from nnkit.saving.keras_weights import join, own_groups, places, walk
from nnkit.saving.keras_weights import write as write_weights
from nnkit.saving.own_parts import apart, files_of, give_arrays, give_files
from nnkit.saving.places import Place, Stored, compare
from nnkit.saving.places import fill as fill_places
from nnkit.serialization import deserialize_keras_object

__all__ = [
    "CONFIG_LIMIT",
    "assets",
    "check_declared",
    "fill",
    "load_optimizer",
    "made",
    "optimizer_values",
    "read_config",
    "take_assets",
    "take_values",
    "write",
]


# A config is text of some hundred bytes a layer, a few dozen lists and dicts among them. What is
# longer is none, and would take many times its own size once it is read.
CONFIG_LIMIT = 2**24
_NESTINGS_LIMIT = 2**18


def read_config(text: bytes | str) -> Any:
    """The config in a file's text.

    Raises: FileError when it is longer than that of any model; ValueError when it is no JSON.
    """
    raw = text.encode() if isinstance(text, str) else text
    if len(raw) > CONFIG_LIMIT or raw.count(b"{") + raw.count(b"[") > _NESTINGS_LIMIT:
        raise FileError(f"its config of {len(raw)} bytes is longer than that of any model.")
    return json.loads(raw)


def made(config: Any, declared: int, size: int) -> Any:
    """The model of a config, with weights that are not yet filled in.

    Args:
        config: of the model, or of a layer.
        declared: bytes that the arrays in the file claim to have.
        size: bytes of the file.

    Raises: FileError when it claims, or its config asks for, far more than the file can hold.
    """
    check_declared(declared, size)
    with left_empty(2 * declared + 2**20):
        model = deserialize_keras_object(config)
    if not hasattr(model, "built"):
        raise FileError(f"it holds a {type(model).__name__}, which is no model or layer.")
    return model


def check_declared(declared: int, size: int) -> None:
    """Refuse a few bytes that claim to be an endless array, before there is memory for it."""
    if declared > 2 * size + 2**27:
        raise FileError(f"it claims to hold {declared} bytes of weights, but has {size} bytes.")


def write(model: Layer, target: Any, optimizer: bool = True) -> None:
    """Write a model's weights and, if wanted, its optimizer's state, as `keras_weights.write`."""
    write_weights(model, target, optimizer_values(model) if optimizer else ())


def fill(
    model: Layer, found: Mapping[str, Stored], wanted: Mapping[str, Place] | None = None
) -> None:
    """Give a model that was just made its weights; if they are damaged, it is not handed out.

    Args:
        model: the model.
        found: the weights in the file.
        wanted: where they go; as in a .keras file when None.

    Raises: FileError that lists all that does not fit, or for a damaged weight.
    """
    groups = own_groups(model) if wanted is None else {}
    wanted = places(model) if wanted is None else wanted
    rest, kept = apart(found, groups)
    report, misfits = compare(wanted, rest)
    if misfits:
        raise FileError(f"its weights do not fit {model.label}:\n{report}")
    fill_places(model, wanted, rest)
    give_arrays(groups, kept)


_Slots = list[tuple[torch.Tensor, Layout]]
_OWN = 4  # numbers that a LossScaleOptimizer has of its own


def optimizer_values(model: Any) -> Iterator[tuple[str, Any, _Slots]]:
    """The model's optimizer, and one inside it: path, itself, its variables in Keras's order."""
    optimizer, prefix = getattr(model, "optimizer", None), "optimizer"
    layouts = {id(weight.tensor): weight.layout for weight in model.collect()}
    while isinstance(optimizer, Optimizer) and optimizer.built:
        inner = getattr(optimizer, "inner_optimizer", None)
        yield prefix, optimizer, _slots(optimizer, layouts, inner)
        optimizer, prefix = inner, f"{prefix}/inner_optimizer"


def _slots(optimizer: Any, layouts: Mapping[int, Layout], inner: Any) -> _Slots:
    if inner is not None:  # a LossScaleOptimizer: its own four numbers, then the inner one's
        own = [(tensor, SAME) for tensor in optimizer.variables[:_OWN]]
        return [(own[0][0].to(torch.int32), SAME), *own[1:], *_slots(inner, layouts, None)]
    known = {
        id(state): layouts.get(id(param), SAME)
        for param, states in optimizer.state.items()
        for state in states.values()
        if state.shape == param.shape
    }
    numbers = 1 if optimizer.schedule is not None else 2
    slots = [(tensor, known.get(id(tensor), SAME)) for tensor in optimizer.variables]
    first = slots[0][0].to(torch.int32)
    return [(first, SAME), *[(t.float(), lay) for t, lay in slots[1:numbers]], *slots[numbers:]]


def load_optimizer(model: Any, found: Mapping[str, Stored]) -> None:
    """Take the optimizer's state from a file, where the model has such an optimizer.

    Like Keras, this only warns where the state is of another one.
    """
    if not isinstance(getattr(model, "optimizer", None), Optimizer):
        return
    if not any(key.startswith("optimizer/") for key in found):
        return
    if not model.optimizer.built:
        model._collect_parameters()
    # What it wraps, if anything, is among its own, as Keras writes it twice.
    prefix, optimizer, slots = next(optimizer_values(model))
    keys = [key for key in found if key.rpartition("/")[0] == f"{prefix}/vars"]
    wanted = [f"{prefix}/vars/{number}" for number in range(len(slots))]
    values = [found[key] for key in wanted if key in found]
    take_values(optimizer, slots, values if len(keys) == len(wanted) else [])


def take_values(optimizer: Any, slots: _Slots, values: list[Stored]) -> None:
    """Give an optimizer the values of its variables; only warn if they do not fit."""
    if len(values) in (1, 2) and len(slots) > 2:
        return  # one that has not made an update yet
    shapes = [tuple(layout.to_keras(tensor).shape) for tensor, layout in slots]
    if shapes != [value.shape for value in values]:
        warnings.warn(
            f"The optimizer {optimizer.name!r} starts anew: the file's variables for it are not "
            f"the {len(slots)} that it has. Compile with the same optimizer.",
            stacklevel=4,
        )
        return
    for value in values:
        value.check()
    with torch.no_grad():
        for (tensor, layout), value in zip(slots, values, strict=True):
            if 0 not in tensor.stride():  # which stands for what only Keras keeps
                layout.fill(tensor, value.read)
    # The first are numbers of the optimizer, of which the slots are copies.
    while hasattr(optimizer, "inner_optimizer"):
        optimizer, values = optimizer.inner_optimizer, values[_OWN:]
    group = optimizer.param_groups[0]
    group["iterations"] = int(values[0].read())
    if "u_product" in group:
        group["u_product"] = float(values[-1].read())
    if optimizer.schedule is None:
        optimizer.learning_rate = float(values[1].read())


def assets(model: Layer) -> dict[str, bytes]:
    """The files of layers that learned a vocabulary or write their own, by their paths."""
    return {
        join(prefix, name): content
        for prefix, module, _ in walk(model, "", set())
        for files in (files_of(module), _learned(module))
        for name, content in files.items()
    }


def _learned(module: Any) -> dict[str, bytes]:
    return module.learned_files() if isinstance(module, DataLayer) else {}


def take_assets(model: Layer, names: Iterable[str], read: Callable[[str], bytes | None]) -> None:
    """Give layers the vocabulary, or files of their own, that a file has for them.

    Args:
        model: the model.
        names: the paths of all such files.
        read: gives a file's contents for its path, or None.
    """
    for prefix, module, _ in walk(model, "", set()):
        if isinstance(module, DataLayer):
            module.take_files(partial(_asset, read, prefix))
        if keeps(module, "assets"):
            below = join(prefix, "")
            own = {name: read(name) for name in names if name.startswith(below)}
            give_files(module, {name[len(below) :]: text or b"" for name, text in own.items()})


def _asset(read: Callable[[str], bytes | None], prefix: str, name: str) -> bytes | None:
    return read(join(prefix, name))
