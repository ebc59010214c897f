"""F scores: precision and recall in one number."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnkit.arguments import number, one_of
from nnkit.errors import ShapeError
from nnkit.losses.tensors import EPSILON, as_tensor
from nnkit.metrics.base import Metric, registered

__all__ = ["F1Score", "FBetaScore"]


@registered()
class FBetaScore(Metric):
    """The weighted harmonic mean of precision and recall, class by class.

    Args:
        average: None for one score per class, "micro" (all decisions together), "macro" (mean of
            the classes) or "weighted" (by how often each class is true).
        beta: how many times recall counts as much as precision.
        threshold: outputs above it are positive, 0 to 1; the largest of each row when None.
        name: a word for logs.
        dtype: of the state.

    Shape: one-hot targets and outputs (batch, classes).
    Raises: ArgumentError for an unknown average, a beta or threshold out of range.
    """

    _direction = "up"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        self.average = one_of(self, "average", average, (None, "micro", "macro", "weighted"))
        self.beta = float(number(self, "beta", beta, above=0))
        if threshold is not None:
            number(self, "threshold", threshold, above=0, most=1)
        self.threshold = threshold

    def _build(self, classes: int, device: torch.device) -> None:
        shape = () if self.average == "micro" else (classes,)
        self.true_positives = self.add_weight(shape, dtype=self._torch_dtype, name="tp")
        self.false_positives = self.add_weight(shape, dtype=self._torch_dtype, name="fp")
        self.false_negatives = self.add_weight(shape, dtype=self._torch_dtype, name="fn")
        self.intermediate_weights = self.add_weight(shape, dtype=self._torch_dtype, name="weights")
        self.to(device)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch.

        Raises: ShapeError unless targets and outputs are both (batch, classes).
        """
        with torch.no_grad():
            y_pred = as_tensor(y_pred, self._torch_dtype)
            y_true = as_tensor(y_true, self._torch_dtype, like=y_pred)
            if y_pred.dim() != 2 or y_true.shape != y_pred.shape:
                raise ShapeError(
                    f"{self.name} expects one-hot targets and outputs (batch, classes), but "
                    f"y_true is {tuple(y_true.shape)} and y_pred is {tuple(y_pred.shape)}."
                )
            if not self._variables:
                self._build(y_pred.size(1), y_pred.device)
            y_pred = self._here(y_pred)
            y_true = y_true.to(y_pred.device)
            if self.threshold is None:
                chosen = (y_pred >= y_pred.amax(-1, keepdim=True)) & (y_pred.abs() > 1e-9)
            else:
                chosen = y_pred > self.threshold
            found = chosen.to(self._torch_dtype)
            weight = None
            if sample_weight is not None:
                weight = as_tensor(sample_weight, self._torch_dtype, like=y_pred).reshape(-1, 1)
            self.true_positives.add_(self._sum(found * y_true, weight))
            self.false_positives.add_(self._sum(found * (1 - y_true), weight))
            self.false_negatives.add_(self._sum((1 - found) * y_true, weight))
            self.intermediate_weights.add_(self._sum(y_true, weight))

    def _sum(self, values: Tensor, weight: Tensor | None) -> Tensor:
        values = values if weight is None else values * weight
        return values.sum() if self.average == "micro" else values.sum(0)

    def result(self) -> Tensor:
        """The score so far, a vector with average=None; 0 before any batch."""
        if not self._variables:
            return torch.zeros((), dtype=self._torch_dtype)
        hits = self.true_positives
        precision = hits / (hits + self.false_positives + EPSILON)
        recall = hits / (hits + self.false_negatives + EPSILON)
        square = self.beta**2
        score = precision * recall / (square * precision + recall + EPSILON) * (1 + square)
        if self.average == "weighted":
            weights = self.intermediate_weights
            return (score * weights / (weights.sum() + EPSILON)).sum()
        return score if self.average is None else score.mean()

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this metric again, as plain data."""
        return {
            **super().get_config(),
            "average": self.average,
            "beta": self.beta,
            "threshold": self.threshold,
        }


@registered()
class F1Score(FBetaScore):
    """The harmonic mean of precision and recall, class by class.

    Args:
        average: None for one score per class, "micro", "macro" or "weighted".
        threshold: outputs above it are positive, 0 to 1; the largest of each row when None.
        name: a word for logs.
        dtype: of the state.

    Shape: one-hot targets and outputs (batch, classes).
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this metric again, as plain data."""
        config = super().get_config()
        del config["beta"]
        return config
