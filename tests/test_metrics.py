"""Metrics: state, laziness, adapters, names, and every error."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnkit import losses, metrics, naming
from nnkit.activations import keep_logits, softmax
from nnkit.errors import ArgumentError, ShapeError
from nnkit.variable import Variable

torch.manual_seed(2)
LABELS = torch.tensor([0, 3, 2, 1, 1, 0])
ONE_HOT = F.one_hot(LABELS, 4).float()
PROBS = torch.randn(6, 4).softmax(-1)
BITS = (torch.rand(6, 4) < 0.5).float()


class Largest(metrics.Metric):
    """A metric as a user writes one."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name)
        self.top = self.add_weight(shape=(2,), name="top", initializer="ones")
        self.inner = [metrics.Mean(name="inner")]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.inner[0].update_state(y_pred)
        self.top.assign(torch.maximum(self.top, y_pred.amax(0)))

    def result(self) -> Any:
        return self.top


def test_a_metric_of_the_users_own() -> None:
    naming.clear()
    metric = Largest()
    assert metric.name == "largest"
    assert Largest().name == "largest_1"
    assert metric.top.tolist() == [1, 1]
    assert metric(None, torch.tensor([[3.0, 0.0], [2.0, 5.0]])).tolist() == [3, 5]
    assert [v.name for v in metric.variables] == ["top", "total", "count"]
    assert metric.inner[0].result().item() == 2.5
    metric.reset_state()
    assert [v.tolist() for v in metric.variables] == [[0, 0], 0, 0]
    assert metric.inner[0].result().item() == 0


def test_an_initializer_function() -> None:
    variable = metrics.Metric().add_weight((2,), lambda shape, dtype: torch.full(shape, 7.0))
    assert variable.tolist() == [7, 7]
    assert metrics.Metric().add_variable((), None, "int32").dtype == torch.int32


def test_the_count_on_the_host_reaches_the_variable() -> None:
    metric = metrics.SparseCategoricalAccuracy()
    metric.update_state(LABELS, ONE_HOT)
    assert metric._pending == 6
    assert metric.count.item() == 6
    assert metric._pending == 0
    metric.update_state(LABELS, ONE_HOT)
    assert [v.item() for v in metric.variables] == [12, 12]
    metric.update_state(LABELS, ONE_HOT, torch.zeros(6))
    metric.reset_state()
    assert metric.result().item() == 0


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_independent(clone: Any) -> None:
    metric = metrics.MeanSquaredError()
    metric.update_state(BITS, PROBS)
    other = clone(metric)
    torch.testing.assert_close(other.result(), metric.result())
    other.update_state(BITS, BITS)
    torch.testing.assert_close(other.result(), metric.result() / 2)
    assert isinstance(other.total, Variable)


def test_results_do_not_change_with_later_batches() -> None:
    metric = metrics.Sum()
    first = metric(2.0)
    metric.update_state(3.0)
    assert (first.item(), metric.result().item()) == (2, 5)
    counts = metrics.TruePositives(thresholds=[0.1, 0.5])
    first = counts([1], [0.7])
    counts.update_state([1], [0.3])
    assert (first.tolist(), counts.result().tolist()) == ([1, 1], [2, 1])


@pytest.mark.parametrize(
    ("name", "y_true"),
    [("MeanSquaredError", BITS), ("BinaryCrossentropy", BITS), ("RootMeanSquaredError", BITS)],
)
def test_no_graph_is_kept(name: str, y_true: torch.Tensor) -> None:
    metric = getattr(metrics, name)()
    x = PROBS.clone().requires_grad_()
    result = metric(y_true, x * 1)
    assert not result.requires_grad
    assert not any(v.requires_grad or v.grad_fn for v in metric.variables)


LAZY: list[tuple[str, dict[str, Any], torch.Tensor]] = [
    ("Mean", {}, BITS),
    ("SparseCategoricalAccuracy", {}, LABELS),
    ("AUC", {"multi_label": True}, BITS),
    ("AUC", {}, BITS),
    ("F1Score", {}, ONE_HOT),
    ("R2Score", {}, BITS),
    ("MeanIoU", {"num_classes": 4, "sparse_y_pred": False}, LABELS),
]


@pytest.mark.parametrize(("name", "options", "y_true"), LAZY)
def test_inference_mode_leaves_the_state_usable(
    name: str, options: dict[str, Any], y_true: torch.Tensor
) -> None:
    with torch.inference_mode():
        metric = getattr(metrics, name)(**options)
        arguments = (y_true,) if name == "Mean" else (y_true, PROBS.clone())
        metric.update_state(*arguments)
        first = metric.result()
    metric.update_state(*arguments)
    torch.testing.assert_close(metric.result(), first.clone())
    metric.reset_state()


@pytest.mark.parametrize(("name", "options", "y_true"), LAZY)
def test_nothing_taken_in_gives_zero(name: str, options: dict[str, Any], y_true: Any) -> None:
    result = getattr(metrics, name)(**options).result()
    assert result.shape == ()
    assert result.item() == 0


def test_crossentropy_is_computed_from_the_logits_behind_a_softmax() -> None:
    logits = torch.tensor([[0.0, 200.0]])
    with keep_logits():
        y_pred = softmax(logits)
    assert metrics.SparseCategoricalCrossentropy()(torch.tensor([0]), y_pred).item() == 200
    assert metrics.SparseCategoricalCrossentropy()([0], y_pred.numpy()).item() < 17


def test_nan_outputs_cannot_write_out_of_bounds() -> None:
    y_pred = torch.tensor([0.2, torch.nan, 0.9, torch.inf, -torch.inf])
    metric = metrics.AUC()
    metric.update_state(torch.tensor([0, 1, 1, 1, 0]), y_pred)
    assert metric.true_positives.sum().isfinite()


def test_float_weights_are_not_cut_to_integers() -> None:
    metric = metrics.MeanIoU(2)
    metric.update_state([0, 1, 1], [0, 1, 0], [0.5, 0.25, 0.25])
    # Class 0: 0.5 of 0.75; class 1: 0.25 of 0.5.
    assert metric.result().item() == pytest.approx((0.5 / 0.75 + 0.25 / 0.5) / 2)
    metric = metrics.MeanIoU(2)
    metric.update_state(torch.zeros(2, 3), torch.zeros(2, 3), [1.0, 0.5])
    assert metric.total_cm[0, 0].item() == 4.5


@pytest.mark.parametrize("count", [True, False])
def test_masks_of_a_loss_used_as_a_metric(count: bool) -> None:
    y_pred = PROBS.clone()
    y_pred._keras_mask = torch.arange(6) < 3
    metric = metrics.get(losses.MeanSquaredError() if count else losses.mean_squared_error)
    expected = F.mse_loss(PROBS[:3], BITS[:3])
    torch.testing.assert_close(metric(BITS, y_pred), expected)


@pytest.mark.parametrize(
    ("weight", "expected"), [(None, 0.25), ([0.0, 0, 1, 1], 0.5), ([[1.0], [1], [0], [0]], 0)]
)
def test_weighted_precision_by_hand(weight: Any, expected: float) -> None:
    metric = metrics.Precision()
    metric.update_state([0, 0, 1, 0], [[0.9], [0.8], [0.7], [0.6]], weight)
    assert metric.result().item() == expected


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 5), (3, 1, 1)])
def test_weights_of_sequences(shape: tuple[int, ...]) -> None:
    y_true, y_pred = (torch.rand(3, 5) < 0.5).float(), torch.rand(3, 5)
    weight = torch.rand(shape)
    metric = metrics.TruePositives()
    metric.update_state(y_true, y_pred, weight)
    spread = weight.reshape(3, -1).expand(3, 5)
    torch.testing.assert_close(metric.result(), (y_true * (y_pred > 0.5) * spread).sum())


# ---- get and resolve ----


@pytest.mark.parametrize(
    ("identifier", "kind", "name"),
    [
        ("mse", metrics.MeanSquaredError, "mean_squared_error"),
        ("MeanSquaredError", metrics.MeanSquaredError, "mean_squared_error"),
        ("mean_squared_error", metrics.MeanSquaredError, "mean_squared_error"),
        ("rmse", metrics.RootMeanSquaredError, "root_mean_squared_error"),
        ("acc", metrics.Accuracy, "accuracy"),
        ("accuracy", metrics.Accuracy, "accuracy"),
        ("auc", metrics.AUC, "auc"),
        (metrics.F1Score, metrics.F1Score, "f1_score"),
        (losses.huber, metrics.MeanMetricWrapper, "huber"),
        (losses.Huber(), metrics.MeanMetricWrapper, "huber_loss"),
        (nn.L1Loss(), metrics.MeanMetricWrapper, "l1_loss"),
        (F.l1_loss, metrics.MeanMetricWrapper, "l1_loss"),
        ({"class_name": "Sum", "config": {"name": "s"}}, metrics.Sum, "s"),
    ],
)
def test_get(identifier: Any, kind: type, name: str) -> None:
    naming.clear()
    found = metrics.get(identifier)
    assert (type(found), found.name) == (kind, name)


def test_get_of_the_rest() -> None:
    metric = metrics.AUC()
    assert metrics.get(metric) is metric
    assert metrics.get(None) is None
    torch.testing.assert_close(metrics.get(nn.L1Loss())(BITS, PROBS), F.l1_loss(PROBS, BITS))

    def largest_error(y_true: Any, y_pred: Any) -> Any:
        return (y_true - y_pred).abs().amax(-1)

    metric = metrics.get(largest_error)
    assert metric.name == "largest_error"
    torch.testing.assert_close(
        metric(BITS.numpy(), PROBS.numpy()), (BITS - PROBS).abs().amax(-1).mean()
    )


@pytest.mark.parametrize(
    ("identifier", "message"),
    [("acuracy", "Did you mean 'accuracy'"), (3, "Cannot use 3 as a metric")],
)
def test_get_of_nothing(identifier: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        metrics.get(identifier)


@pytest.mark.parametrize(
    ("shapes", "accuracy", "crossentropy"),
    [
        (((6, 1), (6, 1)), metrics.BinaryAccuracy, metrics.BinaryCrossentropy),
        (((6,), (6, 4)), metrics.SparseCategoricalAccuracy, metrics.SparseCategoricalCrossentropy),
        (((6, 4), (6, 4)), metrics.CategoricalAccuracy, metrics.CategoricalCrossentropy),
    ],
)
def test_resolve(shapes: Any, accuracy: type, crossentropy: type) -> None:
    for name, kind in (("acc", accuracy), ("Accuracy", accuracy), ("ce", crossentropy)):
        found = metrics.resolve(name, *shapes)
        assert (type(found), found.name) == (kind, name)
    assert metrics.resolve_accuracy("mse", *shapes) is None
    assert metrics.resolve("mse", *shapes).name == "mse"
    assert metrics.resolve(metrics.Sum(name="s"), *shapes).name == "s"
    with pytest.raises(ArgumentError, match="must not contain None"):
        metrics.resolve(None, *shapes)


@pytest.mark.parametrize(
    "metric",
    [
        metrics.MeanMetricWrapper(losses.huber, "h", delta=0.3),
        metrics.MeanMetricWrapper(metrics.binary_accuracy, "b", threshold=0.3),
        metrics.MeanMetricWrapper(losses.Huber(delta=0.3), "h"),
        metrics.AUC(thresholds=[0.2, 0.7], label_weights=[1.0, 2, 3, 4]),
        metrics.Precision(thresholds=[0.2, 0.7]),
        metrics.R2Score(class_aggregation=None),
    ],
)
def test_configs_make_the_same_metric(metric: Any) -> None:
    again = metrics.deserialize(metrics.serialize(metric))
    assert again.get_config() == metric.get_config()
    assert repr(again) == repr(metric)
    torch.testing.assert_close(again(BITS, PROBS), metric(BITS, PROBS))


class Torchlike:
    """The interface of torchmetrics."""

    def __init__(self) -> None:
        self.reset()

    def update(self, preds: torch.Tensor, target: torch.Tensor) -> None:
        self.seen.append((preds, target))

    def compute(self) -> torch.Tensor:
        return torch.tensor(len(self.seen))

    def reset(self) -> None:
        self.seen: list[Any] = []


@pytest.mark.parametrize(
    ("y_true", "y_pred", "shapes"),
    [
        (LABELS[:, None], PROBS, ((6, 4), (6,))),
        (LABELS, PROBS, ((6, 4), (6,))),
        (LABELS, PROBS[:, :1], ((6, 1), (6, 1))),
        (BITS, PROBS, ((6, 4), (6, 4))),
    ],
)
def test_torchmetrics(y_true: Any, y_pred: Any, shapes: Any) -> None:
    inner = Torchlike()
    metric = metrics.get(inner)
    assert metric.name == "torchlike"
    assert metric(y_true, y_pred).item() == 1
    assert tuple(tuple(t.shape) for t in inner.seen[0]) == shapes
    metric.reset_state()
    assert metric.result().item() == 0
    with pytest.raises(ArgumentError, match="takes no sample_weight"):
        metric.update_state(y_true, y_pred, torch.ones(6))


# ---- errors ----


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: metrics.Precision(thresholds=1.5),
            "Precision: thresholds must be a number from 0 to 1, got 1.5",
        ),
        (lambda: metrics.Recall(thresholds=[0.1, None]), "must be a number from 0 to 1, got None"),
        (lambda: metrics.TruePositives(thresholds=[]), "thresholds must hold at least one"),
        (
            lambda: metrics.AUC(num_thresholds=1),
            "num_thresholds must be a whole number of at least 2",
        ),
        (lambda: metrics.AUC(curve="roc curve"), "Unknown curve 'roc curve'"),
        (lambda: metrics.AUC(summation_method="mid"), "Unknown summation_method 'mid'"),
        (lambda: metrics.AUC(num_labels=3), "num_labels is only for multi_label=True"),
        (lambda: metrics.PrecisionAtRecall(1.2), "recall must be a number from 0 to 1"),
        (lambda: metrics.RecallAtPrecision(-1), "precision must be a number from 0 to 1"),
        (lambda: metrics.SensitivityAtSpecificity(2), "specificity must be a number from 0 to 1"),
        (
            lambda: metrics.SpecificityAtSensitivity(0.5, num_thresholds=0),
            "num_thresholds must be a whole number of at least 1",
        ),
        (lambda: metrics.F1Score(average="all"), "average must be one of None, 'micro'"),
        (lambda: metrics.FBetaScore(beta=0), "beta must be a number above 0"),
        (
            lambda: metrics.F1Score(threshold=1.5),
            "threshold must be a number above 0 and at most 1",
        ),
        (lambda: metrics.IoU(3, [0, 3]), "must be classes from 0 to 2"),
        (lambda: metrics.R2Score("mean"), "class_aggregation must be one of"),
        (
            lambda: metrics.R2Score(num_regressors=-1),
            "num_regressors must be a whole number of at least 0",
        ),
        (
            lambda: metrics.BinaryCrossentropy(label_smoothing=2),
            "label_smoothing must be a number from 0 to 1",
        ),
        (
            lambda: metrics.CategoricalCrossentropy(label_smoothing=2),
            "label_smoothing must be a number from 0 to 1",
        ),
        (lambda: metrics.Mean(dtype="number"), "dtype='number' is not a dtype"),
        (lambda: metrics.TopKCategoricalAccuracy(k=5)(ONE_HOT, PROBS), "k=5 needs at least k"),
    ],
)
def test_bad_arguments(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize(
    ("metric", "y_true", "y_pred", "weight", "message"),
    [
        (metrics.Accuracy(), LABELS[:5], LABELS, None, r"\(5,\) and y_pred is \(6,\)"),
        (metrics.BinaryAccuracy(), LABELS, PROBS, None, r"y_true is \(6,\) and y_pred is \(6, 4\)"),
        (metrics.SparseCategoricalAccuracy(), ONE_HOT, PROBS, None, r"labels are \(6, 4\)"),
        (metrics.SparseCategoricalAccuracy(), LABELS[:1], PROBS, None, r"labels are \(1,\)"),
        (metrics.CategoricalAccuracy(), LABELS, PROBS, None, r"labels are \(\)"),
        (metrics.SparseTopKCategoricalAccuracy(2), ONE_HOT, PROBS, None, r"labels are \(6, 4\)"),
        (metrics.MeanSquaredError(), LABELS, PROBS, None, "compares targets and outputs"),
        (metrics.RootMeanSquaredError(), LABELS, PROBS, None, "root_mean_squared_error compares"),
        (metrics.MeanSquaredError(), BITS, PROBS, torch.ones(5), r"\(5,\) cannot weight values"),
        (metrics.Precision(), LABELS, PROBS, None, r"y_true is \(6,\) and y_pred is \(6, 4\)"),
        (metrics.Precision(), BITS, PROBS, torch.ones(5), r"\(5,\) cannot weight outputs"),
        (metrics.Precision(class_id=4), BITS, PROBS, None, r"class_id=4 needs.*\(6, 4\)"),
        (metrics.Recall(class_id=0), LABELS, LABELS, None, r"class_id=0 needs outputs \(batch"),
        (metrics.AUC(multi_label=True), LABELS, LABELS, None, r"outputs \(batch, labels\)"),
        (metrics.F1Score(), LABELS, PROBS, None, r"expects one-hot targets.*\(6,\)"),
        (metrics.R2Score(), LABELS, LABELS, None, r"R2Score expects \(batch, outputs\)"),
        (metrics.MeanIoU(4, name="iou"), LABELS, PROBS, None, "iou expects one target per output"),
        (metrics.MeanIoU(4), LABELS, LABELS, torch.ones(5), r"\(5,\) cannot weight targets"),
    ],
)
def test_bad_shapes(metric: Any, y_true: Any, y_pred: Any, weight: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        metric.update_state(y_true, y_pred, weight)


def test_adjusted_r2_of_too_few_samples() -> None:
    metric = metrics.R2Score(num_regressors=30)
    metric.update_state(BITS, PROBS)
    with pytest.warns(UserWarning, match=r"needs more samples than num_regressors \+ 1 = 31"):
        plain = metric.result()
    reference = metrics.R2Score()
    torch.testing.assert_close(plain, reference(BITS, PROBS))


def test_a_metric_without_methods() -> None:
    with pytest.raises(NotImplementedError, match="Metric has no update_state"):
        metrics.Metric()(np.ones(2))
    with pytest.raises(NotImplementedError, match="Metric has no result"):
        metrics.Metric().result()


@pytest.mark.parametrize(
    "make",
    [
        lambda: metrics.CategoricalAccuracy(),
        lambda: metrics.TopKCategoricalAccuracy(k=2),
        lambda: metrics.OneHotIoU(3, [0]),
        lambda: metrics.OneHotMeanIoU(3),
        lambda: metrics.F1Score(),
        lambda: metrics.AUC(),
    ],
)
def test_one_hot_targets_may_be_truth_values(make: Any) -> None:
    """As `pandas.get_dummies` makes them."""
    labels, outputs = torch.tensor([0, 2, 1, 1]), torch.rand(4, 3).softmax(-1)
    one_hot = torch.nn.functional.one_hot(labels, 3)
    first, second = make(), make()
    first.update_state(one_hot.bool(), outputs)
    second.update_state(one_hot.float(), outputs)
    torch.testing.assert_close(first.result(), second.result())
