"""Margin losses, for outputs without a squashing activation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnkit.losses.base import REGISTRY, LossFunctionWrapper
from nnkit.losses.tensors import matched

__all__ = [
    "CategoricalHinge",
    "Hinge",
    "SquaredHinge",
    "categorical_hinge",
    "hinge",
    "squared_hinge",
]


def _margins(what: str, y_true: Any, y_pred: Any) -> Tensor:
    y_true, y_pred = matched(what, y_true, y_pred)
    # Labels of a batch that are all 0 or 1 mean -1 and 1; decided on the device, without a sync.
    binary = ((y_true == 0) | (y_true == 1)).all()
    signs = torch.where(binary, 2 * y_true - 1, y_true)
    return (1 - signs * y_pred).clamp(min=0)


@REGISTRY.add()
def hinge(y_true: Any, y_pred: Any) -> Tensor:
    """The mean of max(1 - y_true * y_pred, 0) over the last axis; labels -1/1 or 0/1."""
    return _margins("hinge", y_true, y_pred).mean(-1)


@REGISTRY.add()
def squared_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """The mean of max(1 - y_true * y_pred, 0) squared over the last axis; labels -1/1 or 0/1."""
    return _margins("squared_hinge", y_true, y_pred).square().mean(-1)


@REGISTRY.add()
def categorical_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """How far the best wrong class comes within 1 of the right one; one-hot labels."""
    y_true, y_pred = matched("categorical_hinge", y_true, y_pred)
    right = (y_true * y_pred).sum(-1)
    wrong = ((1 - y_true) * y_pred).amax(-1)
    return (wrong - right + 1).clamp(min=0)


@REGISTRY.add()
class Hinge(LossFunctionWrapper):
    """The mean of max(1 - y_true * y_pred, 0), for labels -1/1 or 0/1.

    Args: as for `Loss`.
    Shape: targets and outputs (batch, ...) alike.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(hinge, reduction, name, dtype)


@REGISTRY.add()
class SquaredHinge(LossFunctionWrapper):
    """The mean of max(1 - y_true * y_pred, 0) squared, for labels -1/1 or 0/1.

    Args: as for `Loss`.
    Shape: targets and outputs (batch, ...) alike.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "squared_hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(squared_hinge, reduction, name, dtype)


@REGISTRY.add()
class CategoricalHinge(LossFunctionWrapper):
    """How far the best wrong class comes within 1 of the right one.

    Args: as for `Loss`.
    Shape: one-hot targets and outputs (batch, ..., classes).
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(categorical_hinge, reduction, name, dtype)
