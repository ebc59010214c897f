"""Keras's conventions for writing a layer: its arguments, `call` and `build`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from nnkit.errors import unknown_name
from nnkit.shapes import Shape
from nnkit.tree import flatten
from nnkit.weights import built_for_real

__all__ = [
    "Held",
    "add_activity_loss",
    "adopt_lists",
    "as_shape",
    "by_keyword",
    "computes",
    "filling_training",
    "first_shape",
    "holds",
    "is_shape",
    "listed",
    "positional",
    "takes_several",
    "tracked_build",
]


def filling_training(body: Callable[..., Any]) -> Callable[..., Any]:
    """A `call` that is given `training` as the layer's mode unless the caller gives it."""
    at = list(inspect.signature(body).parameters).index("training") - 1

    @functools.wraps(body)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        if len(args) <= at and kwargs.get("training") is None:
            kwargs["training"] = self.training
        return body(self, *args, **kwargs)

    return run


def tracked_build(body: Callable[..., None]) -> Callable[..., None]:
    """A `build` that makes real weights wherever it is called, and says so in `built`."""

    @functools.wraps(body)
    def build(self: Any, *shapes: Any, **kwargs: Any) -> None:
        if shapes and not self._fixed and is_shape(shapes[0]):
            self._fix_axis(shapes[0])
        with built_for_real():
            body(self, *shapes, **kwargs)
        self.built = True
        if "_initial_weights" in self.__dict__:  # given as weights=, Keras 2's way
            self.set_weights(self.__dict__.pop("_initial_weights"))

    return build


def first_shape(layer: Any, kwargs: dict[str, Any]) -> Shape | None:
    """The batch shape that Keras's arguments for a first layer describe, if any is there."""
    batch = kwargs.pop("batch_size", None)
    full = kwargs.pop("batch_shape", kwargs.pop("batch_input_shape", None))
    shape = kwargs.pop("input_shape", None)
    dim = kwargs.pop("input_dim", None)
    length = kwargs.pop("input_length", None)
    kwargs.pop("autocast", None)
    for name in kwargs:
        known = [*inspect.signature(type(layer).__init__).parameters, "name", "dtype", "trainable"]
        known = [word for word in known if word not in ("self", "kwargs", "kw", "args")]
        raise unknown_name(f"argument of {type(layer).__name__}", name, [*known, "input_shape"])
    if full is not None:
        return tuple(full)
    if shape is None and dim is not None:
        shape = (dim,) if length is None else (length, dim)
    if shape is None:
        return None
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    return (batch, *shape)


# Attributes of models that hold modules for other reasons.
_NO_CHILDREN = {"_stack", "_compile_config", "loss"}
_HELD = "_held"  # after an attribute's name, the key of its modules


class Held(nn.ModuleList):
    """The modules in a list or dict that has other things in it too, and stays as it is.

    Args:
        modules: nested as they are there.
        attribute: the layer's name for it.
    """

    def __init__(self, modules: list[nn.Module], attribute: str = "") -> None:
        super().__init__(modules)
        self.attribute = attribute


def adopt_lists(layer: Any) -> None:
    """Register the modules in plain lists, tuples and dicts, nested or not, as Keras tracks them.

    Those with nothing but modules become torch's; what has more in it stays as it is.
    """
    for name, value in list(layer.__dict__.items()):
        hidden = name.startswith("_") and name not in layer._child_order
        if hidden or name in _NO_CHILDREN or type(value) not in (list, tuple, dict):
            continue
        held = _held(value, name)
        if not held:
            continue
        torchs = _as_torchs(value)
        if torchs is None:
            layer.add_module(name + _HELD, held)
        else:
            del layer.__dict__[name]
            setattr(layer, name, torchs)
        modules = layer._modules
        named = [key for name in layer._child_order for key in (name, name + _HELD)]
        order = dict.fromkeys([*named, *modules])
        layer.__dict__["_modules"] = {key: modules[key] for key in order if key in modules}


def _as_torchs(value: Any, above: tuple[int, ...] = ()) -> Any:
    """A nested list, tuple or dict of modules as torch's kinds of them; None if it cannot be."""
    if isinstance(value, nn.Module):
        return value
    if not isinstance(value, (list, tuple, dict)) or not value or id(value) in above:
        return None
    above = (*above, id(value))  # what holds itself is not followed
    items = value.values() if isinstance(value, dict) else value
    items = [_as_torchs(item, above) for item in items]
    if any(item is None for item in items):
        return None
    if not isinstance(value, dict):
        return nn.ModuleList(items)
    if not all(isinstance(key, str) and not hasattr(nn.ModuleDict, key) for key in value):
        return None
    return nn.ModuleDict(dict(zip(value, items, strict=True)))


def _held(value: Any, name: str, above: tuple[int, ...] = ()) -> Held:
    items = value.values() if isinstance(value, dict) else value
    above = (*above, id(value))
    found = [
        _held(item, "", above) if isinstance(item, (list, tuple, dict)) else item
        for item in items
        if isinstance(item, (list, tuple, dict, nn.Module)) and id(item) not in above
    ]
    return Held([item for item in found if not isinstance(item, Held) or item], name)


def listed(module: nn.Module) -> list[nn.Module]:
    """A module, or in place of a list or dict of modules the modules in it, however nested."""
    if isinstance(module, (nn.ModuleList, nn.ModuleDict)):
        items = module.values() if isinstance(module, nn.ModuleDict) else module
        return [each for item in items for each in listed(item)]
    return [module]


def positional(method: Callable[..., Any]) -> list[str]:
    """The names of the arguments that a method takes by position."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in inspect.signature(method).parameters.values() if p.kind in kinds]


def by_keyword(names: list[str], args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The arguments of a call with the input by position and `training` by name.

    Args:
        names: what the `call` takes by position.
        args, kwargs: as they were given.
    """
    if not args and names and names[0] in kwargs:
        args, kwargs = (kwargs[names[0]],), {k: v for k, v in kwargs.items() if k != names[0]}
    if "training" in names[: len(args)]:
        at = names.index("training")
        kwargs.update(zip(names[at:], args[at:], strict=False))
        args = args[:at]
    return args, kwargs


def takes_several(call: Callable[..., Any]) -> bool:
    """Whether a `call` needs more than one argument, as `call(self, x, state)` does."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = list(inspect.signature(call).parameters.values())[1:]
    needed = [p.name for p in parameters if p.default is p.empty and p.kind is kind]
    return len(set(needed) - {"training", "mask"}) > 1


def as_shape(value: Any) -> Any:
    """A shape, or nesting of shapes, in which data files have lists instead of tuples."""
    if isinstance(value, dict):
        return {key: as_shape(item) for key, item in value.items()}
    if all(size is None or isinstance(size, int) for size in value):
        return tuple(value)
    return [as_shape(item) for item in value]


def is_shape(value: Any) -> bool:
    """Whether this is one shape, and not a nesting of shapes."""
    return isinstance(value, tuple) and all(size is None or isinstance(size, int) for size in value)


def add_activity_loss(layer: Any, args: Any, outputs: Any) -> None:
    """The forward hook of a layer with an activity regularizer."""
    for output in flatten(outputs):
        layer.add_loss(layer.activity_regularizer(output) / output.shape[0])


def computes(own: Mapping[str, Any]) -> bool:
    """Whether a class body has methods that may change what a layer computes."""
    plain = ("build", "get_config", "from_config", "compute_mask", "infer_output")
    return any(callable(v) and not k.startswith("__") and k not in plain for k, v in own.items())


def holds(layer: Any, name: str) -> bool:
    """Whether a submodule or weight goes by this name already."""
    return any(name in layer.__dict__.get(kind, ()) for kind in ("_modules", "_parameters"))
