"""Metrics over all thresholds: the area under a curve, and one rate where another is reached."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnkit.arguments import number, positive
from nnkit.errors import ArgumentError, ShapeError, unknown_name
from nnkit.losses.tensors import EPSILON, as_tensor, divide_or_zero
from nnkit.metrics.base import registered
from nnkit.metrics.confusion import CountingMetric
from nnkit.metrics.thresholds import Counter, check_thresholds, even_thresholds
from nnkit.variable import Variable

__all__ = [
    "AUC",
    "PrecisionAtRecall",
    "RecallAtPrecision",
    "SensitivityAtSpecificity",
    "SpecificityAtSensitivity",
]


class _Rates(CountingMetric):
    """Counts of all four kinds, and the rates made of them."""

    _direction = "up"
    _counted = {
        "tp": "true_positives",
        "fp": "false_positives",
        "tn": "true_negatives",
        "fn": "false_negatives",
    }
    true_positives: Variable
    false_positives: Variable
    true_negatives: Variable
    false_negatives: Variable

    def _recall(self) -> Tensor:
        return divide_or_zero(self.true_positives, self.true_positives + self.false_negatives)

    def _precision(self) -> Tensor:
        return divide_or_zero(self.true_positives, self.true_positives + self.false_positives)

    def _specificity(self) -> Tensor:
        return divide_or_zero(self.true_negatives, self.true_negatives + self.false_positives)


class _BestUnderConstraint(_Rates):
    def __init__(
        self,
        wanted: str,
        value: float,
        num_thresholds: int,
        class_id: int | None,
        name: str | None,
        dtype: Any,
    ) -> None:
        super().__init__(dtype, name)
        self._wanted = wanted
        self.value = number(self, wanted, value, 0, 1)
        self.num_thresholds = positive(self, "num_thresholds", num_thresholds)
        self.class_id = class_id
        setattr(self, wanted, value)
        self.thresholds = even_thresholds(self.num_thresholds)
        self._count_with(Counter(self.thresholds, class_id=class_id))

    def _best(self, constrained: Tensor, dependent: Tensor) -> Tensor:
        return torch.where(constrained >= self.value, dependent, 0).max()

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this metric again, as plain data."""
        return {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            self._wanted: self.value,
            "class_id": self.class_id,
        }


@registered()
class SensitivityAtSpecificity(_BestUnderConstraint):
    """The best sensitivity among thresholds whose specificity is at least this.

    Args:
        specificity: share of the negatives found, 0 to 1.
        num_thresholds: how many thresholds are tried.
        class_id: look at this class of the last axis only.
        name: a word for logs.
        dtype: of the state.
    """

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__("specificity", specificity, num_thresholds, class_id, name, dtype)

    def result(self) -> Tensor:
        """The sensitivity so far."""
        return self._best(self._specificity(), self._recall())


@registered()
class SpecificityAtSensitivity(_BestUnderConstraint):
    """The best specificity among thresholds whose sensitivity is at least this.

    Args:
        sensitivity: share of the positives found, 0 to 1.
        num_thresholds: how many thresholds are tried.
        class_id: look at this class of the last axis only.
        name: a word for logs.
        dtype: of the state.
    """

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__("sensitivity", sensitivity, num_thresholds, class_id, name, dtype)

    def result(self) -> Tensor:
        """The specificity so far."""
        return self._best(self._recall(), self._specificity())


@registered()
class PrecisionAtRecall(_BestUnderConstraint):
    """The best precision among thresholds whose recall is at least this.

    Args:
        recall: share of the positives found, 0 to 1.
        num_thresholds: how many thresholds are tried.
        class_id: look at this class of the last axis only.
        name: a word for logs.
        dtype: of the state.
    """

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__("recall", recall, num_thresholds, class_id, name, dtype)

    def result(self) -> Tensor:
        """The precision so far."""
        return self._best(self._recall(), self._precision())


@registered()
class RecallAtPrecision(_BestUnderConstraint):
    """The best recall among thresholds whose precision is at least this.

    Args:
        precision: share of the found that are true, 0 to 1.
        num_thresholds: how many thresholds are tried.
        class_id: look at this class of the last axis only.
        name: a word for logs.
        dtype: of the state.
    """

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__("precision", precision, num_thresholds, class_id, name, dtype)

    def result(self) -> Tensor:
        """The recall so far."""
        return self._best(self._precision(), self._recall())


@registered()
class AUC(_Rates):
    """The area under the ROC or the precision-recall curve.

    Args:
        num_thresholds: points of the curve, 2 or more; more is nearer to the exact area.
        curve: "ROC", "PR" or "PRGAIN" (precision and recall gain).
        summation_method: "interpolation", "minoring" (from below) or "majoring" (from above).
        name: a word for logs.
        dtype: of the state.
        thresholds: the points themselves, 0 to 1; 0 and 1 are added.
        multi_label: the area of each label by itself, then their mean.
        num_labels: of multi_label, when known beforehand.
        label_weights: one weight per label.
        from_logits: True when the outputs have no sigmoid.

    Raises: ArgumentError for values out of range or unknown names.
    Source: Davis and Goadrich 2006 for the interpolation of the precision-recall curve.
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Any = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(dtype, name)
        self.curve = _choice("curve", curve, ("ROC", "PR", "PRGAIN"), str.upper)
        self.summation_method = _choice(
            "summation_method",
            summation_method,
            ("interpolation", "minoring", "majoring"),
            str.lower,
        )
        self._init_thresholds = thresholds
        if thresholds is not None:
            inner = sorted(check_thresholds(self, thresholds, 0.5))
        else:
            count = positive(self, "num_thresholds", num_thresholds, least=2)
            inner = even_thresholds(count)[1:-1]
        if num_labels and not multi_label:
            raise ArgumentError("num_labels is only for multi_label=True. Drop it or set that.")
        self.num_thresholds = len(inner) + 2
        # Just outside 0 to 1, so that the curve starts and ends with all and with none.
        self.thresholds = [-EPSILON, *inner, 1 + EPSILON]
        self.multi_label, self.num_labels = multi_label, num_labels
        self.label_weights = None
        if label_weights is not None:
            self.label_weights = _weights(self, label_weights)
        self._from_logits = from_logits
        if not multi_label:
            self._build()
        elif num_labels:
            self._build(num_labels)

    def _build(self, *labels: int) -> None:
        counter = Counter(
            self.thresholds, per_label=self.multi_label, label_weights=self.label_weights
        )
        self._count_with(counter, *labels)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch, as for `Precision`."""
        y_pred = as_tensor(y_pred)
        if self.multi_label and y_pred.dim() != 2:
            raise ShapeError(
                f"AUC with multi_label=True expects outputs (batch, labels), "
                f"but received {tuple(y_pred.shape)}."
            )
        if self.label_weights is not None and y_pred.size(-1) != len(self.label_weights):
            raise ShapeError(
                f"AUC has label_weights for {len(self.label_weights)} labels, but received outputs "
                f"of shape {tuple(y_pred.shape)}."
            )
        if not self._variables:
            self._build(y_pred.size(1))
        if self._from_logits:
            y_pred = y_pred.detach().sigmoid()
        super().update_state(y_true, y_pred, sample_weight)

    def result(self) -> Tensor:
        """The area so far; 0 before any batch."""
        if not self._variables:
            return torch.zeros((), dtype=self._torch_dtype)
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self._over_labels(self._interpolated_pr())
        x, y = self._points()
        if self.summation_method == "interpolation":
            heights = (y[:-1] + y[1:]) / 2
        else:
            pick = torch.minimum if self.summation_method == "minoring" else torch.maximum
            heights = pick(y[:-1], y[1:])
        return self._over_labels((x[:-1] - x[1:]) * heights)

    def _points(self) -> tuple[Tensor, Tensor]:
        hits, recall = self.true_positives, self._recall()
        if self.curve == "ROC":
            alarms = self.false_positives
            return divide_or_zero(alarms, alarms + self.true_negatives), recall
        if self.curve == "PR":
            return recall, self._precision()
        odds = divide_or_zero(
            hits + self.false_negatives, self.true_negatives + self.false_positives
        )
        recall_gain = 1 - odds * divide_or_zero(self.false_negatives, hits)
        precision_gain = 1 - odds * divide_or_zero(self.false_positives, hits)
        none = hits == 0
        return torch.where(none, 0, recall_gain).clamp(min=0), torch.where(none, 1, precision_gain)

    def _interpolated_pr(self) -> Tensor:
        """The area of each piece, with precision interpolated the way counts allow."""
        hits = self.true_positives
        found = hits + self.false_positives
        new_hits, new_found = hits[:-1] - hits[1:], found[:-1] - found[1:]
        slope = divide_or_zero(new_hits, new_found.clamp(min=0))
        intercept = hits[1:] - slope * found[1:]
        both = (found[:-1] > 0) & (found[1:] > 0)
        ratio = torch.where(both, divide_or_zero(found[:-1], found[1:].clamp(min=0)), 1)
        positives = (hits[1:] + self.false_negatives[1:]).clamp(min=0)
        return divide_or_zero(slope * (new_hits + intercept * ratio.log()), positives)

    def _over_labels(self, pieces: Tensor) -> Tensor:
        areas = pieces.sum(0)
        if not self.multi_label:
            return areas
        if self.label_weights is None:
            return areas.mean()
        weights = self.label_weights.to(areas.device)
        return divide_or_zero((areas * weights).sum(), weights.sum())

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this metric again, as plain data."""
        config = {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": None if self.label_weights is None else self.label_weights.tolist(),
            "from_logits": self._from_logits,
        }
        if self._init_thresholds is not None:
            config["thresholds"] = self.thresholds[1:-1]
        return config


def _weights(who: AUC, given: Any) -> Tensor:
    many = given.tolist() if hasattr(given, "tolist") else given
    if not isinstance(many, (list, tuple)):
        raise ArgumentError(f"AUC: label_weights must be a list of numbers, got {given!r}.")
    return as_tensor([number(who, "label_weights", one, 0) for one in many], who._torch_dtype)


def _choice(what: str, value: Any, known: tuple[str, ...], spell: Any) -> str:
    word = spell(str(getattr(value, "value", value)))
    if word not in known:
        raise unknown_name(what, value, known)
    return word
