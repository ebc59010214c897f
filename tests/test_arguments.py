"""The checks of arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nnkit.arguments import one_of, positive, sizes
from nnkit.errors import ArgumentError


@pytest.mark.parametrize("value", [1, 3.0, np.int64(4), np.float32(2.0), torch.tensor(5)])
def test_positive(value: Any) -> None:
    made = positive("L", "units", value)
    assert made == int(value)
    assert type(made) is int


@pytest.mark.parametrize(
    "value", [0, -1, 2.5, True, "3", None, [3], np.zeros(2), float("nan"), float("inf")]
)
def test_not_positive(value: Any) -> None:
    with pytest.raises(ArgumentError, match="L: units must be a whole number of at least 1, got"):
        positive("L", "units", value)


def test_sizes() -> None:
    assert sizes("L", "strides", 2, 3) == (2, 2, 2)
    assert sizes("L", "strides", [1, 2], 2) == (1, 2)
    assert sizes("L", "cropping", 0, 2, least=0) == (0, 0)
    with pytest.raises(
        ArgumentError, match=r"L: strides must be an int or 2 ints, got \[1, 2, 3\]"
    ):
        sizes("L", "strides", [1, 2, 3], 2)


def test_one_of() -> None:
    assert one_of("L", "padding", "SAME", ("valid", "same")) == "same"
    with pytest.raises(
        ArgumentError, match="L: padding must be one of 'valid', 'same', got 'smae'"
    ):
        one_of("L", "padding", "smae", ("valid", "same"))
