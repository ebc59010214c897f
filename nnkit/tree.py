"""Nested tuples, lists and dicts: what models take and give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnkit.errors import ArgumentError

__all__ = [
    "MAP_TO_NONE", "assert_same_paths", "assert_same_structure", "flatten", "flatten_with_path",
    "is_nested", "lists_to_tuples", "map_shape_structure", "map_structure", "map_structure_up_to",
    "pack_sequence_as", "traverse",
]  # fmt: skip


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


class MAP_TO_NONE:  # noqa: N801 - Keras's name
    """What a function returns to `traverse` for a part that is to become None."""


def is_nested(structure: Any) -> bool:
    """Whether this is a tuple, list or dict, so that it has parts."""
    return isinstance(structure, (dict, list, tuple)) and type(structure).__name__ != "Size"


def _children(structure: Any) -> list[tuple[Any, Any]]:
    """The parts with their keys or places, dicts in the order of their keys."""
    if isinstance(structure, dict):
        return [(key, structure[key]) for key in _keys(structure)]
    return list(enumerate(structure))


def _rebuilt(structure: Any, parts: list[Any]) -> Any:
    """A structure of this kind from its new parts, in the order of `_children`."""
    if isinstance(structure, dict):
        made = dict(zip(_keys(structure), parts, strict=True))
        kind: Any = type(structure)
        if hasattr(structure, "default_factory"):
            return kind(structure.default_factory, made)
        return kind(made)
    return type(structure)(*parts) if hasattr(structure, "_fields") else type(structure)(parts)


def traverse(func: Callable[[Any], Any], structure: Any, top_down: bool = True) -> Any:
    """Walk through a structure and its parts, and replace those `func` returns something for.

    Args:
        func: of a part; None keeps it (and goes on into it), `MAP_TO_NONE` makes it None.
        structure: anything.
        top_down: whether a structure comes before its parts, which a replaced one hides.
    """

    def inside() -> Any:
        if not is_nested(structure):
            return structure
        return _rebuilt(
            structure, [traverse(func, part, top_down) for _, part in _children(structure)]
        )

    if top_down:
        found = func(structure)
        return inside() if found is None else None if found is MAP_TO_NONE else found
    done = inside()
    found = func(done)
    return done if found is None else None if found is MAP_TO_NONE else found


def flatten_with_path(structure: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """The leaves in order, each with the keys and places that lead to it."""
    if not is_nested(structure):
        return [((), structure)]
    return [
        ((key, *path), leaf)
        for key, part in _children(structure)
        for path, leaf in flatten_with_path(part)
    ]


def pack_sequence_as(structure: Any, flat_sequence: Any) -> Any:
    """The nesting of `structure` filled with these leaves.

    Raises: ValueError when they are too few or too many.
    """
    leaves = list(flat_sequence)
    wanted = len(flatten_with_path(structure))
    if len(leaves) != wanted:
        raise ArgumentError(f"The structure has {wanted} leaves, got {len(leaves)}.")
    rest = iter(leaves)

    def fill(part: Any) -> Any:
        if not is_nested(part):
            return next(rest)
        return _rebuilt(part, [fill(each) for _, each in _children(part)])

    return fill(structure)


def map_structure_up_to(shallow_structure: Any, func: Callable[..., Any], *structures: Any) -> Any:
    """`func` of the parts that stand where `shallow_structure` has its leaves.

    Raises: ValueError when the structures are not nested alike so far.
    """
    if not structures:
        raise ArgumentError("map_structure_up_to needs a structure to take parts from.")
    if not is_nested(shallow_structure):
        return func(*structures)
    places = [key for key, _ in _children(shallow_structure)]
    for other in structures:
        if not is_nested(other) or [key for key, _ in _children(other)] != places:
            raise ArgumentError(f"{other!r} is not nested as {shallow_structure!r} is.")
    parts = [
        map_structure_up_to(part, func, *(other[key] for other in structures))
        for key, part in _children(shallow_structure)
    ]
    return _rebuilt(shallow_structure, parts)


def assert_same_structure(a: Any, b: Any, check_types: Any = None) -> None:
    """Check that two structures are of the same kinds, with the same lengths and keys.

    Raises: ValueError when they are not.
    """
    if not is_nested(a) and not is_nested(b):
        return
    alike = type(a) is type(b) or (isinstance(a, dict) and isinstance(b, dict))
    if not alike or [key for key, _ in _children(a)] != [key for key, _ in _children(b)]:
        raise ArgumentError(f"{a!r} and {b!r} are not nested in the same way.")
    for (_, one), (_, other) in zip(_children(a), _children(b), strict=True):
        assert_same_structure(one, other)


def assert_same_paths(a: Any, b: Any) -> None:
    """Check that the same keys and places lead to the leaves of two structures.

    Raises: ValueError with the paths that only one of them has.
    """
    one, other = ({path for path, _ in flatten_with_path(tree)} for tree in (a, b))
    if one != other:
        raise ArgumentError(f"Only one of two structures has the paths {sorted(one ^ other)}.")


def lists_to_tuples(structure: Any) -> Any:
    """The same structure with tuples in place of lists."""
    return traverse(lambda part: tuple(part) if type(part) is list else None, structure, False)


def map_shape_structure(func: Callable[[Any], Any], structure: Any) -> Any:
    """`func` of each shape, which is a tuple or list of whole numbers and None."""
    shape = isinstance(structure, (list, tuple)) and all(
        size is None or isinstance(size, int) for size in structure
    )
    if shape or not is_nested(structure):
        return func(structure)
    parts = [map_shape_structure(func, part) for _, part in _children(structure)]
    return _rebuilt(structure, parts)
