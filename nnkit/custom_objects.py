"""The names by which configs and files speak of classes and functions.

There are two kinds. What nnkit shares with Keras is *published* under Keras's path, such as
"keras.layers.Dense". What a user wrote is *registered*, by `register_keras_serializable`, by a
`custom_object_scope` or by the argument `custom_objects`. A name that is neither means nothing:
nothing is ever imported because a file names it.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from nnkit.errors import ArgumentError

__all__ = [
    "CustomObjectScope",
    "PublicName",
    "custom_object_scope",
    "custom_objects_now",
    "find_public",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "public_name",
    "public_names",
    "publish",
    "register_keras_serializable",
    "supplying",
]

T = TypeVar("T")


class PublicName(NamedTuple):
    """Where Keras has a class or function: `keras.layers` and `Dense`."""

    module: str
    name: str


_published: dict[PublicName, Any] = {}
_public_names: dict[Any, PublicName] = {}
_registered: dict[str, Any] = {}
_registered_names: dict[Any, str] = {}


class _Scopes(threading.local):
    """The scopes open in this thread, the innermost last."""

    def __init__(self) -> None:
        self.open: list[Mapping[str, Any]] = []


_scopes = _Scopes()


def publish(module: str, names: Iterable[str], objects: Mapping[str, Any]) -> None:
    """Say that Keras has these classes and functions in `module`, under the same names.

    Args:
        module: Keras's module, "keras.layers".
        names: the names to publish.
        objects: where to find them, a module's `globals()`.
    """
    names = list(names)
    for name in names:
        item = objects[name]
        place = PublicName(module, name)
        _published[place] = item
        # Of several names for one class its own is the one that Keras writes.
        if inspect.isclass(item) and (item.__name__ == name or item.__name__ not in names):
            _public_names.setdefault(item, place)


def find_public(module: str, name: str) -> Any:
    """What Keras has under this name, or None."""
    return _published.get(PublicName(module, name))


def public_names(module: str) -> list[str]:
    """All names that are published in a module."""
    return [place.name for place in _published if place.module == module]


def public_name(item: Any) -> PublicName | None:
    """Where Keras has this class, or None."""
    return _public_names.get(item)


class CustomObjectScope:
    """Inside, configs may name these objects; a scope opened inside hides this one.

    Args:
        custom_objects: classes and functions by the names that configs have for them.

    Example:
        with nnkit.saving.custom_object_scope({"MyLayer": MyLayer}):
            model = nnkit.models.model_from_json(text)

    Source: keras.saving.custom_object_scope
    """

    def __init__(self, custom_objects: Mapping[str, Any] | None) -> None:
        self.custom_objects = _checked(custom_objects)

    def __enter__(self) -> CustomObjectScope:
        _scopes.open.append(self.custom_objects)
        return self

    def __exit__(self, *_: Any) -> None:
        _scopes.open.pop()


custom_object_scope = CustomObjectScope


def _checked(custom_objects: Any) -> Mapping[str, Any]:
    if custom_objects is None:
        return {}
    if not isinstance(custom_objects, Mapping):
        raise ArgumentError(
            f"custom_objects must be a dict of names with classes or functions, such as "
            f"{{'MyLayer': MyLayer}}, got {custom_objects!r}."
        )
    return dict(custom_objects)


def custom_objects_now(custom_objects: Any = None) -> dict[str, Any]:
    """All custom objects that hold here: those registered, those of the scope, and these."""
    scope = _scopes.open[-1] if _scopes.open else {}
    return {**_checked(custom_objects), **scope, **_registered}


def supplying(custom_objects: Any) -> CustomObjectScope:
    """A scope that adds these objects to those that hold already."""
    return CustomObjectScope(custom_objects_now(custom_objects))


def get_custom_objects() -> dict[str, Any]:
    """The registered objects by name; the dict itself, to read and to change."""
    return _registered


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[T], T]:
    """Register the decorated class or function, so that files can name it.

    Args:
        package: comes before the name, "package>name", so that two packages do not collide.
        name: the class's or function's own name when None.

    Raises: ArgumentError for a class without get_config.

    Example:
        @nnkit.saving.register_keras_serializable(package="my_package")
        class Scale(nnkit.layers.Layer):
            ...

    Source: keras.saving.register_keras_serializable
    """

    def register(item: T) -> T:
        if inspect.isclass(item) and not hasattr(item, "get_config"):
            raise ArgumentError(
                f"{item.__name__} needs a method get_config(self) to be registered: it gives the "
                f"arguments that make the object again."
            )
        key = f"{package}>{name if name is not None else getattr(item, '__name__', item)}"
        _registered[key] = item
        _registered_names[item] = key
        return item

    return register


def get_registered_name(obj: Any) -> str:
    """The name under which a class or function is registered; its own name when it is not."""
    try:
        known = _registered_names.get(obj)
    except TypeError:  # not hashable, so never registered
        known = None
    if known is not None:
        return known
    own = getattr(obj, "__name__", None)
    return own if isinstance(own, str) else type(obj).__name__


def get_registered_object(
    name: str,
    custom_objects: Mapping[str, Any] | None = None,
    module_objects: Mapping[str, Any] | None = None,
) -> Any:
    """The class or function registered under a name, or None.

    Args:
        name: "package>name", or a name of the scope or of `custom_objects`.
        custom_objects: searched after the scope and the registered ones.
        module_objects: searched last.
    """
    scope = _scopes.open[-1] if _scopes.open else {}
    for place in (scope, _registered, custom_objects or {}, module_objects or {}):
        if name in place:
            return place[name]
    return None
