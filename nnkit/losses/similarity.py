"""Losses of directions, overlaps and neighbours: cosine, Dice, Tversky and circle."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nnkit.arguments import check_axes, number
from nnkit.errors import ShapeError
from nnkit.losses.base import REGISTRY, LossFunctionWrapper
from nnkit.losses.tensors import EPSILON, as_prediction, as_tensor, matched

__all__ = [
    "Circle",
    "CosineSimilarity",
    "Dice",
    "Tversky",
    "circle",
    "cosine_similarity",
    "dice",
    "tversky",
    "unit_length",
]

Axes = int | tuple[int, ...] | list[int] | None


def unit_length(x: Tensor, axis: int) -> Tensor:
    """`x` divided by its length over one axis, which counts as at least 1e-7."""
    return x * x.square().sum(axis, keepdim=True).rsqrt().clamp(max=1 / EPSILON)


def _axes(who: Any, axis: Axes) -> Axes:
    return axis if axis is None else check_axes(who, axis, several=True)


def _sum(x: Tensor, axis: Axes) -> Tensor:
    return x.sum() if axis is None else x.sum(axis)


@REGISTRY.add()
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """Minus the cosine between targets and outputs: -1 for one direction, 1 for opposite ones."""
    y_true, y_pred = matched("cosine_similarity", y_true, y_pred, axis)
    return -(unit_length(y_true, axis) * unit_length(y_pred, axis)).sum(axis)


@REGISTRY.add()
def dice(y_true: Any, y_pred: Any, axis: Axes = None) -> Tensor:
    """1 - twice the overlap over the sum of both areas.

    Args:
        axis: axes an area extends over; all, the batch too, when None.
    """
    y_true, y_pred = matched("dice", y_true, y_pred, axis)
    areas = _sum(y_true, axis) + _sum(y_pred, axis)
    return 1 - 2 * _sum(y_true * y_pred, axis) / (areas + EPSILON)


@REGISTRY.add()
def tversky(
    y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Axes = None
) -> Tensor:
    """1 - the overlap over itself plus weighted misses.

    Args:
        alpha: weight of what is in the targets and not in the outputs.
        beta: weight of what is in the outputs and not in the targets.
        axis: axes an area extends over; all, the batch too, when None.
    """
    number("tversky", "alpha", alpha, 0)
    number("tversky", "beta", beta, 0)
    y_true, y_pred = matched("tversky", y_true, y_pred, axis)
    overlap = _sum(y_true * y_pred, axis)
    missed = _sum((1 - y_pred) * y_true, axis)
    extra = _sum(y_pred * (1 - y_true), axis)
    return 1 - overlap / (overlap + alpha * missed + beta * extra + EPSILON)


@REGISTRY.add()
def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Tensor:
    """How badly embeddings of one class lie together and of different classes apart.

    Args:
        y_true: integer labels (batch,) or (batch, 1).
        y_pred: embeddings of length 1, (batch, features).
        ref_labels, ref_embeddings: what to compare with; the batch itself when None.
        remove_diagonal: leave out each sample's comparison with itself.
        gamma: a scale, larger is stricter.
        margin: how far from perfect is good enough, 0 to 1.
    """
    number("circle", "gamma", gamma, 0)
    number("circle", "margin", margin, 0, 1)
    y_pred = as_prediction(y_pred)
    labels = as_tensor(y_true, like=y_pred).long().reshape(-1, 1)
    others = y_pred if ref_embeddings is None else as_tensor(ref_embeddings, y_pred.dtype, y_pred)
    if y_pred.dim() != 2 or others.dim() != 2:
        raise ShapeError(
            f"circle compares embeddings (batch, features), but y_pred is {tuple(y_pred.shape)} "
            f"and what to compare with is {tuple(others.shape)}."
        )
    other_labels = labels
    if ref_labels is not None:
        other_labels = as_tensor(ref_labels, like=y_pred).long().reshape(-1, 1)
    distance = (1 - y_pred @ others.T).clamp(min=0)
    same = labels == other_labels.T
    different = ~same
    if remove_diagonal:
        rows, columns = same.shape
        same = same & ~torch.eye(rows, columns, dtype=torch.bool, device=same.device)
    pull = -gamma * (margin + distance) * (margin - distance)
    push = gamma * (1 + margin - distance).clamp(min=0) * (1 - margin - distance)
    near = pull.masked_fill(~same, -torch.inf).logsumexp(1)
    far = push.masked_fill(~different, -torch.inf).logsumexp(1)
    values = F.softplus(near + far)
    # Samples without a partner or an opponent have loss 0 and do not count in a mean.
    values._keras_mask = values > 0  # type: ignore[attr-defined]  # a note that the reduction reads
    return values


@REGISTRY.add()
class CosineSimilarity(LossFunctionWrapper):
    """Minus the cosine between targets and outputs.

    Args:
        axis: where a vector's components are.
        reduction, name, dtype: as for `Loss`.
    """

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: Any = None,
    ) -> None:
        super().__init__(cosine_similarity, reduction, name, dtype, axis=check_axes(self, axis))


@REGISTRY.add()
class Dice(LossFunctionWrapper):
    """1 - twice the overlap over the sum of both areas, for segmentation.

    Args:
        reduction, name, dtype: as for `Loss`.
        axis: axes an area extends over, (1, 2, 3) for one per image; all when None.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "dice",
        axis: Axes = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(dice, reduction, name, dtype, axis=_axes(self, axis))


@REGISTRY.add()
class Tversky(LossFunctionWrapper):
    """A Dice loss that weighs missed and extra area differently.

    Args:
        alpha: weight of what is in the targets and not in the outputs.
        beta: weight of what is in the outputs and not in the targets.
        reduction, name, dtype: as for `Loss`.
        axis: axes an area extends over; all when None.

    Source: Salehi et al. 2017, Tversky loss function for image segmentation.
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Axes = None,
        dtype: Any = None,
    ) -> None:
        weights = {"alpha": number(self, "alpha", alpha, 0), "beta": number(self, "beta", beta, 0)}
        super().__init__(tversky, reduction, name, dtype, **weights, axis=_axes(self, axis))


@REGISTRY.add()
class Circle(LossFunctionWrapper):
    """A loss that draws embeddings of one class together and those of others apart.

    Args:
        gamma: a scale, larger is stricter.
        margin: how far from perfect is good enough, 0 to 1.
        remove_diagonal: leave out each sample's comparison with itself.
        reduction, name, dtype: as for `Loss`.

    Shape: integer labels (batch,), embeddings of length 1 (batch, features).
    Source: Sun et al. 2020, Circle Loss.
    """

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "circle",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            circle,
            reduction,
            name,
            dtype,
            gamma=number(self, "gamma", gamma, 0),
            margin=number(self, "margin", margin, 0, 1),
            remove_diagonal=remove_diagonal,
        )
