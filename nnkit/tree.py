"""Nested tuples, lists and dicts: what models take and give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["flatten", "map_structure"]


def map_structure(fn: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """Apply `fn` to each leaf, keeping the nesting; `others` are walked along with `tree`.

    Leaves are visited in the order of `flatten`.

    Raises: ValueError when the trees differ in length, KeyError when they differ in keys.
    """
    if isinstance(tree, dict):
        done = {k: map_structure(fn, tree[k], *(o[k] for o in others)) for k in _keys(tree)}
        return {k: done[k] for k in tree}
    if isinstance(tree, (list, tuple)) and type(tree).__name__ != "Size":
        parts = [map_structure(fn, *items) for items in zip(tree, *others, strict=True)]
        if hasattr(tree, "_fields"):
            return type(tree)(*parts)
        if isinstance(tree, tuple) and hasattr(tree, "n_sequence_fields"):
            return type(tree)(parts)
        return tuple(parts) if isinstance(tree, tuple) else parts
    if isinstance(tree, slice):
        return slice(*(map_structure(fn, v) for v in (tree.start, tree.stop, tree.step)))
    return fn(tree, *others)


def flatten(tree: Any) -> list[Any]:
    """The leaves, in order; a dict counts in the order of its sorted keys, as in Keras."""
    if isinstance(tree, dict):
        return [leaf for key in _keys(tree) for leaf in flatten(tree[key])]
    if isinstance(tree, (list, tuple)) and type(tree).__name__ != "Size":
        return [leaf for item in tree for leaf in flatten(item)]
    if isinstance(tree, slice):
        return [tree.start, tree.stop, tree.step]
    return [tree]


def _keys(tree: dict[Any, Any]) -> list[Any]:
    return sorted(tree) if all(isinstance(key, str) for key in tree) else list(tree)
