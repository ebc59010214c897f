"""Objects to plain data and back, in Keras's form.

An object becomes `{"module", "class_name", "config", "registered_name"}`, where the config is what
its `get_config()` gives. Reading such a dict looks the class up among the names of
`custom_objects.py` and calls its `from_config`.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from nnkit.custom_objects import (
    custom_objects_now,
    find_public,
    get_registered_name,
    public_name,
    public_names,
    supplying,
)
from nnkit.errors import ArgumentError, ConfigError

__all__ = [
    "deserialize_keras_object",
    "is_object_config",
    "located",
    "serialize_keras_object",
    "serialized_function",
    "sharing_objects",
]

# Where Keras looks for a function of which a config only says that it is one.
_FUNCTION_HOMES = (
    "activations",
    "constraints",
    "initializers",
    "losses",
    "metrics",
    "regularizers",
)


class _Sharing:
    """The objects met while one model is written or read, so that shared ones stay shared."""

    def __init__(self) -> None:
        self.configs: dict[int, dict[str, Any]] = {}
        self.kept: list[Any] = []  # keeps them alive, or an id could come twice
        self.objects: dict[Any, Any] = {}


_sharing: list[_Sharing] = []


@contextmanager
def sharing_objects() -> Iterator[None]:
    """Inside, an object written twice is marked, and one read twice is made once."""
    _sharing.append(_Sharing())
    try:
        yield
    finally:
        _sharing.pop()


def is_object_config(value: Any) -> bool:
    """Whether this is plain data that stands for an object."""
    return isinstance(value, dict) and "class_name" in value and "config" in value


# -- writing ---------------------------------------------------------------------------------------


def serialize_keras_object(obj: Any) -> Any:
    """Plain data (dicts, lists, strings, numbers) for an object, as Keras writes it.

    Args:
        obj: an object with `get_config()`, a function, an array, or a nesting of them.

    Raises: ConfigError for an object that has no `get_config()`.
    Source: keras.saving.serialize_keras_object
    """
    if obj is None or isinstance(obj, (str, int, float, bool)):
        return obj.item() if isinstance(obj, np.generic) else obj
    if isinstance(obj, (list, tuple, nn.ModuleList)):
        values = [serialize_keras_object(value) for value in obj]
        return tuple(values) if isinstance(obj, tuple) else values
    if isinstance(obj, Mapping):
        return {key: serialize_keras_object(value) for key, value in obj.items()}
    for kind, write in _VALUES:
        if isinstance(obj, kind):
            return write(obj)
    if hasattr(obj, "get_config") and not inspect.isclass(obj):
        return _serialize_instance(obj)
    if isinstance(obj, nn.Module):
        # Its arguments are not known. Whoever loads it supplies the module, or what makes it.
        return _record(type(obj).__module__, type(obj).__name__, {}, type(obj).__name__, obj)
    if callable(obj) and hasattr(obj, "__name__"):
        return serialized_function(get_registered_name(obj))
    raise ConfigError(
        f"{obj!r} cannot be written into a config: {type(obj).__name__} has no method "
        f"get_config(self) that gives the arguments it was made with."
    )


def serialized_function(name: str) -> dict[str, Any]:
    """How Keras writes a function of this name. It notes only that it is one, not where from."""
    return _record("builtins", "function", name, "function", None)


def _serialize_instance(obj: Any) -> dict[str, Any]:
    config = obj.get_config()
    if not isinstance(config, dict):
        raise ConfigError(f"{type(obj).__name__}.get_config() must return a dict, got {config!r}.")
    inner = {key: serialize_keras_object(value) for key, value in config.items()}
    module, class_name = _name_of(obj)
    made = _record(module, class_name, inner, _registered_name_of(obj), obj)
    for extra in ("build_config", "compile_config"):
        get = getattr(obj, f"get_{extra}", None)
        more = get() if get is not None else None
        if more is not None:
            made[extra] = {key: serialize_keras_object(value) for key, value in more.items()}
    return made


def _name_of(obj: Any) -> tuple[str | None, str]:
    named = getattr(obj, "_keras_class", None)  # an object that Keras has under another class
    place = named or public_name(type(obj))
    if place is not None:
        return place
    module = type(obj).__module__
    return (None if module == "__main__" else module), type(obj).__name__


def _registered_name_of(obj: Any) -> str | None:
    named = getattr(obj, "_keras_class", None)
    if named is not None:
        return str(named[1]) if named[0].startswith("keras.src.") else None
    if public_name(type(obj)) is not None or type(obj).__module__ == "builtins":
        return None
    return get_registered_name(type(obj))


def _record(
    module: str | None, class_name: str, config: Any, registered_name: str | None, obj: Any
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "module": module,
        "class_name": class_name,
        "config": config,
        "registered_name": registered_name,
    }
    if _sharing and obj is not None:
        known = _sharing[-1].configs
        first = known.setdefault(id(obj), made)
        _sharing[-1].kept.append(obj)
        if first is not made:
            # A number that is the same in every run, so that equal models give equal files.
            number = list(known).index(id(obj)) + 1
            made["shared_object_id"] = first["shared_object_id"] = number
    return made


def _tensor(obj: torch.Tensor) -> Any:
    value = obj.detach().cpu()
    dtype = str(value.dtype).removeprefix("torch.")
    return {"class_name": "__tensor__", "config": {"value": value.tolist(), "dtype": dtype}}


def _array(obj: Any) -> Any:
    if not isinstance(obj, np.ndarray) or obj.ndim == 0:
        return obj.item()
    return {
        "class_name": "__numpy__",
        "config": {"value": obj.tolist(), "dtype": obj.dtype.name},
    }


def _slice(obj: slice) -> Any:
    parts = {part: serialize_keras_object(getattr(obj, part)) for part in ("start", "stop", "step")}
    return {"class_name": "__slice__", "config": parts}


_VALUES: list[tuple[Any, Callable[[Any], Any]]] = [
    (bytes, lambda obj: {"class_name": "__bytes__", "config": {"value": obj.decode("utf-8")}}),
    (slice, _slice),
    (type(Ellipsis), lambda obj: {"class_name": "__ellipsis__", "config": {}}),
    (torch.Tensor, _tensor),
    ((np.ndarray, np.generic), _array),
    (torch.dtype, lambda obj: str(obj).removeprefix("torch.")),
    (np.dtype, lambda obj: obj.name),
]


# -- reading ---------------------------------------------------------------------------------------


def deserialize_keras_object(
    config: Any,
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool = True,
    **kwargs: Any,
) -> Any:
    """The object for plain data that `serialize_keras_object` made, here or in Keras.

    Args:
        config: the data.
        custom_objects: classes and functions by the names the data has for them.
        safe_mode: accepted, and without effect: code in the data is never run.
        module_objects: a dict of further names, for data that says no module.

    Raises: ArgumentError for a class or function that is not known here.
    Source: keras.saving.deserialize_keras_object
    """
    module_objects = kwargs.pop("module_objects", None)
    if kwargs:
        raise ArgumentError(f"deserialize_keras_object() has no argument {min(kwargs)!r}.")
    if custom_objects:
        with supplying(custom_objects):
            return _revive(config, module_objects)
    return _revive(config, module_objects)


def _revive(config: Any, more: Mapping[str, Any] | None) -> Any:
    if config is None or isinstance(config, (int, float, bool)):
        return config
    if isinstance(config, str):
        found = custom_objects_now().get(config)
        return config if found is None else found
    if isinstance(config, (list, tuple)):
        return [_revive(value, more) for value in config]
    if not isinstance(config, dict):
        raise ArgumentError(f"{config!r} is no config: a dict was expected.")
    if not is_object_config(config):
        return {key: _revive(value, more) for key, value in config.items()}
    special = _SPECIAL.get(config["class_name"])
    return special(config["config"]) if special else _revive_object(config, more)


def _revive_object(config: dict[str, Any], more: Mapping[str, Any] | None) -> Any:
    inner = config["config"]
    if config["class_name"] == "function":
        if not isinstance(inner, str):
            raise ArgumentError(f"The name of a function must be a string, got {inner!r}.")
        return located(config, inner, more)
    if inner is not None and not isinstance(inner, dict):
        raise ArgumentError(
            f"The config of {config['class_name']!r} must be a dict of arguments, got {inner!r}."
        )
    shared = config.get("shared_object_id")
    if shared is not None and _sharing and shared in _sharing[-1].objects:
        return _sharing[-1].objects[shared]
    kind = located(config, config["class_name"], more)
    if not inspect.isclass(kind):
        return kind  # a function, or an object that the caller made
    make = getattr(kind, "from_config", None)
    try:
        made = make(dict(inner or {})) if make is not None else kind(**(inner or {}))
    except TypeError as error:
        raise ArgumentError(
            f"{kind.__name__} cannot be made from its config, which has {sorted(inner or {})}: "
            f"{error}. Write get_config(self) and, where that is not enough, from_config(cls, "
            f"config) in the class."
        ) from error
    _finish(made, config)
    if shared is not None and _sharing:
        _sharing[-1].objects[shared] = made
    return made


def _finish(made: Any, config: dict[str, Any]) -> None:
    """Build and compile what was read, where the config says how."""
    build, compiled = config.get("build_config"), config.get("compile_config")
    told = build and ("preprocessing" in build or not getattr(made, "built", True))
    if told and hasattr(made, "build_from_config"):
        made.build_from_config(build)
    if compiled and hasattr(made, "compile_from_config"):
        made.compile_from_config(compiled)


def located(config: Mapping[str, Any], name: str, more: Mapping[str, Any] | None = None) -> Any:
    """The class or function that a config names.

    What the caller registered or supplied comes first, by the registered name; then what is
    published under the module's path; then what was supplied under the bare class name.

    Raises: ArgumentError when there is none.
    """
    module, is_function = config.get("module"), config["class_name"] == "function"
    registered = name if is_function else config.get("registered_name", name)
    supplied = custom_objects_now()
    if registered in supplied:
        return supplied[registered]
    if isinstance(module, str):
        homes = [module]
        if is_function and module == "builtins":
            homes += [f"keras.{home}" for home in _FUNCTION_HOMES]
        elif module.startswith("keras."):
            # Where Keras itself keeps a class, "keras.src.layers.core.dense", says where it shows.
            homes += [f"keras.{word}" for word in module.split(".")[1:]] + ["keras.models"]
        found = next((f for home in homes if (f := find_public(home, name)) is not None), None)
        if found is not None:
            return found
    for place in (supplied, more or {}):
        if name in place:
            return place[name]
    for key, item in supplied.items():
        if key.endswith(f">{name}"):
            return item
    what = "function" if is_function else "class"
    called = registered or name
    near = difflib.get_close_matches(str(name), public_names(str(module)), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ArgumentError(
        f"There is no {what} {called!r} here.{hint} If it is your own, pass "
        f"custom_objects={{{called!r}: ...}}, or decorate it with "
        f"@nnkit.saving.register_keras_serializable() and import it before loading. "
        f"Nothing is imported by a name found in a config."
    )


def _no_lambda(inner: Any) -> Any:
    raise ArgumentError(
        "The config holds the bytecode of a lambda, which is never run here, whatever safe_mode "
        "says. Supply the function: custom_objects={'name of its layer': function}."
    )


def _array_again(inner: Any) -> Any:
    return np.array(inner["value"], dtype=np.dtype(inner["dtype"]))


def _tensor_again(inner: Any) -> Any:
    dtype = getattr(torch, str(inner["dtype"]), None)
    if not isinstance(dtype, torch.dtype):
        raise ArgumentError(f"There is no dtype {inner['dtype']!r}.")
    return torch.tensor(inner["value"], dtype=dtype)


_SPECIAL: dict[str, Callable[[Any], Any]] = {
    "__tensor__": _tensor_again,
    "__numpy__": _array_again,
    "__bytes__": lambda inner: inner["value"].encode("utf-8"),
    "__ellipsis__": lambda inner: Ellipsis,
    "__slice__": lambda inner: slice(
        *(_revive(inner[part], None) for part in ("start", "stop", "step"))
    ),
    "__lambda__": _no_lambda,
}
