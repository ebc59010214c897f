"""What no loss, metric, optimizer, schedule, initializer, regularizer or constraint takes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nnkit import constraints, initializers, losses, metrics, optimizers, regularizers
from nnkit.errors import ArgumentError, ShapeError

schedules = optimizers.schedules
Y, P = torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([[0.2, 0.8], [0.6, 0.4]])

ROWS: list[tuple[Any, str]] = [
    # losses
    (lambda: losses.get("mse2"), "Unknown loss 'mse2'. Did you mean 'mse'"),
    (lambda: losses.MeanSquaredError(reduction="avg"), "reduction='avg' is not a reduction"),
    (lambda: losses.MeanSquaredError(dtype="float3"), "dtype='float3' is not a dtype"),
    (lambda: losses.Huber(delta=-1.0), "delta=-1.0 must be a number of at least"),
    (lambda: losses.Huber(delta="a"), "delta='a' must be a number"),
    (lambda: losses.BinaryCrossentropy(label_smoothing=2.0), "label_smoothing=2.0 .*fraction"),
    (lambda: losses.CategoricalCrossentropy(label_smoothing="a"), "label_smoothing='a' must be"),
    (lambda: losses.BinaryFocalCrossentropy(alpha=1.5), "alpha=1.5 must be a number from 0 to 1"),
    (lambda: losses.CategoricalFocalCrossentropy(gamma=-1), "gamma=-1 must be a number"),
    (lambda: losses.Tversky(alpha=-1.0), "alpha=-1.0 must be a number of at least 0"),
    (lambda: losses.Tversky(beta="a"), "beta='a' must be a number"),
    (lambda: losses.Circle(gamma=-1), "gamma=-1 must be a number"),
    (lambda: losses.Circle(margin=2), "margin=2 must be a number from 0 to 1"),
    (lambda: losses.CategoricalGeneralizedCrossEntropy(q=2.0), "q=2.0 must be between 0 and 1"),
    # metrics
    (lambda: metrics.get("acc2"), "Unknown metric 'acc2'. Did you mean 'acc'"),
    (lambda: metrics.Precision(thresholds="a"), "thresholds='a' must be numbers from 0 to 1"),
    (lambda: metrics.Precision(top_k=0), "Precision: top_k must be a whole number of at least 1"),
    (lambda: metrics.AUC(num_thresholds=1), "num_thresholds=1 must be 2 or more"),
    (lambda: metrics.AUC(curve="X"), "Unknown curve 'X'"),
    (lambda: metrics.F1Score(average="x"), "average='x' must be"),
    (lambda: metrics.FBetaScore(beta=0.0), "beta=0.0 must be a number above 0"),
    (lambda: metrics.TopKCategoricalAccuracy(k=0), "k must be a whole number of at least 1"),
    (lambda: metrics.SparseTopKCategoricalAccuracy(k="a"), "k must be a whole number"),
    (lambda: metrics.MeanIoU(num_classes=0), "MeanIoU: num_classes must be a whole number"),
    (lambda: metrics.IoU(2, [4]), "must be classes from 0 to 1"),
    (lambda: metrics.R2Score(class_aggregation="x"), "class_aggregation='x' must be one of"),
    (lambda: metrics.SensitivityAtSpecificity(2.0), "specificity=2.0 must be a fraction"),
    # optimizers
    (lambda: optimizers.get("adamm"), "Unknown optimizer 'adamm'"),
    (lambda: optimizers.Adam(-1), "learning rate must be finite and at least 0"),
    (lambda: optimizers.Adam("a"), "learning rate must be a number"),
    (lambda: optimizers.Adam(beta_1=1.0), "beta_1 must be a number, at least 0 and below 1"),
    (lambda: optimizers.SGD(momentum=2), "momentum must be a number"),
    (lambda: optimizers.RMSprop(rho="a"), "rho must be a number"),
    (lambda: optimizers.Ftrl(learning_rate_power=1), "learning_rate_power must be a number"),
    (lambda: optimizers.Adam(clipnorm=1, clipvalue=1), "Choose one of clipnorm"),
    (lambda: optimizers.Adam(weight_decay=-1), "weight_decay must be a number"),
    (lambda: optimizers.Adam(use_ema=True, ema_momentum=2), "ema_momentum must be a number"),
    (lambda: optimizers.Adam(gradient_accumulation_steps=1), "must be an int of at least 2"),
    (lambda: optimizers.LossScaleOptimizer("x"), "wraps an optimizer of nnkit, got 'x'"),
    # schedules
    (lambda: schedules.ExponentialDecay(0.1, 0, 0.9), "decay_steps must be greater than 0"),
    (lambda: schedules.ExponentialDecay(0.1, 10, "a"), "decay_rate must be a number"),
    (lambda: schedules.PiecewiseConstantDecay([1, 2], [1.0]), "one entry more than boundaries"),
    (lambda: schedules.PiecewiseConstantDecay([2, 1], [1, 2, 3]), "boundaries must rise"),
    (lambda: schedules.PolynomialDecay(0.1, 10, power=-1), "power must be finite"),
    (lambda: schedules.CosineDecay("a", 10), "initial_learning_rate must be a number"),
    (lambda: schedules.CosineDecayRestarts(0.1, 10, t_mul=0), "t_mul must be at least 1"),
    # initializers, regularizers, constraints
    (lambda: initializers.get("zero2"), "Unknown initializer 'zero2'"),
    (lambda: initializers.VarianceScaling(scale=-1), "finite scale > 0, got -1"),
    (lambda: initializers.VarianceScaling(mode="x"), "expects mode 'fan_in'"),
    (lambda: initializers.RandomNormal(stddev=-1)((2, 2)), "stddev must be a finite number"),
    (lambda: initializers.TruncatedNormal(stddev="a")((2, 2)), "stddev must be a finite number"),
    (lambda: initializers.RandomUniform(1, 0)((2, 2)), "minval must not exceed maxval"),
    (lambda: initializers.GlorotUniform(seed="a"), "seed must be an integer"),
    (lambda: regularizers.L1(-1), "l1 to be a finite number >= 0"),
    (lambda: regularizers.L2("a"), "l2 to be a finite number >= 0"),
    (lambda: regularizers.OrthogonalRegularizer(mode="x"), "expects mode 'rows' or 'columns'"),
    (lambda: constraints.MaxNorm(-1), "max_value to be a number >= 0"),
    (lambda: constraints.MinMaxNorm(2, 1), "min_value <= max_value"),
    (lambda: constraints.MinMaxNorm(rate=3), "rate to be a number from 0 to 1"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), ROWS, ids=range(len(ROWS)))
def test_arguments(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


DATA: list[tuple[Any, str]] = [
    (losses.Dice(axis=3), r"dice: axis=3 is not an axis .*\(2, 2\). Use -2 to 1"),
    (losses.Tversky(axis=(0, 5)), r"tversky: axis=\(0, 5\) is not an axis"),
    (losses.CosineSimilarity(axis=4), "cosine_similarity: axis=4 is not an axis"),
    (losses.SparseCategoricalCrossentropy(axis=7), "axis=7 is not an axis"),
    (metrics.CosineSimilarity(axis=-3), "cosine_similarity: axis=-3 is not an axis"),
    (metrics.PearsonCorrelation(axis=7), "axis=7 is not an axis"),
    (metrics.Precision(top_k=5), "top_k=5 is more than the 2 classes"),
    (metrics.Recall(top_k=5), "top_k=5 is more than the 2 classes"),
    (metrics.Recall(class_id=9), "class_id=9 needs outputs"),
    (metrics.TopKCategoricalAccuracy(k=9), "k=9 needs at least k classes"),
]


@pytest.mark.parametrize(("item", "message"), DATA, ids=[message for _, message in DATA])
def test_data_that_does_not_fit(item: Any, message: str) -> None:
    sparse = isinstance(item, losses.SparseCategoricalCrossentropy)
    with pytest.raises((ShapeError, ArgumentError), match=message):
        item(Y[:, 1] if sparse else Y, P)
