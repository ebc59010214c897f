"""Names for layers, models and metrics, counted Keras's way: dense, dense_1, dense_2."""

from __future__ import annotations

import re
from collections import Counter

__all__ = ["auto_name", "clear", "to_snake_case"]

_used: Counter[str] = Counter()


def to_snake_case(name: str) -> str:
    """The snake-case form of a class name, as Keras spells it.

    Example: `to_snake_case("MaxPooling2D")` is `"max_pooling2d"`, `"ReLU"` gives `"re_lu"`.
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def auto_name(prefix: str) -> str:
    """The next free name with this prefix: the prefix alone first, then with _1, _2, ..."""
    prefix = to_snake_case(prefix)
    count = _used[prefix]
    _used[prefix] += 1
    return f"{prefix}_{count}" if count else prefix


def clear() -> None:
    """Start counting again."""
    _used.clear()
