"""Counting true and false positives and negatives at one or many thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnkit.arguments import number, whole
from nnkit.errors import ArgumentError, ShapeError
from nnkit.losses.tensors import EPSILON, as_tensor, paired

__all__ = ["NOT_TOP_K", "Counter", "check_thresholds", "even_thresholds"]

# What outputs outside the top k are replaced by: below any threshold.
NOT_TOP_K = -1e10


def check_thresholds(who: Any, thresholds: Any, default: float) -> list[float]:
    """The thresholds as a list. Raises: ArgumentError unless all are from 0 to 1."""
    if thresholds is None:
        return [default]
    if getattr(thresholds, "ndim", 0):
        thresholds = thresholds.tolist()
    found = list(thresholds) if isinstance(thresholds, (list, tuple)) else [thresholds]
    if not found:
        raise ArgumentError(f"{type(who).__name__}: thresholds must hold at least one number.")
    return [float(number(who, "thresholds", one, 0, 1)) for one in found]


def even_thresholds(count: int) -> list[float]:
    """This many thresholds from 0 to 1."""
    return [i / (count - 1) for i in range(count)] if count > 1 else [0.5]


class Counter:
    """Counts outputs above and below thresholds, by whether their targets are true.

    Args:
        thresholds: what an output must exceed to count as positive.
        top_k: only the k largest outputs of the last axis can be positive.
        class_id: look at this place of the last axis only.
        per_label: count each place of the last axis by itself.
        label_weights: one weight for each place of the last axis.
    """

    def __init__(
        self,
        thresholds: Sequence[float],
        top_k: int | None = None,
        class_id: int | None = None,
        per_label: bool = False,
        label_weights: Tensor | None = None,
    ) -> None:
        self.thresholds = thresholds
        if class_id is not None:
            class_id = whole("This metric", "class_id", class_id)
        self.top_k, self.class_id, self.per_label = top_k, class_id, per_label
        self.label_weights = label_weights
        count = len(thresholds)
        self._even = count > 2 and np.allclose(
            thresholds, np.arange(count, dtype=np.float32) / (count - 1), atol=EPSILON
        )
        self._from_zero = thresholds[0] < 0
        self._limits = torch.tensor(thresholds, dtype=torch.float32)

    def count(
        self, wanted: Iterable[str], y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Tensor]:
        """The counts of one batch, sums of weights when weights are given.

        Args:
            wanted: names out of "tp", "fp", "tn", "fn".

        Shape: (thresholds,), or (thresholds, labels) with per_label.
        Raises: ShapeError when targets and outputs do not fit each other.
        """
        y_true, y_pred, weight = self._prepared(y_true, y_pred, sample_weight)
        true = y_true != 0
        false = ~true
        if weight is not None or self._even:
            true, false = true.to(y_pred.dtype), false.to(y_pred.dtype)
        if weight is not None:
            true, false = true * weight, false * weight
        if not self.per_label:
            true, false, y_pred = true.reshape(-1), false.reshape(-1), y_pred.reshape(-1)
        if self._even:
            return self._in_buckets(wanted, true, false, y_pred)
        above = self._above(y_pred)
        return {
            name: (
                (true if name in ("tp", "fn") else false) * (above if name[1] == "p" else ~above)
            ).sum(1)
            for name in wanted
        }

    def _prepared(
        self, y_true: Any, y_pred: Any, sample_weight: Any
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        y_pred = as_tensor(y_pred)
        y_true = as_tensor(y_true, like=y_pred)
        if not y_pred.is_floating_point() or y_pred.dtype.itemsize < 4:
            y_pred = y_pred.float()
        y_true, y_pred = paired("This metric", y_true, y_pred)
        if self.top_k is not None:
            if self.top_k > y_pred.shape[-1]:
                raise ShapeError(
                    f"top_k={self.top_k} is more than the {y_pred.shape[-1]} classes of outputs of "
                    f"shape {tuple(y_pred.shape)}. Use a smaller top_k."
                )
            kept = torch.zeros_like(y_pred, dtype=torch.bool)
            kept.scatter_(-1, y_pred.topk(self.top_k, dim=-1).indices, True)
            y_pred = y_pred.where(kept, NOT_TOP_K)
        weight = self._weight(y_pred, sample_weight)
        if self.class_id is None:
            return y_true, y_pred, weight
        if y_pred.dim() < 2 or not -y_pred.size(-1) <= self.class_id < y_pred.size(-1):
            raise ShapeError(
                f"class_id={self.class_id} needs outputs (batch, classes) with that class, "
                f"but they are {tuple(y_pred.shape)}."
            )
        if weight is not None:
            weight = weight.expand(y_pred.shape)[..., self.class_id]
        return y_true[..., self.class_id], y_pred[..., self.class_id], weight

    def _weight(self, y_pred: Tensor, sample_weight: Any) -> Tensor | None:
        weight = None
        if sample_weight is not None:
            weight = as_tensor(sample_weight, y_pred.dtype, like=y_pred).to(y_pred.device)
            while weight.dim() < y_pred.dim() and weight.dim() > 0:
                weight = weight.unsqueeze(-1)
            if weight.dim() == y_pred.dim() + 1 and weight.size(-1) == 1:
                weight = weight.squeeze(-1)
            try:
                weight = weight.expand(y_pred.shape)
            except RuntimeError as exc:
                raise ShapeError(
                    f"sample_weight of shape {tuple(as_tensor(sample_weight).shape)} cannot weight "
                    f"outputs of shape {tuple(y_pred.shape)}. Give one weight per sample."
                ) from exc
        if self.label_weights is not None and not self.per_label:
            self.label_weights = self.label_weights.to(y_pred)
            labels = self.label_weights.expand(y_pred.shape)
            weight = labels if weight is None else weight * labels
        return weight

    def _above(self, y_pred: Tensor) -> Tensor:
        if len(self.thresholds) == 1:
            return (y_pred > self.thresholds[0]).unsqueeze(0)
        if self._limits.device != y_pred.device:
            self._limits = self._limits.to(y_pred.device)
        limits = self._limits.reshape(-1, *[1] * y_pred.dim())
        return y_pred > limits

    def _in_buckets(
        self, wanted: Iterable[str], true: Tensor, false: Tensor, y_pred: Tensor
    ) -> dict[str, Tensor]:
        """With even thresholds a histogram does, instead of one comparison per threshold."""
        count = len(self.thresholds)
        # How many thresholds lie strictly below each output.
        index = (y_pred.clamp(0, 1) * (count - 1)).ceil().long()
        # NaN becomes an arbitrary integer: kept inside, it cannot write out of bounds.
        index = index.clamp(1 if self._from_zero else 0, count)
        positive, negative = (self._at_least(index, kind, count) for kind in (true, false))
        counts = {"tp": positive, "fp": negative}
        if "tn" in (wanted := tuple(wanted)):
            counts["tn"] = false.sum(0) - negative
        if "fn" in wanted:
            counts["fn"] = true.sum(0) - positive
        return {name: counts[name] for name in wanted}

    @staticmethod
    def _at_least(index: Tensor, kind: Tensor, count: int) -> Tensor:
        histogram = kind.new_zeros((count + 1, *kind.shape[1:])).scatter_add_(0, index, kind)
        return histogram.flip(0).cumsum(0).flip(0)[1:]
