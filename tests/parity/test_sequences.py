"""pad_sequences, windows of series, and Keras's older helpers for texts against real Keras."""

from __future__ import annotations

import json
import random
from typing import Any

import keras
import numpy as np
import pytest
import torch
from keras.src.legacy.preprocessing import sequence as legacy_sequence
from keras.src.legacy.preprocessing import text as legacy_text
from torch.utils.data import TensorDataset

from nnkit.preprocessing import sequence, text
from nnkit.utils import pad_sequences, split_dataset, timeseries_dataset_from_array

RAGGED: list[Any] = [
    [[1], [2, 3], [4, 5, 6]],
    [[], [2, 3], []],
    [],
    [np.array([[1.5, 2], [3, 4]]), np.array([[5.0, 6]])],
    [["a", "b"], ["c"]],
]


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("maxlen", [None, 2, 5])
@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post"])
def test_pad_sequences(number: int, maxlen: int | None, padding: str, truncating: str) -> None:
    given, more = RAGGED[number], {}
    if number == 3:
        more = {"dtype": "float32", "value": -1.0}
    elif number == 4:
        more = {"dtype": object, "value": "none"}
    if not given and maxlen is None:
        assert pad_sequences(given).shape == (0, 0)  # where Keras has no answer
        return
    expected = keras.utils.pad_sequences(
        given, maxlen, padding=padding, truncating=truncating, **more
    )
    found = pad_sequences(given, maxlen, padding=padding, truncating=truncating, **more)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def windows_by_hand(data: Any, targets: Any, length: int, stride: int, rate: int) -> Any:
    """Keras's definition, one window after the other."""
    count = len(data) - (length - 1) * rate
    count = count if targets is None else min(count, len(targets))
    for start in range(0, count, stride):
        window = data[start : start + length * rate : rate]
        yield window if targets is None else (window, targets[start])


SERIES = np.random.default_rng(0).normal(size=(40, 2)).astype("float32")


@pytest.mark.parametrize("targets", [None, np.arange(40), np.arange(12) * 2.0])
@pytest.mark.parametrize(
    ("length", "stride", "rate"), [(5, 1, 1), (4, 3, 2), (40, 1, 1), (1, 7, 3)]
)
@pytest.mark.parametrize("batch_size", [None, 6])
def test_timeseries(targets: Any, length: int, stride: int, rate: int, batch_size: Any) -> None:
    expected = list(windows_by_hand(SERIES, targets, length, stride, rate))
    found = timeseries_dataset_from_array(SERIES, targets, length, stride, rate, batch_size)
    assert len(found) == (len(expected) if batch_size is None else -(-len(expected) // batch_size))
    samples = list(found if batch_size is None else found.unbatch())
    for one, other in zip(expected, samples, strict=True):
        pairs = [(one, other)] if targets is None else zip(one, other, strict=True)
        for a, b in pairs:
            np.testing.assert_array_equal(b, a)


def test_timeseries_of_a_part() -> None:
    found = timeseries_dataset_from_array(
        SERIES, np.arange(40), 3, batch_size=None, start_index=10, end_index=20
    )
    assert [int(y) for _, y in found] == list(range(10, 18))
    mixed = timeseries_dataset_from_array(SERIES, np.arange(40), 3, shuffle=True, seed=1)
    orders = [[int(y) for _, ys in mixed for y in ys] for _ in range(2)]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(38))


@pytest.mark.parametrize(
    ("left", "right"), [(0.7, None), (None, 0.25), (4, None), (0.5, 0.2), (3, 6), (0.01, None)]
)
@pytest.mark.parametrize("kind", ["array", "pair", "dataset"])
def test_split_dataset(left: Any, right: Any, kind: str) -> None:
    x, y = np.arange(10.0), np.arange(10) * 2
    data: Any = x if kind == "array" else (x, y)
    if kind == "dataset":
        data = TensorDataset(torch.tensor(x), torch.tensor(y))
    options = {"left_size": left, "right_size": right, "shuffle": True, "seed": 5}
    if left == 0.01:
        for split in (keras.utils.split_dataset, split_dataset):
            with pytest.raises(ValueError, match="0"):
                split(data, **options)
        return
    if left == 3 or left == 0.5:
        # Keras asks torch for two parts only, which must hold all samples.
        parts = split_dataset(data, **options)
        assert [len(part) for part in parts] == ([3, 6] if left == 3 else [5, 2])
        assert not {s[0].item() for s in parts[0]} & {s[0].item() for s in parts[1]}
        return
    for one, other in zip(
        keras.utils.split_dataset(data, **options), split_dataset(data, **options), strict=True
    ):
        assert [[float(v) for v in sample] for sample in one] == [
            [float(v) for v in sample] for sample in other
        ]


def test_split_dataset_keeps_the_order_without_shuffle() -> None:
    left, right = split_dataset(np.arange(10), 0.6)
    assert isinstance(left, TensorDataset)
    assert [int(v) for (v,) in left] == [0, 1, 2, 3, 4, 5]
    assert [int(v) for (v,) in right] == [6, 7, 8, 9]


# -- older helpers ----------------------------------------------------------------------------

TEXTS = ["The cat sat on the mat.", "A dog, a cat; and THE end!", "", "mat mat\tmat\nbird"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_words": 4},
        {"num_words": 4, "oov_token": "<oov>"},
        {"oov_token": "<oov>", "lower": False},
        {"char_level": True},
        {"filters": ".", "split": "a"},
        {"analyzer": str.split},
    ],
)
def test_tokenizer(options: dict[str, Any]) -> None:
    pair = legacy_text.Tokenizer(**options), text.Tokenizer(**options)
    for one in pair:
        one.fit_on_texts(TEXTS[:3])
    theirs, mine = pair
    assert mine.word_index == theirs.word_index
    assert dict(mine.word_counts) == dict(theirs.word_counts)
    assert mine.document_count == theirs.document_count
    numbers = theirs.texts_to_sequences(TEXTS)
    assert mine.texts_to_sequences(TEXTS) == numbers
    odd = [*numbers, [1, 2, 999, 3]]
    assert mine.sequences_to_texts(odd) == theirs.sequences_to_texts(odd)
    for mode in ("binary", "count", "freq", "tfidf"):
        expected = theirs.texts_to_matrix(TEXTS, mode)
        np.testing.assert_allclose(mine.texts_to_matrix(TEXTS, mode), expected)
    words = [["one", "Two"], ["one"]]
    for one in pair:
        one.fit_on_texts(words)
        one.fit_on_sequences([[1, 2], [2]])
    assert mine.word_index == theirs.word_index
    assert dict(mine.index_docs) == dict(theirs.index_docs)
    if "analyzer" not in options:
        assert json.loads(mine.to_json()) == json.loads(theirs.to_json())
        again = text.tokenizer_from_json(theirs.to_json())
        assert again.texts_to_sequences(TEXTS) == theirs.texts_to_sequences(TEXTS)


@pytest.mark.parametrize("function", ["text_to_word_sequence", "one_hot", "hashing_trick"])
@pytest.mark.parametrize("given", TEXTS)
def test_words(function: str, given: str) -> None:
    arguments = {"text_to_word_sequence": [], "one_hot": [9], "hashing_trick": [9, "md5"]}
    expected = getattr(legacy_text, function)(given, *arguments[function])
    assert getattr(text, function)(given, *arguments[function]) == expected


@pytest.mark.parametrize(
    "options",
    [
        {"length": 5},
        {"length": 6, "sampling_rate": 2, "stride": 3, "batch_size": 4},
        {"length": 3, "start_index": 5, "end_index": 20, "reverse": True, "batch_size": 7},
        {"length": 4, "shuffle": True, "batch_size": 6},
    ],
)
def test_timeseries_generator(options: dict[str, Any]) -> None:
    makers = (legacy_sequence.TimeseriesGenerator, sequence.TimeseriesGenerator)
    theirs, mine = (make(SERIES, np.arange(40), **options) for make in makers)
    assert len(mine) == len(theirs)
    for index in range(len(theirs)):
        pairs = []
        for one in (theirs, mine):
            np.random.seed(index)
            pairs.append(one[index])
        for a, b in zip(*pairs, strict=True):
            np.testing.assert_array_equal(b, a)


@pytest.mark.parametrize("options", [{}, {"categorical": True, "negative_samples": 0.5}])
def test_skipgrams(options: dict[str, Any]) -> None:
    words = [1, 2, 0, 3, 4, 2]
    results = []
    for module in (legacy_sequence, sequence):
        random.seed(3)
        table = module.make_sampling_table(10, 1e-2)
        results.append(module.skipgrams(words, 9, 2, sampling_table=table, seed=1, **options))
    assert results[0] == results[1]
    np.testing.assert_allclose(
        sequence.make_sampling_table(50), legacy_sequence.make_sampling_table(50)
    )
