"""Dtypes by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nnkit.dtypes import given_dtype, to_dtype
from nnkit.errors import ArgumentError


@pytest.mark.parametrize(
    ("dtype", "result"),
    [
        ("float32", torch.float32),
        ("torch.float16", torch.float16),
        (torch.int64, torch.int64),
        (torch.bfloat16, torch.bfloat16),
        (np.float64, torch.float64),
        (np.dtype("int32"), torch.int32),
    ],
)
def test_dtypes_by_any_name(dtype: Any, result: torch.dtype) -> None:
    assert to_dtype(dtype) is given_dtype(dtype) is result


def test_no_dtype_is_the_default_or_none() -> None:
    assert to_dtype(None) is torch.float32
    assert given_dtype(None) is None


def test_an_unknown_dtype_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"Unknown dtype 'flaot32'\. Use a name such as"):
        to_dtype("flaot32")
