"""Nestings."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import pytest
import torch

from nnkit.tree import flatten, map_structure

Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    ("tree", "leaves"),
    [
        (3, [3]),
        ([1, (2, [3])], [1, 2, 3]),
        ({"b": 1, "a": [2, 3]}, [2, 3, 1]),  # by sorted key, as Keras counts
        ({2: "x", 1: "y"}, ["x", "y"]),
        (Pair(1, {"z": 2}), [1, 2]),
        ([], []),
        ((slice(1, None, 2), ...), [1, None, 2, ...]),
        (torch.Size([2, 3]), [torch.Size([2, 3])]),
    ],
)
def test_flatten(tree: Any, leaves: list[Any]) -> None:
    assert flatten(tree) == leaves


@pytest.mark.parametrize(
    ("tree", "mapped"),
    [
        ([1, (2, [3])], [10, (20, [30])]),
        ({"b": 1, "a": [2]}, {"b": 10, "a": [20]}),
        (Pair(1, 2), Pair(10, 20)),
        (slice(1, 2, 3), slice(10, 20, 30)),
    ],
)
def test_map_keeps_the_nesting(tree: Any, mapped: Any) -> None:
    made = map_structure(lambda v: v * 10, tree)
    assert made == mapped
    assert type(made) is type(mapped)


def test_map_keeps_torch_named_results() -> None:
    made = map_structure(lambda v: v + 1, torch.max(torch.zeros(2, 3), 1))
    assert type(made).__name__ == "max"
    assert made.values.tolist() == [1, 1]


def test_map_walks_several_trees() -> None:
    assert map_structure(lambda a, b: a - b, {"x": [5, 7]}, {"x": [1, 2]}) == {"x": [4, 5]}


@pytest.mark.parametrize(
    ("other", "error", "message"), [([1], ValueError, "shorter"), ({}, KeyError, "x")]
)
def test_unequal_trees(other: Any, error: type[Exception], message: str) -> None:
    tree = {"x": 1} if isinstance(other, dict) else [1, 2]
    with pytest.raises(error, match=message):
        map_structure(lambda a, b: a, tree, other)
