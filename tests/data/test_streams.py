"""DataLoaders, Datasets, generators, PyDatasets and other iterables."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from nnkit.data import PyDataset, make_batches, takes_batch_size
from nnkit.data import pack_x_y_sample_weight as pack
from nnkit.data import unpack_x_y_sample_weight as unpack
from nnkit.errors import ArgumentError, DataError


def values(batches: Any) -> list[list[float]]:
    return [batch[0].flatten().tolist() for batch in batches]


def count_up(stop: int | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    number = 0
    while stop is None or number < stop:
        yield np.full((2, 1), float(number)), np.array([number, number], np.uint8)
        number += 1


class Squares(Dataset):
    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> tuple[float, int]:
        return float(index) ** 2, index


class Countdown(IterableDataset):
    def __iter__(self) -> Iterator[float]:
        return iter([3.0, 2.0, 1.0])


class Repeatable:
    def __iter__(self) -> Iterator[Any]:
        return iter([np.ones((2, 1)), np.zeros((2, 1))])


class Numbered(PyDataset):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.events: list[str] = []
        self.threads: set[str] = set()

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[np.ndarray, list[int]]:
        self.threads.add(threading.current_thread().name)
        return np.full((2, 1), float(index)), [index, index]

    def on_epoch_begin(self) -> None:
        self.events.append("begin")

    def on_epoch_end(self) -> None:
        self.events.append("end")


class Duck:
    """No base class: just the two methods."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> np.ndarray:
        return np.full((1, 1), float(index))


class Endless(PyDataset):
    num_batches = None

    def __getitem__(self, index: int) -> np.ndarray:
        return np.full((1, 1), float(index))


def test_loader_is_used_as_it_is_and_cast() -> None:
    data = TensorDataset(torch.arange(5.0, dtype=torch.float64), torch.arange(5, dtype=torch.int32))
    batches = make_batches(DataLoader(data, batch_size=2), shuffle=True)
    assert batches.steps == 3
    (x, y), *_ = batches
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
    assert values(batches) == values(batches) == [[0, 1], [2, 3], [4]]


def test_map_dataset_is_batched_and_shuffled() -> None:
    batches = make_batches(Squares(), batch_size=2)
    assert batches.steps == 3
    assert values(batches) == [[0, 1], [4, 9], [16]]
    mixed = make_batches(Squares(), batch_size=5, shuffle=True)
    orders = {tuple(values(mixed)[0]) for _ in range(5)}
    assert len(orders) > 1
    assert {tuple(sorted(order)) for order in orders} == {(0, 1, 4, 9, 16)}


def test_iterable_dataset_is_batched_in_its_order() -> None:
    batches = make_batches(Countdown(), batch_size=2, shuffle=True)
    assert batches.steps is None
    assert values(batches) == values(batches) == [[3, 2], [1]]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_tensor_dataset_is_cut_like_arrays(count: int) -> None:
    data = TensorDataset(*(torch.arange(10.0) for _ in range(count)))
    [batch] = make_batches(data, batch_size=20, shuffle=True)
    assert len(batch) == count
    assert sorted(batch[0].tolist()) == list(range(10)) != batch[0].tolist()
    assert all(part.equal(batch[0]) for part in batch)


def test_parts_of_a_tensor_dataset_are_cut_like_arrays() -> None:
    whole = TensorDataset(torch.arange(10.0), torch.arange(10))
    part = Subset(Subset(whole, range(9, 1, -1)), [0, 2, 3])
    for source, rows in ((part, [9, 7, 6]), (Subset(whole, torch.tensor([4, 1])), [4, 1])):
        batches = make_batches(source, batch_size=5)
        assert type(batches).__name__ == "ArrayBatches"
        [(x, y)] = batches
        assert x.tolist() == y.tolist() == rows
    assert type(make_batches(Subset(Squares(), [1, 2]))).__name__ == "StreamBatches"


def test_plain_iterables_start_again_each_epoch() -> None:
    batches = make_batches(Repeatable())
    assert batches.steps is None
    assert batches.restartable
    assert values(batches) == values(batches) == [[1, 1], [0, 0]]


def test_generator_goes_on_from_epoch_to_epoch() -> None:
    batches = make_batches(count_up(), steps=2)
    assert (batches.steps, batches.restartable) == (2, False)
    assert [values(batches) for _ in range(2)] == [[[0, 0], [1, 1]], [[2, 2], [3, 3]]]
    batches.reset()
    (x, y), *_ = batches
    assert (x.tolist(), y.tolist(), y.dtype) == ([[4], [4]], [4, 4], torch.int64)


def test_generator_that_runs_dry_says_so() -> None:
    batches = make_batches(count_up(3), steps=2)
    assert len(list(batches)) == 2
    with pytest.warns(UserWarning, match="fit: the data ran out after 1 of 2 batches"):
        assert values(batches) == [[2, 2]]
    with pytest.warns(UserWarning, match="the generator ended after 3 batches; nothing is left"):
        assert list(batches) == []


def test_generator_without_steps_is_read_to_its_end_once() -> None:
    batches = make_batches(count_up(3))
    assert batches.steps is None
    assert len(list(batches)) == 3
    with pytest.warns(UserWarning, match="ended after 3 batches"):
        assert list(batches) == []


def test_one_source_is_not_read_ahead() -> None:
    source = count_up()
    list(make_batches(source, steps=3))
    assert next(source)[1].tolist() == [3, 3]


@pytest.mark.parametrize(
    ("raw", "lengths"),
    [
        (np.ones((2, 1)), 1),
        ((np.ones((2, 1)),), 1),
        ([np.ones((2, 1)), np.ones(2)], 2),
        ((np.ones((2, 1)), None), 1),
        ((np.ones((2, 1)), [0, 1], [0.5, 0.5]), 3),
        (({"a": np.ones((2, 1))}, (np.ones(2), np.ones(2))), 2),
        ({"a": np.ones((2, 1))}, 1),
    ],
)
def test_forms_of_a_batch(raw: Any, lengths: int) -> None:
    [batch] = make_batches(iter([raw]))
    assert len(batch) == lengths
    leaf = batch[0]["a"] if isinstance(batch[0], dict) else batch[0]
    assert leaf.tolist() == [[1], [1]]
    assert leaf.dtype == torch.float32


@pytest.mark.parametrize("workers", [1, 3])
def test_py_dataset(workers: int) -> None:
    source = Numbered(workers=workers, max_queue_size=2)
    batches = make_batches(source)
    assert batches.steps == 4
    assert values(batches) == [[0, 0], [1, 1], [2, 2], [3, 3]]
    assert source.events == ["begin", "end"]
    assert (threading.current_thread().name in source.threads) is (workers == 1)
    mixed = make_batches(source, shuffle=True)
    orders = [tuple(row[0] for row in values(mixed)) for _ in range(6)]
    assert len(set(orders)) > 1
    assert {tuple(sorted(order)) for order in orders} == {(0, 1, 2, 3)}


def test_py_dataset_with_steps_goes_on() -> None:
    source = Numbered()
    batches = make_batches(source, steps=3)
    assert values(batches) == [[0, 0], [1, 1], [2, 2]]
    with pytest.warns(UserWarning, match="ran out after 1 of 3"):
        assert values(batches) == [[3, 3]]
    assert source.events == ["begin", "end"] * 2


def test_a_py_dataset_is_iterated_batch_by_batch() -> None:
    assert [y for _, y in Numbered()] == [[0, 0], [1, 1], [2, 2], [3, 3]]
    assert [x.item() for x in itertools.islice(Endless(), 3)] == [0, 1, 2]


def test_reset_ends_an_epoch_of_a_py_dataset() -> None:
    source = Numbered()
    batches = make_batches(source)
    batches.reset()
    list(batches)
    assert source.events == ["end", "begin", "end"]


def test_threads_end_when_an_epoch_is_left() -> None:
    iterator = iter(make_batches(Numbered(workers=2)))
    next(iterator)
    iterator.close()
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("nnkit-data")]


def test_the_protocol_is_enough() -> None:
    assert values(make_batches(Duck())) == [[0], [1]]


def test_endless_py_dataset_goes_on() -> None:
    batches = make_batches(Endless(), steps=2)
    assert [values(batches) for _ in range(2)] == [[[0], [1]], [[2], [3]]]


def test_batches_go_to_the_device() -> None:
    for x, y in make_batches(count_up(2), device="meta"):
        assert (x.device.type, y.device.type) == ("meta", "meta")


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (np.ones(3), True),
        ([1, 2], True),
        (Squares(), True),
        (Countdown(), True),
        (DataLoader(Squares()), False),
        (count_up(), False),
        (Numbered(), False),
        (Repeatable(), False),
    ],
)
def test_takes_batch_size(x: Any, expected: bool) -> None:
    assert takes_batch_size(x) is expected


LOADER = DataLoader(Squares())


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (LOADER, {"shuffle": "batch"}, "shuffle='batch' works with arrays, not with a DataLoader"),
        (LOADER, {"y": np.ones(5)}, "y cannot be given along with a DataLoader"),
        (LOADER, {"sample_weight": np.ones(5)}, "sample_weight cannot be given along with a Data"),
        (count_up(), {"y": np.ones(5)}, "y cannot be given along with a generator"),
        (Squares(), {"y": np.ones(5)}, "y cannot be given along with a Squares"),
        (Endless(), {}, r"Endless has no end \(num_batches is None\)"),
    ],
)
def test_unfit_arguments(x: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make_batches(x, **options)


@pytest.mark.parametrize("x", [LOADER, count_up(), Numbered()])
def test_a_batch_size_for_what_has_its_own(x: Any) -> None:
    with pytest.warns(
        UserWarning, match=f"fit: batch_size=8 has no effect on a {type(x).__name__}"
    ):
        make_batches(x, batch_size=8)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (iter([]), "evaluate: the data gave no batch"),
        (DataLoader(TensorDataset(torch.zeros(0, 1))), "the data gave no batch"),
        (iter([(1, 2, 3, 4)]), "a batch is not usable. Expected .* got 4 parts"),
        (iter([(np.ones((2, 1)), np.ones(3))]), "rows of batch 1 do not match: x has 2, y has 3"),
        (iter([np.array(["a"])]), "x has dtype <U1"),
        (iter([np.float32(1)]), "x is a single number"),
    ],
)
def test_unfit_batches(x: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(make_batches(x, name="evaluate"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PyDataset()[0], "PyDataset needs a __getitem__"),
        (lambda: PyDataset().num_batches, "PyDataset needs a __len__, or num_batches"),
    ],
)
def test_an_unfinished_py_dataset_says_what_it_lacks(make: Any, message: str) -> None:
    with pytest.raises(NotImplementedError, match=message):
        make()


@pytest.mark.parametrize(
    ("data", "expected"),
    [(1, (1, None, None)), ((1,), (1, None, None)), ([1, 2], (1, 2, None)), ((1, 2, 3), (1, 2, 3))],
)
def test_unpack(data: Any, expected: tuple[Any, Any, Any]) -> None:
    assert unpack(data) == expected


@pytest.mark.parametrize("data", [(), (1, 2, 3, 4)])
def test_unpack_refuses_other_lengths(data: Any) -> None:
    with pytest.raises(DataError, match=f"got {len(data)} parts"):
        unpack(data)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [((1,), 1), (([1],), ([1],)), ((1, 2), (1, 2)), ((1, 2, 3), (1, 2, 3))],
)
def test_pack(parts: tuple[Any, ...], expected: Any) -> None:
    assert pack(*parts) == expected
