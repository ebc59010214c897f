"""IntegerLookup and StringLookup: errors and values, those that Keras gives on TensorFlow."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader

from nnkit.errors import ArgumentError, DataError, NotBuiltError
from nnkit.layers.core import Dense
from nnkit.layers.embedding import Embedding
from nnkit.layers.input import Input
from nnkit.layers.integer_lookup import IntegerLookup
from nnkit.layers.text import StringLookup
from nnkit.models.sequential import Sequential

ABC = ["a", "b", "c"]


def missing_file() -> None:
    StringLookup(vocabulary="no/such/file.txt")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StringLookup(num_oov_indices=-1), "num_oov_indices must be a whole number"),
        (lambda: StringLookup(max_tokens=1), "max_tokens=1 leaves no place for a vocabulary"),
        (lambda: StringLookup(2, mask_token=""), "the first 2 are for mask and OOV tokens"),
        (lambda: StringLookup(pad_to_max_tokens=True), "pad_to_max_tokens needs max_tokens"),
        (lambda: StringLookup(output_mode="ints"), "output_mode must be one of 'int', 'one_hot'"),
        (lambda: StringLookup(sparse=True, output_mode="count"), "sparse outputs do not exist"),
        (lambda: StringLookup(invert=True, output_mode="count"), "invert needs output_mode='int'"),
        (lambda: StringLookup(idf_weights=[1.0]), "idf_weights belong to output_mode='tf_idf'"),
        (lambda: StringLookup(vocabulary=ABC, output_mode="tf_idf"), "idf_weights come with a"),
        (lambda: StringLookup(vocabulary=[]), "the vocabulary is empty"),
        (lambda: StringLookup(vocabulary=["a", "b", "a"]), r"the vocabulary repeats \['a'\]"),
        (lambda: StringLookup(vocabulary=ABC, mask_token="b"), "'b' is reserved"),
        (lambda: StringLookup(vocabulary=ABC, oov_token="b", invert=True), "'b' is reserved, but"),
        (lambda: StringLookup(3, vocabulary=ABC), "of 4 places is over max_tokens=3"),
        (lambda: StringLookup(vocabulary=ABC).adapt(ABC), "was given its vocabulary; it cannot"),
        (lambda: StringLookup(vocabulary=ABC)(torch.tensor([1])), "which are no tensors, so it"),
        (lambda: StringLookup(vocabulary=ABC)(Input((1,))), "Call it on the data instead"),
        (lambda: StringLookup(vocabulary=ABC, invert=True)(Input((1,))), "cannot stand in a model"),
        (lambda: StringLookup().set_vocabulary(ABC, [1.0]), "this layer's is 'int'"),
        (missing_file, "there is no vocabulary file 'no/such/file.txt'"),
        (
            lambda: IntegerLookup(vocabulary_dtype="int32"),
            "vocabulary_dtype must be one of 'int64'",
        ),
        (lambda: IntegerLookup(oov_method="md5"), "oov_method must be one of 'floormod'"),
        (lambda: IntegerLookup(salt=3), "salt needs oov_method='farmhash'"),
        (lambda: IntegerLookup(oov_method="farmhash", salt=1.5), "salt must be one or two whole"),
        (
            lambda: IntegerLookup(vocabulary=[1, 2], output_mode="tf_idf", idf_weights=[1.0]),
            r"one number for each of 2 tokens, got shape \(1,\)",
        ),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: StringLookup()("a"), NotBuiltError, r"'string_lookup.*' has no vocabulary yet"),
        (lambda: IntegerLookup()([1]), NotBuiltError, r"call adapt\(data\) first"),
        (lambda: IntegerLookup(output_mode="count")(Input((2,))), NotBuiltError, "no vocabulary"),
        (lambda: StringLookup().adapt([]), DataError, "was given no data"),
        (lambda: StringLookup(mask_token="").adapt([""]), DataError, "found no tokens"),
        (lambda: StringLookup().adapt(["a", None]), DataError, "takes words, got None"),
        (lambda: StringLookup().adapt([1, 2]), DataError, "takes words, got 1"),
        (lambda: IntegerLookup().adapt(["a"]), DataError, "takes whole numbers"),
        (lambda: StringLookup(vocabulary=ABC)([["a"], []]), DataError, "rows of different lengths"),
        (
            lambda: StringLookup(vocabulary=ABC, num_oov_indices=0)(["z", "a", "y"]),
            DataError,
            r"num_oov_indices=0 met tokens out of its vocabulary: \['y', 'z'\]",
        ),
        (
            lambda: IntegerLookup(vocabulary=[3], num_oov_indices=0, mask_token=0)([0, 3, 4]),
            DataError,
            r"out of its vocabulary: \[4\]. Add them, or give num_oov_indices=1",
        ),
    ],
)
def test_wrong_inputs(make: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        make()


DATA = [["a", "c", "d"], ["d", "z", "b"]]


@pytest.mark.parametrize(
    ("arguments", "vocabulary"),
    [
        ({}, ["[UNK]", "d", "z", "c", "b", "a"]),
        ({"mask_token": ""}, ["", "[UNK]", "d", "z", "c", "b", "a"]),
        ({"mask_token": "", "output_mode": "count"}, ["[UNK]", "d", "z", "c", "b", "a"]),
        ({"num_oov_indices": 2}, ["[UNK]", "[UNK]", "d", "z", "c", "b", "a"]),
        ({"num_oov_indices": 0}, ["d", "z", "c", "b", "a"]),
        ({"mask_token": "z", "oov_token": "b"}, ["z", "b", "d", "c", "a"]),
        ({"max_tokens": 3}, ["[UNK]", "d", "z"]),
    ],
)
def test_adapted_vocabulary(arguments: dict, vocabulary: list) -> None:
    layer = StringLookup(**arguments)
    layer.adapt(DATA)
    assert layer.get_vocabulary() == vocabulary
    assert layer.vocabulary_size() == len(vocabulary)
    plain = [word for word in vocabulary if word not in layer._specials()]
    assert layer.get_vocabulary(include_special_tokens=False) == plain


def batches() -> Iterator[Any]:
    yield np.array(DATA[0])
    yield np.array(DATA[1]).astype("S")


@pytest.mark.parametrize(
    "data",
    [
        DATA,
        [*DATA[0], *DATA[1]],
        [["a"], ["c", "d", "d"], ("z", "b")],
        np.array(DATA),
        np.array(DATA, dtype=object),
        np.array(DATA).astype("S"),
        pd.Series([*DATA[0], *DATA[1]]),
        batches(),
        DataLoader([(word, 0) for row in DATA for word in row], batch_size=4),
        DataLoader([*DATA[0], *DATA[1]], batch_size=4),
    ],
    ids=lambda data: type(data).__name__,
)
def test_sources(data: Any) -> None:
    layer = StringLookup()
    layer.adapt(data)
    assert layer.get_vocabulary() == ["[UNK]", "d", "z", "c", "b", "a"]


def test_steps_limit_the_batches() -> None:
    layer = StringLookup()
    layer.adapt(batches(), steps=1)
    assert layer.get_vocabulary() == ["[UNK]", "d", "c", "a"]


@pytest.mark.parametrize(
    ("mode", "mask", "coded"),
    [
        ("int", None, [[2, 0, 4], [4, 1, 3]]),
        ("int", "c", [[3, 0, 5], [5, 2, 4]]),
        ("multi_hot", None, [[1, 0, 1, 0, 1], [0, 1, 0, 1, 1]]),
        ("multi_hot", "c", [[0, 0, 1, 0, 1], [0, 1, 0, 1, 1]]),
        ("count", None, [[1, 0, 1, 0, 1], [0, 1, 0, 1, 1]]),
        ("count", "c", [[0, 0, 1, 0, 1], [0, 1, 0, 1, 1]]),
        (
            "one_hot",
            "c",
            [
                [[0, 0, 1, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 1]],
                [[0, 0, 0, 0, 1], [0, 1, 0, 0, 0], [0, 0, 0, 1, 0]],
            ],
        ),
    ],
)
def test_output_modes(mode: str, mask: Any, coded: Any) -> None:
    options = {"mask_token": mask, "num_oov_indices": 2, "output_mode": mode}
    layer = StringLookup(vocabulary=["a", "b", "d"], **options)
    for data in (DATA, np.array(DATA), np.array(DATA).astype("S")):
        made = layer(data)
        assert made.tolist() == coded
        assert made.dtype == torch.int64
    words = {"a": 11, "b": 12, "d": 14, "c": 13, "z": 27}
    numbers = IntegerLookup(
        vocabulary=[11, 12, 14], **{**options, "mask_token": mask and 13}, oov_method="floormod"
    )
    made = numbers(torch.tensor([[words[word] for word in row] for row in DATA]))
    # 13 and 27 share the odd OOV place, where "c" and "z" have one each.
    if mask and mode != "one_hot":
        assert made.tolist() == coded
    assert made.shape == np.shape(coded)


def test_shapes() -> None:
    layer = StringLookup(vocabulary=ABC)
    assert layer("b").item() == 2
    assert layer(["b", "x"]).tolist() == [2, 0]
    assert layer([["b"], ["x"]]).tolist() == [[2], [0]]
    assert StringLookup(vocabulary=ABC, output_mode="one_hot")("b").tolist() == [[0, 0, 1, 0]]
    assert StringLookup(vocabulary=ABC, output_mode="count")(["b", "b"]).tolist() == [0, 0, 2, 0]
    assert IntegerLookup(vocabulary=[5])(np.array(5)).item() == 1
    assert IntegerLookup(vocabulary=[5])(5).item() == 1


def test_tf_idf() -> None:
    layer = StringLookup(8, output_mode="tf_idf", pad_to_max_tokens=True, mask_token="b")
    layer.adapt(DATA)
    a, d = np.log(2), np.log(1 + 2 / 3)
    expected = [[0, d, 0, a, a, 0, 0, 0], [0, d, a, 0, 0, 0, 0, 0]]
    np.testing.assert_allclose(layer(DATA), expected, rtol=1e-6)
    np.testing.assert_allclose(layer(["x", "x"])[0], 2 * (3 * a + d) / 4, rtol=1e-6)
    # A list of words: each a document. A batch of words: one document.
    layer = StringLookup(output_mode="tf_idf")
    layer.adapt(["a", "b", "a"])
    np.testing.assert_allclose(layer.idf_weights[1:], np.log([1 + 3 / 3, 1 + 3 / 2]), rtol=1e-6)
    layer.adapt(iter([["a", "b", "a"], ["c"]]))
    np.testing.assert_allclose(layer.idf_weights, np.log([2.0] * 4), rtol=1e-6)
    layer.set_vocabulary(["a", "b", "c", "d"], [0.25, 0.75, 0.6, 0.4])
    data = [["a", "c", "d", "d"], ["d", "z", "b", "z"]]
    expected = [[0, 0.25, 0, 0.6, 0.8], [1.0, 0, 0.75, 0, 0.4]]
    np.testing.assert_allclose(layer(data), expected, rtol=1e-6)
    layer.set_vocabulary(["[UNK]", "a", "b", "c", "d"], [0.9, 0.25, 0.75, 0.6, 0.4])
    assert layer(data)[1, 0] == pytest.approx(1.8)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, [[2, 1, 0], [1, 1, 3]]),
        ({"num_oov_indices": 2}, [[3, 2, 0], [1, 2, 4]]),
        ({"num_oov_indices": 3}, [[4, 2, 0], [2, 2, 5]]),
        ({"num_oov_indices": 3, "oov_method": "farmhash"}, [[4, 1, 0], [1, 3, 5]]),
        ({"num_oov_indices": 3, "oov_method": "farmhash", "salt": 5}, [[4, 3, 0], [3, 1, 5]]),
    ],
)
def test_integers(arguments: dict, expected: list) -> None:
    layer = IntegerLookup(vocabulary=[12, 42], mask_token=7, **arguments)
    x = torch.tensor([[12, -5, 7], [100, 37, 42]])
    assert layer(x).tolist() == expected
    assert layer(x.int()).tolist() == layer(x.float()).tolist() == layer(x.tolist()).tolist()


def test_integers_adapt() -> None:
    layer = IntegerLookup()
    layer.adapt(np.array([[12, 1138, 42], [42, 1000, 36]]))
    assert layer.get_vocabulary() == [-1, 42, 1138, 1000, 36, 12]
    layer.adapt(torch.tensor([3, 3, -1, 8]))
    assert layer.get_vocabulary() == [-1, 3, 8]


def test_invert() -> None:
    layer = StringLookup(vocabulary=["a", "b"], invert=True, mask_token="", num_oov_indices=2)
    assert layer([[0, 1, 2, 3, 4, 9, -1]]) == [["", "[UNK]", "[UNK]", "a", "b", "[UNK]", "[UNK]"]]
    assert layer(torch.tensor([3, 4])) == ["a", "b"]
    assert layer(torch.tensor(3)) == "a"
    numbers = IntegerLookup(vocabulary=[12, 36], invert=True, mask_token=0)
    assert numbers([0, 1, 2, 3, 4, -1]).tolist() == [0, -1, 12, 36, -1, -1]
    numbers = IntegerLookup(invert=True)
    numbers.adapt([4, 4, 5])
    assert numbers([1, 2, 0]).tolist() == [4, 5, -1]


def test_vocabulary_from_arrays_tensors_and_files(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("é\nb\n", encoding="utf-8")
    for given in (path, str(path), ["é", "b"], ("é", "b"), np.array(["é", "b"])):
        assert StringLookup(vocabulary=given)(["b", "é"]).tolist() == [2, 1]
    assert StringLookup(vocabulary=["é".encode()])(["é"]).tolist() == [1]
    assert StringLookup(vocabulary=["é"], encoding="latin-1")(["é".encode("latin-1")]).item() == 1
    path.write_text("7\n5\n")
    for given in (path, torch.tensor([7, 5]), [np.int64(7), 5]):
        assert IntegerLookup(vocabulary=given)([5]).tolist() == [2]
    with_special = StringLookup(vocabulary=["", "[UNK]", "a"], mask_token="")
    assert with_special.get_vocabulary() == ["", "[UNK]", "a"]


@pytest.mark.parametrize("mode", ["int", "tf_idf"])
def test_copies_keep_what_was_learned(mode: str) -> None:
    layer = StringLookup(9, mask_token="z", output_mode=mode, pad_to_max_tokens=mode != "int")
    layer.adapt(DATA)
    expected = layer(DATA)
    config = json.loads(json.dumps(layer.get_config()))
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.testing.assert_close(other(DATA), expected)
        assert other.get_config() == config
    # What was learned is state, not an argument; a copy from the config can learn again.
    again = StringLookup.from_config(config)
    again.adapt(["q"])
    assert again.get_vocabulary(include_special_tokens=False) == ["q"]


def test_no_file_is_opened_because_a_config_names_it() -> None:
    config = {**StringLookup().get_config(), "vocabulary": "/etc/hostname"}
    with pytest.raises(ArgumentError, match="no file is opened because a config names it"):
        StringLookup.from_config(config)


def test_integers_in_a_model() -> None:
    lookup = IntegerLookup(vocabulary=[30, 40], mask_token=0)
    model = Sequential([Input((3,), dtype="int64"), lookup, Embedding(4, 2), Dense(1)])
    torch.testing.assert_close(
        model(torch.tensor([[40, 30, 0]])), model(torch.tensor([[40, 30, 0]]))
    )
    assert model.output_shape == (None, 3, 1)
    assert not model.state_dict().keys() & {"integer_lookup._keys"}
