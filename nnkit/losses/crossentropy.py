"""Crossentropies: of two classes, of one-hot targets and of integer labels.

Probabilities that come straight from a softmax or sigmoid are not used: the loss is computed from
the logits behind them, which is exact where probabilities have rounded to 0 or 1. Others are
clipped to 1e-7 .. 1 - 1e-7, categorical ones after dividing by their sum.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nnkit.activations import logits_of
from nnkit.arguments import check_axes, check_in_range
from nnkit.errors import ShapeError
from nnkit.losses.base import (
    REGISTRY,
    LossFunctionWrapper,
    check_ignored,
    check_smoothing,
    fusible,
)
from nnkit.losses.tensors import EPSILON, as_prediction, as_tensor, matched, told_of_labels

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "SparseCategoricalCrossentropy",
    "binary_crossentropy",
    "categorical_crossentropy",
    "clipped_binary",
    "folded_logits",
    "log_probabilities",
    "smooth_binary",
    "smooth_classes",
    "sparse_categorical_crossentropy",
    "sparse_targets",
]


# Torch leaves out the label -100 unless it is told another. This one fits into 32 bits, too.
_NO_LABEL = -(2**31)


def folded_logits(y_pred: Tensor, kind: str, axis: int = -1) -> Tensor | None:
    """The logits `y_pred` was made from, when by this kind of activation over this axis."""
    found = logits_of(y_pred)
    if found is None or found[0] != kind or found[1].shape != y_pred.shape:
        return None
    if axis != -1 and axis != y_pred.dim() - 1:
        return None
    return found[1] if found[1].dtype is y_pred.dtype else found[1].to(y_pred.dtype)


def log_probabilities(y_pred: Tensor, from_logits: bool, axis: int) -> Tensor:
    """The log of the class probabilities."""
    logits = y_pred if from_logits else folded_logits(y_pred, "softmax", axis)
    if logits is not None:
        return F.log_softmax(logits, dim=axis)
    share = y_pred / y_pred.sum(axis, keepdim=True)
    return share.clamp(EPSILON, 1 - EPSILON).log()


def smooth_classes(what: str, y_true: Tensor, amount: float) -> Tensor:
    """Move this part of the targets' mass evenly to all classes of the last axis."""
    if amount == 0:
        return y_true
    check_smoothing(what, amount)
    return y_true * (1 - amount) + amount / y_true.size(-1)


def smooth_binary(what: str, y_true: Tensor, amount: float) -> Tensor:
    """Pull targets 0 and 1 towards one half by this fraction."""
    if amount == 0:
        return y_true
    check_smoothing(what, amount)
    return y_true * (1 - amount) + 0.5 * amount


def clipped_binary(y_true: Tensor, y_pred: Tensor, reduction: str = "none") -> Tensor:
    """The binary crossentropy of clipped probabilities."""
    y_pred = y_pred.clamp(EPSILON, 1 - EPSILON)
    device = y_pred.device.type
    if device != "meta" and torch.is_autocast_enabled(device):
        # Autocast refuses this function for what half precision would do; here it is not half.
        with torch.autocast(device, enabled=False):
            return F.binary_cross_entropy(y_pred, y_true, reduction=reduction)
    return F.binary_cross_entropy(y_pred, y_true, reduction=reduction)


def sparse_targets(what: str, y_true: Any, y_pred: Tensor, axis: int) -> Tensor:
    """Integer labels, one for each vector of class values.

    Raises: ShapeError when they are not one per vector.
    """
    y_true = as_tensor(y_true, like=y_pred)
    if y_true.dim() == y_pred.dim() and y_true.size(axis) == 1:
        y_true = y_true.squeeze(axis)
    expected = list(y_pred.shape)
    del expected[axis]
    if list(y_true.shape) != expected:
        hint = "Give one integer class per sample."
        if 0 < y_true.dim() < len(expected) and y_true.shape == y_pred.shape[: y_true.dim()]:
            hint = f"{hint} For one class a sample, put Flatten() or a pooling layer in the model."
        if y_true.shape == y_pred.shape:
            hint = "One-hot targets need categorical_crossentropy, or y_true.argmax(-1)."
        raise ShapeError(
            f"{what} expects labels of shape {tuple(expected)} for outputs of shape "
            f"{tuple(y_pred.shape)}, but y_true is {tuple(y_true.shape)}. {hint}"
        )
    return y_true.long()


@REGISTRY.add("bce", "BCE")
def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """The binary crossentropy, averaged over `axis`.

    Args:
        y_true: targets from 0 to 1.
        y_pred: probabilities, or logits with from_logits.
        label_smoothing: fraction by which targets are pulled towards one half.
    """
    y_true, y_pred = matched("binary_crossentropy", y_true, y_pred, axis)
    y_true = smooth_binary("binary_crossentropy", y_true, label_smoothing)
    logits = y_pred if from_logits else folded_logits(y_pred, "sigmoid")
    if logits is None:
        return clipped_binary(y_true, y_pred).mean(axis)
    return F.binary_cross_entropy_with_logits(logits, y_true, reduction="none").mean(axis)


@REGISTRY.add()
def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """The crossentropy of one-hot (or soft) targets.

    Args:
        y_true: probabilities of the classes, as one-hot vectors.
        y_pred: probabilities, or logits with from_logits.
        label_smoothing: fraction of the targets' mass that is spread over all classes.
        axis: where the classes are.
    """
    y_true, y_pred = matched("categorical_crossentropy", y_true, y_pred, axis)
    y_true = smooth_classes("categorical_crossentropy", y_true, label_smoothing)
    return -(y_true * log_probabilities(y_pred, from_logits, axis)).sum(axis)


@REGISTRY.add()
def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Tensor:
    """The crossentropy of integer labels.

    Args:
        y_true: labels from 0 to classes - 1, without the class axis or with size 1 there.
        y_pred: probabilities, or logits with from_logits.
        ignore_class: a label that gives loss 0 and, in a mean, is not counted.
        axis: where the classes are.
    """
    y_pred = as_prediction(y_pred)
    check_in_range("sparse_categorical_crossentropy", axis, y_pred.shape)
    check_ignored("sparse_categorical_crossentropy", ignore_class)
    labels = sparse_targets("sparse_categorical_crossentropy", y_true, y_pred, axis)
    valid = None
    if ignore_class is not None:
        valid = labels != ignore_class
        labels = labels.where(valid, 0)
    log = log_probabilities(y_pred, from_logits, axis)
    # In rows, which is a view when the classes come last. Torch's kernel for images would want
    # them first, and another layout of their gradient.
    rows = log.movedim(axis, -1)
    values = told_of_labels(
        lambda: F.nll_loss(
            rows.flatten(0, -2), labels.flatten(), reduction="none", ignore_index=_NO_LABEL
        ),
        "sparse_categorical_crossentropy",
        labels,
        y_pred.size(axis),
    ).view(labels.shape)
    if valid is not None:
        values = values.where(valid, 0)
        values._keras_mask = valid  # type: ignore[attr-defined]  # a note that the reduction reads
    return values


@REGISTRY.add()
class BinaryCrossentropy(LossFunctionWrapper):
    """The crossentropy of yes/no targets, one unit with a sigmoid per question.

    Args:
        from_logits: True when the outputs have no sigmoid.
        label_smoothing: fraction (0 to 1) by which targets are pulled towards one half.
        axis: averaged over.
        reduction, name, dtype: as for `Loss`.

    Shape: targets and outputs (batch, ...) alike.
    Raises: ArgumentError for label_smoothing outside 0 to 1.
    """

    from_logits: bool
    label_smoothing: float
    axis: int

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            binary_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=check_smoothing(self, label_smoothing),
            axis=check_axes(self, axis),
        )

    def _fused_mean(self, y_true: Any, y_pred: Any) -> Tensor | None:
        if not fusible(self, y_true, y_pred):
            return None
        if y_true.dim() == 1 and y_pred.dim() == 2:
            y_true = y_true.unsqueeze(-1)
        if y_true.shape != y_pred.shape or not -y_pred.dim() <= self.axis < y_pred.dim():
            return None
        y_true = smooth_binary(self.name, as_tensor(y_true, y_pred.dtype), self.label_smoothing)
        logits = y_pred if self.from_logits else folded_logits(y_pred, "sigmoid")
        if logits is None:
            return clipped_binary(y_true, y_pred, "mean")
        return F.binary_cross_entropy_with_logits(logits, y_true)


@REGISTRY.add()
class CategoricalCrossentropy(LossFunctionWrapper):
    """The crossentropy of one-hot targets, one unit per class with a softmax over them.

    Args:
        from_logits: True when the outputs have no softmax.
        label_smoothing: fraction (0 to 1) of the targets' mass that is spread over all classes.
        axis: where the classes are.
        reduction, name, dtype: as for `Loss`.

    Shape: targets and outputs (batch, ..., classes) alike.
    Raises: ArgumentError for label_smoothing outside 0 to 1.
    """

    from_logits: bool
    label_smoothing: float

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=check_smoothing(self, label_smoothing),
            axis=check_axes(self, axis),
        )

    def _fused_mean(self, y_true: Any, y_pred: Any) -> Tensor | None:
        if not fusible(self, y_true, y_pred) or y_pred.dim() != 2:
            return None
        axis = self._fn_kwargs["axis"]
        if y_true.shape != y_pred.shape or axis not in (-1, 1):
            return None
        logits = y_pred if self.from_logits else folded_logits(y_pred, "softmax")
        if logits is None:
            return None
        y_true = as_tensor(y_true, y_pred.dtype)
        return F.cross_entropy(logits, y_true, label_smoothing=self.label_smoothing)


@REGISTRY.add()
class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """The crossentropy of integer labels, one unit per class with a softmax over them.

    Args:
        from_logits: True when the outputs have no softmax.
        ignore_class: a label whose places do not count.
        reduction, name, dtype: as for `Loss`.
        axis: where the classes are.

    Shape: labels (batch, ...) or (batch, ..., 1), outputs (batch, ..., classes).
    """

    from_logits: bool
    ignore_class: int | None

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            sparse_categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=check_ignored(self, ignore_class),
            axis=check_axes(self, axis),
        )

    def _targets(self, y_true: Any, y_pred: Any) -> Any:
        # Labels stay integers: float32 cannot tell apart those above 2 ** 24.
        return as_tensor(y_true, like=y_pred)

    def _fused_mean(self, y_true: Any, y_pred: Any) -> Tensor | None:
        if not fusible(self, y_true, y_pred) or y_pred.dim() != 2:
            return None
        if y_true.dim() == 2 and y_true.size(1) == 1:
            y_true = y_true.squeeze(1)
        if (
            y_true.dim() != 1
            or y_true.size(0) != y_pred.size(0)
            or self.ignore_class is not None
            or self._fn_kwargs["axis"] not in (-1, 1)
        ):
            return None
        logits = y_pred if self.from_logits else folded_logits(y_pred, "softmax")
        if logits is None:
            return None
        labels = as_tensor(y_true, torch.int64)
        return told_of_labels(
            lambda: F.cross_entropy(logits, labels, ignore_index=_NO_LABEL),
            self.name,
            labels,
            logits.size(1),
        )
