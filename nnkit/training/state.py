"""What changes while a model trains, taken out as plain data and put back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from nnkit.errors import FileError
from nnkit.metrics import Metric
from nnkit.optimizers import Optimizer
from nnkit.training.plain import attributes, same, set_attributes, to_plain

__all__ = [
    "Changes",
    "metrics_state",
    "model_state",
    "optimizers_of",
    "optimizers_state",
    "set_metrics_state",
    "set_model_state",
    "set_optimizers_state",
    "translate",
]

# Attributes that belong to a run and not to its state.
_OF_A_RUN = ("model", "params", "training", "built", "compiled", "stop_training",
             "stop_evaluating", "stop_predicting")  # fmt: skip
_SCALE = ("dynamic_scale", "step_counter")


class Changes:
    """The attributes of an object that have changed since this was made.

    What a constructor was given and training leaves alone is not among them, so that a run may go
    on with, say, another patience.
    """

    def __init__(self, owner: Any, private: bool = True) -> None:
        self.owner = owner
        self._private = private
        self._before = self._now()

    def state(self) -> dict[str, Any]:
        """The changed attributes, as plain data."""
        return {
            name: value
            for name, value in self._now().items()
            if name not in self._before or not same(value, self._before[name])
        }

    def _now(self) -> dict[str, Any]:
        found = attributes(self.owner, _OF_A_RUN)
        return {name: found[name] for name in found if self._private or name[0] != "_"}


# -- model -----------------------------------------------------------------------------------------


def model_state(model: Any) -> dict[str, Any]:
    """All parameters and buffers by name, what is trainable, and the extra state of modules."""
    extra = {}
    for name, module in model.named_modules():
        if type(module).get_extra_state is not nn.Module.get_extra_state:
            extra[name] = to_plain(module.get_extra_state())
    return {
        "modules": [name for name, _ in model.named_modules()],
        "tensors": {name: tensor.detach() for name, tensor in _tensors(model)},
        "trainable": {
            name: bool(module._trainable)
            for name, module in model.named_modules()
            if hasattr(module, "_trainable")
        },
        "requires_grad": {name: p.requires_grad for name, p in model.named_parameters()},
        "extra": extra,
    }


def translate(model: Any, state: dict[str, Any]) -> None:
    """Give a whole state the names that the modules of this model have.

    Layers are counted in a process: the "dense" of the first model is "dense_1" in the second.

    Args:
        model: a model like the one the state is of.
        state: with the keys model, optimizers and attributes; it is changed.
    """
    saved, own = state["model"]["modules"], [name for name, _ in model.named_modules()]
    if saved == own or len(saved) != len(own):
        return
    now = dict(zip(saved, own, strict=True))

    def tensors(values: dict[str, Any]) -> dict[str, Any]:
        parts = [name.rpartition(".") for name in values]
        names = [f"{now.get(owner, owner)}{dot}{key}" for owner, dot, key in parts]
        return dict(zip(names, values.values(), strict=True))

    def modules(values: dict[str, Any]) -> dict[str, Any]:
        return {now[name]: value for name, value in values.items()}

    part = state["model"]
    part["tensors"], part["requires_grad"] = (
        tensors(part["tensors"]),
        tensors(part["requires_grad"]),
    )
    part["trainable"], part["extra"] = modules(part["trainable"]), modules(part["extra"])
    state["attributes"] = modules(state["attributes"])
    for optimizer in state["optimizers"].values():
        optimizer = optimizer.get("inner", optimizer)
        if "slots" in optimizer:
            optimizer["slots"] = tensors(optimizer["slots"])


def set_model_state(model: Any, state: dict[str, Any]) -> None:
    """Put back what `model_state` gave.

    Raises: FileError that lists the weights that are missing, unknown or of another shape.
    """
    own, saved = dict(_tensors(model)), state["tensors"]
    problems = [f"{name} is missing in this model" for name in saved if name not in own]
    problems += [f"{name} is new" for name in own if name not in saved]
    problems += [
        f"{name} had the shape {tuple(saved[name].shape)}, now {tuple(own[name].shape)}"
        for name in own
        if name in saved and own[name].shape != saved[name].shape and _is_parameter(model, name)
    ]
    if problems:
        shown = "; ".join(problems[:5]) + ("; ..." if len(problems) > 5 else "")
        raise FileError(f"It is of another model than {model.label}: {shown}.")
    with torch.no_grad():
        for name, value in saved.items():
            if own[name].shape == value.shape and own[name].dtype == value.dtype:
                own[name].copy_(value)
            else:  # a buffer that grows
                owner, _, key = name.rpartition(".")
                model.get_submodule(owner)._buffers[key] = value.to(own[name].device)
    modules = dict(model.named_modules())
    for name, trainable in state["trainable"].items():
        if hasattr(modules.get(name), "_trainable"):
            modules[name]._trainable = trainable
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(state["requires_grad"][name])
    for name, value in state["extra"].items():
        modules[name].set_extra_state(value)


def _tensors(model: Any) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


def _is_parameter(model: Any, name: str) -> bool:
    owner, _, key = name.rpartition(".")
    return key in model.get_submodule(owner)._parameters


# -- optimizers ------------------------------------------------------------------------------------


def optimizers_state(model: Any) -> dict[str, Any]:
    """The state of the compiled optimizer and of those kept as attributes."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        key: _nnkit_state(each, names) if isinstance(each, Optimizer) else each.state_dict()
        for key, each in optimizers_of(model)
    }


def set_optimizers_state(model: Any, state: dict[str, Any]) -> None:
    """Put back what `optimizers_state` gave, building the optimizers that are not built yet.

    Raises: FileError when there are others now.
    """
    found = dict(optimizers_of(model))
    if found.keys() != state.keys():
        raise FileError(
            f"It has the optimizers {', '.join(state) or 'none'}, but this model has "
            f"{', '.join(found) or 'none'}."
        )
    parameters = dict(model.named_parameters())
    for key, optimizer in found.items():
        if isinstance(optimizer, Optimizer):
            _set_nnkit_state(optimizer, state[key], parameters)
        else:
            optimizer.load_state_dict(state[key])


def optimizers_of(model: Any) -> Iterator[tuple[str, Any]]:
    """The optimizers that a model has as attributes, the compiled one among them, by name."""
    for name, value in vars(model).items():
        items: Iterable[tuple[Any, Any]] = [("", value)]
        if isinstance(value, (list, tuple, dict)):
            items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            if isinstance(item, torch.optim.Optimizer):
                yield f"{name}.{key}".rstrip("."), item


def _nnkit_state(optimizer: Any, names: dict[int, str]) -> dict[str, Any]:
    if hasattr(optimizer, "inner_optimizer"):  # one that scales the loss
        scale = {name: getattr(optimizer, name) for name in _SCALE}
        return {"inner": _nnkit_state(optimizer.inner_optimizer, names), "scale": scale}
    group = optimizer.param_groups[0]
    return {
        "slots": {
            names.get(id(parameter), f"parameter {at}"): dict(slots)
            for at, (parameter, slots) in enumerate(optimizer.state.items())
        },
        "built": optimizer.built,
        "numbers": {key: value for key, value in group.items() if key != "params"},
        "scheduled": optimizer.schedule is not None,
    }


def _set_nnkit_state(optimizer: Any, state: dict[str, Any], parameters: dict[str, Tensor]) -> None:
    if "inner" in state:
        _set_nnkit_state(optimizer.inner_optimizer, state["inner"], parameters)
        for name in _SCALE:
            getattr(optimizer, name).copy_(state["scale"][name])
        return
    if state["built"]:
        current, current_names = optimizer.param_groups[0]["params"], optimizer._names
        known = {name: parameters[name] for name in state["slots"] if name in parameters}
        optimizer.build(known.values(), names=known)
        for name, slots in state["slots"].items():
            for slot, value in slots.items():
                if name in known:
                    own = optimizer.state[known[name]][slot]
                    with torch.no_grad():
                        own.copy_(value)
        if current:
            optimizer.build(current, current_names)
    if optimizer.schedule is not None and not state["scheduled"]:
        optimizer.learning_rate = state["numbers"]["lr"]  # a callback had replaced the schedule
    optimizer.param_groups[0].update(state["numbers"])


# -- metrics ---------------------------------------------------------------------------------------


def metrics_state(model: Any) -> list[dict[str, Any]]:
    """The running values of all metrics."""
    return [
        {"variables": [v.detach() for v in _variables(each)], "numbers": attributes(each, _NAMES)}
        for each in _all_metrics(model)
    ]


_NAMES = ("name", "built")


def set_metrics_state(model: Any, state: list[dict[str, Any]]) -> None:
    """Put back what `metrics_state` gave.

    Raises: FileError when there are other metrics now.
    """
    found = _all_metrics(model)
    sizes = [[tuple(v.shape) for v in _variables(each)] for each in found]
    if sizes != [[tuple(value.shape) for value in each["variables"]] for each in state]:
        raise FileError(
            f"It was written in the middle of an epoch, with other metrics than "
            f"{', '.join(each.name for each in found)}."
        )
    for metric, saved in zip(found, state, strict=True):
        set_attributes(metric, saved["numbers"])
        with torch.no_grad():
            for variable, value in zip(_variables(metric), saved["variables"], strict=True):
                variable.copy_(value)


def _all_metrics(model: Any) -> list[Any]:
    """The metrics of a model and those inside them; torch's kind as they are."""
    found: list[Any] = []

    def search(value: Any) -> None:
        if isinstance(value, (list, tuple, dict)):
            for item in value.values() if isinstance(value, dict) else value:
                search(item)
        elif isinstance(value, Metric) and value not in found:
            found.append(value)
            search(list(vars(value).values()))
            inner = getattr(value, "metric", None)
            if inner is not None and not isinstance(inner, Metric):
                found.append(inner)

    search(model.metrics)
    return found


def _variables(metric: Any) -> list[Any]:
    return metric._variables if isinstance(metric, Metric) else []
