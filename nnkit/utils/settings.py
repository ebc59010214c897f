"""Config: named values of a run, as attributes and as a dict."""

from __future__ import annotations

import json
from collections.abc import ItemsView, KeysView, ValuesView
from typing import Any

from nnkit.errors import ArgumentError, MissingNameError, unknown_name

__all__ = ["Config"]


class Config:
    """Named values that can be read and set as attributes or keys, and frozen.

    Args:
        **values: the first ones.

    Example:
        config = Config(rate=0.1)
        config.epochs = 3
        config.freeze()
    """

    def __init__(self, **values: Any) -> None:
        self.__dict__["_values"] = values
        self.__dict__["_frozen"] = False

    @property
    def frozen(self) -> bool:
        """Whether values can no longer be set."""
        return bool(self.__dict__["_frozen"])

    def freeze(self) -> None:
        """Refuse changes from now on."""
        self.__dict__["_frozen"] = True

    def unfreeze(self) -> None:
        """Allow changes again."""
        self.__dict__["_frozen"] = False

    def _changing(self) -> dict[str, Any]:
        if self.frozen:
            raise ArgumentError("The config is frozen. Call unfreeze() to change it.")
        return self._values

    def __getattr__(self, name: str) -> Any:
        values = self.__dict__.get("_values", {})
        if name not in values:
            raise MissingNameError(str(unknown_name("value of the config", name, values)))
        return values[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self._changing()[name] = value

    __getitem__ = __getattr__
    __setitem__ = __setattr__

    def __delitem__(self, name: str) -> None:
        del self._changing()[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Any:
        return iter(list(self._values))

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<Config {self._values}>"

    def get(self, name: str, default: Any = None) -> Any:
        """A value, or the default where there is none."""
        return self._values.get(name, default)

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._values.keys()

    def values(self) -> ValuesView[Any]:
        """The values."""
        return self._values.values()

    def items(self) -> ItemsView[str, Any]:
        """Pairs of name and value."""
        return self._values.items()

    def pop(self, name: str, *default: Any) -> Any:
        """Take a value out."""
        return self._changing().pop(name, *default)

    def update(self, *others: Any, **values: Any) -> None:
        """Set several values."""
        self._changing().update(*others, **values)

    def as_dict(self) -> dict[str, Any]:
        """A copy as a dict."""
        return dict(self._values)

    def to_json(self) -> str:
        """The values as JSON."""
        return json.dumps(self._values)
