"""Discretization, CategoryEncoding, Hashing, HashedCrossing: errors and values.

The bins of hashes are those that TensorFlow 2.21 and Keras on it give.
"""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from nnkit.errors import ArgumentError, DataError, NotBuiltError, ShapeError
from nnkit.layers.categorical import CategoryEncoding, Discretization
from nnkit.layers.core import Dense
from nnkit.layers.hashing import HashedCrossing, Hashing, farm_hash, hash_bins, sip_hash
from nnkit.layers.input import Input
from nnkit.layers.integer_lookup import IntegerLookup
from nnkit.models.sequential import Sequential


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Discretization(), "takes either bin_boundaries or num_bins"),
        (lambda: Discretization([1.0], 2), "takes either bin_boundaries or num_bins"),
        (lambda: Discretization([2.0, 1.0]), r"bin_boundaries must rise, got \[2.0, 1.0\]"),
        (lambda: Discretization([1.0, np.nan]), "bin_boundaries must rise"),
        (lambda: Discretization(num_bins=0), "num_bins must be a whole number of at least 1"),
        (
            lambda: Discretization(num_bins=2, epsilon=0.0),
            "epsilon must be a number above 0 and below 1",
        ),
        (lambda: Discretization([1.0], output_mode="tf_idf"), "output_mode must be one of 'int'"),
        (lambda: Discretization([1.0], sparse=True), "sparse outputs do not exist here"),
        (lambda: Discretization([1.0]).adapt([1.0]), "was given bin_boundaries"),
        (lambda: CategoryEncoding(), "needs num_tokens; without it, use IntegerLookup"),
        (lambda: CategoryEncoding(0), "num_tokens must be a whole number of at least 1"),
        (lambda: CategoryEncoding(3, "int"), "output_mode must be one of 'one_hot'"),
        (lambda: CategoryEncoding(3)([1], count_weights=[1.0]), "count_weights need output_mode"),
        (lambda: Hashing(0), "num_bins must be a whole number of at least 1"),
        (lambda: Hashing(None), "num_bins must be a whole number of at least 1"),
        (lambda: Hashing(3, dtype="float32"), "dtype must be int32 or int64, got float32"),
        (lambda: Hashing(3, salt="a"), "salt must be one or two whole numbers, got 'a'"),
        (lambda: Hashing(3, salt=[1, 2, 3]), "salt must be one or two whole numbers"),
        (lambda: HashedCrossing(3, "count"), "output_mode must be one of 'int', 'one_hot'"),
        (lambda: HashedCrossing(3)(np.array(["a", "b"])), "crosses two or more features"),
        (lambda: HashedCrossing(3)([["a"]]), "crosses two or more features"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Discretization(num_bins=2)([1.0]), NotBuiltError, r"has no bins yet: call adapt"),
        (lambda: Discretization(num_bins=2).adapt([1.0, np.inf]), DataError, "NaN or infinite"),
        (lambda: Discretization(num_bins=2).adapt([]), DataError, "was given no data"),
        (lambda: CategoryEncoding(3)([1, 3]), DataError, "knows categories 0 to 2 but got 3"),
        (lambda: CategoryEncoding(3)([-1, 2]), DataError, "0 to 2 but got -1. Raise num_tokens"),
        (
            lambda: CategoryEncoding(3, "count")([[1, 2]], count_weights=[1.0, 2.0]),
            ShapeError,
            r"got count_weights \(2,\) for inputs \(1, 2\)",
        ),
        (lambda: HashedCrossing(3)((["a"], ["a", "b"])), ShapeError, r"got \(1,\), \(2,\)"),
        (lambda: HashedCrossing(3)(([["a", "b"]], [[1, 2]])), ShapeError, r"\(batch, 1\), got"),
        (lambda: HashedCrossing(3)(([1.5], [2.5])), DataError, "no floats"),
    ],
)
def test_wrong_inputs(make: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_discretization_values() -> None:
    layer = Discretization(bin_boundaries=[0.0, 1.0, 2.0])
    made = layer([[-1.5, 1.0, 3.4, 0.5], [0.0, 3.0, 1.3, 0.0]])
    assert made.tolist() == [[0, 2, 3, 1], [1, 3, 2, 1]]
    assert made.dtype == torch.int32
    assert layer(torch.tensor([True, False])).tolist() == [2, 1]
    layer = Discretization(num_bins=4, epsilon=0.01)
    layer.adapt([[-1.5, 1.0, 3.4, 0.5], [0.0, 3.0, 1.3, 0.0]])
    assert layer([[-1.5, 1.0, 3.4, 0.5]]).tolist() == [[0, 2, 3, 2]]
    layer = Discretization(num_bins=2, output_mode="count")
    layer.adapt((np.arange(i, i + 5.0) for i in range(0, 100, 5)), steps=4)
    assert layer.bin_boundaries == [pytest.approx(9, abs=1)]
    assert layer(np.arange(20.0)).sum() == 20
    assert Discretization(num_bins=5, output_mode="one_hot")(Input((3,))).shape == (None, 3, 5)


def test_category_encoding_values() -> None:
    x = [[0, 1], [0, 0], [1, 2], [3, 1]]
    multi = [[1.0, 1, 0, 0], [1, 0, 0, 0], [0, 1, 1, 0], [0, 1, 0, 1]]
    assert CategoryEncoding(4)(x).tolist() == multi
    assert CategoryEncoding(4, "binary")(x).dtype == torch.float32
    assert CategoryEncoding(4, "count", dtype="int64")(x)[1].tolist() == [2, 0, 0, 0]
    assert CategoryEncoding(3, "one_hot")([[2], [0]]).tolist() == [[0, 0, 1], [1, 0, 0]]
    # Each row along the last axis, whatever comes before it.
    assert CategoryEncoding(4)([x])[0].tolist() == multi
    weights = torch.tensor([[0.1, 0.2], [0.1, 0.1], [0.2, 0.3], [0.4, 0.2]], requires_grad=True)
    counted = CategoryEncoding(4, "count")(x, count_weights=weights)
    expected = [[0.1, 0.2, 0, 0], [0.2, 0, 0, 0], [0, 0.2, 0.3, 0], [0, 0.2, 0, 0.4]]
    torch.testing.assert_close(counted, torch.tensor(expected))
    counted[1].sum().backward()
    assert weights.grad.tolist() == [[0, 0], [1, 1], [0, 0], [0, 0]]


TEXT = "The quick brown fox jumps over the lazy dog, " * 6
BUCKETS = (1 << 62) + 12345


@pytest.mark.parametrize(
    ("size", "farm", "sip"),
    [
        (0, 1936946117179596765, 316627932347050651),
        (1, 1366698271136253306, 3886336604599005801),
        (3, 398699863598699403, 2185041958410692804),
        (4, 3813857490243134970, 1319660916466726626),
        (7, 4268079096047442652, 1257618472599491301),
        (8, 491173507650902990, 2071546141098455984),
        (16, 4320848957565769301, 1524747192554484949),
        (17, 550333784831008018, 1100162040184343443),
        (32, 3916272259504124400, 1362692904404384380),
        (33, 3629877152734126891, 1010102425118194626),
        (64, 2724972188832857853, 3574769120115874944),
        (65, 3813575598224180255, 3104517735342850619),
        (128, 2828023847496447597, 1316727488948750738),
        (129, 3683716896495627200, 1307638705020412962),
        (200, 4038032951957974116, 223039580944698378),
    ],
)
def test_hash_functions(size: int, farm: int, sip: int) -> None:
    data = TEXT[:size].encode()
    assert farm_hash(data) % BUCKETS == farm
    assert sip_hash(data, [133, 137]) % BUCKETS == sip


def test_known_hashes() -> None:
    # From the paper's appendix: the first 15 bytes, under the key 0, 1, ... 15.
    keys = [int.from_bytes(bytes(range(i, i + 8)), "little") for i in (0, 8)]
    assert sip_hash(bytes(range(15)), keys) == 0xA129CA6149BE45E5


LETTERS = [["A"], ["B"], ["C"], ["D"], ["E"]]
WIRE = ["omar", "stringer", "marlo", "wire", "skywalker"]


@pytest.mark.parametrize(
    ("arguments", "inputs", "bins"),
    [
        ({"num_bins": 3}, LETTERS, [[1], [0], [1], [1], [2]]),
        ({"num_bins": 3, "salt": [133, 137]}, LETTERS, [[1], [2], [1], [0], [2]]),
        ({"num_bins": 3, "salt": 133}, LETTERS, [[0], [0], [2], [1], [0]]),
        ({"num_bins": 1}, LETTERS, [[0]] * 5),
        (
            {"num_bins": 3, "mask_value": ""},
            [*LETTERS[:2], [""], ["C"], ["D"]],
            [[1], [1], [0], [2], [2]],
        ),
        ({"num_bins": 2}, np.array(WIRE), [0, 0, 1, 0, 0]),
        ({"num_bins": 2}, np.array(WIRE).astype("S"), [0, 0, 1, 0, 0]),
        ({"num_bins": 3, "mask_value": "omar"}, WIRE, [0, 1, 2, 1, 1]),
        ({"num_bins": 2, "salt": (211, 137)}, WIRE, [1, 0, 1, 0, 1]),
        ({"num_bins": 3}, np.arange(5), [1, 0, 1, 0, 2]),
        ({"num_bins": 3, "salt": [133, 137]}, torch.arange(5), [1, 1, 2, 0, 1]),
        ({"num_bins": 5, "mask_value": 3}, torch.arange(6), [4, 2, 4, 0, 4, 4]),
        ({"num_bins": 50}, torch.tensor([1.7, -2.3]), [49, 5]),
        ({"num_bins": 1000}, np.array([True, False]), [570, 757]),
        ({"num_bins": 1000}, "A", 564),
        ({"num_bins": 3, "output_mode": "one_hot"}, LETTERS[:2], [[0, 1, 0], [1, 0, 0]]),
        (
            {"num_bins": 3, "output_mode": "multi_hot"},
            [["A", "B"], ["B", "B"]],
            [[1, 1, 0], [1, 0, 0]],
        ),
        ({"num_bins": 3, "output_mode": "count"}, ["A", "B", "B"], [2, 1, 0]),
    ],
)
def test_hashing(arguments: dict, inputs: Any, bins: Any) -> None:
    made = Hashing(**arguments)(inputs)
    assert made.tolist() == bins
    coded = "output_mode" in arguments
    assert made.dtype == (torch.float32 if coded else torch.int64)
    again = Hashing.from_config(json.loads(json.dumps(Hashing(**arguments).get_config())))
    assert again(inputs).tolist() == bins


def test_hashing_in_a_model() -> None:
    model = Sequential([Input((2,), dtype="int64"), Hashing(7, output_mode="multi_hot"), Dense(1)])
    assert model(torch.tensor([[3, 4]])).shape == (1, 1)
    assert Hashing(7, dtype="int32")(Input((2,), dtype="int64")).dtype == torch.int32
    assert hash_bins(np.array(["x"] * 3), 9, None).shape == (3,)


def test_hashed_crossing() -> None:
    letters, numbers = np.array(["A", "B", "A", "B", "A"]), np.array([101, 101, 101, 102, 102])
    assert HashedCrossing(5)((letters, numbers)).tolist() == [1, 4, 1, 1, 3]
    assert HashedCrossing(5)([letters.tolist(), torch.tensor(numbers)]).tolist() == [1, 4, 1, 1, 3]
    assert HashedCrossing(10)(("A", np.array(101))).item() == 1
    coded = HashedCrossing(5, "one_hot")((letters[:2, None], numbers[:2, None]))
    assert coded.tolist() == [[0, 1, 0, 0, 0], [0, 0, 0, 0, 1]]
    assert coded.dtype == torch.float32
    column = Input((1,), dtype="int64")
    assert HashedCrossing(5)((column, column)).shape == (None, 1)


BINS = Discretization(num_bins=3, output_mode="multi_hot")
BINS.adapt(np.arange(30.0))
LOOKUP = IntegerLookup(num_oov_indices=2, mask_token=0, output_mode="tf_idf")
LOOKUP.adapt([[4, 4, 5], [6, 5, 4]])
LAYERS = [
    (BINS, torch.tensor([[0.0, 5.0], [25.0, 15.0]])),
    (Discretization([0.5, 2.5]), torch.tensor([[0.0, 5.0], [2.5, 1.0]]).T),
    (CategoryEncoding(4, "one_hot"), torch.tensor([[3, 1]])),
    (CategoryEncoding(4, "count"), torch.tensor([[3, 1]])),
    (LOOKUP, torch.tensor([[4, 5, 0], [7, 8, 4]])),
    (IntegerLookup(vocabulary=[9, 3]), torch.tensor([[9, 3], [1, 3]]).T),
    (IntegerLookup(vocabulary=[9, 3], invert=True, mask_token=0), torch.tensor([0, 1, 2, 3, 7])),
]


@pytest.mark.parametrize(("layer", "x"), LAYERS, ids=lambda v: getattr(v, "name", ""))
def test_module_life(layer: Any, x: torch.Tensor) -> None:
    expected = layer(x)
    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), expected)
    torch.testing.assert_close(copy.deepcopy(layer)(x), expected)
    torch.testing.assert_close(pickle.loads(pickle.dumps(layer))(x), expected)
    if layer is not LOOKUP:  # what that has learned is state
        again = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
        assert again.get_config() == layer.get_config()
        torch.testing.assert_close(again(x), expected)
    assert layer.get_weights() == []
    symbolic = layer(Input(tuple(x.shape[1:]), dtype=x.dtype))
    assert symbolic.shape == (None, *expected.shape[1:])
    assert symbolic.dtype == expected.dtype
