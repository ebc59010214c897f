"""What a model's file holds besides how it is made: its weights, and the state of all else.

The optimizer's variables lie in "optimizer/vars" under their numbers. A vocabulary that a layer has
learned is a file of its own, in a folder with the layer's path.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch

from nnkit.errors import FileError
from nnkit.initializers import left_empty
from nnkit.layer import Layer
from nnkit.layers.raw_data import DataLayer
from nnkit.layouts import SAME, Layout
from nnkit.optimizers import Optimizer
from nnkit.saving.h5 import join, opened, places, walk
from nnkit.saving.h5 import write as write_h5
from nnkit.saving.weights import Stored, compare
from nnkit.saving.weights import fill as fill_places
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


def write(model: Layer, path: Any, optimizer: bool = True) -> None:
    """Write a model's weights and, if wanted, its optimizer's state, to a path or open file."""
    write_h5(model, path, optimizer_values(model) if optimizer else ())


def fill(model: Layer, found: Mapping[str, Stored]) -> None:
    """Give a model that was just made its weights.

    Raises: FileError that lists all that does not fit.
    """
    wanted = places(model)
    report, misfits = compare(wanted, found)
    if misfits:
        raise FileError(f"its weights do not fit {model.label}:\n{report}")
    for key in wanted:  # one by one: if one is damaged, the model is not handed out
        fill_places(model, wanted, {key: found[key].read()})


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


def load_optimizer(model: Any, path: Any, source: Any = None) -> None:
    """Take the optimizer's state from a file, where the model has such an optimizer.

    Like Keras, this only warns where the state is of another one.
    """
    if not isinstance(getattr(model, "optimizer", None), Optimizer):
        return
    with opened(path, source, optimizer=True) as found:
        if not any(key.startswith("optimizer/") for key in found):
            return
        if not model.optimizer.built:
            model._collect_parameters()
        # What it wraps, if anything, is among its own, as Keras writes it twice.
        prefix, optimizer, slots = next(optimizer_values(model))
        _take_slots(prefix, optimizer, slots, found)


def _take_slots(prefix: str, optimizer: Any, slots: _Slots, found: Mapping[str, Stored]) -> None:
    keys = [key for key in found if key.rpartition("/")[0] == f"{prefix}/vars"]
    wanted = [f"{prefix}/vars/{number}" for number in range(len(slots))]
    values = [found[key].read() for key in wanted if key in found]
    take_values(optimizer, slots, values if len(keys) == len(wanted) else [])


def take_values(optimizer: Any, slots: _Slots, values: list[torch.Tensor]) -> None:
    """Give an optimizer the values of its variables; only warn if they do not fit."""
    if len(values) in (1, 2) and len(slots) > 2:
        return  # one that has not made an update yet
    shapes = [tuple(layout.to_keras(tensor).shape) for tensor, layout in slots]
    if shapes != [tuple(value.shape) for value in values]:
        warnings.warn(
            f"The optimizer {optimizer.name!r} starts anew: the file's variables for it are not "
            f"the {len(slots)} that it has. Compile with the same optimizer.",
            stacklevel=5,
        )
        return
    with torch.no_grad():
        for (tensor, layout), value in zip(slots, values, strict=True):
            tensor.copy_(layout.as_torch(value))
    if hasattr(optimizer, "inner_optimizer"):
        take_values(optimizer.inner_optimizer, slots[_OWN:], values[_OWN:])
    else:
        # These are numbers of the optimizer, of which the slots are copies.
        group = optimizer.param_groups[0]
        group["iterations"] = int(values[0])
        if "u_product" in group:
            group["u_product"] = float(values[-1])
        if optimizer.schedule is None:
            optimizer.learning_rate = float(values[1])


def assets(model: Layer) -> dict[str, bytes]:
    """The files of layers that learned a vocabulary, by their paths."""
    return {
        join(prefix, name): content
        for prefix, module, _ in walk(model, "", set())
        if isinstance(module, DataLayer)
        for name, content in module.learned_files().items()
    }


def take_assets(model: Layer, read: Callable[[str], bytes | None]) -> None:
    """Give layers the vocabulary that a file has for them.

    Args:
        model: the model.
        read: gives a file's contents for its path, or None.
    """
    for prefix, module, _ in walk(model, "", set()):
        if isinstance(module, DataLayer):
            module.take_files(partial(_asset, read, prefix))


def _asset(read: Callable[[str], bytes | None], prefix: str, name: str) -> bytes | None:
    return read(join(prefix, name))
