"""What was given for each output of a model: by position, by name, or nested as the outputs are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnkit.errors import ArgumentError
from nnkit.tree import flatten

__all__ = ["align", "free_name", "is_nested", "path_names", "spread"]

_NESTS = (list, tuple, dict)


def align(what: str, value: Any, names: Sequence[str], *, one_for_all: bool = False) -> list[Any]:
    """One entry for each output.

    Args:
        what: a word for messages, "loss".
        value: a list or tuple by position, a dict by name, or a single entry.
        names: of the outputs.
        one_for_all: whether a single entry serves every output.

    Raises: ArgumentError for unknown names or another number of entries.
    """
    if isinstance(value, dict):
        unknown = [key for key in value if key not in names]
        if unknown:
            raise ArgumentError(
                f"{what} names the output {unknown[0]!r}, but the outputs are: {', '.join(names)}."
            )
        return [value.get(name) for name in names]
    if isinstance(value, (list, tuple)) and (len(names) > 1 or len(value) == 1):
        if len(value) != len(names):
            raise ArgumentError(
                f"{what} has {len(value)} entries, but the model has {len(names)} outputs: "
                f"{', '.join(names)}. Give one entry an output (None for none)."
            )
        return list(value)
    if len(names) > 1 and not one_for_all and value is not None:
        raise ArgumentError(
            f"{what} is one entry, but the model has {len(names)} outputs: {', '.join(names)}. "
            f"Give a list in this order or a dict with these names."
        )
    return [value] * len(names)


def is_nested(outputs: Any) -> bool:
    """Whether outputs lie deeper than in one list or dict."""
    parts = outputs.values() if isinstance(outputs, dict) else outputs
    return isinstance(outputs, _NESTS) and any(isinstance(part, _NESTS) for part in parts)


def spread(what: str, value: Any, outputs: Any) -> list[Any]:
    """One entry for each tensor in nested outputs, in the order of `flatten`.

    Args:
        what: a word for messages, "loss".
        value: nested like the outputs, a list of one entry a tensor, or one entry for all.
        outputs: the nesting.

    Raises: ArgumentError when it is nested in another way.
    """
    leaves = flatten(outputs)
    if not isinstance(value, _NESTS):
        return [value] * len(leaves)
    flat = isinstance(value, (list, tuple)) and not is_nested(value)
    if flat and len(value) == len(leaves) and isinstance(outputs, _NESTS):
        return list(value)
    if isinstance(outputs, dict) and isinstance(value, dict) and set(value) <= set(outputs):
        pairs = [(value.get(key), outputs[key]) for key in sorted(outputs)]
    elif isinstance(outputs, (list, tuple)) and not isinstance(value, dict):
        if len(value) != len(outputs):
            raise _misfit(what, outputs)
        pairs = list(zip(value, outputs, strict=True))
    elif not isinstance(outputs, _NESTS):
        return [value]
    else:
        raise _misfit(what, outputs)
    return [entry for part, below in pairs for entry in spread(what, part, below)]


def _misfit(what: str, outputs: Any) -> ArgumentError:
    return ArgumentError(f"{what} must be nested as the outputs are: {_shape_of(outputs)}.")


def _shape_of(outputs: Any) -> str:
    if isinstance(outputs, dict):
        return "{" + ", ".join(f"{key!r}: {_shape_of(outputs[key])}" for key in outputs) + "}"
    if isinstance(outputs, (list, tuple)):
        return "[" + ", ".join(map(_shape_of, outputs)) + "]"
    return "..."


def path_names(outputs: Any, names: Sequence[str]) -> list[str]:
    """What the losses of nested outputs are called: the way to each, "encoder/mean".

    Args:
        outputs: the nesting.
        names: of the layers that make the tensors, which stand for a last place in a list.
    """
    return [
        "/".join([*map(str, way[:-1]), name if isinstance(way[-1], int) else str(way[-1])])
        for way, name in zip(_ways(outputs), names, strict=True)
    ]


def _ways(outputs: Any) -> list[tuple[Any, ...]]:
    if not isinstance(outputs, _NESTS):
        return [()]
    keys: Any = sorted(outputs) if isinstance(outputs, dict) else range(len(outputs))
    return [(key, *way) for key in keys for way in _ways(outputs[key])]


def free_name(name: str, taken: Any) -> str:
    """The name, or with the first number that makes it new."""
    number, free = 1, name
    while free in taken:
        free = f"{name}_{number}"
        number += 1
    return free
