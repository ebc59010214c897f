"""nnkit.tree gives what keras.tree gives."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Callable
from typing import Any

import keras
import pytest

from nnkit import tree

Point = namedtuple("Point", ["x", "y"])

STRUCTURES: list[Any] = [
    1,
    None,
    [],
    [1, (2, [3, {"b": 4, "a": 5}]), None],
    {"b": [1, 2], "a": (3,)},
    Point(1, [2, 3]),
    defaultdict(list, {"z": 1, "a": [2]}),
    ((1, 2), {"k": Point(3, 4)}),
]


def traced(module: Any, structure: Any, top_down: bool) -> Any:
    seen: list[Any] = []
    result = module.traverse(seen.append, structure, top_down)
    return result, seen


def replaced(module: Any, structure: Any) -> Any:
    def change(part: Any) -> Any:
        if isinstance(part, tuple):
            return module.MAP_TO_NONE
        return "two" if part == 2 else None

    return module.traverse(change, structure)


CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "is_nested": lambda m, s: m.is_nested(s),
    "flatten_with_path": lambda m, s: m.flatten_with_path(s),
    "lists_to_tuples": lambda m, s: m.lists_to_tuples(s),
    "pack": lambda m, s: m.pack_sequence_as(s, range(len(m.flatten(s)))),
    "down": lambda m, s: traced(m, s, True),
    "up": lambda m, s: traced(m, s, False),
    "replaced": replaced,
    "up_to": lambda m, s: m.map_structure_up_to(s, lambda a: [a], m.map_structure(str, s)),
    "same": lambda m, s: m.assert_same_structure(s, m.map_structure(str, s)),
    "paths": lambda m, s: m.assert_same_paths(s, m.lists_to_tuples(s)),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("structure", STRUCTURES, ids=repr)
def test_as_keras(name: str, structure: Any) -> None:
    got, expected = CALLS[name](tree, structure), CALLS[name](keras.tree, structure)
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize("module", [tree, keras.tree])
def test_shapes(module: Any) -> None:
    shapes = {"b": (None, 3), "a": [(2,), [4, None]]}
    assert module.map_shape_structure(len, shapes) == {"b": 2, "a": [1, 2]}


@pytest.mark.parametrize("module", [tree, keras.tree])
@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.assert_same_structure([1], (1,)),
        lambda m: m.assert_same_structure({"a": 1}, {"b": 1}),
        lambda m: m.assert_same_structure([1], [[1]]),
        lambda m: m.assert_same_paths([1, 2], [1]),
        lambda m: m.pack_sequence_as([1, 2], [1]),
        lambda m: m.pack_sequence_as(1, [1, 2]),
        lambda m: m.map_structure_up_to([1, [2]], str, [1, 2]),
        lambda m: m.map_structure_up_to([1], str),
    ],
)
def test_what_keras_refuses(module: Any, call: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        call(module)


def test_ordered_dicts_keep_their_kind() -> None:
    ordered = OrderedDict([("b", 1), ("a", 2)])
    assert isinstance(tree.pack_sequence_as(ordered, [3, 4]), OrderedDict)
