"""Look things up the way Keras does: by name, object, class, callable or config."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from nnkit.errors import ArgumentError, unknown_name

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
            return item

        return register

    def names(self) -> list[str]:
        """All registered names, sorted."""
        return sorted(self._exact)

    def find(self, name: str) -> Any:
        """The class or function of this name: exact first, then ignoring case and underscores."""
        if name in self._exact:
            return self._exact[name]
        if _plain(name) in self._loose:
            return self._loose[_plain(name)]
        raise unknown_name(self.kind, name, self._exact)

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

    def deserialize(self, config: dict[str, Any]) -> Any:
        """The object of a config made by `serialize`."""
        if "class_name" not in config:
            raise ArgumentError(f"A config of a {self.kind} needs 'class_name', got {config!r}.")
        found = self.find(
            config["class_name"] if config["class_name"] != "function" else config["config"]
        )
        if not inspect.isclass(found):
            return found
        make = getattr(found, "from_config", None)
        arguments = config.get("config") or {}
        return make(arguments) if make else found(**arguments)

    def serialize(self, item: Any) -> Any:
        """A config (plain data) for an object: Keras's dict for objects, the name for functions."""
        if item is None or isinstance(item, (str, dict)):
            return item
        if hasattr(item, "get_config"):
            known = self._exact.get(type(item).__name__) is type(item)
            return {
                "module": self.module if known else None,
                "class_name": type(item).__name__,
                "config": item.get_config(),
                "registered_name": None if known else type(item).__name__,
            }
        return getattr(item, "__name__", type(item).__name__)
