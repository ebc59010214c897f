"""Mistakes are named before, or at, the first batch."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from nnkit.errors import ArgumentError, DataError, NnkitError, NotCompiledError, ShapeError
from nnkit.layers.core import Dense
from nnkit.layers.input import Input
from nnkit.losses import SparseCategoricalCrossentropy
from nnkit.models import Model, Sequential
from tests.training.conftest import SPARSE, Data, make_classifier, make_two_outputs

DATA = Data()
X, LABELS, ONE_HOT, VALUES = DATA.x, DATA.labels, DATA.one_hot, DATA.values
LOADER = DataLoader(TensorDataset(torch.tensor(X)), batch_size=5)


def fit(
    x: Any = X, y: Any = LABELS, loss: Any = SPARSE, model: Any = None, **arguments: Any
) -> Any:
    model = model or make_classifier()
    model.compile("sgd", loss, **{k: arguments.pop(k) for k in tuple(arguments) if k in COMPILE})
    return model.fit(x, y, **{"verbose": 0, "shuffle": False, **arguments})


COMPILE = ("metrics", "weighted_metrics", "loss_weights")


def fit_two(y: Any, loss: Any = (SPARSE, "mse"), **more: Any) -> Any:
    return fit(X, y, loss, make_two_outputs(), **more)


def generator() -> Iterator[Any]:
    while True:
        yield X[:5], LABELS[:5]


def with_last(label: Any) -> np.ndarray:
    return np.append(LABELS[:-1], label)


def with_nan(values: np.ndarray) -> np.ndarray:
    spoilt = values.copy()
    spoilt[3, 0] = np.nan
    return spoilt


def one_unit() -> Any:
    return make_classifier(1, "softmax")


def linear(units: int = 1) -> Any:
    return make_classifier(units, None)


def no_batch() -> Any:
    model = linear()
    model.compile("sgd", "mse")
    return model.train_on_batch(None)


CASES: dict[str, tuple[Callable[[], Any], type[NnkitError], str]] = {
    # not compiled
    "fit": (lambda: make_classifier().fit(X, LABELS), NotCompiledError, "fit() does not know"),
    "evaluate": (lambda: make_classifier().evaluate(X, LABELS), NotCompiledError, "evaluate()"),
    "train_on_batch": (
        lambda: make_classifier().train_on_batch(X, LABELS),
        NotCompiledError,
        "train_on_batch()",
    ),
    "test_on_batch": (
        lambda: make_classifier().test_on_batch(X, LABELS),
        NotCompiledError,
        "Call compile(optimizer=..., loss=...) first",
    ),
    "no loss": (lambda: fit(loss=None), NotCompiledError, "has no loss to train on"),
    # compile
    "optimizer": (lambda: make_classifier().compile("adm"), ArgumentError, "optimizer 'adm'"),
    "loss name": (lambda: fit(loss="mze"), ArgumentError, "loss 'mze'. Did you mean 'mse'"),
    "metric": (lambda: fit(metrics=["acuracy"]), ArgumentError, "Did you mean 'accuracy'"),
    "weighted": (lambda: fit(weighted_metrics=["foo"]), ArgumentError, "metric 'foo'"),
    "metrics no list": (lambda: fit(metrics="accuracy"), ArgumentError, "must be a list or dict"),
    "kinds": (lambda: fit(loss=3), ArgumentError, "Cannot use 3 as a loss"),
    "weight": (lambda: fit(loss_weights="a"), ArgumentError, "loss_weights must be numbers"),
    "third argument": (
        lambda: make_classifier().compile("adam", SPARSE, ["accuracy"]),
        ArgumentError,
        "got 'accuracy'. It is compile's third argument; write metrics=[...]",
    ),
    "steps_per_execution": (
        lambda: make_classifier().compile(steps_per_execution=0),
        ArgumentError,
        "steps_per_execution must be a whole number of at least 1",
    ),
    # targets
    "no y": (lambda: fit(y=None), DataError, "fit was given x but no y"),
    "no y in a list": (lambda: fit_two(None), DataError, "fit was given x but no y"),
    "no y in a loader": (lambda: fit(LOADER, None), DataError, "data that yields (x, y)"),
    "label -1": (lambda: fit(y=LABELS - 1), DataError, "label -1"),
    "label 3": (lambda: fit(y=LABELS + 1), DataError, "0 to 2. Give the last layer at least 4"),
    "last label": (lambda: fit(y=with_last(7)), DataError, "the label 7"),
    "last label -1": (lambda: fit(y=with_last(-1)), DataError, "ignore_class=-1"),
    "last label of a torch loss": (
        lambda: fit(y=with_last(7), loss=torch.nn.CrossEntropyLoss(), model=linear(3)),
        DataError,
        "the label 7",
    ),
    "last label in a loader": (
        lambda: fit(
            DataLoader(TensorDataset(torch.tensor(X), torch.tensor(with_last(7))), batch_size=5),
            None,
        ),
        DataError,
        "the label 7",
    ),
    "last label of one output": (
        lambda: fit_two({"amount": VALUES, "kind": with_last(7)}),
        DataError,
        "the label 7",
    ),
    "last label in validation": (
        lambda: fit(validation_data=(X, with_last(7))),
        DataError,
        "the label 7",
    ),
    "half labels": (lambda: fit(y=LABELS + 0.5), DataError, "whole numbers as labels"),
    "axis too many": (
        lambda: fit(np.zeros((50, 5, 4)), model=Sequential([Input((5, 4)), Dense(3, "softmax")])),
        ShapeError,
        "For one class a sample, put Flatten() or a pooling layer in the model",
    ),
    "one-hot": (lambda: fit(y=ONE_HOT), ShapeError, "One-hot targets need categorical"),
    "not one-hot": (
        lambda: fit(loss="categorical_crossentropy"),
        ShapeError,
        "Integer labels need sparse",
    ),
    "targets (n,)": (lambda: fit(y=VALUES[:, 0], loss="mse"), ShapeError, "y_true is (32,)"),
    "targets (n, 1)": (lambda: fit(y=VALUES, loss="mse"), ShapeError, "y_true is (32, 1)"),
    "torch's loss": (
        lambda: fit(y=VALUES, loss=torch.nn.MSELoss()),
        ShapeError,
        "y_true is (32, 1) and y_pred is (32, 3)",
    ),
    "one unit": (
        lambda: fit(y=LABELS > 0, loss="binary_crossentropy", model=one_unit()),
        ShapeError,
        "whose softmax is always 1",
    ),
    "one unit, one-hot": (
        lambda: fit(y=VALUES > 0, loss="categorical_crossentropy", model=one_unit()),
        ShapeError,
        "Use binary_crossentropy with a sigmoid",
    ),
    "binary": (
        lambda: fit(y=LABELS, loss="binary_crossentropy", model=make_classifier(1, "sigmoid")),
        DataError,
        "targets from 0 to 1",
    ),
    "logits": (lambda: fit(model=linear(3)), DataError, "End the model with softmax"),
    "two targets": (lambda: fit(y=[LABELS, LABELS]), DataError, "y holds 2 arrays"),
    # numbers
    "nan in x": (lambda: fit(with_nan(X)), DataError, "x has NaN or infinite values"),
    "nan in y": (
        lambda: fit(y=with_nan(VALUES), loss="mse", model=linear()),
        DataError,
        "y has NaN or infinite values",
    ),
    "nan in weights": (
        lambda: fit(sample_weight=np.full(50, np.nan)),
        DataError,
        "sample_weight has NaN",
    ),
    "nan loss": (
        lambda: fit(y=VALUES, loss=lambda y, p: (y - p).mean(-1) * np.nan, model=linear()),
        DataError,
        "loss of the first batch is nan",
    ),
    # shapes and lengths
    "lengths": (lambda: fit(y=LABELS[:-1]), DataError, "x has 50 samples, y has 49"),
    "weights": (lambda: fit(sample_weight=np.ones(3)), DataError, "sample_weight has 3"),
    "weights 2-D": (lambda: fit(sample_weight=np.ones((50, 3))), ShapeError, "cannot weight"),
    "empty": (lambda: fit(X[:0], LABELS[:0]), DataError, "x is empty"),
    "empty predict": (lambda: make_classifier().predict(X[:0]), DataError, "x is empty"),
    "features": (lambda: fit(X[:, :4]), ShapeError, "expects (batch, 6)"),
    "one sample": (lambda: make_classifier().predict(X[0]), ShapeError, "give x[None]"),
    "no x": (lambda: fit(None), DataError, "x is None"),
    "no x to predict": (lambda: make_classifier().predict(None), DataError, "x is None"),
    "text": (lambda: fit("digits.csv"), DataError, "x is the text"),
    "symbolic": (lambda: fit(Input((6,))), ArgumentError, "x is a symbolic tensor"),
    # several outputs
    "loss of": (lambda: fit_two([LABELS, VALUES], {"kin": SPARSE}), ArgumentError, "kind, amount"),
    "metric of": (
        lambda: fit_two([LABELS, VALUES], metrics={"kin": ["accuracy"]}),
        ArgumentError,
        "metrics names the output 'kin'",
    ),
    "factor of": (
        lambda: fit_two([LABELS, VALUES], loss_weights={"kin": 1.0}),
        ArgumentError,
        "loss_weights names the output 'kin'",
    ),
    "target of": (lambda: fit_two({"kin": LABELS}), ArgumentError, "y names the output 'kin'"),
    "target missing": (
        lambda: fit_two({"amount": VALUES}),
        DataError,
        "output 'kind' has the loss",
    ),
    "target for a metric": (
        lambda: fit_two([LABELS], [SPARSE, None], metrics=[["accuracy"], ["mae"]]),
        DataError,
        "output 'amount' has the metric 'mae'",
    ),
    "targets": (lambda: fit_two([LABELS] * 3), DataError, "y holds 3 arrays, but the model has 2"),
    "one target": (lambda: fit_two(LABELS), DataError, "y holds 1 arrays, but the model has 2"),
    "losses": (lambda: fit_two([LABELS] * 2, ["mse"] * 3), ArgumentError, "loss has 3 entries"),
    "one loss": (lambda: fit_two([LABELS] * 2, ["mse"]), ArgumentError, "loss has 1 entries"),
    "factors": (
        lambda: fit_two([LABELS, VALUES], loss_weights=[1.0] * 3),
        ArgumentError,
        "loss_weights has 3 entries",
    ),
    "one factor": (
        lambda: fit_two([LABELS, VALUES], loss_weights=0.5),
        ArgumentError,
        "loss_weights is one entry",
    ),
    "metrics": (
        lambda: fit_two([LABELS, VALUES], metrics=["mae"]),
        ArgumentError,
        "metrics has 1 entries",
    ),
    "unknown only output": (lambda: fit(loss={"a": SPARSE}), ArgumentError, "the output 'a'"),
    "two losses": (lambda: fit(loss=[SPARSE, "mse"]), ArgumentError, "as a loss"),
    # arguments of fit
    "predict size": (
        lambda: make_classifier().predict(np.zeros((4, 6), "float32"), batch_size="a", verbose=0),
        ArgumentError,
        "predict: batch_size expects a whole number >= 1, got 'a'",
    ),
    "no batch": (
        no_batch,
        DataError,
        "A batch must be arrays or tensors, got None",
    ),
    "split 1": (lambda: fit(validation_split=1.0), ArgumentError, "above 0, below 1: 1.0"),
    "split -": (lambda: fit(validation_split=-0.1), ArgumentError, "above 0, below 1: -0.1"),
    "split text": (lambda: fit(validation_split="0.1"), ArgumentError, "above 0, below 1"),
    "split all": (lambda: fit(validation_split=0.999), DataError, "leaves one part empty"),
    "split generator": (
        lambda: fit(generator(), None, validation_split=0.1, steps_per_epoch=1),
        ArgumentError,
        "a generator cannot be cut",
    ),
    "epochs": (lambda: fit(epochs=-1), ArgumentError, "epochs must be a whole number >= 0"),
    "epochs 1.5": (lambda: fit(epochs=1.5), ArgumentError, "got 1.5"),
    "initial_epoch": (lambda: fit(initial_epoch=-1), ArgumentError, "initial_epoch must be"),
    "batch_size": (lambda: fit(batch_size=0), ArgumentError, "batch_size expects a whole number"),
    "steps": (lambda: fit(steps_per_epoch=0), ArgumentError, "steps expects a whole number"),
    "verbose": (lambda: fit(verbose=7), ArgumentError, "verbose must be 0, 1, 2 or 'auto'"),
    "frequency": (lambda: fit(validation_freq=0), ArgumentError, "validation_freq must be"),
    "frequency .5": (lambda: fit(validation_freq=0.5), ArgumentError, "validation_freq must be"),
    "validation of 4": (lambda: fit(validation_data=(X, LABELS, 1, 2)), DataError, "got 4 parts"),
    "validation of x": (lambda: fit(validation_data=X), DataError, "fit (validation_data) was"),
    "iterator": (lambda: fit(generator(), None, epochs=2), ArgumentError, "Give steps_per_epoch="),
    "validation iterator": (
        lambda: fit(validation_data=generator(), epochs=2),
        ArgumentError,
        "Give validation_steps=",
    ),
    "y and a generator": (lambda: fit(generator()), ArgumentError, "y cannot be given along"),
    "class_weight": (lambda: fit(class_weight={0: 1.0}), DataError, "class_weight only has 0"),
    "both weights": (
        lambda: fit(class_weight={0: 1.0, 1: 1.0, 2: 1.0}, sample_weight=np.ones(50)),
        ArgumentError,
        "were both given",
    ),
    "callback": (lambda: fit(callbacks=[print]), ArgumentError, "Wrap the function"),
}


@pytest.mark.parametrize("case", CASES)
def test_mistake(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    run, kind, message = CASES[case]
    with pytest.raises(kind, match=re.escape(message)):
        run()
    assert capsys.readouterr() == ("", "")


def test_names_are_looked_up_by_compile_itself() -> None:
    model = make_classifier()
    for arguments in (("adm", "mse"), ("sgd", "mze"), ("sgd", "mse", None, ["foo"])):
        with pytest.raises(ArgumentError, match="Unknown"):
            model.compile(*arguments)
        assert not model.compiled


def test_loss_in_another_shape_is_fine(data: Data) -> None:
    """What looks like a mistake and is none."""
    fit(y=VALUES[:, 0], loss="mse", model=linear())
    fit(y=LABELS[:, None])
    fit(y=with_last(-1), loss=SparseCategoricalCrossentropy(ignore_class=-1))
    fit(y=LABELS.astype("float32"))
    fit(epochs=np.int64(1))
    with pytest.warns(UserWarning, match="no gradient for parameters amount/kernel, amount/bias"):
        fit_two([LABELS], [SPARSE, None], metrics=[["accuracy"], None])
    with pytest.warns(UserWarning, match="no gradient for parameters amount/kernel"):
        assert list(fit_two(LABELS, [SPARSE, None]).history) == ["loss"]


def test_without_optimizer_only_evaluate_works(data: Data) -> None:
    model = make_classifier()
    model.compile(None, SPARSE)
    assert model.evaluate(data.x, data.labels, verbose=0) > 0
    with pytest.raises(NotCompiledError, match="without an optimizer"):
        model.fit(data.x, data.labels, verbose=0)


def test_a_loss_that_becomes_nan_later_warns(data: Data) -> None:
    model = linear()
    model.compile("sgd", "mse")
    model.optimizer.learning_rate = 1e30
    with pytest.warns(UserWarning, match=r"loss is (inf|nan) after epoch .*clipnorm=1.0") as caught:
        model.fit(data.x, data.values, epochs=2, verbose=0, stop_on_nan=False)
    assert [re.findall(r"epoch (.)", str(each.message)) for each in caught] == [["1"], ["2"]]


def test_frozen_model_warns_and_evaluates(data: Data) -> None:
    model = make_classifier()
    model.trainable = False
    model.compile("sgd", SPARSE)
    before = model.get_weights()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = model.evaluate(data.x, data.labels, verbose=0)
    with pytest.warns(UserWarning, match="No weight of .* is trainable"):
        history = model.fit(data.x, data.labels, verbose=0)
    assert history.history["loss"] == [pytest.approx(expected, rel=1e-5)]
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_layers_made_in_call_are_told(data: Data) -> None:
    class Lost(Model):
        def call(self, x: Any) -> Any:
            return Dense(3, "softmax")(x)

    with pytest.warns(UserWarning, match="no weights: make its layers in __init__; in call"):
        fit(model=Lost())


@pytest.mark.parametrize("seen", [12, 8])
def test_generator_that_ends(data: Data, seen: int) -> None:
    """It ends in the middle of the third epoch, or just before it."""
    batches = ((data.x[i : i + 4], data.labels[i : i + 4]) for i in range(0, 4 * seen - 8, 4))
    model = make_classifier()
    model.compile("sgd", SPARSE)
    with pytest.warns(UserWarning, match="ran out|nothing is left"):
        history = model.fit(batches, steps_per_epoch=4, epochs=5, verbose=0)
    assert len(history.epoch) == len(history.history["loss"]) == (seen - 2 + 3) // 4
    assert min(history.history["loss"]) > 0


def test_the_model_is_usable_after_an_error(data: Data) -> None:
    model = make_classifier()
    model.compile("sgd", SPARSE)
    with pytest.raises(DataError, match="label 7"):
        model.fit(data.x, with_last(7), verbose=0)
    assert not model.training
    assert model.fit(data.x, data.labels, verbose=0).history["loss"][0] > 0


def test_an_optimizer_of_another_model(data: Data) -> None:
    for unbuilt in (False, True):
        model = Sequential([Dense(3, "softmax")]) if unbuilt else make_classifier()
        model.compile(torch.optim.SGD(make_classifier().parameters(), lr=0.1), SPARSE)
        with pytest.raises(ArgumentError, match="holds none of the model's parameters"):
            model.fit(data.x, data.labels, verbose=0)


def test_train_step_without_logs(data: Data) -> None:
    class Silent(Sequential):
        def train_step(self, batch: Any) -> Any:
            return None

    model = Silent([Input((6,)), Dense(3)])
    model.compile("sgd", "mse")
    with pytest.raises(ArgumentError, match="train_step must return a dict of logs, got NoneType"):
        model.fit(data.x, data.one_hot, verbose=0)
