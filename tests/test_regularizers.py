"""Regularizers against hand computation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from nnkit import regularizers as reg
from nnkit.errors import ArgumentError, ShapeError

W = [[1.0, -2.0], [0.0, 3.0]]


@pytest.mark.parametrize(
    ("regularizer", "penalty", "gradient"),
    [
        (reg.L1(0.5), 3.0, [[0.5, -0.5], [0.0, 0.5]]),
        (reg.L2(0.5), 7.0, [[1.0, -2.0], [0.0, 3.0]]),
        (reg.L1L2(0.5, 0.25), 6.5, [[1.0, -1.5], [0.0, 2.0]]),
        (reg.L1L2(l1=0.5), 3.0, [[0.5, -0.5], [0.0, 0.5]]),
        (reg.L1L2(l2=0.5), 7.0, [[1.0, -2.0], [0.0, 3.0]]),
        (reg.L1(np.float32(0.5)), 3.0, [[0.5, -0.5], [0.0, 0.5]]),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_penalties(regularizer, penalty: float, gradient: list, dtype: torch.dtype) -> None:
    w = torch.tensor(W, dtype=dtype, requires_grad=True)
    loss = regularizer(w)
    assert (loss.shape, loss.dtype) == ((), dtype)
    assert loss.item() == pytest.approx(penalty, rel=1e-6)
    loss.backward()
    torch.testing.assert_close(w.grad, torch.tensor(gradient, dtype=dtype), rtol=1e-6, atol=0)


@pytest.mark.parametrize("regularizer", [reg.L1(), reg.L2(), reg.L1L2(0.1, 0.1)])
def test_zero_weights_have_finite_gradients(regularizer) -> None:
    w = torch.zeros(3, 2, requires_grad=True)
    loss = regularizer(w)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(w.grad, torch.zeros(3, 2))


def test_default_factors() -> None:
    w = torch.tensor(W)
    assert reg.L1()(w).item() == pytest.approx(0.06)
    assert reg.L2()(w).item() == pytest.approx(0.14)
    assert reg.L1L2()(w).item() == 0


@pytest.mark.parametrize(
    ("mode", "vectors", "penalty"),
    [
        ("rows", [[2.0, 0.0], [0.0, 5.0]], 0.0),
        ("rows", [[1.0, 0.0], [-3.0, 0.0]], 0.1),
        # Cosines of 0, 1/sqrt(2) and 1/sqrt(2), averaged over the three pairs.
        ("rows", [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], 0.1 * math.sqrt(2) / 3),
        ("columns", [[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]], 0.1 * math.sqrt(2) / 3),
        ("rows", [[3.0, 4.0]], 0.0),
        ("rows", [[0.0, 0.0], [1.0, 0.0]], 0.0),
    ],
)
def test_orthogonal(mode: str, vectors: list, penalty: float) -> None:
    w = torch.tensor(vectors, requires_grad=True)
    loss = reg.OrthogonalRegularizer(0.1, mode)(w)
    assert loss.item() == pytest.approx(penalty, abs=1e-7)
    loss.backward()
    assert w.grad.isfinite().all()


@pytest.mark.parametrize("factor", [-0.1, math.nan, math.inf, "0.1", [0.1]])
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda f: reg.L1(f), "L1: l1"),
        (lambda f: reg.L2(f), "L2: l2"),
        (lambda f: reg.L1L2(l1=f), "L1L2: l1"),
        (lambda f: reg.L1L2(l2=f), "L1L2: l2"),
        (lambda f: reg.OrthogonalRegularizer(f), "OrthogonalRegularizer: factor"),
    ],
)
def test_bad_factors(make, name: str, factor: object) -> None:
    with pytest.raises(ArgumentError, match=f"{name} must be a number of at least 0, got"):
        make(factor)


def test_bad_mode_and_rank() -> None:
    with pytest.raises(ArgumentError, match=r"mode must be one of 'rows', 'columns', got 'row'"):
        reg.OrthogonalRegularizer(mode="row")
    with pytest.raises(ShapeError, match=r"matrix \(rows, columns\) but received \(2, 3, 4\)"):
        reg.OrthogonalRegularizer()(torch.ones(2, 3, 4))


@pytest.mark.parametrize(
    ("identifier", "kind"),
    [
        ("l1", reg.L1),
        ("L2", reg.L2),
        ("l1_l2", reg.L1L2),
        (reg.L1, reg.L1),
        ({"class_name": "L2", "config": {"l2": 0.2}}, reg.L2),
    ],
)
def test_get(identifier: object, kind: type) -> None:
    assert type(reg.get(identifier)) is kind


def test_get_functions_and_errors() -> None:
    assert reg.get(None) is None
    assert reg.get(torch.sum) is torch.sum
    with pytest.raises(ArgumentError, match="Unknown regularizer 'l3'"):
        reg.get("l3")
    with pytest.raises(ArgumentError, match=r"Cannot use 0.01 as regularizer"):
        reg.get(0.01)


def test_base_class() -> None:
    class Own(reg.Regularizer):
        def __call__(self, x):
            return x.sum()

    assert Own()(torch.ones(3)).item() == 3
    with pytest.raises(NotImplementedError, match="Own has no get_config"):
        reg.serialize(Own())
    with pytest.raises(NotImplementedError, match="Regularizer has no __call__"):
        reg.Regularizer()(torch.ones(3))
