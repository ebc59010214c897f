"""True and false positives and negatives, precision and recall."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnkit.arguments import positive
from nnkit.losses.tensors import as_tensor, divide_or_zero
from nnkit.metrics.base import Metric, registered
from nnkit.metrics.thresholds import NOT_TOP_K, Counter, check_thresholds

__all__ = [
    "CountingMetric",
    "FalseNegatives",
    "FalsePositives",
    "Precision",
    "Recall",
    "TrueNegatives",
    "TruePositives",
]


class CountingMetric(Metric):
    """A metric whose state are counts at thresholds: of which kinds, a subclass says."""

    _counted: dict[str, str] = {}
    _counter: Counter

    def _count_with(self, counter: Counter, *shape: int) -> None:
        self._counter = counter
        for name in self._counted.values():
            setattr(self, name, self.add_weight((len(counter.thresholds), *shape), name=name))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch.

        Args:
            y_true: targets; anything but 0 is true.
            y_pred: outputs from 0 to 1.
            sample_weight: one weight per sample or per output.

        Raises: ShapeError when targets and outputs do not fit each other.
        """
        with torch.no_grad():
            y_pred = self._here(as_tensor(y_pred))
            counts = self._counter.count(self._counted, y_true, y_pred, sample_weight)
            for key, name in self._counted.items():
                getattr(self, name).add_(counts[key])


class _Count(CountingMetric):
    """One kind of count; a number for one threshold, a vector for a list of them."""

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.init_thresholds = thresholds
        self.thresholds = check_thresholds(self, thresholds, 0.5)
        self._count_with(Counter(self.thresholds))

    def result(self) -> Tensor:
        """The count so far."""
        counts = self._variables[0].detach().clone()
        return counts[0] if len(self.thresholds) == 1 else counts

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this metric again, as plain data."""
        return {**super().get_config(), "thresholds": self.init_thresholds}


@registered()
class TruePositives(_Count):
    """How many true targets have outputs above the threshold.

    Args:
        thresholds: what an output must exceed to count as positive, 0 to 1; 0.5 when None. A list
            gives a vector.
        name: a word for logs.
        dtype: of the state.
    """

    _counted = {"tp": "accumulator"}


@registered()
class TrueNegatives(_Count):
    """How many false targets have outputs not above the threshold.

    Args:
        thresholds: what an output must exceed to count as positive, 0 to 1; 0.5 when None. A list
            gives a vector.
        name: a word for logs.
        dtype: of the state.
    """

    _counted = {"tn": "accumulator"}


@registered()
class FalsePositives(_Count):
    """How many false targets have outputs above the threshold.

    Args:
        thresholds: what an output must exceed to count as positive, 0 to 1; 0.5 when None. A list
            gives a vector.
        name: a word for logs.
        dtype: of the state.
    """

    _counted = {"fp": "accumulator"}


@registered()
class FalseNegatives(_Count):
    """How many true targets have outputs not above the threshold.

    Args:
        thresholds: what an output must exceed to count as positive, 0 to 1; 0.5 when None. A list
            gives a vector.
        name: a word for logs.
        dtype: of the state.
    """

    _counted = {"fn": "accumulator"}


class _Share(CountingMetric):
    """The share of true positives among all of a kind, 0 when there are none."""

    _direction = "up"

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        if top_k is not None:
            positive(type(self).__name__, "top_k", top_k)
        self.init_thresholds, self.top_k, self.class_id = thresholds, top_k, class_id
        self.thresholds = check_thresholds(self, thresholds, 0.5 if top_k is None else NOT_TOP_K)
        self._count_with(Counter(self.thresholds, top_k, class_id))

    def result(self) -> Tensor:
        """The share so far."""
        hits, misses = self._variables
        share = divide_or_zero(hits, hits + misses)
        return share[0] if len(self.thresholds) == 1 else share

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this metric again, as plain data."""
        return {
            **super().get_config(),
            "thresholds": self.init_thresholds,
            "top_k": self.top_k,
            "class_id": self.class_id,
        }


@registered()
class Precision(_Share):
    """How many of the outputs above the threshold are true.

    Args:
        thresholds: what an output must exceed to count as positive, 0 to 1; 0.5 when None,
            and none with top_k. A list gives a vector.
        top_k: only the k largest outputs of the last axis can be positive.
        class_id: look at this class of the last axis only.
        name: a word for logs.
        dtype: of the state.
    """

    _counted = {"tp": "true_positives", "fp": "false_positives"}


@registered()
class Recall(_Share):
    """How many of the true targets have outputs above the threshold.

    Args:
        thresholds: what an output must exceed to count as positive, 0 to 1; 0.5 when None,
            and none with top_k. A list gives a vector.
        top_k: only the k largest outputs of the last axis can be positive.
        class_id: look at this class of the last axis only.
        name: a word for logs.
        dtype: of the state.
    """

    _counted = {"tp": "true_positives", "fn": "false_negatives"}
