"""Errors between numbers, as metrics."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from nnkit.arguments import check_axes, one_of, positive
from nnkit.errors import ShapeError
from nnkit.losses import (
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)
from nnkit.losses.similarity import unit_length
from nnkit.losses.tensors import as_tensor, matched
from nnkit.metrics.base import FUNCTIONS, Metric, registered
from nnkit.metrics.reduction import Mean, MeanMetricWrapper

__all__ = [
    "CosineSimilarity",
    "LogCoshError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "R2Score",
    "RootMeanSquaredError",
    "cosine",
]


@registered("mse", "MSE")
class MeanSquaredError(MeanMetricWrapper):
    """The mean of the squared differences.

    Args:
        name: a word for logs.
        dtype: of the state.
    """

    _direction = "down"

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(mean_squared_error, name, dtype)


@registered("mae", "MAE")
class MeanAbsoluteError(MeanMetricWrapper):
    """The mean of the absolute differences.

    Args:
        name: a word for logs.
        dtype: of the state.
    """

    _direction = "down"

    def __init__(self, name: str | None = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(mean_absolute_error, name, dtype)


@registered("mape", "MAPE")
class MeanAbsolutePercentageError(MeanMetricWrapper):
    """The mean error in percent of the target.

    Args:
        name: a word for logs.
        dtype: of the state.
    """

    _direction = "down"

    def __init__(
        self, name: str | None = "mean_absolute_percentage_error", dtype: Any = None
    ) -> None:
        super().__init__(mean_absolute_percentage_error, name, dtype)


@registered("msle", "MSLE")
class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """The mean squared difference of log(1 + value).

    Args:
        name: a word for logs.
        dtype: of the state.
    """

    _direction = "down"

    def __init__(
        self, name: str | None = "mean_squared_logarithmic_error", dtype: Any = None
    ) -> None:
        super().__init__(mean_squared_logarithmic_error, name, dtype)


@registered("rmse", "RMSE")
class RootMeanSquaredError(Mean):
    """The root of the mean of the squared differences.

    Args:
        name: a word for logs.
        dtype: of the state.
    """

    _direction = "down"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(  # type: ignore[override]  # as in Keras, a Mean that takes two arguments
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Take in a batch."""
        with torch.no_grad():
            y_pred = as_tensor(y_pred, self._torch_dtype)
            y_true, y_pred = matched(self.name, y_true, y_pred)
            super().update_state((y_pred - y_true).square(), sample_weight)

    def result(self) -> Tensor:
        """The root of the mean so far."""
        return super().result().sqrt()


@FUNCTIONS.add()
def cosine(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """The cosine between targets and outputs; the loss of that name is its negative."""
    y_true, y_pred = matched("cosine_similarity", y_true, y_pred, axis)
    return (unit_length(y_true, axis) * unit_length(y_pred, axis)).sum(axis)


@registered()
class CosineSimilarity(MeanMetricWrapper):
    """The mean cosine between targets and outputs: 1 for one direction, -1 for opposite ones.

    Args:
        name: a word for logs.
        dtype: of the state.
        axis: where a vector's components are.
    """

    _direction = "up"

    def __init__(
        self, name: str | None = "cosine_similarity", dtype: Any = None, axis: int = -1
    ) -> None:
        super().__init__(cosine, name, dtype, axis=check_axes(self, axis))


@registered("logcosh")
class LogCoshError(MeanMetricWrapper):
    """The mean of log(cosh(error)).

    Args:
        name: a word for logs.
        dtype: of the state.
    """

    _direction = "down"

    def __init__(self, name: str | None = "logcosh", dtype: Any = None) -> None:
        super().__init__(log_cosh, name, dtype)


@registered()
class R2Score(Metric):
    """The part of the targets' variance that the outputs explain: 1 is perfect, 0 is their mean.

    Args:
        class_aggregation: "uniform_average", "variance_weighted_average", or None for one score
            per output.
        num_regressors: inputs of the model, for the adjusted score; 0 for the plain one.
        name: a word for logs.
        dtype: of the state.

    Shape: targets and outputs (batch, outputs).
    Raises: ArgumentError for other values of class_aggregation or a negative num_regressors.
    """

    _direction = "up"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        kinds = (None, "uniform_average", "variance_weighted_average")
        self.class_aggregation = one_of(self, "class_aggregation", class_aggregation, kinds)
        self.num_regressors = positive(self, "num_regressors", num_regressors, least=0)
        self.num_samples = self.add_weight(name="num_samples")

    def _build(self, outputs: int) -> None:
        self.squared_sum = self.add_weight((outputs,), name="squared_sum")
        self.sum = self.add_weight((outputs,), name="sum")
        self.total_mse = self.add_weight((outputs,), name="residual")
        self.count = self.add_weight((outputs,), name="count")
        self.to(self.num_samples.device)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch.

        Raises: ShapeError unless targets and outputs are (batch, outputs).
        """
        with torch.no_grad():
            y_pred = self._here(as_tensor(y_pred, self._torch_dtype))
            y_true, y_pred = matched(self.name, y_true, y_pred)
            if y_pred.dim() != 2:
                raise ShapeError(
                    f"R2Score expects (batch, outputs), but received {tuple(y_pred.shape)}. "
                    f"Add a last axis to targets and outputs."
                )
            if len(self._variables) == 1:
                self._build(y_pred.size(1))
            weight = torch.ones_like(y_true)
            if sample_weight is not None:
                given = as_tensor(sample_weight, y_true.dtype, like=y_true)
                weight = weight * (given.unsqueeze(1) if given.dim() == 1 else given)
            self.sum.add_((y_true * weight).sum(0))
            self.squared_sum.add_((y_true.square() * weight).sum(0))
            self.total_mse.add_(((y_true - y_pred).square() * weight).sum(0))
            self.count.add_(weight.sum(0))
            self.num_samples.add_(y_true.numel())

    def result(self) -> Tensor:
        """The score so far; 0 before any batch."""
        if len(self._variables) == 1:
            return self.num_samples.detach().clone()
        total = self.squared_sum - self.sum * (self.sum / self.count)
        scores = 1 - self.total_mse / total
        scores = torch.where(scores.isinf(), 0, scores)
        if self.class_aggregation == "uniform_average":
            scores = scores.mean()
        elif self.class_aggregation == "variance_weighted_average":
            scores = (total * scores).sum() / total.sum()
        return self._adjusted(scores) if self.num_regressors else scores

    def _adjusted(self, score: Tensor) -> Tensor:
        left = int(self.num_samples.item()) - self.num_regressors - 1
        if left <= 0:
            warnings.warn(
                f"The adjusted R2 score needs more samples than num_regressors + 1 = "
                f"{self.num_regressors + 1}; the plain score is given.",
                UserWarning,
                stacklevel=3,
            )
            return score
        return 1 - (1 - score) * (self.num_samples - 1) / left

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this metric again, as plain data."""
        return {
            **super().get_config(),
            "class_aggregation": self.class_aggregation,
            "num_regressors": self.num_regressors,
        }
