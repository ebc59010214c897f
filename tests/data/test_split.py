"""validation_split."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

from nnkit.data import make_batches, split_validation
from nnkit.errors import ArgumentError, DataError
from tests.data.test_arrays import ROWS, SOURCES, Sliceable


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("shuffle", [False, True])
def test_the_tail_is_held_back_from_every_source(kind: str, shuffle: bool, tmp_path: Any) -> None:
    source = SOURCES[kind](tmp_path)
    train, held = split_validation(source, ROWS[:, 1], None, 0.25)
    for (x, y, weight), rows in ((train, ROWS[:7]), (held, ROWS[7:])):
        assert weight is None
        [(found, target)] = make_batches(x, y, batch_size=10, shuffle=shuffle)
        order = target.argsort()
        torch.testing.assert_close(found[order], torch.from_numpy(rows))


@pytest.mark.parametrize(
    ("samples", "fraction", "kept"), [(10, 0.1, 9), (10, 0.33, 6), (3, 0.5, 1), (100, 0.2, 80)]
)
def test_where_the_cut_is(samples: int, fraction: float, kept: int) -> None:
    numbers = np.arange(samples)
    (x, y, w), (vx, vy, vw) = split_validation(numbers, numbers / 2, numbers * 2.0, fraction)
    assert len(x) == len(y) == len(w) == kept
    assert (vx[0], vy[0], vw[0]) == (kept, kept / 2, kept * 2)
    assert len(vx) == len(vy) == len(vw) == samples - kept


def test_arrays_are_cut_without_copies_and_nesting_is_kept() -> None:
    frame = pd.DataFrame({"a": [1, 2, 3, 4]})
    given = {"n": ROWS[:4], "t": [torch.arange(4)], "f": frame}
    (x, _, _), (vx, _, _) = split_validation(given, None, None, 0.5)
    assert np.shares_memory(x["n"], ROWS)
    assert (x["t"][0].tolist(), vx["t"][0].tolist()) == ([0, 1], [2, 3])
    assert vx["f"]["a"].tolist() == [3, 4]


def test_sliced_sources_are_not_read() -> None:
    source = Sliceable(ROWS)
    split_validation(source, None, None, 0.5)
    assert source.most == 0


ORDERED = np.repeat(np.arange(5), 20)


@pytest.mark.parametrize(
    "y",
    [ORDERED, ORDERED.tolist(), ORDERED[:, None], np.eye(5)[ORDERED], torch.from_numpy(ORDERED)],
)
def test_classes_that_only_the_validation_part_has(y: Any) -> None:
    with pytest.warns(UserWarning, match="classes that the rest lacks: 3, 4. .* shuffle it first"):
        split_validation(np.zeros((100, 1)), y, None, 0.4)


@pytest.mark.parametrize(
    "y",
    [
        ORDERED[np.random.default_rng(0).permutation(100)],
        ORDERED / 2,  # no class numbers
        np.arange(100),  # whole numbers to predict
        np.stack([ORDERED, ORDERED], 1),
        [ORDERED, ORDERED],
        None,
    ],
)
def test_no_warning_otherwise(y: Any) -> None:
    split_validation(np.zeros((100, 1)), y, None, 0.4)


@pytest.mark.parametrize("fraction", [0, 1, 1.0, -0.1, 1.5, float("nan"), "0.2", None])
def test_fractions_outside_0_to_1(fraction: Any) -> None:
    with pytest.raises(ArgumentError, match="validation_split expects a fraction above 0, below 1"):
        split_validation(ROWS, None, None, fraction)


@pytest.mark.parametrize(
    ("x", "fraction", "error", "message"),
    [
        (iter([ROWS]), 0.5, ArgumentError, "validation_split needs arrays; a list_iterator cannot"),
        (ROWS[:1], 0.5, DataError, "validation_split=0.5 of 1 samples leaves one part empty"),
        (ROWS, 0.99, DataError, "validation_split=0.99 of 10 samples leaves one part empty"),
        ([ROWS, ROWS[:4]], 0.5, DataError, r"x\[0\] has 10 samples, x\[1\] has 4"),
        (np.float32(1), 0.5, DataError, "x is a single number"),
        (None, 0.5, DataError, "x is None"),
    ],
)
def test_what_cannot_be_cut(x: Any, fraction: float, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        split_validation(x, None, None, fraction)


def test_sparse_parts_stay_sparse() -> None:
    (x, _, _), _ = split_validation(scipy.sparse.coo_matrix(ROWS), None, None, 0.5)
    assert scipy.sparse.issparse(x)
