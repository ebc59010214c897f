"""Losses between numbers: squared, absolute, relative and logarithmic errors."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nnkit.arguments import number
from nnkit.losses.base import REGISTRY, LossFunctionWrapper, fusible
from nnkit.losses.tensors import EPSILON, as_tensor, matched

__all__ = [
    "Huber",
    "LogCosh",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "huber",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
]


@REGISTRY.add("mse", "MSE")
def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """The mean of the squared differences over the last axis."""
    y_true, y_pred = matched("mean_squared_error", y_true, y_pred)
    return F.mse_loss(y_pred, y_true, reduction="none").mean(-1)


@REGISTRY.add("mae", "MAE")
def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """The mean of the absolute differences over the last axis."""
    y_true, y_pred = matched("mean_absolute_error", y_true, y_pred)
    return F.l1_loss(y_pred, y_true, reduction="none").mean(-1)


@REGISTRY.add("mape", "MAPE")
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Tensor:
    """The mean error in percent of the target, whose size counts as at least 1e-7."""
    y_true, y_pred = matched("mean_absolute_percentage_error", y_true, y_pred)
    return 100 * ((y_true - y_pred) / y_true.abs().clamp(min=EPSILON)).abs().mean(-1)


@REGISTRY.add("msle", "MSLE")
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Tensor:
    """The mean squared difference of log(1 + value); negative values count as 0."""
    y_true, y_pred = matched("mean_squared_logarithmic_error", y_true, y_pred)
    first, second = (torch.log(y.clamp(min=EPSILON) + 1) for y in (y_pred, y_true))
    return (first - second).square().mean(-1)


@REGISTRY.add()
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    """Half the squared error up to `delta`, growing linearly beyond; mean over the last axis."""
    number("huber", "delta", delta, above=0)
    y_true, y_pred = matched("huber", y_true, y_pred)
    return F.huber_loss(y_pred, y_true, reduction="none", delta=delta).mean(-1)


@REGISTRY.add("logcosh")
def log_cosh(y_true: Any, y_pred: Any) -> Tensor:
    """The mean of log(cosh(error)) over the last axis: squared when small, absolute when large."""
    y_true, y_pred = matched("log_cosh", y_true, y_pred)
    error = y_pred - y_true
    return (error + F.softplus(-2 * error) - math.log(2)).mean(-1)


class _FusedError(LossFunctionWrapper):
    """A loss whose mean over everything is one torch function of outputs and targets."""

    _torch_function: Any = None

    def _fused_mean(self, y_true: Any, y_pred: Any) -> Tensor | None:
        if not fusible(self, y_true, y_pred):
            return None
        shape = y_pred.shape
        if y_true.shape != shape:
            # Targets (batch,) for outputs (batch, 1), the one usual difference.
            if y_true.dim() != 1 or y_pred.dim() != 2 or shape[1] != 1:
                return None
            y_true = y_true.unsqueeze(-1)
            if y_true.shape != shape:
                return None
        return self._torch_function(y_pred, as_tensor(y_true, y_pred.dtype))


@REGISTRY.add()
class MeanSquaredError(_FusedError):
    """The mean of the squared differences between targets and outputs.

    Args: as for `Loss`.
    Shape: targets and outputs (batch, ...) alike.
    """

    _torch_function = staticmethod(F.mse_loss)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_squared_error, reduction, name, dtype)


@REGISTRY.add()
class MeanAbsoluteError(_FusedError):
    """The mean of the absolute differences between targets and outputs.

    Args: as for `Loss`.
    Shape: targets and outputs (batch, ...) alike.
    """

    _torch_function = staticmethod(F.l1_loss)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_absolute_error, reduction, name, dtype)


@REGISTRY.add()
class MeanAbsolutePercentageError(LossFunctionWrapper):
    """The mean error in percent of the target, whose size counts as at least 1e-7.

    Args: as for `Loss`.
    Shape: targets and outputs (batch, ...) alike.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_percentage_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_absolute_percentage_error, reduction, name, dtype)


@REGISTRY.add()
class MeanSquaredLogarithmicError(LossFunctionWrapper):
    """The mean squared difference of log(1 + value), for targets that span magnitudes.

    Args: as for `Loss`.
    Shape: targets and outputs (batch, ...) alike.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_logarithmic_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_squared_logarithmic_error, reduction, name, dtype)


@REGISTRY.add()
class Huber(LossFunctionWrapper):
    """Squared error for small differences, absolute error for outliers.

    Args:
        delta: the error at which it turns linear, in units of the targets.
        reduction, name, dtype: as for `Loss`.

    Source: Huber 1964, Robust Estimation of a Location Parameter.
    """

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(huber, reduction, name, dtype, delta=number(self, "delta", delta, above=0))


@REGISTRY.add()
class LogCosh(LossFunctionWrapper):
    """The mean of log(cosh(error)): a smooth Huber loss.

    Args: as for `Loss`.
    Shape: targets and outputs (batch, ...) alike.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "log_cosh",
        dtype: Any = None,
    ) -> None:
        super().__init__(log_cosh, reduction, name, dtype)
