"""What no loss, metric, optimizer, schedule, initializer, regularizer or constraint takes."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch

from nnkit import constraints, initializers, losses, metrics, optimizers, regularizers
from nnkit.errors import ArgumentError, DataError, ShapeError
from tests.odd_arguments import bare_errors

schedules = optimizers.schedules
Y, P = torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([[0.2, 0.8], [0.6, 0.4]])

ROWS: list[tuple[Any, str]] = [
    # losses
    (lambda: losses.get("mse2"), "Unknown loss 'mse2'. Did you mean 'mse'"),
    (lambda: losses.MeanSquaredError(reduction="avg"), "reduction='avg' is not a reduction"),
    (lambda: losses.MeanSquaredError(dtype="float3"), "dtype='float3' is not a dtype"),
    (lambda: losses.Huber(delta=-1.0), "Huber: delta must be a number above 0, got -1.0"),
    (lambda: losses.Huber(delta="a"), "delta must be a number"),
    (lambda: losses.BinaryCrossentropy(label_smoothing=2.0), "label_smoothing must be a number"),
    (lambda: losses.CategoricalCrossentropy(label_smoothing="a"), "label_smoothing must be"),
    (lambda: losses.BinaryFocalCrossentropy(alpha=1.5), "alpha must be a number from 0 to 1"),
    (lambda: losses.CategoricalFocalCrossentropy(gamma=-1), "gamma must be a number"),
    (lambda: losses.Tversky(alpha=-1.0), "alpha must be a number of at least 0"),
    (lambda: losses.Tversky(beta="a"), "beta must be a number"),
    (lambda: losses.Circle(gamma=-1), "gamma must be a number"),
    (lambda: losses.Circle(margin=2), "margin must be a number from 0 to 1"),
    (lambda: losses.CategoricalGeneralizedCrossEntropy(q=2.0), "q must be a number above 0"),
    # metrics
    (lambda: metrics.get("acc2"), "Unknown metric 'acc2'. Did you mean 'acc'"),
    (lambda: metrics.Precision(thresholds="a"), "Precision: thresholds must be a number"),
    (lambda: metrics.Precision(top_k=0), "Precision: top_k must be a whole number of at least 1"),
    (lambda: metrics.AUC(num_thresholds=1), "num_thresholds must be a whole number of at least 2"),
    (lambda: metrics.AUC(curve="X"), "Unknown curve 'X'"),
    (lambda: metrics.F1Score(average="x"), "average must be one of"),
    (lambda: metrics.FBetaScore(beta=0.0), "beta must be a number above 0"),
    (lambda: metrics.TopKCategoricalAccuracy(k=0), "k must be a whole number of at least 1"),
    (lambda: metrics.SparseTopKCategoricalAccuracy(k="a"), "k must be a whole number"),
    (lambda: metrics.MeanIoU(num_classes=0), "MeanIoU: num_classes must be a whole number"),
    (lambda: metrics.IoU(2, [4]), "must be classes from 0 to 1"),
    (lambda: metrics.R2Score(class_aggregation="x"), "class_aggregation must be one of"),
    (lambda: metrics.SensitivityAtSpecificity(2.0), "specificity must be a number from 0 to 1"),
    # optimizers
    (lambda: optimizers.get("adamm"), "Unknown optimizer 'adamm'"),
    (lambda: optimizers.Adam(-1), "learning rate must be finite and at least 0"),
    (lambda: optimizers.Adam("a"), "learning rate must be a number"),
    (lambda: optimizers.Adam(beta_1=1.0), "Adam: beta_1 must be .* and below 1, got 1.0"),
    (lambda: optimizers.SGD(momentum=2), "momentum must be a number"),
    (lambda: optimizers.RMSprop(rho="a"), "rho must be a number"),
    (lambda: optimizers.Ftrl(learning_rate_power=1), "learning_rate_power must be a number"),
    (lambda: optimizers.Adam(clipnorm=1, clipvalue=1), "Choose one of clipnorm"),
    (lambda: optimizers.Adam(weight_decay=-1), "weight_decay must be a number"),
    (lambda: optimizers.Adam(use_ema=True, ema_momentum=2), "ema_momentum must be a number"),
    (lambda: optimizers.Adam(gradient_accumulation_steps=1), "Adam: gradient_acc.* of at least 2"),
    (lambda: optimizers.LossScaleOptimizer("x"), "wraps an optimizer of nnkit, got 'x'"),
    # schedules
    (lambda: schedules.ExponentialDecay(0.1, 0, 0.9), "decay_steps must be a number above 0"),
    (lambda: schedules.ExponentialDecay(0.1, 10, "a"), "decay_rate must be a number"),
    (lambda: schedules.PiecewiseConstantDecay([1, 2], [1.0]), "one entry more than boundaries"),
    (lambda: schedules.PiecewiseConstantDecay([2, 1], [1, 2, 3]), "boundaries must rise"),
    (lambda: schedules.PolynomialDecay(0.1, 10, power=-1), "power must be a number of at least 0"),
    (lambda: schedules.CosineDecay("a", 10), "initial_learning_rate must be a number"),
    (lambda: schedules.CosineDecayRestarts(0.1, 10, t_mul=0), "t_mul must be a number of"),
    # initializers, regularizers, constraints
    (lambda: initializers.get("zero2"), "Unknown initializer 'zero2'"),
    (lambda: initializers.VarianceScaling(scale=-1), "VarianceScaling: scale must be"),
    (lambda: initializers.VarianceScaling(mode="x"), "mode must be one of 'fan_in'"),
    (lambda: initializers.RandomNormal(stddev=-1)((2, 2)), "stddev must be a number of at least 0"),
    (lambda: initializers.TruncatedNormal(stddev="a"), "stddev must be a number of at least 0"),
    (lambda: initializers.RandomUniform(1, 0)((2, 2)), "minval must not exceed maxval"),
    (lambda: initializers.GlorotUniform(seed="a"), "seed must be an integer"),
    (lambda: regularizers.L1(-1), "L1: l1 must be a number of at least 0"),
    (lambda: regularizers.L2("a"), "l2 must be a number of at least 0"),
    (lambda: regularizers.OrthogonalRegularizer(mode="x"), "mode must be one of 'rows', 'columns'"),
    (lambda: constraints.MaxNorm(-1), "max_value must be a number of at least 0"),
    (lambda: constraints.MinMaxNorm(2, 1), "min_value <= max_value"),
    (lambda: constraints.MinMaxNorm(rate=3), "rate must be a number from 0 to 1"),
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
    (losses.BinaryCrossentropy(axis=5), "binary_crossentropy: axis=5 is not an axis"),
    (losses.BinaryFocalCrossentropy(axis=5), "axis=5 is not an axis"),
    (losses.CategoricalCrossentropy(axis=2), "axis=2 is not an axis"),
    (losses.CategoricalFocalCrossentropy(axis=2), "axis=2 is not an axis"),
    (losses.Dice(axis=(0, -2)), r"axis=\(0, -2\) names an axis of \(2, 2\) twice"),
    (losses.CategoricalFocalCrossentropy(alpha=[1.0, 2.0, 3.0]), "alpha has 3 numbers"),
    (metrics.OneHotIoU(2, [0], axis=2), "axis=2 is not an axis"),
    (metrics.AUC(label_weights=[1.0] * 3), "label_weights for 3 labels"),
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


NUMBERS = torch.ones(2, 2)
LABELS = torch.tensor([1, 0])
SPARSE = ("SparseCategoricalCrossentropy", "SparseCategoricalAccuracy", "Circle", "IoU", "MeanIoU")
SPARSE += ("SparseTopKCategoricalAccuracy", "CategoricalGeneralizedCrossEntropy")


def difference(y_true: Any, y_pred: Any) -> Any:
    return y_true - y_pred


# What a class must be given, by the name of the argument.
NEEDED: dict[str, Any] = {
    "fn": difference, "loss": torch.nn.MSELoss(), "num_classes": 2, "target_class_ids": [0],
    "recall": 0.5, "precision": 0.5, "sensitivity": 0.5, "specificity": 0.5,
    "initial_learning_rate": 0.1, "decay_steps": 10, "first_decay_steps": 10, "decay_rate": 0.9,
    "boundaries": [1], "values": [0.1, 0.2], "value": NUMBERS,
}  # fmt: skip


def evaluated(item: Any) -> Any:
    if type(item).__name__ == "CTC":
        return item(torch.tensor([[1, 2], [1, 1]]), torch.rand(2, 6, 4))
    if type(item) in (metrics.Mean, metrics.Sum):
        return item(P)
    labels = type(item).__name__ in SPARSE
    return item(LABELS if labels else Y, LABELS if type(item).__name__.endswith("oU") else P)


def optimized(item: Any) -> None:
    weight = torch.nn.Parameter(torch.ones(2, 2))
    item.build([weight], ["kernel"])
    item.apply([torch.ones(2, 2)])


OTHERS = "Optimizer MultiOptimizer OptimizerMap LossScaleOptimizer TorchFactory"
WAYS: list[tuple[Any, Any, str]] = [
    (losses, evaluated, ""),
    (metrics, evaluated, "TorchMetric"),
    (optimizers, optimized, OTHERS),
    (schedules, lambda item: item(3), ""),
    (regularizers, lambda item: item(NUMBERS), ""),
    (constraints, lambda item: item(NUMBERS), ""),
    (initializers, lambda item: item((2, 2)), "RandomInitializer"),
]  # fmt: skip
CLASSES = [
    (kind, use)
    for module, use, without in WAYS
    for kind in dict.fromkeys(filter(inspect.isclass, map(module.__dict__.get, module.__all__)))
    if kind.__name__ not in without.split() and kind.__init__ is not object.__init__
]


FORMULAS = [
    formula
    for module in (losses, metrics)
    for formula in filter(inspect.isfunction, map(module.__dict__.get, module.__all__))
    if list(inspect.signature(formula).parameters)[:2] == ["y_true", "y_pred"]
]


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.__name__)
def test_no_argument_of_a_function_does(formula: Any) -> None:
    name = formula.__name__
    sparse = "sparse" in name or name in ("circle", "categorical_generalized_cross_entropy")
    made = {"y_true": LABELS if sparse else Y, "y_pred": P}
    if name == "ctc":
        made = {"y_true": torch.tensor([[1, 2], [1, 1]]), "y_pred": torch.rand(2, 6, 4)}
    takes = inspect.signature(formula).parameters
    made |= {word: value for word, value in (("q", 0.5), ("k", 1)) if word in takes}
    assert bare_errors(formula, lambda: made, lambda value: value) == []


@pytest.mark.parametrize(("kind", "use"), CLASSES, ids=lambda value: value.__name__)
def test_no_argument_ends_in_an_error_of_torchs(kind: Any, use: Any) -> None:
    names = inspect.signature(kind).parameters
    made = {name: value for name, value in NEEDED.items() if name in names}
    assert bare_errors(kind, lambda: made, use, allowed=("name",)) == []


MAKERS = [
    kind() for kind, use in CLASSES
    if kind.__module__.startswith("nnkit.initializers.") and kind.__name__ != "GivenValues"
]  # fmt: skip


@pytest.mark.parametrize(
    "maker", [*MAKERS, initializers.Zeros(), initializers.Ones()], ids=lambda m: type(m).__name__
)
def test_shapes_that_are_none(maker: Any) -> None:
    for shape, message in (("ab", "shape must be a tuple"), (3, "shape must be a tuple")):
        with pytest.raises(ArgumentError, match=f"{type(maker).__name__}: {message} of sizes"):
            maker(shape)
    for size in (-1, 2.5, "a", None):
        with pytest.raises(ArgumentError, match="a size in shape must be a whole number"):
            maker((2, size))


@pytest.mark.parametrize(
    "kind", [constraints.MaxNorm, constraints.MinMaxNorm, constraints.UnitNorm]
)
def test_axes_that_a_weight_lacks(kind: Any) -> None:
    with pytest.raises(ShapeError, match=rf"{kind.__name__}: axis=5 is not an axis .* \(2, 2\)"):
        kind(axis=5)(NUMBERS)
    with pytest.raises(ShapeError, match=r"axis=\(0, -2\) names an axis of \(2, 2\) twice"):
        kind(axis=[0, -2])(NUMBERS)
    with pytest.raises(ArgumentError, match=r"axis must be an int or ints, got 'a'"):
        kind(axis="a")


OUTSIDE = [
    (losses.SparseCategoricalCrossentropy(), P),
    (losses.SparseCategoricalCrossentropy(from_logits=True), P),
    (losses.SparseCategoricalCrossentropy(reduction="sum"), P),
    (losses.CategoricalGeneralizedCrossEntropy(), P),
    (losses.sparse_categorical_crossentropy, P),
    (metrics.SparseCategoricalCrossentropy(), P),
    (metrics.SparseTopKCategoricalAccuracy(k=1), P),
]


@pytest.mark.parametrize(("item", "outputs"), OUTSIDE)
@pytest.mark.parametrize("label", [2, -1, -100])
def test_labels_out_of_range_by_hand(item: Any, outputs: Any, label: int) -> None:
    with pytest.raises(DataError, match=f"found the label {label}, but the outputs have 2 classes"):
        item(torch.tensor([0, label]), outputs)
