"""to_categorical and normalize: what they refuse, and where they differ from Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nnkit.errors import ArgumentError, DataError
from nnkit.utils import normalize, set_random_seed, to_categorical


@pytest.mark.parametrize("x", [[0, 2, 1], np.array([[0], [2], [1]]), [0.0, 2.0, 1.0]])
def test_to_categorical(x: Any) -> None:
    assert to_categorical(x).tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert to_categorical(x, 4).shape == (3, 4)


def test_to_categorical_of_a_tensor_counts_classes_too() -> None:
    found = to_categorical(torch.tensor([[1], [0]]))
    assert (found.tolist(), found.dtype) == ([[0, 1], [1, 0]], torch.float32)


def test_to_categorical_of_nothing_with_num_classes() -> None:
    assert to_categorical([], 3).shape == (0, 3)


@pytest.mark.parametrize(
    ("x", "num_classes", "error", "message"),
    [
        ([0, -1], None, DataError, "expects labels from 0 up, got -1"),
        ([0, 3], 3, DataError, r"num_classes=3 expects labels 0 to 2, got 3\. Labels that start"),
        ([0.5], None, DataError, "whole numbers, got some with fractions"),
        ([np.nan], None, DataError, "whole numbers, got some with fractions or NaN"),
        (["a"], None, DataError, "whole numbers, got dtype <U1"),
        ([], None, DataError, "got no labels"),
        ([[0], [1, 2]], None, DataError, "rows of different lengths"),
        ([0], 0, ArgumentError, "num_classes >= 1, got 0"),
        (torch.tensor([-1]), 3, DataError, "expects labels from 0 up"),
    ],
)
def test_labels_that_are_refused(x: Any, num_classes: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        to_categorical(x, num_classes)


ROWS = [[3.0, 4.0], [0.0, 0.0], [6.0, 8.0]]


@pytest.mark.parametrize("kind", [np.array, torch.tensor, list])
@pytest.mark.parametrize(
    ("axis", "order", "expected"),
    [
        (-1, 2, [[0.6, 0.8], [0, 0], [0.6, 0.8]]),
        (-1, 1, [[3 / 7, 4 / 7], [0, 0], [3 / 7, 4 / 7]]),
        (-1, np.inf, [[0.75, 1], [0, 0], [0.75, 1]]),
        # Keras divides by the wrong axis for axis=0.
        (0, 1, [[1 / 3, 1 / 3], [0, 0], [2 / 3, 2 / 3]]),
        (None, 1, [[3 / 21, 4 / 21], [0, 0], [6 / 21, 8 / 21]]),
    ],
)
def test_normalize(kind: Any, axis: int | None, order: float, expected: Any) -> None:
    found = normalize(kind(ROWS), axis, order)
    assert isinstance(found, torch.Tensor) is (kind is torch.tensor)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_normalize_makes_a_row_of_an_array_of_one_axis() -> None:
    for axis in (-1, 0, None):
        assert normalize(np.array([3.0, 4.0]), axis).tolist() == [[0.6, 0.8]]
    assert normalize(torch.tensor([3.0, 4.0])).shape == (2,)  # as in Keras too


def test_normalize_refuses_an_axis_that_is_not_there() -> None:
    with pytest.raises(ArgumentError, match=r"no axis 2 in an array of shape \(3, 2\)"):
        normalize(np.array(ROWS), 2)


def test_set_random_seed_repeats_all_generators() -> None:
    def draw() -> list[float]:
        set_random_seed(5)
        return [torch.rand(()).item(), np.random.rand()]

    assert draw() == draw()
