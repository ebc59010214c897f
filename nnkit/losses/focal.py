"""Focal crossentropies, which turn down the samples a model already gets right."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnkit.arguments import check_axes, number
from nnkit.errors import ShapeError
from nnkit.losses.base import REGISTRY, LossFunctionWrapper, check_smoothing
from nnkit.losses.crossentropy import clipped_binary, smooth_binary, smooth_classes
from nnkit.losses.tensors import EPSILON, as_tensor, matched

__all__ = [
    "BinaryFocalCrossentropy",
    "CategoricalFocalCrossentropy",
    "binary_focal_crossentropy",
    "categorical_focal_crossentropy",
]


@REGISTRY.add()
def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """The binary crossentropy times (1 - probability of the truth) ** gamma, mean over `axis`.

    Args:
        apply_class_balancing: weight ones by alpha and zeros by 1 - alpha.
        alpha: the weight of the ones, 0 to 1.
        gamma: how strongly easy samples are turned down; 0 does nothing.
        from_logits, label_smoothing, axis: as for `binary_crossentropy`.
    """
    y_true, y_pred = matched("binary_focal_crossentropy", y_true, y_pred, axis)
    y_true = smooth_binary("binary_focal_crossentropy", y_true, label_smoothing)
    number("binary_focal_crossentropy", "gamma", gamma, 0)
    if from_logits:
        y_pred = torch.sigmoid(y_pred)
    right = y_true * y_pred + (1 - y_true) * (1 - y_pred)
    values = (1 - right) ** gamma * clipped_binary(y_true, y_pred)
    if apply_class_balancing:
        number("binary_focal_crossentropy", "alpha", alpha, 0, 1)
        values = values * (y_true * alpha + (1 - y_true) * (1 - alpha))
    return values.mean(axis)


@REGISTRY.add()
def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """The categorical crossentropy times alpha * (1 - probability) ** gamma, class by class.

    Args:
        alpha: a number, or one per class.
        gamma: how strongly easy samples are turned down; 0 does nothing.
        from_logits, label_smoothing, axis: as for `categorical_crossentropy`.
    """
    y_true, y_pred = matched("categorical_focal_crossentropy", y_true, y_pred, axis)
    y_true = smooth_classes("categorical_focal_crossentropy", y_true, label_smoothing)
    number("categorical_focal_crossentropy", "gamma", gamma, 0)
    weight = _per_class("categorical_focal_crossentropy", alpha)
    if from_logits:
        y_pred = y_pred.softmax(axis)
    share = (y_pred / y_pred.sum(axis, keepdim=True)).clamp(EPSILON, 1 - EPSILON)
    if not isinstance(weight, (int, float)):
        weight = as_tensor(weight, share.dtype, like=share)
        if weight.dim() and weight.size(-1) not in (1, share.size(-1)):
            raise ShapeError(
                f"categorical_focal_crossentropy: alpha has {weight.size(-1)} numbers for outputs "
                f"of shape {tuple(share.shape)}. Give one number, or one per class."
            )
    return ((1 - share) ** gamma * weight * -y_true * share.log()).sum(axis)


def _per_class(who: Any, alpha: Any) -> Any:
    """`alpha` itself, if it is a number or a list or array of numbers, none below 0."""
    if isinstance(alpha, (list, tuple)):
        return [number(who, "alpha", one, 0) for one in alpha]
    return alpha if getattr(alpha, "ndim", 0) else number(who, "alpha", alpha, 0)


@REGISTRY.add()
class BinaryFocalCrossentropy(LossFunctionWrapper):
    """The binary crossentropy with easy samples turned down, for rare positives.

    Args:
        apply_class_balancing: weight ones by alpha and zeros by 1 - alpha.
        alpha: the weight of the ones, 0 to 1.
        gamma: how strongly easy samples are turned down; 0 does nothing.
        from_logits, label_smoothing, axis: as for `BinaryCrossentropy`.
        reduction, name, dtype: as for `Loss`.

    Raises: ArgumentError for label_smoothing outside 0 to 1.
    Source: Lin et al. 2017, Focal Loss for Dense Object Detection.
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            binary_focal_crossentropy,
            reduction,
            name,
            dtype,
            apply_class_balancing=apply_class_balancing,
            alpha=number(self, "alpha", alpha, 0, 1),
            gamma=number(self, "gamma", gamma, 0),
            from_logits=from_logits,
            label_smoothing=check_smoothing(self, label_smoothing),
            axis=check_axes(self, axis),
        )


@REGISTRY.add()
class CategoricalFocalCrossentropy(LossFunctionWrapper):
    """The categorical crossentropy with easy samples turned down, for rare classes.

    Args:
        alpha: a number, or one per class.
        gamma: how strongly easy samples are turned down; 0 does nothing.
        from_logits, label_smoothing, axis: as for `CategoricalCrossentropy`.
        reduction, name, dtype: as for `Loss`.

    Raises: ArgumentError for label_smoothing outside 0 to 1.
    Source: Lin et al. 2017, Focal Loss for Dense Object Detection.
    """

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            categorical_focal_crossentropy,
            reduction,
            name,
            dtype,
            alpha=_per_class(self, alpha),
            gamma=number(self, "gamma", gamma, 0),
            from_logits=from_logits,
            label_smoothing=check_smoothing(self, label_smoothing),
            axis=check_axes(self, axis),
        )
