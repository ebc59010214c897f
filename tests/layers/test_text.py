"""TextVectorization: errors and values, those that Keras gives on TensorFlow."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader

from nnkit.errors import ArgumentError, DataError, NotBuiltError, ShapeError
from nnkit.layers.input import Input
from nnkit.layers.text import TextVectorization

TEXTS = ["The cat, the DOG!  É\xa0x", "a dog's\tlife-long CAT", "", "cat dog bird fish cat"]


def adapted(data: Any = TEXTS, **arguments: Any) -> TextVectorization:
    layer = TextVectorization(**arguments)
    layer.adapt(data)
    return layer


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TextVectorization(standardize="upper"), "standardize must be one of 'lower'"),
        (
            lambda: TextVectorization(split="words"),
            "split must be one of 'whitespace', 'character'",
        ),
        (lambda: TextVectorization(ngrams="2"), "ngrams must be a whole number of at least 1"),
        (lambda: TextVectorization(ngrams=(0, 1)), "ngrams must be a whole number of at least 1"),
        (
            lambda: TextVectorization(output_mode="one_hot"),
            "output_mode must be one of 'int', 'mul",
        ),
        (lambda: TextVectorization(output_sequence_length=0), "output_sequence_length must be a"),
        (
            lambda: TextVectorization(output_mode="count", output_sequence_length=3),
            "output_sequence_length needs output_mode='int'",
        ),
        (lambda: TextVectorization(ragged=True), "ragged outputs do not exist here; rows are pad"),
        (
            lambda: TextVectorization(sparse=True, output_mode="count"),
            "sparse outputs do not exist",
        ),
        (lambda: TextVectorization(vocabulary=["a"]).adapt(["a"]), "was given its vocabulary"),
        (lambda: adapted()(torch.ones(2)), "works on words, which are no tensors"),
        (lambda: adapted()([3]), "works on words"),
        (lambda: adapted()(Input((1,))), r"'text_vectorization.*x = layer\(words\), and give x to"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: TextVectorization()(["a"]), NotBuiltError, r"no vocabulary yet: call adapt\("),
        (lambda: TextVectorization().adapt("a text"), DataError, "takes an array, a list or"),
        (lambda: TextVectorization().adapt(["!", " "]), DataError, "found no tokens in its data"),
        (lambda: adapted()(["a", None]), DataError, "takes words, got None"),
        (lambda: adapted()([["a", "b"]]), ShapeError, r"texts of shape \(batch,\) or .* \(1, 2\)"),
        (
            lambda: adapted(standardize=lambda texts: texts[:1]),
            ShapeError,
            r"standardize must keep the shape \(4,\), but gave \(1,\)",
        ),
        (lambda: adapted(split=lambda texts: [["a"]]), ShapeError, "gave 1 lists of tokens for 4"),
    ],
)
def test_wrong_inputs(make: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("arguments", "words", "places"),
    [
        (
            {},
            "cat the dog É\xa0x lifelong fish dogs bird a",
            [[3, 2, 3, 4, 5], [10, 8, 6, 2, 0], [0] * 5, [2, 4, 9, 7, 2]],
        ),
        (
            {"standardize": None},
            "cat É\xa0x the life-long fish dog's dog cat, bird a The DOG! CAT",
            [[12, 9, 4, 13, 3], [11, 7, 5, 14, 0]],
        ),
        (
            {"standardize": "lower"},
            "cat the É\xa0x life-long fish dog's dog! dog cat, bird a",
            [[3, 10, 3, 8, 4], [12, 7, 5, 2, 0]],
        ),
        (
            {"standardize": "strip_punctuation"},
            "cat É\xa0x the lifelong fish dogs dog bird a The DOG CAT",
            [[11, 2, 4, 12, 3], [10, 7, 5, 13, 0]],
        ),
        (
            {"output_sequence_length": 3, "max_tokens": 4},
            "cat the",
            [[3, 2, 3], [1, 1, 1], [0, 0, 0], [2, 1, 1]],
        ),
        ({"output_sequence_length": 6, "max_tokens": 4}, "cat the", [[3, 2, 3, 1, 1, 0]]),
    ],
)
def test_places(arguments: dict, words: str, places: list) -> None:
    layer = adapted(**arguments)
    assert layer.get_vocabulary() == ["", "[UNK]", *words.split(" ")]
    assert layer.get_vocabulary(include_special_tokens=False) == words.split(" ")
    assert layer.vocabulary_size() == 2 + len(words.split(" "))
    made = layer(TEXTS[: len(places)])
    assert made.tolist() == places
    assert made.dtype == torch.int64


def test_ngrams() -> None:
    layer = adapted(ngrams=2)
    assert layer.get_vocabulary()[4:10] == [
        "dog",
        "É\xa0x",
        "the dog",
        "the cat",
        "lifelong cat",
        "lifelong",
    ]
    assert layer(TEXTS[:1]).tolist() == [[3, 2, 3, 4, 5, 7, 16, 6, 14]]
    layer = adapted(ngrams=(3, 1))
    places = [[7, 13, 6, 3, 2, 3, 4, 5], [17, 10, 18, 11, 8, 2, 0, 0]]
    assert layer(TEXTS[:2]).tolist() == places
    layer = adapted([["a", "b", "c"], ["b", "c", "d"]], split=None, ngrams=2)
    assert layer([["a", "b", "c"]]).tolist() == [[8, 4, 2, 7, 3]]


def test_characters() -> None:
    layer = adapted(split="character")
    start = [" ", "t", "a", "o", "g", "d", "c", "i", "h", "e", "s", "l", "f", "É"]
    assert layer.get_vocabulary(include_special_tokens=False)[:14] == start
    assert layer("It's").tolist() == [9, 3, 12]


def test_without_splitting() -> None:
    layer = adapted(["a", "b", "a"], split=None)
    assert layer.get_vocabulary() == ["", "[UNK]", "a", "b"]
    assert layer(["a", "b", "c"]).tolist() == [2, 3, 1]
    assert layer([["a", "b"], ["c", "a"]]).tolist() == [[2, 3], [1, 2]]
    assert layer("a").item() == 2
    layer = adapted(["a", "b", "a"], split=None, output_sequence_length=3)
    assert layer("b").tolist() == [*layer(["b"]).tolist()]
    assert layer(["a", "b"]).tolist() == [2, 3, 0]
    assert layer([["a", "b"], ["c", "a"]]).tolist() == [[2, 3, 0], [1, 2, 0]]
    layer = adapted(["a", "b", "a"], split=None, output_mode="tf_idf")
    np.testing.assert_allclose(layer(["a", "b", "c"]), [0.804719, 0.693147, 0.916291], rtol=1e-5)


@pytest.mark.parametrize(
    ("mode", "rows"),
    [
        ("multi_hot", [[0, 1, 1, 1, 1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 1, 0, 1, 0, 1], [0] * 10]),
        ("count", [[0, 1, 2, 1, 1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 1, 0, 1, 0, 1], [0] * 10]),
        ("tf_idf", [[0, 0.693147, 2.197225, 0.847298, 1.098612, 0, 0, 0, 0, 0]]),
    ],
)
def test_codes(mode: str, rows: list) -> None:
    layer = adapted(output_mode=mode)
    made = layer(TEXTS)
    np.testing.assert_allclose(made[: len(rows)], rows, rtol=1e-6)
    assert made.dtype == (torch.float32 if mode == "tf_idf" else torch.int64)
    unknown = layer("cat dog cat zzz")
    assert unknown.shape == (10,)
    first = {"multi_hot": 1, "count": 1, "tf_idf": 1.0256369}[mode]
    assert unknown[0] == pytest.approx(first)
    padded = adapted(output_mode=mode, pad_to_max_tokens=True, max_tokens=20)
    assert padded(TEXTS[0]).shape == (20,)


def test_shapes() -> None:
    layer = adapted()
    assert layer("cat dog").tolist() == [2, 4]
    assert layer([["cat dog"], ["cat"]]).tolist() == [[2, 4], [2, 0]]
    nested = np.array([[["cat dog"], ["cat"]], [["x"], ["the cat fish"]]])
    assert layer(nested).tolist() == [[[2, 4, 0], [2, 0, 0]], [[1, 0, 0], [3, 2, 7]]]
    assert layer(["", ""]).shape == (2, 0)
    assert layer(np.array(["cat"]).astype("S")).tolist() == [[2]]
    assert layer(pd.Series(["cat"])).tolist() == [[2]]


@pytest.mark.parametrize(
    "data",
    [
        [[text] for text in TEXTS],
        np.array(TEXTS),
        pd.Series(TEXTS),
        (TEXTS[i : i + 3] for i in (0, 3)),
        [np.array(TEXTS[:1]), np.array(TEXTS[1:])],
        DataLoader([(text, 1) for text in TEXTS], batch_size=3),
    ],
    ids=lambda data: type(data).__name__,
)
def test_sources(data: Any) -> None:
    assert adapted(data).get_vocabulary() == adapted().get_vocabulary()


def test_own_functions() -> None:
    layer = TextVectorization(
        standardize=np.char.upper, split=lambda texts: np.char.split(texts, "-")
    )
    layer.adapt(["a-b", "A"])
    assert layer.get_vocabulary() == ["", "[UNK]", "A", "B"]
    assert layer(["b-a-c", "a"]).tolist() == [[3, 2, 1], [2, 0, 0]]


def test_given_vocabulary() -> None:
    layer = TextVectorization(vocabulary=["earth", "wind"], output_sequence_length=4)
    assert layer.get_vocabulary() == ["", "[UNK]", "earth", "wind"]
    assert layer(["Wind and earth"]).tolist() == [[3, 1, 2, 0]]
    layer.set_vocabulary(["fire"])
    assert layer(["fire, wind"]).tolist() == [[2, 1, 0, 0]]


@pytest.mark.parametrize("mode", ["int", "tf_idf"])
def test_copies_keep_what_was_learned(mode: str) -> None:
    layer = adapted(output_mode=mode, ngrams=(1, 2))
    expected = layer(TEXTS)
    config = json.loads(json.dumps(layer.get_config()))
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.testing.assert_close(other(TEXTS), expected)
        assert json.loads(json.dumps(other.get_config())) == config
    again = TextVectorization.from_config(config)
    again.adapt(["new"])
    assert again.get_vocabulary(include_special_tokens=False) == ["new"]
    assert layer.get_weights() == []
