"""Plain data, and the generators that objects hold."""

from __future__ import annotations

import random
from collections import OrderedDict, deque
from typing import Any

import numpy as np
import pytest
import torch

from nnkit.errors import FileError
from nnkit.random import SeedGenerator
from nnkit.training.plain import NotPlainError, attributes, from_plain, same, to_plain
from nnkit.training.randomness import find_generators, random_state, set_random_state

VALUES: list[Any] = [
    None, True, 3, 2.5, "text", b"bytes", 2**100, [1, (2, [3])], {"a": {1: None}}, {1, 2},
    deque([1, 2], maxlen=5), torch.arange(3), np.arange(6.0).reshape(2, 3),
    np.array([True, False]), np.array([2**63], "uint64"), OrderedDict(a=1), float("nan"),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_there_and_back(value: Any) -> None:
    back = from_plain(to_plain(value))
    assert same(to_plain(back), to_plain(value))
    if isinstance(value, np.ndarray):
        assert back.dtype == value.dtype
        np.testing.assert_array_equal(back, value)
    elif isinstance(value, deque):
        assert (back, back.maxlen) == (value, value.maxlen)


def test_numbers_of_numpy_become_pythons() -> None:
    assert type(to_plain(np.float32(0.5))) is float
    assert type(to_plain(np.int64(3))) is int


def test_is_a_copy() -> None:
    tensor, array = torch.zeros(2), np.zeros(2)
    plain = to_plain([tensor, array])
    tensor += 1
    array += 1
    assert plain[0].tolist() == from_plain(plain)[1].tolist() == [0, 0]


@pytest.mark.parametrize(
    "value", [len, object(), torch.nn.Linear(1, 1), [print], {"a": open}, np.array([None]), 1j,
              torch.nn.Parameter(torch.zeros(1))], ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_not_plain(value: Any) -> None:
    with pytest.raises(NotPlainError):
        to_plain(value)


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 1.0), ([1], (1,)), ({"a": 1}, {"b": 1}), ([1, 2], [1]), (torch.zeros(1), torch.ones(1)),
     (torch.zeros(1), torch.zeros(1).double()), (torch.zeros(1), 0)],
)  # fmt: skip
def test_what_is_not_the_same(one: Any, other: Any) -> None:
    assert not same(one, other)


class Holder:
    def __init__(self) -> None:
        self.numbers = [np.random.default_rng(1), {"deep": random.Random(2)}]
        self.seeds = SeedGenerator(3)
        self.torch = torch.Generator().manual_seed(4)
        self.old = np.random.RandomState(5)
        self.again, self.name, self.function = self.torch, "holder", len
        self.me = self

    def draw(self) -> list[Any]:
        return [
            self.numbers[0].random(), self.numbers[1]["deep"].random(), self.seeds.take(),
            torch.rand(1, generator=self.torch).item(), self.old.rand(),
            torch.rand(1).item(), np.random.rand(), random.random(),
        ]  # fmt: skip


def test_generators_are_found_once() -> None:
    kinds = [type(each).__name__ for each in find_generators([Holder()])]
    assert kinds == ["Generator", "Random", "SeedGenerator", "Generator", "RandomState"]
    holder = Holder()
    assert find_generators([holder], known=[holder]) == []


def test_all_of_them_go_on() -> None:
    holder = Holder()
    holder.draw()
    state = random_state([holder])
    expected = holder.draw()
    fresh = Holder()
    assert fresh.draw() != expected
    set_random_state(state, [fresh])
    assert fresh.draw() == expected


def test_a_seed_that_waits_is_not_drawn() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    random_state([SeedGenerator()])
    assert torch.equal(torch.rand(1), expected)


def test_other_generators_are_refused() -> None:
    state = random_state([Holder()])
    with pytest.raises(
        FileError, match=r"drew from 5 random generators .* this one has 0 \(none\)"
    ):
        set_random_state(state, [])


def test_attributes() -> None:
    holder = Holder()
    assert attributes(holder) == {"name": "holder"}
    assert attributes(holder, ("name",)) == {}
