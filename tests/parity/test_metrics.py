"""Every metric against real Keras: several batches, weights, masks, dtypes, reset."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch
from keras.src.trainers.compile_utils import get_metric

from nnkit import metrics, naming

N, C = 8, 4
rng = np.random.default_rng(5)
Batches = list[tuple[np.ndarray, np.ndarray]]


def softmaxed(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return (e / e.sum(-1, keepdims=True)).astype("float32")


def many(make: Any) -> Batches:
    return [make() for _ in range(3)]


def real() -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(N, C)).astype("float32"), rng.normal(size=(N, C)).astype("float32")


def positive() -> tuple[np.ndarray, np.ndarray]:
    return rng.random((N, C)).astype("float32"), rng.random((N, C)).astype("float32") + 0.1


def sparse() -> tuple[np.ndarray, np.ndarray]:
    return rng.integers(0, C, N), softmaxed(rng.normal(size=(N, C)))


def column() -> tuple[np.ndarray, np.ndarray]:
    return rng.integers(0, C, (N, 1)), softmaxed(rng.normal(size=(N, C)))


def one_hot() -> tuple[np.ndarray, np.ndarray]:
    y, p = sparse()
    return np.eye(C, dtype="float32")[y], p


def distribution() -> tuple[np.ndarray, np.ndarray]:
    return softmaxed(rng.normal(size=(N, C))), softmaxed(rng.normal(size=(N, C)))


def bits() -> tuple[np.ndarray, np.ndarray]:
    return (rng.random(N) < 0.5).astype("int64"), rng.random(N).astype("float32")


def bits_1() -> tuple[np.ndarray, np.ndarray]:
    return (rng.random(N) < 0.5).astype("int64"), rng.random((N, 1)).astype("float32")


def multi() -> tuple[np.ndarray, np.ndarray]:
    return (rng.random((N, C)) < 0.5).astype("float32"), rng.random((N, C)).astype("float32")


def coarse() -> tuple[np.ndarray, np.ndarray]:
    return (rng.random((N, C)) < 0.5).astype(bool), (rng.integers(0, 5, (N, C)) / 4).astype(
        "float32"
    )


def logits() -> tuple[np.ndarray, np.ndarray]:
    y, x = multi()
    return y, x * 8 - 4


def ids() -> tuple[np.ndarray, np.ndarray]:
    return rng.integers(0, C, N), rng.integers(0, C, N)


def image() -> tuple[np.ndarray, np.ndarray]:
    return rng.integers(0, C, (2, 3, 3)), rng.normal(size=(2, 3, 3, C)).astype("float32")


def sequence() -> tuple[np.ndarray, np.ndarray]:
    return rng.integers(0, C, (3, 5)), softmaxed(rng.normal(size=(3, 5, C)))


T4 = [0.1, 0.3, 0.55, 0.9]
EVEN = [0.0, 0.25, 0.5, 0.75, 1.0]
CASES: list[tuple[str, dict[str, Any], Any]] = [
    ("Accuracy", {}, ids),
    ("BinaryAccuracy", {}, bits),
    ("BinaryAccuracy", {}, bits_1),
    ("BinaryAccuracy", {"threshold": 0.75}, coarse),
    ("CategoricalAccuracy", {}, one_hot),
    ("SparseCategoricalAccuracy", {}, sparse),
    ("SparseCategoricalAccuracy", {}, column),
    ("SparseCategoricalAccuracy", {}, sequence),
    ("SparseCategoricalAccuracy", {}, image),
    ("TopKCategoricalAccuracy", {"k": 2}, one_hot),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, sparse),
    ("SparseTopKCategoricalAccuracy", {"k": 3}, sequence),
    ("MeanSquaredError", {}, real),
    ("MeanSquaredError", {}, bits_1),
    ("RootMeanSquaredError", {}, real),
    ("MeanAbsoluteError", {}, real),
    ("MeanAbsolutePercentageError", {}, real),
    ("MeanSquaredLogarithmicError", {}, positive),
    ("LogCoshError", {}, real),
    ("CosineSimilarity", {}, real),
    ("CosineSimilarity", {"axis": 0}, real),
    ("R2Score", {}, real),
    ("R2Score", {"class_aggregation": None}, real),
    ("R2Score", {"class_aggregation": "variance_weighted_average", "num_regressors": 3}, real),
    ("PearsonCorrelation", {}, real),
    ("PearsonCorrelation", {"axis": 0}, real),
    ("ConcordanceCorrelation", {}, real),
    ("KLDivergence", {}, distribution),
    ("Poisson", {}, positive),
    ("BinaryCrossentropy", {}, multi),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, logits),
    ("CategoricalCrossentropy", {}, one_hot),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, one_hot),
    ("SparseCategoricalCrossentropy", {}, sparse),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, column),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, sparse),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, sequence),
    ("Hinge", {}, real),
    ("SquaredHinge", {}, multi),
    ("CategoricalHinge", {}, one_hot),
    *[
        (name, options, data)
        for name in ("TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives")
        for options, data in (
            ({}, bits_1),
            ({"thresholds": T4}, coarse),
            ({"thresholds": EVEN}, coarse),
        )
    ],
    *[
        (name, options, data)
        for name in ("Precision", "Recall")
        for options, data in (
            ({}, bits),
            ({}, multi),
            ({"thresholds": 0.25}, coarse),
            ({"thresholds": T4}, multi),
            ({"thresholds": EVEN}, multi),
            ({"top_k": 2}, one_hot),
            ({"top_k": 2, "class_id": 1}, one_hot),
            ({"class_id": 2, "thresholds": [0.2, 0.4]}, one_hot),
        )
    ],
    ("AUC", {}, bits),
    ("AUC", {}, bits_1),
    ("AUC", {}, coarse),
    ("AUC", {"curve": "PR"}, bits),
    ("AUC", {"curve": "PRGAIN"}, bits),
    ("AUC", {"summation_method": "minoring", "num_thresholds": 30}, multi),
    ("AUC", {"summation_method": "majoring", "curve": "PR"}, multi),
    ("AUC", {"thresholds": T4}, multi),
    ("AUC", {"thresholds": T4, "curve": "PR"}, coarse),
    ("AUC", {"multi_label": True}, multi),
    ("AUC", {"multi_label": True, "curve": "PR"}, multi),
    ("AUC", {"multi_label": True, "thresholds": T4}, multi),
    ("AUC", {"multi_label": True, "num_labels": C, "label_weights": [0.1, 0.4, 0.3, 2]}, multi),
    ("AUC", {"label_weights": [0.1, 0.4, 0.3, 2.0]}, multi),
    ("AUC", {"label_weights": [0.1, 0.4, 0.3, 2.0], "thresholds": T4}, multi),
    ("AUC", {"from_logits": True}, logits),
    ("SensitivityAtSpecificity", {"specificity": 0.4}, bits),
    ("SensitivityAtSpecificity", {"specificity": 0.4, "num_thresholds": 1}, bits),
    ("SpecificityAtSensitivity", {"sensitivity": 0.4}, bits),
    ("PrecisionAtRecall", {"recall": 0.6}, multi),
    ("PrecisionAtRecall", {"recall": 0.6, "class_id": 1, "num_thresholds": 20}, multi),
    ("RecallAtPrecision", {"precision": 0.6}, multi),
    ("F1Score", {}, one_hot),
    ("F1Score", {"average": "macro"}, one_hot),
    ("F1Score", {"average": "micro", "threshold": 0.4}, multi),
    ("FBetaScore", {"beta": 2.0, "average": "weighted"}, one_hot),
    ("FBetaScore", {"beta": 0.5, "threshold": 0.3}, multi),
    ("MeanIoU", {"num_classes": C}, ids),
    ("MeanIoU", {"num_classes": C, "ignore_class": 2}, ids),
    ("MeanIoU", {"num_classes": C, "sparse_y_pred": False}, image),
    ("MeanIoU", {"num_classes": 3}, ids),
    ("IoU", {"num_classes": C, "target_class_ids": [0, 3]}, ids),
    ("BinaryIoU", {}, multi),
    ("BinaryIoU", {"target_class_ids": [1], "threshold": 0.25}, coarse),
    ("OneHotIoU", {"num_classes": C, "target_class_ids": [1]}, one_hot),
    ("OneHotMeanIoU", {"num_classes": C}, one_hot),
]
IDS = [f"{name}-{options}-{data.__name__}" for name, options, data in CASES]


def close(ours: Any, theirs: Any) -> None:
    ours, theirs = ours.detach().numpy(), theirs.detach().numpy()
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize(("name", "options", "data"), CASES, ids=IDS)
@pytest.mark.parametrize("as_tensors", [False, True])
def test_batches_and_reset(name: str, options: dict[str, Any], data: Any, as_tensors: bool) -> None:
    ours, theirs = getattr(metrics, name)(**options), getattr(keras.metrics, name)(**options)
    for batches in (many(data), many(data)[:1]):
        for y_true, y_pred in batches:
            given = (torch.tensor(y_true), torch.tensor(y_pred)) if as_tensors else (y_true, y_pred)
            ours.update_state(*given)
            theirs.update_state(y_true, y_pred)
            close(ours.result(), theirs.result())
        assert len(ours.variables) == len(theirs.variables)
        ours.reset_state()
        theirs.reset_state()
    for variable in ours.variables:
        assert not variable.any()


WEIGHTED = [case for case in CASES if case[1].get("axis") != 0]


@pytest.mark.parametrize(
    ("name", "options", "data"), WEIGHTED, ids=[f"{n}-{o}-{d.__name__}" for n, o, d in WEIGHTED]
)
def test_sample_weights(name: str, options: dict[str, Any], data: Any) -> None:
    ours, theirs = getattr(metrics, name)(**options), getattr(keras.metrics, name)(**options)
    for y_true, y_pred in many(data):
        if name == "BinaryIoU" or (name == "MeanIoU" and y_true.ndim > 1):
            weight = rng.integers(0, 3, y_true.shape)
        elif "IoU" in name:
            weight = rng.integers(0, 3, len(y_true))
        elif "ignore_class" in options:
            weight = rng.random(y_true.shape).astype("float32")
        else:
            weight = rng.random(len(y_true)).astype("float32")
        ours.update_state(y_true, y_pred, weight)
        theirs.update_state(y_true, y_pred, weight)
        close(ours.result(), theirs.result())


@pytest.mark.parametrize("name", ["Mean", "Sum"])
@pytest.mark.parametrize(
    ("values", "weight"),
    [
        (3.0, None),
        (3.0, 0.5),
        (np.arange(4.0), None),
        (np.arange(4.0), np.array([1.0, 0, 2, 1])),
        (np.arange(6.0).reshape(3, 2), None),
        (np.arange(6.0).reshape(3, 2), np.array([1.0, 0, 2])),
        (np.arange(6.0).reshape(3, 2), np.array([[1.0], [0], [2]])),
        (np.arange(6.0).reshape(3, 2), np.arange(6.0).reshape(3, 2)),
        (np.arange(12.0).reshape(3, 2, 2), np.arange(6.0).reshape(3, 2)),
        (np.arange(3), np.zeros(3)),
    ],
)
def test_mean_and_sum(name: str, values: Any, weight: Any) -> None:
    ours, theirs = getattr(metrics, name)(), getattr(keras.metrics, name)()
    for scale in (1, 2):
        ours.update_state(values * scale, weight)
        theirs.update_state(values * scale, weight)
        close(ours.result(), theirs.result())
    for mine, other in zip(ours.variables, theirs.variables, strict=True):
        close(mine, other.value)


@pytest.mark.parametrize("weight", [None, rng.random((3, 5)).astype("float32")])
@pytest.mark.parametrize("name", ["SparseCategoricalAccuracy", "SparseCategoricalCrossentropy"])
def test_masks(name: str, weight: np.ndarray | None) -> None:
    ours, theirs = getattr(metrics, name)(), getattr(keras.metrics, name)()
    for y_true, y_pred in many(sequence):
        mask = torch.tensor(rng.random((3, 5)) < 0.6)
        for metric in (ours, theirs):
            output = torch.tensor(y_pred)
            output._keras_mask = mask
            metric.update_state(torch.tensor(y_true), output, weight)
        close(ours.result(), theirs.result())


def test_masked_samples() -> None:
    ours, theirs = metrics.SparseCategoricalAccuracy(), keras.metrics.SparseCategoricalAccuracy()
    for y_true, y_pred in many(sparse):
        for metric in (ours, theirs):
            output = torch.tensor(y_pred)
            output._keras_mask = torch.arange(N) % 3 > 0
            metric.update_state(torch.tensor(y_true), output)
        close(ours.result(), theirs.result())


@pytest.mark.parametrize("dtype", ["int32", "int64", "bool", "float64", "uint8"])
@pytest.mark.parametrize("name", ["BinaryAccuracy", "AUC", "Precision", "MeanSquaredError"])
def test_label_dtypes(name: str, dtype: str) -> None:
    y_true, y_pred = multi()
    ours, theirs = getattr(metrics, name)(), getattr(keras.metrics, name)()
    expected = theirs(y_true.astype(dtype), y_pred)
    close(ours(y_true.astype(dtype), y_pred), expected)
    ours.reset_state()
    close(ours(torch.tensor(y_true.astype(dtype)), torch.tensor(y_pred)), expected)


def test_sorted_ids() -> None:
    y_true, ranked = np.array([2, 0, 1]), np.array([[2, 1, 0, 3], [1, 2, 0, 3], [3, 1, 0, 2]])
    for k in (1, 2, 3):
        options = {"k": k, "from_sorted_ids": True}
        ours = metrics.SparseTopKCategoricalAccuracy(**options)
        theirs = keras.metrics.SparseTopKCategoricalAccuracy(**options)
        close(ours(y_true, ranked), theirs(y_true, ranked))


FIRST = {name: options for name, options, _ in reversed(CASES)}


@pytest.mark.parametrize("name", sorted(FIRST))
def test_names_and_configs(name: str) -> None:
    naming.clear()
    keras.utils.clear_session(free_memory=False)
    for _ in range(2):
        ours = getattr(metrics, name)(**FIRST[name])
        theirs = getattr(keras.metrics, name)(**FIRST[name])
        assert (ours.name, ours.dtype) == (theirs.name, theirs.dtype)
        assert ours._direction == getattr(theirs, "_direction", None)
    mine, other = ours.get_config(), theirs.get_config()
    assert set(other) <= set(mine)
    for key in set(other) - {"label_weights"}:
        assert mine[key] == other[key]
    assert type(ours).from_config(mine).get_config() == mine
    assert type(theirs).from_config(other).name == ours.name


def test_all_of_keras_is_here() -> None:
    names = {n for n in dir(keras.metrics) if not n.startswith("_")}
    assert names <= set(dir(metrics))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("binary_accuracy", multi),
        ("categorical_accuracy", one_hot),
        ("sparse_categorical_accuracy", column),
        ("top_k_categorical_accuracy", one_hot),
        ("sparse_top_k_categorical_accuracy", sparse),
        ("pearson_correlation", real),
        ("concordance_correlation", real),
    ],
)
def test_functions(name: str, data: Any) -> None:
    y_true, y_pred = data()
    options = {"k": 2} if "top_k" in name else {}
    ours = getattr(metrics, name)(y_true, y_pred, **options)
    close(ours, getattr(keras.metrics, name)(y_true, y_pred, **options))


@pytest.mark.parametrize(
    ("name", "true_shape", "pred_shape"),
    [
        ("accuracy", (N,), (N, 1)),
        ("acc", (N, 1), (N, 1)),
        ("accuracy", (N,), (N, C)),
        ("Accuracy", (N, 1), (N, C)),
        ("acc", (N, C), (N, C)),
        ("accuracy", (N, 5), (N, 5, C)),
        ("mse", (N, C), (N, C)),
        ("AUC", (N, 1), (N, 1)),
    ],
)
def test_names_in_compile(
    name: str, true_shape: tuple[int, ...], pred_shape: tuple[int, ...]
) -> None:
    theirs = get_metric(name, np.zeros(true_shape), np.zeros(pred_shape))
    ours = metrics.resolve(name, true_shape, pred_shape)
    assert (type(ours).__name__, ours.name) == (type(theirs).__name__, theirs.name)
