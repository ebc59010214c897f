"""Metrics: what a person reads while training. Keras's names, arguments and numbers."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from nnkit.custom_objects import supplying
from nnkit.errors import ArgumentError
from nnkit.losses import (
    TorchLoss,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    class_kind,
    hinge,
    huber,
    is_torch_loss,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from nnkit.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from nnkit.metrics.base import FUNCTIONS, REGISTRY, Metric
from nnkit.metrics.checks import warn_of_logits
from nnkit.metrics.confusion import (
    FalseNegatives,
    FalsePositives,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
)
from nnkit.metrics.correlation import (
    ConcordanceCorrelation,
    PearsonCorrelation,
    concordance_correlation,
    pearson_correlation,
)
from nnkit.metrics.curves import (
    AUC,
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
)
from nnkit.metrics.f_score import F1Score, FBetaScore
from nnkit.metrics.iou import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from nnkit.metrics.probabilistic import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    Hinge,
    KLDivergence,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from nnkit.metrics.reduction import Mean, MeanMetricWrapper, Sum
from nnkit.metrics.regression import (
    CosineSimilarity,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    R2Score,
    RootMeanSquaredError,
)
from nnkit.metrics.torch_metric import TorchMetric, is_torch_metric
from nnkit.naming import to_snake_case

__all__ = [
    "AUC",
    "FUNCTIONS",
    "REGISTRY",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BinaryIoU",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "ConcordanceCorrelation",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "IoU",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanIoU",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "OneHotIoU",
    "OneHotMeanIoU",
    "PearsonCorrelation",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TorchMetric",
    "TrueNegatives",
    "TruePositives",
    "binary_accuracy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "concordance_correlation",
    "deserialize",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "pearson_correlation",
    "poisson",
    "resolve",
    "resolve_accuracy",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
    "warn_of_logits",
]


def get(identifier: Any) -> Any:
    """The metric for what a user wrote. Unlike Keras's, it always is a `Metric` (or None).

    Args:
        identifier: a name such as "mse" or "AUC", a `Metric` or its class, a function of
            (y_true, y_pred), an object with update, compute and reset, a config, or None.

    Raises: ArgumentError for an unknown name or a value that cannot be called.
    """
    if identifier is None or isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, dict):
        return get(REGISTRY.deserialize(identifier))
    if isinstance(identifier, str):
        identifier = REGISTRY.find(identifier)
    if is_torch_loss(identifier):
        identifier = TorchLoss(identifier)
    elif inspect.isclass(identifier):
        return get(identifier())
    elif is_torch_metric(identifier):
        return TorchMetric(identifier)
    if not callable(identifier):
        raise ArgumentError(
            f"Cannot use {identifier!r} as a metric. Give a name, a metric, a function of "
            f"(y_true, y_pred), or an object with update, compute and reset."
        )
    word = getattr(identifier, "name", None) or getattr(identifier, "__name__", None)
    return MeanMetricWrapper(identifier, name=to_snake_case(word or type(identifier).__name__))


def resolve_accuracy(
    name: str, y_true_shape: Sequence[int], y_pred_shape: Sequence[int]
) -> Metric | None:
    """The accuracy or crossentropy that fits these shapes, under the name that was written.

    Args:
        name: "accuracy", "acc", "crossentropy" or "ce"; for anything else the answer is None.
        y_true_shape: of the targets, (batch, ...).
        y_pred_shape: of the outputs, (batch, ..., classes).
    """
    kinds: dict[str, tuple[Any, Any]] = {
        "binary": (BinaryAccuracy, BinaryCrossentropy),
        "sparse": (SparseCategoricalAccuracy, SparseCategoricalCrossentropy),
        "categorical": (CategoricalAccuracy, CategoricalCrossentropy),
    }
    found = kinds[class_kind(y_true_shape, y_pred_shape)]
    if name.lower() in ("accuracy", "acc"):
        return found[0](name=name)
    return found[1](name=name) if name.lower() in ("crossentropy", "ce") else None


def resolve(identifier: Any, y_true_shape: Sequence[int], y_pred_shape: Sequence[int]) -> Metric:
    """Like `get`, with "accuracy" picked by shape; a name that was written stays the name.

    Raises: ArgumentError for None, an unknown name or a value that cannot be called.
    """
    if identifier is None:
        raise ArgumentError("A list of metrics must not contain None. Drop it.")
    if not isinstance(identifier, str):
        return get(identifier)
    metric = resolve_accuracy(identifier, y_true_shape, y_pred_shape)
    if metric is None:
        metric = get(identifier)
        metric.name = identifier
    return metric


def serialize(metric: Any) -> Any:
    """A config (plain data) for a metric, the name for a function."""
    return REGISTRY.serialize(metric)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The metric of a config made by `serialize`.

    Args:
        config: the dict, or a name.
        custom_objects: classes and functions by the names the config has for them.
    """
    with supplying(custom_objects):
        return get(config)
