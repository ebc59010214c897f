"""Arrays in memory or behind slices: values, order, dtypes, nesting, steps."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

from nnkit.data import make_batches
from nnkit.errors import ArgumentError, DataError

ROWS = np.arange(20, dtype=np.float32).reshape(10, 2)
Pair = namedtuple("Pair", ["left", "right"])


def first(batches: Any) -> Any:
    return next(iter(batches))


def rows_of(batches: Any) -> list[float]:
    return [row for batch in batches for row in batch[0][:, 0].tolist()]


class Sliceable:
    """The least that can be read by slices; it counts what was asked for."""

    def __init__(self, data: np.ndarray) -> None:
        self.data, self.shape, self.dtype = data, data.shape, data.dtype
        self.most = 0

    def __getitem__(self, rows: Any) -> np.ndarray:
        part = self.data[rows]
        self.most = max(self.most, len(part))
        return part


class Slices:
    """Has a shape and takes slices, and nothing else: no dtype, no index arrays."""

    def __init__(self, data: np.ndarray) -> None:
        self.data, self.shape = data, data.shape
        self.reads = 0

    def __getitem__(self, rows: slice) -> np.ndarray:
        if not isinstance(rows, slice):
            raise TypeError("only slices")
        self.reads += 1
        return self.data[rows]


def hdf5(tmp_path: Any) -> Any:
    file = h5py.File(tmp_path / "rows.h5", "w")
    return file.create_dataset("rows", data=ROWS)


def mapped(tmp_path: Any) -> Any:
    np.save(tmp_path / "rows.npy", ROWS)
    return np.load(tmp_path / "rows.npy", mmap_mode="r")


def frozen(tmp_path: Any) -> Any:
    rows = ROWS.copy()
    rows.flags.writeable = False
    return rows


SOURCES = {
    "numpy": lambda tmp: ROWS,
    "float64": lambda tmp: ROWS.astype(np.float64),
    "backwards": lambda tmp: ROWS[::-1].copy()[::-1],
    "big endian": lambda tmp: ROWS.astype(">f4"),
    "column order": lambda tmp: np.asfortranarray(ROWS),
    "read-only": frozen,
    "tensor": lambda tmp: torch.from_numpy(ROWS),
    "tensor float64": lambda tmp: torch.from_numpy(ROWS).double(),
    "tensor with gradient": lambda tmp: torch.from_numpy(ROWS).clone().requires_grad_(),
    "rows of numbers": lambda tmp: ROWS.tolist(),
    "tuples of numbers": lambda tmp: tuple(map(tuple, ROWS.tolist())),
    "rows of numpy numbers": lambda tmp: [list(row) for row in ROWS],
    "frame": lambda tmp: pd.DataFrame(ROWS, columns=["a", "b"]),
    "mixed frame": lambda tmp: pd.DataFrame({"a": ROWS[:, 0].astype(int), "b": ROWS[:, 1]}),
    "hdf5": hdf5,
    "memory-mapped": mapped,
    "sparse": lambda tmp: scipy.sparse.coo_matrix(ROWS),
    "sliceable": lambda tmp: Sliceable(ROWS),
    "slices only": lambda tmp: Slices(ROWS),
    "csr": lambda tmp: scipy.sparse.csr_matrix(ROWS),
    "csc": lambda tmp: scipy.sparse.csc_array(ROWS),
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("shuffle", [False, True, "batch"])
def test_every_source_gives_every_row_once(kind: str, shuffle: Any, tmp_path: Any) -> None:
    batches = make_batches(SOURCES[kind](tmp_path), ROWS[:, 1], batch_size=4, shuffle=shuffle)
    assert batches.steps == 3
    seen = list(batches)
    assert [len(x) for x, _ in seen] == [4, 4, 2]
    x, y = (torch.cat(part) for part in zip(*seen, strict=True))
    assert x.dtype == y.dtype == torch.float32
    assert not x.requires_grad
    torch.testing.assert_close(x[:, 1], y, rtol=0, atol=0)
    order = x[:, 0].tolist()
    assert sorted(order) == ROWS[:, 0].tolist()
    assert (order == ROWS[:, 0].tolist()) is (shuffle is False)
    if shuffle == "batch":
        groups = [sorted(order[i : i + 4]) for i in (0, 4, 8)]
        assert groups == [[0, 2, 4, 6], [8, 10, 12, 14], [16, 18]]


def test_shuffling_repeats_with_the_seed_and_differs_between_epochs() -> None:
    batches = make_batches(np.arange(100.0)[:, None], shuffle=True)
    torch.manual_seed(3)
    one, two = rows_of(batches), rows_of(batches)
    torch.manual_seed(3)
    assert rows_of(batches) == one != two


def test_many_chunks_keep_pairs_together() -> None:
    x = np.random.rand(3000, 300).astype(np.float32)  # many blocks of 512 KiB
    y = x[:, 0].copy()
    for shuffle in (True, False):
        parts = list(make_batches(x, y, batch_size=7, shuffle=shuffle))
        assert len(parts) == 429
        whole = torch.cat([a for a, _ in parts])
        torch.testing.assert_close(whole[:, 0], torch.cat([b for _, b in parts]), rtol=0, atol=0)
        assert sorted(whole[:, 0].tolist()) == sorted(y.tolist())


def test_batches_in_order_share_the_memory_of_the_data() -> None:
    x = ROWS.copy()
    batch = first(make_batches(x, batch_size=4))[0]
    x[0, 0] = 99
    assert batch[0, 0] == 99


def test_read_only_data_cannot_be_written_through_a_batch(tmp_path: Any) -> None:
    source = mapped(tmp_path)
    first(make_batches(source))[0].zero_()
    np.testing.assert_array_equal(source, ROWS)


def test_sliced_sources_are_read_in_pieces() -> None:
    source = Sliceable(np.zeros((1000, 5000), np.float32))
    batches = make_batches(source, batch_size=10)
    assert source.most == 0
    assert sum(len(x) for (x,) in batches) == 1000
    assert source.most == 20  # two batches of 200 kB fit into one block


def test_neighbours_are_read_by_one_slice() -> None:
    source = Slices(np.zeros((64, 40_000), np.float32))  # a block is one batch
    for shuffle, reads in ((False, 4), ("batch", 4)):
        source.reads = 0
        batches = make_batches(source, batch_size=16, shuffle=shuffle)
        source.reads = 0
        assert len(list(batches)) == 4
        assert source.reads == reads


def test_categories_that_are_numbers() -> None:
    numbers = pd.Categorical([30, 10, 30])
    frame = pd.DataFrame({"a": [0.5, 1.5, 2.5], "b": numbers, "c": [True, False, True]})
    x, y = first(make_batches(frame, pd.Series(numbers)))
    assert x.tolist() == [[0.5, 30, 1], [1.5, 10, 0], [2.5, 30, 1]]
    assert (y.tolist(), y.dtype) == ([[30], [10], [30]], torch.int64)


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "Float32"])
def test_nullable_columns(dtype: str) -> None:
    frame = pd.DataFrame({"a": [1, 0], "b": [0, 1]}).astype(dtype)
    assert first(make_batches(frame))[0].tolist() == [[1, 0], [0, 1]]
    with pytest.raises(DataError, match="y has NaN or infinite values in 1 of these 2 rows"):
        make_batches(frame, pd.Series([1, None], dtype=dtype))


@pytest.mark.parametrize(
    ("given", "role", "expected"),
    [
        ("float64", "x", torch.float32),
        ("float16", "x", torch.float32),
        ("uint8", "x", torch.uint8),
        ("int32", "x", torch.int32),
        ("int64", "x", torch.int64),
        ("uint16", "x", torch.int32),
        ("uint32", "x", torch.int64),
        ("bool", "x", torch.bool),
        ("complex64", "x", torch.complex64),
        ("float64", "y", torch.float32),
        ("uint8", "y", torch.int64),
        ("int8", "y", torch.int64),
        ("uint64", "y", torch.int64),
        ("bool", "y", torch.bool),
        ("int64", "sample_weight", torch.float32),
        ("bool", "sample_weight", torch.float32),
    ],
)
@pytest.mark.parametrize("as_tensor", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_dtypes(
    given: str, role: str, expected: torch.dtype, as_tensor: bool, shuffle: bool
) -> None:
    data: Any = np.ones(6, given)
    data = torch.from_numpy(data) if as_tensor else data
    parts = {"x": ROWS[:6], "y": ROWS[:6], "sample_weight": ROWS[:6, 0], role: data}
    batch = first(make_batches(**parts, shuffle=shuffle))
    found = batch[["x", "y", "sample_weight"].index(role)]
    assert found.dtype == expected
    assert found.tolist() == [1] * 6


def test_floats_follow_the_default_dtype() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        assert first(make_batches(ROWS))[0].dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_series_become_columns_as_in_keras_and_weights_stay_flat() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "flag": [True, False], "y": [0, 1], "w": [0.5, 2.0]})
    x, y, w = first(make_batches(frame[["a", "flag"]], frame["y"], frame["w"]))
    assert x.tolist() == [[1, 1], [2, 0]]
    assert (y.tolist(), y.dtype) == ([[0], [1]], torch.int64)
    assert w.tolist() == [0.5, 2]
    named = first(make_batches(dict(frame[["a", "y"]])))[0]
    assert {key: value.tolist() for key, value in named.items()} == {
        "a": [[1], [2]],
        "y": [[0], [1]],
    }


A, B = ROWS, ROWS[:, :1] * 10


@pytest.mark.parametrize(
    ("x", "y", "weight", "shape"),
    [
        ((A, B), None, None, ("(.,.)",)),
        ([A, B], None, None, ("[.,.]",)),
        ([A], A, None, ("[.]", ".")),
        ({"b": B, "a": A}, A, None, ("{b:.,a:.}", ".")),
        (Pair(A, B), A, None, ("Pair(.,.)", ".")),
        ({"a": (A, [B])}, [A, B], None, ("{a:(.,[.])}", "[.,.]")),
        (A, None, A[:, 0], (".", "None", ".")),
        (A, [A, B], A[:, 0], (".", "[.,.]", "[.,.]")),
        (A, [A, B], [A[:, 0], None], (".", "[.,.]", "[.,None]")),
        (A, {"p": A, "q": B}, {"p": A[:, 0], "q": A[:, 1]}, (".", "{p:.,q:.}", "{p:.,q:.}")),
        (A, {"p": A, "q": B}, A[:, 0].tolist(), (".", "{p:.,q:.}", "{p:.,q:.}")),
    ],
)
def test_nesting_is_kept(x: Any, y: Any, weight: Any, shape: tuple[str, ...]) -> None:
    batch = first(make_batches(x, y, weight, batch_size=3))
    assert tuple(map(describe, batch)) == shape


def describe(tree: Any) -> str:
    if isinstance(tree, dict):
        return "{" + ",".join(f"{key}:{describe(item)}" for key, item in tree.items()) + "}"
    if isinstance(tree, (list, tuple)):
        inner = ",".join(map(describe, tree))
        if hasattr(tree, "_fields"):
            return f"{type(tree).__name__}({inner})"
        return f"({inner})" if isinstance(tree, tuple) else f"[{inner}]"
    return "None" if tree is None else "." if len(tree) == 3 else "wrong"


def test_nested_values_stay_with_their_names() -> None:
    x, y, w = first(make_batches({"b": B, "a": A}, [A, B], A[:, 0], batch_size=2))
    assert (x["a"].tolist(), x["b"].tolist()) == ([[0, 1], [2, 3]], [[0], [20]])
    assert (y[0].tolist(), y[1].tolist()) == ([[0, 1], [2, 3]], [[0], [20]])
    assert [item.tolist() for item in w] == [[0, 2], [0, 2]]


@pytest.mark.parametrize(
    ("options", "lengths"),
    [
        ({}, [10]),
        ({"batch_size": 100}, [10]),
        ({"batch_size": np.int64(3)}, [3, 3, 3, 1]),
        ({"steps": 4}, [3, 3, 3, 1]),
        ({"batch_size": 5, "steps": 1}, [5]),
    ],
)
def test_batch_sizes(options: dict[str, Any], lengths: list[int]) -> None:
    batches = make_batches(ROWS, **options)
    assert [len(x) for (x,) in batches] == lengths
    assert batches.steps == len(lengths)


def test_steps_go_on_in_the_next_epoch_and_reset_starts_over() -> None:
    batches = make_batches(np.arange(6.0)[:, None], batch_size=1, steps=2)
    assert [rows_of(batches) for _ in range(4)] == [[0, 1], [2, 3], [4, 5], [0, 1]]
    batches.reset()
    assert rows_of(batches) == [0, 1]


def test_steps_beyond_the_data_end_the_epoch_with_a_warning() -> None:
    batches = make_batches(np.arange(5.0)[:, None], batch_size=1, steps=3)
    assert rows_of(batches) == [0, 1, 2]
    with pytest.warns(UserWarning, match="ran out after 2 of 3 batches"):
        assert rows_of(batches) == [3, 4]
    assert rows_of(batches) == [0, 1, 2]


def test_batches_go_to_the_device() -> None:
    batches = make_batches({"a": A}, np.ones(10), A[:, 0], device="meta", shuffle=True)
    for x, y, w in batches:
        assert {x["a"].device.type, y.device.type, w.device.type} == {"meta"}


NAN = np.where(ROWS == 7, np.nan, ROWS)
RAGGED = [[1.0, 2.0], [3.0]]


@pytest.mark.parametrize(
    ("x", "y", "weight", "message"),
    [
        (np.ones((100, 2)), np.ones(90), None, r"fit: x has 100 samples, y has 90\. All need one"),
        (ROWS, ROWS, np.ones(4), "x has 10 samples, y has 10, sample_weight has 4"),
        ((ROWS, ROWS[:5]), None, None, r"x\[0\] has 10 samples, x\[1\] has 5"),
        ({"a": ROWS}, {"b": ROWS[:2]}, None, r"x\['a'\] has 10 samples, y\['b'\] has 2"),
        ([np.ones(3)] * 20, np.ones(20), None, "A list of arrays means several inputs; np.stack"),
        (np.ones((0, 3)), None, None, r"x is empty: its shape is \(0, 3\)"),
        ([], None, None, "x is empty"),
        ({}, None, None, "x is empty"),
        (None, None, None, "x is None"),
        (np.float32(3), None, None, "x is a single number"),
        (torch.tensor(3.0), None, None, "x is a single number"),
        (ROWS, np.array(3), None, "y is a single number"),
        (RAGGED, None, None, "x has rows of different lengths. Pad them"),
        (NAN, None, None, "x has NaN or infinite values in 1 of these 10 rows, first in row 3"),
        (ROWS, NAN[:, 1], None, "y has NaN or infinite values in 1"),
        (ROWS, ROWS, np.full(10, np.inf), "sample_weight has NaN or infinite values in 10"),
        ({"a": torch.from_numpy(NAN)}, None, None, r"x\['a'\] has NaN"),
        (np.array(["a", "b"]), None, None, "x has dtype <U1. Turn text into numbers first"),
        (["a", "b"], None, None, "x has dtype <U1"),
        (ROWS, np.array(list("abcdefghij"), object), None, "y has dtype object. Only numbers"),
        (np.array(["2020-01-01"], "M8[D]"), None, None, r"x has dtype datetime64\[D\]"),
        (pd.DataFrame({"n": [1, 2], "city": ["a", "b"]}), None, None, "x has a column 'city' of"),
        (torch.eye(3).to_sparse(), None, None, "x is a torch.sparse_coo tensor. Call .to_dense"),
        ("train.csv", None, None, "x is the text 'train.csv'"),
        (42, None, None, "cannot read data from a int"),
    ],
)
def test_unfit_data_is_refused_before_any_batch(x: Any, y: Any, weight: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_batches(x, y, weight)


def test_nan_in_sliced_data_is_found_when_it_is_read() -> None:
    batches = make_batches(Sliceable(NAN), batch_size=2)
    with pytest.raises(DataError, match="x has NaN or infinite values in 1 of these 10 rows"):
        list(batches)


def test_large_finite_values_are_no_infinities() -> None:
    big = np.full((10, 2), 3e38, np.float32)  # their sum overflows
    assert first(make_batches(big))[0].max() == np.float32(3e38)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size expects a whole number >= 1, got 0"),
        ({"batch_size": -1}, "batch_size expects a whole number >= 1, got -1"),
        ({"batch_size": 2.0}, "batch_size expects a whole number >= 1, got 2.0"),
        ({"batch_size": True}, "batch_size expects a whole number >= 1, got True"),
        ({"steps": 0}, "steps expects a whole number >= 1, got 0"),
        ({"shuffle": "epoch"}, "shuffle expects True, False or 'batch', got 'epoch'"),
        ({"sample_weight": [ROWS, ROWS]}, "sample_weight expects one array per output"),
        ({"y": [A, B], "sample_weight": [A[:, 0]]}, "sample_weight expects one array per output"),
        ({"y": {"p": A}, "sample_weight": {"q": A}}, "sample_weight expects one array per output"),
    ],
)
def test_unfit_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make_batches(ROWS, **{"y": ROWS, **options})
