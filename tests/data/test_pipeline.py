"""Pipeline: the methods that scripts call on tf.data's datasets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from nnkit.data.pipeline import Pipeline
from nnkit.errors import ArgumentError, DataError
from nnkit.layers.core import Dense
from nnkit.layers.input import Input
from nnkit.models import Sequential


class Counted:
    """Numbers from 0, and how many of them were asked for."""

    def __init__(self, length: int) -> None:
        self.length, self.given, self.closed = length, 0, 0

    def start(self) -> Iterator[torch.Tensor]:
        try:
            for number in range(self.length):
                self.given += 1
                yield torch.tensor(number)
        finally:
            self.closed += 1

    @property
    def pipeline(self) -> Pipeline:
        return Pipeline(self.start, self.length, class_names=["a", "b"])


def numbers(pipeline: Any) -> list[Any]:
    return [item.tolist() for item in pipeline]


def six() -> Pipeline:
    return Counted(6).pipeline


@pytest.mark.parametrize(
    ("make", "expected", "length"),
    [
        (lambda p: p, [0, 1, 2, 3, 4, 5], 6),
        (lambda p: p.take(2), [0, 1], 2),
        (lambda p: p.take(9), [0, 1, 2, 3, 4, 5], 6),
        (lambda p: p.take(-1), [0, 1, 2, 3, 4, 5], 6),
        (lambda p: p.skip(4), [4, 5], 2),
        (lambda p: p.skip(9), [], 0),
        (lambda p: p.map(lambda x: x * 2, num_parallel_calls=-1), [0, 2, 4, 6, 8, 10], 6),
        (lambda p: p.filter(lambda x: x % 2 == 0), [0, 2, 4], -2),
        (lambda p: p.take(2).repeat(3), [0, 1, 0, 1, 0, 1], 6),
        (lambda p: p.repeat().take(8), [0, 1, 2, 3, 4, 5, 0, 1], -2),
        (lambda p: p.take(1).concatenate(p.skip(5)), [0, 5], 2),
        (lambda p: p.batch(4), [[0, 1, 2, 3], [4, 5]], 2),
        (lambda p: p.batch(4, drop_remainder=True), [[0, 1, 2, 3]], 1),
        (lambda p: p.batch(4).unbatch(), [0, 1, 2, 3, 4, 5], -2),
        (lambda p: p.batch(4).unbatch().batch(3), [[0, 1, 2], [3, 4, 5]], -2),
        (lambda p: p.prefetch(2).cache(), [0, 1, 2, 3, 4, 5], 6),
    ],
)
def test_elements(make: Any, expected: Any, length: int) -> None:
    pipeline = make(six())
    assert numbers(pipeline)[:8] == numbers(pipeline)[:8] == expected
    assert pipeline.cardinality() == length
    if length < 0:
        with pytest.raises(TypeError, match="does not know how many"):
            len(pipeline)
    else:
        assert len(pipeline) == length
    assert pipeline.class_names == ["a", "b"]


def test_repeat_of_nothing_ends() -> None:
    assert list(six().skip(6).repeat()) == []


def test_tuples_are_arguments_and_nests_stay() -> None:
    pairs = six().map(lambda x: (x, {"double": x * 2}))
    assert numbers(pairs.map(lambda x, y: x + y["double"])) == [0, 3, 6, 9, 12, 15]
    x, y = next(iter(pairs.batch(3)))
    assert (x.tolist(), y["double"].tolist()) == ([0, 1, 2], [0, 2, 4])
    assert next(iter(pairs.batch(3).unbatch().skip(4)))[1]["double"] == 8
    found = next(pairs.as_numpy_iterator())
    assert isinstance(found[0], np.ndarray)
    assert [number for number, _ in pairs.enumerate(5)] == [5, 6, 7, 8, 9, 10]


def test_rows_of_arrays() -> None:
    x, y = np.arange(6.0).reshape(3, 2), torch.tensor([5, 6, 7])
    rows = Pipeline.from_tensor_slices(({"x": x}, y))
    assert len(rows) == 3
    assert [(a["x"].tolist(), int(b)) for a, b in rows][1] == ([2, 3], 6)
    assert numbers(Pipeline.from_tensor_slices([1, 2, 3])) == [1, 2, 3]
    with pytest.raises(DataError, match=r"tensors\[0\] has 3 samples, tensors\[1\] has 2"):
        Pipeline.from_tensor_slices((x, y[:2]))


def test_other_beginnings() -> None:
    made = Pipeline.from_generator(lambda stop: iter(range(stop)), np.int32, args=(3,))
    assert list(made) == list(made) == [0, 1, 2]
    assert numbers(Pipeline.range(2, 5)) == [2, 3, 4]
    pairs = Pipeline.zip((six(), Pipeline.range(4)))
    assert [(int(a), int(b)) for a, b in pairs] == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert (len(pairs), Pipeline.zip(made, six()).cardinality()) == (4, -2)


def test_take_reads_no_more_than_it_gives() -> None:
    counted = Counted(6)
    assert numbers(counted.pipeline.take(2)) == [0, 1]
    assert (counted.given, counted.closed) == (2, 1)


def test_cache_reads_once_and_only_keeps_a_whole_pass() -> None:
    counted = Counted(6)
    cached = counted.pipeline.cache()
    next(iter(cached))
    assert numbers(cached) == numbers(cached) == [0, 1, 2, 3, 4, 5]
    assert counted.given == 1 + 6


def test_shuffle() -> None:
    mixed = Counted(50).pipeline.shuffle(8, seed=1)
    one, two = numbers(mixed), numbers(mixed)
    assert one != two
    assert sorted(one) == sorted(two) == list(range(50))
    assert max(place - number for number, place in zip(one, range(50), strict=True)) > 8
    assert all(number - place < 8 for place, number in enumerate(one))
    assert numbers(Counted(50).pipeline.shuffle(8, seed=1)) == one
    fixed = Counted(50).pipeline.shuffle(100, reshuffle_each_iteration=False)
    assert numbers(fixed) == numbers(fixed) != list(range(50))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: p.batch(0), "batch expects a batch_size of at least 1, got 0"),
        (lambda p: p.shuffle(0), "shuffle expects a buffer_size of at least 1, got 0"),
        (lambda p: p.cache("file"), r"cache\('file'\): the cache is in memory only"),
    ],
)
def test_unfit_arguments(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call(six())


def test_fit_takes_batches() -> None:
    model = Sequential([Input((1,)), Dense(1)])
    model.compile("sgd", "mse")
    samples = six().map(lambda x: (x.float().reshape(1), x.float().reshape(1)))
    batches = samples.shuffle(6).batch(4)
    history = model.fit(batches, validation_data=samples.batch(6), epochs=2, verbose=0)
    assert len(history.history["val_loss"]) == 2
    assert model.predict(samples.batch(4), verbose=0).shape == (6, 1)
    endless = samples.batch(2).repeat()
    assert len(model.fit(endless, steps_per_epoch=4, epochs=3, verbose=0).epoch) == 3
