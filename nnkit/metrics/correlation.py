"""How targets and outputs move together."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from nnkit.arguments import check_axes
from nnkit.losses.tensors import EPSILON, matched
from nnkit.metrics.base import FUNCTIONS, registered
from nnkit.metrics.reduction import MeanMetricWrapper

__all__ = [
    "ConcordanceCorrelation",
    "PearsonCorrelation",
    "concordance_correlation",
    "pearson_correlation",
]


@FUNCTIONS.add()
def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """The correlation coefficient over `axis`, from -1 to 1."""
    y_true, y_pred = matched("pearson_correlation", y_true, y_pred, axis)

    def standard(y: Tensor) -> Tensor:
        centred = y - y.mean(axis, keepdim=True)
        return centred / centred.std(axis, correction=0, keepdim=True)

    return (standard(y_true) * standard(y_pred)).mean(axis)


@FUNCTIONS.add()
def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """The correlation around the line y_true = y_pred over `axis`."""
    y_true, y_pred = matched("concordance_correlation", y_true, y_pred, axis)
    true_mean, pred_mean = y_true.mean(axis, keepdim=True), y_pred.mean(axis, keepdim=True)
    spread = y_true.var(axis, correction=0, keepdim=True)
    spread = spread + y_pred.var(axis, correction=0, keepdim=True)
    # Centring the targets on the outputs' mean leaves the covariance as it is.
    together = (y_true - pred_mean) * (y_pred - pred_mean)
    return (2 * together / (spread + (true_mean - pred_mean).square() + EPSILON)).mean(axis)


@registered()
class PearsonCorrelation(MeanMetricWrapper):
    """The mean correlation coefficient of each sample's targets and outputs.

    Args:
        name: a word for logs.
        dtype: of the state.
        axis: of the values that are correlated.
    """

    _direction = "up"

    def __init__(
        self, name: str | None = "pearson_correlation", dtype: Any = None, axis: int = -1
    ) -> None:
        super().__init__(pearson_correlation, name, dtype, axis=check_axes(self, axis))


@registered()
class ConcordanceCorrelation(MeanMetricWrapper):
    """The mean concordance correlation of each sample's targets and outputs.

    Args:
        name: a word for logs.
        dtype: of the state.
        axis: of the values that are correlated.

    Source: Lin 1989, A concordance correlation coefficient to evaluate reproducibility.
    """

    _direction = "up"

    def __init__(
        self, name: str | None = "concordance_correlation", dtype: Any = None, axis: int = -1
    ) -> None:
        super().__init__(concordance_correlation, name, dtype, axis=check_axes(self, axis))
