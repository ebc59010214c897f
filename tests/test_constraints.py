"""Constraints against hand computation."""

from __future__ import annotations

import math

import pytest
import torch

from nnkit import constraints as con
from nnkit.errors import ArgumentError

# Columns of length 5, 1 and 0.
W = [[3.0, 0.0, 0.0], [4.0, -1.0, 0.0]]


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        (con.MaxNorm(), [[1.2, 0.0, 0.0], [1.6, -1.0, 0.0]]),
        (con.MaxNorm(10.0), W),
        (con.MaxNorm(2.0, axis=1), [[2.0, 0.0, 0.0], [8 / 17**0.5, -2 / 17**0.5, 0.0]]),
        (con.NonNeg(), [[3.0, 0.0, 0.0], [4.0, 0.0, 0.0]]),
        (con.UnitNorm(), [[0.6, 0.0, 0.0], [0.8, -1.0, 0.0]]),
        (con.MinMaxNorm(2.0, 4.0), [[2.4, 0.0, 0.0], [3.2, -2.0, 0.0]]),
        # Half the way: lengths 5 -> 4.5 and 1 -> 1.5.
        (con.MinMaxNorm(2.0, 4.0, rate=0.5), [[2.7, 0.0, 0.0], [3.6, -1.5, 0.0]]),
        (con.Constraint(), W),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_values(constraint, expected: list, dtype: torch.dtype) -> None:
    result = constraint(torch.tensor(W, dtype=dtype))
    assert result.dtype == dtype
    tolerance = 2e-3 if dtype == torch.float16 else 1e-6
    torch.testing.assert_close(
        result, torch.tensor(expected, dtype=dtype), rtol=tolerance, atol=tolerance
    )


@pytest.mark.parametrize("make", [con.MaxNorm, con.UnitNorm, con.MinMaxNorm])
@pytest.mark.parametrize("axis", [0, 3, [0, 1, 2], (1, 2)])
def test_axes(make, axis) -> None:
    w = torch.randn(3, 3, 4, 5) * 10
    norms = make(axis=axis)(w).square().sum(dim=axis).sqrt()
    limit = {"MaxNorm": 2.0}.get(make.__name__, 1.0)
    torch.testing.assert_close(norms, torch.full_like(norms, limit), rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: con.MaxNorm(-1), "MaxNorm: max_value must be a number of at least 0, got -1"),
        (lambda: con.MaxNorm(math.nan), "max_value must be a number of at least 0, got nan"),
        (lambda: con.MaxNorm("2"), "max_value must be a number of at least 0, got '2'"),
        (lambda: con.MinMaxNorm(-1, 1), "min_value must be a number of at least 0, got -1"),
        (lambda: con.MinMaxNorm(3.0, 1.0), "min_value <= max_value, got 3.0 and 1.0"),
        (lambda: con.MinMaxNorm(rate=1.5), "rate must be a number from 0 to 1, got 1.5"),
        (lambda: con.get("nonnegative"), "Unknown constraint 'nonnegative'"),
        (lambda: con.get(2), "Cannot use 2 as constraint"),
    ],
)
def test_errors(call, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()


@pytest.mark.parametrize(
    ("identifier", "kind"),
    [
        ("max_norm", con.MaxNorm),
        ("NonNeg", con.NonNeg),
        ("nonneg", con.NonNeg),
        (con.UnitNorm, con.UnitNorm),
        ({"class_name": "MinMaxNorm", "config": {"rate": 0.5}}, con.MinMaxNorm),
    ],
)
def test_get(identifier: object, kind: type) -> None:
    assert type(con.get(identifier)) is kind
    assert con.deserialize(con.serialize(con.get(identifier))).get_config() == (
        con.get(identifier).get_config()
    )


def test_get_passes_through() -> None:
    assert con.get(None) is None
    assert con.get(torch.abs) is torch.abs
