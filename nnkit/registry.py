"""Look things up the way Keras does: by name, object, class, callable or config."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from nnkit.custom_objects import custom_objects_now, publish, supplying
from nnkit.errors import ArgumentError, unknown_name
from nnkit.serialization import deserialize_keras_object, serialize_keras_object

__all__ = ["Registry"]

T = TypeVar("T")


def _plain(name: str) -> str:
    return name.lower().replace("_", "")


class Registry:
    """The named objects of one kind, such as the initializers.

    Args:
        kind: a word for messages, "initializer".
        module: where Keras keeps them, "keras.initializers"; written into configs.
    """

    def __init__(self, kind: str, module: str) -> None:
        self.kind = kind
        self.module = module
        self._exact: dict[str, Any] = {}
        self._loose: dict[str, Any] = {}

    def add(self, *names: str) -> Callable[[T], T]:
        """Register the decorated class or function under its own name and these others."""

        def register(item: T) -> T:
            for name in (getattr(item, "__name__", ""), *names):
                self._exact[name] = item
                self._loose.setdefault(_plain(name), item)
            own = getattr(item, "__name__", "")
            publish(self.module, [own], {own: item})
            return item

        return register

    def names(self) -> list[str]:
        """All registered names, sorted."""
        return sorted(self._exact)

    def find(self, name: str) -> Any:
        """The class or function of this name: exact first, then ignoring case and underscores."""
        own = custom_objects_now()
        if name in own:
            return own[name]
        if name in self._exact:
            return self._exact[name]
        if _plain(name) in self._loose:
            return self._loose[_plain(name)]
        raise unknown_name(self.kind, name, [*self._exact, *own])

    def get(self, identifier: Any) -> Any:
        """Turn what a user wrote into an object.

        Args:
            identifier: None (stays None), a name, an object or function (returned as it is), a
                class (made without arguments), or a config `{"class_name": ..., "config": ...}`.

        Raises: ArgumentError for an unknown name or a value that cannot be called.
        """
        if identifier is None:
            return None
        if isinstance(identifier, str):
            found = self.find(identifier)
            return found() if inspect.isclass(found) else found
        if isinstance(identifier, dict):
            return self.deserialize(identifier)
        if inspect.isclass(identifier):
            return identifier()
        if callable(identifier):
            return identifier
        raise ArgumentError(
            f"Cannot use {identifier!r} as {self.kind}. "
            f"Give a name, an object, a function or a config."
        )

    def deserialize(self, config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """The object of a config made by `serialize`, or of an older and shorter one.

        Args:
            config: the dict, or a name.
            custom_objects: classes and functions by the names the config has for them.
        """
        with supplying(custom_objects):
            return self._deserialize(config)

    def _deserialize(self, config: Any) -> Any:
        if not isinstance(config, dict):
            return self.find(config) if isinstance(config, str) else config
        if "class_name" not in config:
            raise ArgumentError(f"A config of a {self.kind} needs 'class_name', got {config!r}.")
        whole = {"config": {}, **config}
        if "module" in config and config["module"] is not None:
            return deserialize_keras_object(whole)
        # Before version 3 Keras wrote no module: the name is one of this kind.
        name = str(whole["config"] if config["class_name"] == "function" else config["class_name"])
        found = self.find(str(config.get("registered_name") or name))
        return deserialize_keras_object(whole, module_objects={name: found})

    def serialize(self, item: Any) -> Any:
        """A config (plain data) for an object or function, in Keras's form."""
        return serialize_keras_object(item)
