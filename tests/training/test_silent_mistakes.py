"""What Keras trains wrongly without a word: refused, or warned of, before the first update."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from nnkit import metrics
from nnkit.errors import DataError, ShapeError
from nnkit.layers.core import Dense
from nnkit.layers.input import Input
from nnkit.losses import BinaryCrossentropy, SparseCategoricalCrossentropy
from nnkit.models import Sequential

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 6)).astype("float32")
LABELS = RNG.integers(0, 3, 40)
HOT = np.eye(3, dtype="float32")[LABELS]
YES = RNG.integers(0, 2, 40)
VALUES = X[:, :1]
SPARSE, CATEGORICAL = "sparse_categorical_crossentropy", "categorical_crossentropy"
LOGITS = BinaryCrossentropy(from_logits=True)


def fit(units: int, activation: Any, loss: Any, y: Any, **more: Any) -> Any:
    """Trains, and gives back the weights from before and after if it is refused."""
    fit_arguments = {k: more.pop(k) for k in list(more) if k == "class_weight"}
    model = Sequential([Input((6,)), Dense(units, activation)])
    model.compile("sgd", loss, **more)
    before = model.get_weights()
    try:
        return model.fit(X, y, verbose=0, **fit_arguments)
    except Exception:
        for one, other in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
        raise


REFUSED = [
    ((3, None, "mse", VALUES), ShapeError, r"y_true is \(32, 1\) and y_pred is \(32, 3\)"),
    ((1, "softmax", "mse", VALUES), ShapeError, "one unit, whose softmax is always 1"),
    ((1, "softmax", "binary_crossentropy", YES), ShapeError, "one unit, whose softmax is always 1"),
    ((1, "softmax", CATEGORICAL, YES), ShapeError, "one unit, whose softmax is always 1"),
    ((1, "sigmoid", SPARSE, YES), ShapeError, "compares two classes or more"),
    ((3, None, SPARSE, LABELS), DataError, "End the model with softmax, or give .*from_logits"),
    ((1, None, "binary_crossentropy", YES), DataError, "probabilities from 0 to 1"),
    ((1, "tanh", "binary_crossentropy", YES), DataError, "End the model with sigmoid, or give"),
    (
        (3, None, "kl_divergence", HOT),
        DataError,
        r"outputs go from .* End the model with softmax\.",
    ),
    ((3, None, "dice", HOT), DataError, "dice expects probabilities from 0 to 1"),
    ((3, None, "categorical_focal_crossentropy", HOT), DataError, "expects probabilities"),
    (
        (1, None, "poisson", np.abs(VALUES)),
        DataError,
        "expects outputs above 0, the expected count",
    ),
    ((3, "softmax", SPARSE, HOT), ShapeError, "One-hot targets need categorical_crossentropy"),
    ((3, "softmax", CATEGORICAL, LABELS), ShapeError, "Integer labels need sparse_categorical"),
    ((3, "softmax", SPARSE, LABELS + 1), DataError, "label 3, but the outputs have 3 classes"),
    ((3, "softmax", SPARSE, LABELS - 1), DataError, "Count labels from 0"),
    ((3, "softmax", SPARSE, LABELS + 0.5), DataError, "expects whole numbers as labels"),
    ((1, "sigmoid", "binary_crossentropy", YES * 2 - 1), DataError, "Turn -1/1 into 0/1"),
    ((1, "sigmoid", "binary_crossentropy", LABELS), DataError, "targets from 0 to 1"),
]


@pytest.mark.parametrize(("given", "kind", "message"), REFUSED)
def test_refused(given: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        fit(*given)


WARNED: list[tuple[Any, dict[str, Any], str]] = [
    ((3, "softmax", SparseCategoricalCrossentropy(from_logits=True), LABELS), {},
     "already went through softmax"),
    ((1, "sigmoid", LOGITS, YES), {}, "already went through sigmoid"),
    ((3, "sigmoid", CATEGORICAL, HOT), {}, "went through sigmoid, which lets several classes"),
    ((3, "sigmoid", SPARSE, LABELS), {}, "End the model with softmax; for classes"),
    ((3, "hard_sigmoid", CATEGORICAL, HOT), {}, "do not sum to 1 over the classes"),
    ((3, "softmax", CATEGORICAL, np.ones_like(HOT)), {}, "rows of y_true sum to 3"),
    ((1, None, LOGITS, YES), {"metrics": ["accuracy"]}, r"BinaryAccuracy\(threshold=0.0\)"),
    ((1, None, LOGITS, YES), {"weighted_metrics": [metrics.AUC]}, r"AUC\(from_logits=True\)"),
    ((1, None, LOGITS, YES), {"metrics": [metrics.Recall()]}, "End the model with sigmoid, and"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "more", "message"), WARNED)
def test_warned_of(given: Any, more: dict[str, Any], message: str) -> None:
    with pytest.warns(UserWarning, match=message):
        fit(*given, **more)


RIGHT: list[tuple[Any, dict[str, Any]]] = [
    ((3, "softmax", SPARSE, LABELS), {"metrics": ["accuracy"]}),
    ((3, "softmax", CATEGORICAL, HOT * 0.9 + 0.1 / 3), {"metrics": [metrics.AUC()]}),
    ((3, None, SparseCategoricalCrossentropy(from_logits=True), LABELS), {"metrics": ["accuracy"]}),
    ((1, None, LOGITS, YES), {"metrics": [metrics.BinaryAccuracy(threshold=0.0)]}),
    ((1, None, LOGITS, YES), {"metrics": [metrics.AUC(from_logits=True)]}),
    ((3, "sigmoid", "binary_crossentropy", HOT), {"metrics": ["accuracy", metrics.Recall()]}),
    ((1, "exponential", "poisson", np.abs(VALUES)), {}),
    ((1, None, "mse", VALUES[:, 0]), {}),
]


@pytest.mark.parametrize(("given", "more"), RIGHT)
def test_what_is_right_passes_in_silence(given: Any, more: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(fit(*given, **more).history["loss"][0])


def test_class_weights_that_miss_a_class() -> None:
    with pytest.raises(DataError, match="y has the class 2, but class_weight only has 0, 1"):
        fit(3, "softmax", SPARSE, LABELS, class_weight={0: 1.0, 1: 2.0})
