"""class_weight becomes sample weights, whatever form labels and data have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from nnkit.data import make_batches
from nnkit.errors import ArgumentError, DataError

X = np.zeros((4, 2), np.float32)
LABELS = np.array([0, 2, 1, 2])
WEIGHTS = {0: 1.0, 1: 10.0, 2: 100.0}


def as_arrays(y: Any) -> Any:
    return {"x": X, "y": y}


def as_generator(y: Any) -> Any:
    return {"x": iter([(X, y)])}


def as_loader(y: Any) -> Any:
    return {"x": DataLoader(TensorDataset(torch.from_numpy(X), torch.as_tensor(y)), batch_size=4)}


@pytest.mark.parametrize("source", [as_arrays, as_generator, as_loader])
@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (LABELS, [1, 100, 10, 100]),
        (LABELS.astype("uint8"), [1, 100, 10, 100]),
        (LABELS[:, None], [1, 100, 10, 100]),
        (np.eye(3)[LABELS], [1, 100, 10, 100]),
        (np.array([0.0, 1.0, 1.0, 0.0]), [1, 10, 10, 1]),
        (np.array([[0.0], [1.0], [1.0], [0.0]]), [1, 10, 10, 1]),
        (np.array([False, True, True, False]), [1, 10, 10, 1]),
    ],
)
def test_weights_of_labels(source: Any, y: np.ndarray, expected: list[float]) -> None:
    [(_, _, weights)] = make_batches(**source(y), class_weight=WEIGHTS)
    assert weights.tolist() == expected
    assert weights.dtype == torch.float32


def test_weights_are_shuffled_with_the_labels() -> None:
    y = np.random.randint(0, 3, 200)
    for _, label, weight in make_batches(y, y, class_weight=WEIGHTS, shuffle=True):
        torch.testing.assert_close(weight, 10.0**label)


@pytest.mark.parametrize("source", [as_arrays, as_generator, as_loader])
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (LABELS + 3, "y has the class 3, 4, 5, but class_weight only has 0, 1, 2"),
        (LABELS - 1, "y has the class -1, but"),
        (np.eye(4)[LABELS + 1], "y has the class 3, but"),
        (np.stack([LABELS, LABELS], 1), r"class numbers \(samples,\) or one-hot"),
    ],
)
def test_classes_without_a_weight_are_an_error(source: Any, y: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(make_batches(**source(y), class_weight=WEIGHTS))


def test_arrays_are_checked_before_the_first_batch() -> None:
    with pytest.raises(DataError, match="y has the class 2"):
        make_batches(X, LABELS, class_weight={0: 1, 1: 1})


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ({}, {}, "class_weight expects a dict"),
        ("balanced", {}, "class_weight expects a dict such as .* got 'balanced'"),
        ({"cat": 1.0}, {}, "maps class numbers"),
        ({-1: 1.0}, {}, "maps class numbers"),
        ({0.5: 1.0}, {}, "maps class numbers"),
        ({0: "2"}, {}, "maps class numbers"),
        ({0: -2.0}, {}, "finite weights of at least 0, got 0: -2.0"),
        ({0: np.nan}, {}, "finite weights of at least 0"),
        (WEIGHTS, {"sample_weight": np.ones(4)}, "class_weight and sample_weight were both given"),
        (WEIGHTS, {"y": [LABELS, LABELS]}, "class_weight only works with one output"),
        (WEIGHTS, {"y": None}, "class_weight needs labels, but y is None"),
        (WEIGHTS, {"x": iter([(X, LABELS, X[:, 0])]), "y": None}, "batches already have sample w"),
        (WEIGHTS, {"x": iter([X]), "y": None}, r"class_weight needs batches \(x, y\)"),
    ],
)
def test_unfit_class_weights(given: Any, options: dict[str, Any], message: str) -> None:
    arguments = {"x": X, "y": LABELS, **options}
    with pytest.raises(ArgumentError, match=message):
        list(make_batches(**arguments, class_weight=given))
