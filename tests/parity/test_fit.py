"""Whole fits against real Keras: the same logs in every epoch, the same weights at the end."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pandas
import pytest
import torch

from tests.parity.twins import (
    KERAS,
    NNKIT,
    assert_same_logs,
    assert_same_weights,
    compiled_twins,
    fit_twins,
)

# Keras's own reading of its variables, under this NumPy.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

random = np.random.default_rng(0)
# 50 samples in batches of 16: the last batch is short.
X = random.normal(size=(50, 6)).astype("float32")
OTHER_X = random.normal(size=(50, 2)).astype("float32")
LABELS = random.integers(0, 3, 50)
ONE_HOT = np.eye(3, dtype="float32")[LABELS]
VALUES = random.normal(size=(50, 1)).astype("float32")
IMAGES = random.normal(size=(50, 8, 8, 2)).astype("float32")
WORDS = random.integers(0, 11, (50, 7))
WEIGHTS = random.uniform(0.2, 2, 50).astype("float32")
SPARSE = "sparse_categorical_crossentropy"


def mlp(kit: SimpleNamespace, **hidden: Any) -> Any:
    return kit.Sequential(
        [kit.Input((6,)), kit.Dense(8, "tanh", **hidden), kit.Dense(3, "softmax")]
    )


def regression(kit: SimpleNamespace) -> Any:
    return kit.Sequential([kit.Input((6,)), kit.Dense(5, "tanh"), kit.Dense(1)])


def cnn(kit: SimpleNamespace) -> Any:
    # No biases before a normalization: they have no gradient there but rounding, of which Adam
    # makes steps of full size, other ones in each library.
    return kit.Sequential(
        [
            kit.Input((8, 8, 2)),
            kit.Conv2D(4, 3, padding="same", use_bias=False),
            kit.BatchNormalization(),
            kit.MaxPooling2D(),
            kit.Conv2D(6, 3, strides=2, padding="same", activation="relu", use_bias=False),
            kit.BatchNormalization(momentum=0.9),
            kit.Flatten(),
            kit.Dense(3, "softmax"),
        ]
    )


def lstm(kit: SimpleNamespace) -> Any:
    return kit.Sequential(
        [
            kit.Input((7,), dtype="int32"),
            kit.Embedding(11, 5, mask_zero=True),
            kit.LSTM(6, return_sequences=True),
            kit.LSTM(4),
            kit.Dense(3, "softmax"),
        ]
    )


def two_by_two(kit: SimpleNamespace) -> Any:
    """Two inputs, two outputs."""
    left, right = kit.Input((6,), name="left"), kit.Input((2,), name="right")
    hidden = kit.Dense(5, "tanh")(kit.Concatenate()([left, right]))
    kind = kit.Dense(3, "softmax", name="kind")(hidden)
    return kit.Model([left, right], [kind, kit.Dense(1, name="amount")(hidden)])


def named_outputs(kit: SimpleNamespace) -> Any:
    """Outputs in a dict whose keys are not the names of the layers."""
    inputs = kit.Input((6,))
    hidden = kit.Dense(5, "tanh")(inputs)
    outputs = {"size": kit.Dense(1)(hidden), "class": kit.Dense(3, "softmax")(hidden)}
    return kit.Model(inputs, outputs)


def using(optimizer: Any = "sgd", loss: Any = SPARSE, **more: Any) -> Callable[..., Any]:
    """Settings for compile; functions are called with the kit."""

    def settings(kit: SimpleNamespace) -> dict[str, Any]:
        given = {"optimizer": optimizer, "loss": loss, **more}
        return {k: v(kit) if callable(v) else v for k, v in given.items()}

    return settings


OPTIMIZERS = {
    "sgd": lambda kit: kit.optimizers.SGD(0.1),
    "momentum": lambda kit: kit.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "adam": lambda kit: kit.optimizers.Adam(0.01),
    "adamw": lambda kit: kit.optimizers.AdamW(0.01, weight_decay=0.1),
    "rmsprop": lambda kit: kit.optimizers.RMSprop(0.005),
    "clipped": lambda kit: kit.optimizers.Adam(0.01, global_clipnorm=0.1),
    "schedule": lambda kit: kit.optimizers.SGD(kit.schedules.ExponentialDecay(0.2, 3, 0.5)),
    "accumulation": lambda kit: kit.optimizers.SGD(0.2, gradient_accumulation_steps=3),
    "ema": lambda kit: kit.optimizers.SGD(0.2, use_ema=True, ema_momentum=0.7),
    "ema overwritten": lambda kit: kit.optimizers.Adam(
        0.01, use_ema=True, ema_momentum=0.7, ema_overwrite_frequency=2
    ),
    "loss scale": lambda kit: kit.optimizers.SGD(0.1, loss_scale_factor=64.0),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_mlp(name: str) -> None:
    settings = using(OPTIMIZERS[name], metrics=["accuracy"])
    theirs, mine = fit_twins(mlp, settings, X, LABELS, validation_data=(X[:20], LABELS[:20]))
    assert mine.optimizer.iterations == int(theirs.optimizer.iterations)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize(
    ("build", "x"), [(cnn, IMAGES), (lstm, WORDS)], ids=["cnn with batch norm", "lstm with mask"]
)
def test_other_networks(build: Any, x: np.ndarray, optimizer: str) -> None:
    settings = using(OPTIMIZERS[optimizer], metrics=["accuracy"])
    theirs, mine = fit_twins(build, settings, x, LABELS, validation_split=0.2)
    np.testing.assert_allclose(mine.predict(x, verbose=0), theirs.predict(x, verbose=0), atol=1e-4)


def tagger(kit: SimpleNamespace) -> Any:
    """A class for each word; the mask of the padding reaches the loss."""
    return kit.Sequential(
        [
            kit.Input((7,), dtype="int32"),
            kit.Embedding(11, 5, mask_zero=True),
            kit.LSTM(6, return_sequences=True),
            kit.Dense(3, "softmax"),
        ]
    )


def test_masked_sequences() -> None:
    settings = using("adam", metrics=["accuracy"], weighted_metrics=["accuracy"])
    fit_twins(tagger, settings, WORDS, WORDS % 3, validation_split=0.2)
    # No weighted metrics here: Keras's loss has changed the weights in place when they see them.
    weights = np.random.default_rng(2).uniform(0.1, 2, (50, 7))
    settings = using("adam", metrics=["accuracy"])
    fit_twins(tagger, settings, WORDS, WORDS % 3, validation_split=0.2, sample_weight=weights)


@pytest.mark.parametrize(
    "arguments",
    [
        {"validation_split": 0.3},
        {"validation_data": (X[:21], LABELS[:21]), "validation_batch_size": 5},
        {"validation_data": (X[:21], LABELS[:21], WEIGHTS[:21])},
        {"validation_data": (X, LABELS), "validation_steps": 2},
        {"validation_data": (X, LABELS), "validation_freq": 2},
        {"validation_data": (X, LABELS), "validation_freq": [1, 3]},
        {"sample_weight": WEIGHTS},
        {"sample_weight": WEIGHTS, "validation_split": 0.3},
        {"class_weight": {0: 1.0, 1: 4.0, 2: 0.5}},
        {"class_weight": {0: 1.0, 1: 4.0, 2: 0.5}, "validation_split": 0.3},
        {"initial_epoch": 1},
        {"steps_per_epoch": 2},
        {"batch_size": 50},
        {"batch_size": 64},
        {"batch_size": 1, "epochs": 1},
        {"batch_size": None},
    ],
    ids=range(16),
)
def test_arguments_of_fit(arguments: dict[str, Any]) -> None:
    settings = using("adam", metrics=["accuracy"], weighted_metrics=["accuracy"])
    fit_twins(mlp, settings, X, LABELS, **arguments)


@pytest.mark.parametrize(
    ("loss", "build", "y"),
    [
        ("mse", regression, VALUES),
        ("mse", regression, VALUES[:, 0]),
        ("mae", regression, VALUES),
        ("huber", regression, VALUES),
        ("categorical_crossentropy", mlp, ONE_HOT),
        ("crossentropy", mlp, ONE_HOT),
        ("crossentropy", mlp, LABELS),
        ("kl_divergence", mlp, ONE_HOT),
        ("categorical_hinge", mlp, ONE_HOT),
        ("sparse_categorical_crossentropy", mlp, LABELS[:, None]),
        (lambda kit: kit.losses.CategoricalCrossentropy(label_smoothing=0.2), mlp, ONE_HOT),
        (lambda kit: kit.losses.MeanSquaredError(reduction="sum"), regression, VALUES),
        (lambda kit: kit.losses.mean_absolute_error, regression, VALUES),
        (lambda kit: lambda y, p: ((y - p) ** 4).mean(-1), regression, VALUES),
    ],
)
def test_losses(loss: Any, build: Any, y: np.ndarray) -> None:
    metric = "accuracy" if y is LABELS or y.dtype == int else "mse"
    fit_twins(build, using("sgd", loss, metrics=[metric]), X, y, validation_split=0.2)


@pytest.mark.parametrize(
    "metrics",
    [
        ["accuracy"],
        ["acc", "categorical_accuracy"],
        ["mse", "mean_squared_error", "MSE"],
        [lambda kit: kit.metrics.AUC(name="auc"), "Precision"],
        [lambda kit: kit.metrics.TopKCategoricalAccuracy(2, name="top")],
        [lambda kit: kit.metrics.F1Score(name="f1")],
        [lambda kit: kit.metrics.categorical_crossentropy],
        [lambda kit: kit.metrics.MeanSquaredError(), "mae"],
    ],
    ids=range(8),
)
@pytest.mark.parametrize("kind", ["metrics", "weighted_metrics"])
def test_metrics(metrics: list[Any], kind: str) -> None:
    def settings(kit: SimpleNamespace) -> dict[str, Any]:
        made = [each(kit) if callable(each) else each for each in metrics]
        return {"optimizer": "sgd", "loss": "categorical_crossentropy", kind: made}

    fit_twins(mlp, settings, X, ONE_HOT, sample_weight=WEIGHTS, validation_split=0.2)


@pytest.mark.parametrize(
    "hidden",
    [
        lambda kit: {"kernel_regularizer": "l2"},
        lambda kit: {"kernel_regularizer": kit.regularizers.L1L2(0.01, 0.02)},
        lambda kit: {"bias_regularizer": "l1", "bias_initializer": "ones"},
        lambda kit: {"activity_regularizer": kit.regularizers.L2(0.1)},
        lambda kit: {"kernel_constraint": kit.constraints.MaxNorm(0.5)},
        lambda kit: {"kernel_constraint": "unit_norm", "bias_constraint": "non_neg"},
    ],
    ids=range(6),
)
def test_regularizers_and_constraints(hidden: Any) -> None:
    settings = using(OPTIMIZERS["adam"], metrics=["accuracy"])
    fit_twins(lambda kit: mlp(kit, **hidden(kit)), settings, X, LABELS, validation_split=0.2)


def test_activity_regularization_layer() -> None:
    def build(kit: SimpleNamespace) -> Any:
        layers = [kit.Dense(4), kit.ActivityRegularization(l1=0.05, l2=0.02), kit.Dense(1)]
        return kit.Sequential([kit.Input((6,)), *layers])

    fit_twins(build, using("sgd", "mse"), X, VALUES, validation_split=0.2)


PAIR = [X, OTHER_X]
BY_NAME = {"left": X, "right": OTHER_X}
TARGETS = {"kind": LABELS, "amount": VALUES}


@pytest.mark.parametrize(
    "settings",
    [
        using("sgd", [SPARSE, "mse"]),
        using("sgd", (SPARSE, "mse"), loss_weights=[0.5, 2.0]),
        using("sgd", [SPARSE, "mse"], metrics=[["accuracy"], ["mae", "mse"]]),
        using("sgd", [SPARSE, "mse"], metrics=["accuracy", "mae"], loss_weights=[1, 0.1]),
        using("sgd", [SPARSE, "mse"], metrics=[["accuracy"], []], weighted_metrics=["acc", "mse"]),
        using("sgd", {"amount": "mse", "kind": SPARSE}, loss_weights={"amount": 0.1, "kind": 1}),
        using("sgd", {"amount": "mse", "kind": SPARSE}, metrics={"amount": ["mae"]}),
        using("sgd", [SPARSE, "mse"], metrics={"kind": "accuracy", "amount": ["mae", "mse"]}),
        using("sgd", [SPARSE, "mse"], weighted_metrics={"kind": ["accuracy"]}),
    ],
    ids=range(9),
)
@pytest.mark.parametrize(
    "arguments",
    [{}, {"sample_weight": WEIGHTS}, {"validation_data": (PAIR, [LABELS, VALUES])}],
    ids=["plain", "weighted", "validated"],
)
def test_several_outputs(settings: Any, arguments: dict[str, Any]) -> None:
    theirs, mine = fit_twins(two_by_two, settings, PAIR, [LABELS, VALUES], **arguments)
    assert mine.metrics_names == theirs.metrics_names
    values = [model.evaluate(PAIR, [LABELS, VALUES], verbose=0) for model in (theirs, mine)]
    np.testing.assert_allclose(values[1], values[0], rtol=1e-4, atol=1e-4)
    logs = [
        model.evaluate(PAIR, [LABELS, VALUES], verbose=0, return_dict=True)
        for model in (theirs, mine)
    ]
    assert_same_logs(*logs)


@pytest.mark.parametrize("y", [TARGETS, [LABELS, VALUES], (LABELS, VALUES)], ids=["d", "l", "t"])
@pytest.mark.parametrize("x", [BY_NAME, PAIR], ids=["dict", "list"])
def test_dicts_and_lists_of_data(x: Any, y: Any) -> None:
    settings = using("adam", {"kind": SPARSE, "amount": "mse"}, metrics={"kind": ["accuracy"]})
    fit_twins(two_by_two, settings, x, y, validation_data=(x, y))


def test_sample_weight_of_each_output() -> None:
    settings = using("sgd", [SPARSE, "mse"], weighted_metrics=[["accuracy"], ["mae"]])
    fit_twins(
        two_by_two, settings, PAIR, [LABELS, VALUES], sample_weight=[WEIGHTS, WEIGHTS[::-1].copy()]
    )


def test_outputs_in_a_dict() -> None:
    settings = using("sgd", {"size": "mse", "class": SPARSE}, metrics={"class": ["accuracy"]})
    y = {"class": LABELS, "size": VALUES}
    theirs, mine = fit_twins(named_outputs, settings, X, y, validation_data=(X, y))
    outputs = mine.predict(X, verbose=0)
    assert set(outputs) == {"class", "size"}
    np.testing.assert_allclose(outputs["class"], theirs.predict(X, verbose=0)["class"], atol=1e-4)


def test_second_fit_goes_on() -> None:
    settings = using(OPTIMIZERS["ema"], metrics=["accuracy"])
    fit_twins(mlp, settings, X, LABELS, fits=3)


def test_compile_again_keeps_weights() -> None:
    theirs, mine = fit_twins(mlp, using("adam"), X, LABELS)
    for kit, model in ((KERAS, theirs), (NNKIT, mine)):
        model.compile(**using(OPTIMIZERS["momentum"], metrics=["accuracy"])(kit))
    histories = [
        model.fit(X, LABELS, epochs=2, shuffle=False, verbose=0) for model in (theirs, mine)
    ]
    assert_same_logs(histories[0].history, histories[1].history)
    assert_same_weights(theirs, mine)


def test_trainable_between_fits() -> None:
    """The moments of what stays trainable are kept, and found again after a thaw."""
    theirs, mine = compiled_twins(mlp, using(OPTIMIZERS["adam"], metrics=["accuracy"]))
    for trainable in (True, False, True):
        for model in (theirs, mine):
            model.layers[0].trainable = trainable
        frozen = [weight.copy() for weight in mine.layers[0].get_weights()]
        histories = [
            model.fit(X, LABELS, epochs=2, shuffle=False, verbose=0) for model in (theirs, mine)
        ]
        assert_same_logs(histories[0].history, histories[1].history)
        assert_same_weights(theirs, mine)
        unchanged = [
            np.array_equal(a, b) for a, b in zip(frozen, mine.layers[0].get_weights(), strict=True)
        ]
        assert unchanged == [not trainable] * 2


def test_frozen_batch_norm() -> None:
    theirs, mine = compiled_twins(cnn, using("sgd"))
    for model in (theirs, mine):
        model.layers[1].trainable = False
        model.fit(IMAGES, LABELS, epochs=2, shuffle=False, verbose=0)
    assert_same_weights(theirs, mine)
    np.testing.assert_array_equal(mine.layers[1].get_weights()[2], np.zeros(4, "float32"))


@pytest.mark.parametrize("sample_weight", [None, WEIGHTS])
def test_batch_by_batch(sample_weight: np.ndarray | None) -> None:
    """Each call gives the values of its batch alone, not running ones."""
    settings = using("adam", metrics=["accuracy"], weighted_metrics=[SPARSE])
    theirs, mine = compiled_twins(mlp, settings)
    weights = {} if sample_weight is None else {"sample_weight": sample_weight[:10]}
    for step in range(6):
        method = "test_on_batch" if step in (2, 5) else "train_on_batch"
        rows = slice(step * 8, step * 8 + 10 if step < 5 else step * 8 + 3)
        if step == 5:
            weights = {k: v[:3] for k, v in weights.items()}
        values = [
            getattr(model, method)(X[rows], LABELS[rows], **weights) for model in (theirs, mine)
        ]
        np.testing.assert_allclose(values[1], values[0], rtol=1e-4, atol=1e-5)
    logs = [
        model.train_on_batch(X, LABELS, return_dict=True, class_weight={0: 1.0, 1: 3.0, 2: 0.0})
        for model in (theirs, mine)
    ]
    assert_same_logs(*logs)
    assert_same_weights(theirs, mine)
    np.testing.assert_allclose(mine.predict_on_batch(X), theirs.predict_on_batch(X), atol=1e-5)


def batches(size: int) -> Any:
    while True:
        for start in range(0, 48, size):
            yield X[start : start + size], LABELS[start : start + size]


SOURCES = {
    "tensors": lambda: (torch.tensor(X), torch.tensor(LABELS)),
    "loader": lambda: (
        torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(LABELS)), batch_size=16
        ),
    ),
    "generator": lambda: (batches(12),),
    "float64": lambda: (X.astype("float64"), LABELS),
    "pandas": lambda: (pandas.DataFrame(X), pandas.Series(LABELS)),
}


@pytest.mark.parametrize("source", SOURCES)
def test_sources(source: str) -> None:
    theirs, mine = compiled_twins(mlp, using("adam", metrics=["accuracy"]))
    arguments: dict[str, Any] = {"shuffle": False, "epochs": 3, "verbose": 0}
    if source == "generator":
        arguments |= {"steps_per_epoch": 3, "validation_data": (X, LABELS)}
    histories = [model.fit(*SOURCES[source](), **arguments) for model in (theirs, mine)]
    assert_same_logs(histories[0].history, histories[1].history)
    assert_same_weights(theirs, mine)


def test_evaluate_over_a_short_last_batch() -> None:
    theirs, mine = compiled_twins(mlp, using("sgd", metrics=["accuracy"]))
    for arguments in (
        {"batch_size": 7},
        {"batch_size": 500},
        {"batch_size": 16, "sample_weight": WEIGHTS},
        {"batch_size": 16, "steps": 2},
    ):
        values = [m.evaluate(X, LABELS, verbose=0, **arguments) for m in (theirs, mine)]
        np.testing.assert_allclose(values[1], values[0], rtol=1e-5)


# What the methods take besides Keras's arguments.
OWN_ARGUMENTS = {"fit": ("resume", "stop_on_nan"), "predict": ("out",)}


def test_signatures() -> None:
    for name in ("compile", "fit", "evaluate", "predict", "train_on_batch", "test_on_batch"):
        mine = inspect.signature(getattr(NNKIT.Model, name)).parameters
        real = inspect.signature(getattr(keras.Model, name)).parameters
        real = {key: each for key, each in real.items() if key != "kwargs"}
        assert [key for key in mine if key not in OWN_ARGUMENTS.get(name, ())] == list(real), name
        assert list(mine)[: len(real)] == list(real), name  # ours come last
        for key, each in real.items():
            assert mine[key].default == each.default, (name, key)
