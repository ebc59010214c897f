"""Metrics in the manner of torchmetrics, with update, compute and reset."""

from __future__ import annotations

from typing import Any

import torch

from nnkit.errors import ArgumentError
from nnkit.losses.tensors import as_tensor, same_rank
from nnkit.metrics.base import Metric
from nnkit.naming import to_snake_case

__all__ = ["TorchMetric", "is_torch_metric"]


def is_torch_metric(item: Any) -> bool:
    """Whether this has the methods update, compute and reset."""
    return all(callable(getattr(item, name, None)) for name in ("update", "compute", "reset"))


class TorchMetric(Metric):
    """A metric with `update(preds, target)`, `compute()` and `reset()`, as in torchmetrics.

    Args:
        metric: such an object.
        name: a word for logs; its class name in snake case when None.
    """

    def __init__(self, metric: Any, name: str | None = None) -> None:
        if not is_torch_metric(metric):
            raise ArgumentError(
                f"TorchMetric needs an object with update, compute and reset, got {metric!r}."
            )
        super().__init__(name=name or to_snake_case(type(metric).__name__))
        self.metric = metric
        self._device: torch.device | None = None

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch.

        Raises: ArgumentError for sample weights, which such metrics do not take.
        """
        if sample_weight is not None:
            raise ArgumentError(
                f"Metric {self.name!r} takes no sample_weight. "
                f"List it under metrics, not weighted_metrics."
            )
        with torch.no_grad():
            y_pred = as_tensor(y_pred)
            y_true = as_tensor(y_true, like=y_pred)
            if y_true.dim() == y_pred.dim() and y_true.size(-1) == 1 != y_pred.size(-1):
                y_true = y_true.squeeze(-1)
            y_true, y_pred = same_rank(y_true, y_pred)
            if self._device != y_pred.device and hasattr(self.metric, "to"):
                self.metric = self.metric.to(y_pred.device)
                self._device = y_pred.device
            self.metric.update(y_pred, y_true)

    def result(self) -> Any:
        """The number so far, as the metric computes it."""
        return self.metric.compute()

    def reset_state(self) -> None:
        """Start again."""
        self.metric.reset()
