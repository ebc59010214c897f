"""evaluate and predict: values over short batches, nesting, dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from nnkit.callbacks import Callback
from nnkit.layers.core import Dense, Lambda
from nnkit.layers.input import Input
from nnkit.layers.reshaping import Flatten
from nnkit.models import Model, Sequential
from tests.training.conftest import SPARSE, Data, make_classifier, make_two_outputs


@pytest.mark.parametrize("batch_size", [1, 7, 32, 50, 500])
@pytest.mark.parametrize("weighted", [False, True])
def test_values_by_hand(data: Data, batch_size: int, weighted: bool) -> None:
    """The last batch is shorter and must count less."""
    model = make_classifier()
    model.compile("sgd", SPARSE, metrics=["accuracy"], weighted_metrics=["acc"])
    outputs = model.predict(data.x, verbose=0).astype("float64")
    losses = -np.log(outputs[np.arange(50), data.labels])
    right = outputs.argmax(-1) == data.labels
    weights = data.weights if weighted else np.ones(50)
    logs = model.evaluate(
        data.x, data.labels, batch_size, verbose=0, return_dict=True,
        sample_weight=data.weights if weighted else None,
    )  # fmt: skip
    assert logs["loss"] == pytest.approx((losses * weights).mean(), rel=1e-5)
    assert logs["accuracy"] == pytest.approx(right.mean())
    assert logs["acc"] == pytest.approx((right * weights).sum() / weights.sum(), rel=1e-5)


def test_what_evaluate_returns(data: Data) -> None:
    model = make_classifier()
    model.compile("sgd", SPARSE)
    alone = model.evaluate(data.x, data.labels, verbose=0)
    assert type(alone) is float
    model.compile("sgd", SPARSE, metrics=["accuracy"])
    both = model.evaluate(data.x, data.labels, verbose=0)
    assert both == [pytest.approx(alone), pytest.approx(round(both[1] * 50) / 50)]
    logs = model.evaluate(data.x, data.labels, verbose=0, return_dict=True)
    assert logs == {"accuracy": both[1], "loss": both[0]}


def test_evaluate_changes_nothing(data: Data) -> None:
    model = make_classifier()
    model.compile("adam", SPARSE)
    before = model.get_weights()
    first = model.evaluate(data.x, data.labels, verbose=0)
    assert model.evaluate(data.x, data.labels, verbose=0) == first
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_vector_metrics_are_arrays(data: Data) -> None:
    model = make_classifier()
    model.compile("sgd", "categorical_crossentropy", metrics=["f1_score"])
    logs = model.evaluate(data.x, data.one_hot, verbose=0, return_dict=True)
    assert logs["f1_score"].shape == (3,)


@pytest.mark.parametrize("batch_size", [None, 1, 16, 50, 1000])
@pytest.mark.parametrize("count", [1, 2, 50])
def test_predict(data: Data, batch_size: int | None, count: int) -> None:
    model = make_classifier()
    outputs = model.predict(data.x[:count], batch_size, verbose=0)
    assert type(outputs) is np.ndarray
    assert (outputs.dtype, outputs.shape) == (np.float32, (count, 3))
    with torch.no_grad():
        expected = model(torch.tensor(data.x[:count])).numpy()
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model.predict_on_batch(data.x[:count]), expected)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: torch.tensor(x),
        lambda x: x.tolist(),
        lambda x: x.astype("float64"),
        lambda x: DataLoader(TensorDataset(torch.tensor(x)), batch_size=16),
        lambda x: DataLoader(TensorDataset(torch.tensor(x), torch.ones(50)), batch_size=16),
        lambda x: (x[i : i + 20] for i in range(0, 50, 20)),
        lambda x: ((x[i : i + 20], x) for i in range(0, 50, 50)),
    ],
    ids=["tensor", "list", "float64", "loader", "loader with y", "generator", "uneven"],
)
def test_sources_of_predict(data: Data, make: Any, request: pytest.FixtureRequest) -> None:
    model = make_classifier()
    if "uneven" in request.node.name:
        with pytest.raises(ValueError, match="do not match"):
            model.predict(make(data.x), verbose=0)
        return
    expected = model.predict(data.x, verbose=0)
    np.testing.assert_allclose(model.predict(make(data.x), verbose=0), expected, atol=1e-6)


def nested(shape: Any) -> Model:
    inputs = Input((6,))
    parts = {name: Dense(units)(inputs) for name, units in (("b", 1), ("a", 2), ("c", 3))}
    return Model(inputs, shape(parts))


@pytest.mark.parametrize("batch_size", [16, 64])
@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        (lambda p: [p["b"], p["a"]], [1, 2]),
        (lambda p: (p["b"], p["a"]), (1, 2)),
        (lambda p: p, {"b": 1, "a": 2, "c": 3}),
        (lambda p: {"z": [p["b"], p["a"]], "y": p["c"]}, {"z": [1, 2], "y": 3}),
        (lambda p: [p["b"], {"n": p["c"], "m": p["a"]}], [1, {"n": 3, "m": 2}]),
        (lambda p: [p["b"], p["b"]], [1, 1]),
    ],
    ids=range(6),
)
def test_nesting_of_predict(data: Data, shape: Any, sizes: Any, batch_size: int) -> None:
    def widths(tree: Any) -> Any:
        if isinstance(tree, dict):
            return {key: widths(value) for key, value in tree.items()}
        if isinstance(tree, (list, tuple)):
            return type(tree)([widths(value) for value in tree])
        assert tree.shape[0] == 50
        return tree.shape[1]

    assert widths(nested(shape).predict(data.x, batch_size, verbose=0)) == sizes


def test_predict_gives_memory_of_its_own(data: Data) -> None:
    model = Sequential([Input((6,)), Flatten()])
    x = data.x.copy()
    for outputs in (model.predict(x, verbose=0), model.predict(x, 64), model.predict_on_batch(x)):
        outputs[:] = 0
    np.testing.assert_array_equal(x, data.x)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.int64])
@pytest.mark.parametrize("rows", [4, 50])
def test_dtypes_of_predict(data: Data, dtype: torch.dtype, rows: int) -> None:
    """NumPy has no bfloat16; all other types stay."""
    model = Sequential([Input((6,)), Lambda(lambda x: (x * 2).to(dtype))])
    outputs = model.predict(data.x[:rows], verbose=0)
    expected = "float32" if dtype is torch.bfloat16 else str(dtype).removeprefix("torch.")
    assert outputs.dtype == expected


def test_unbuilt_model_predicts_then_trains(data: Data) -> None:
    """Weights made by predict, in inference mode, can be trained."""
    model = Sequential([Dense(4, "relu"), Dense(3, "softmax")])
    before = model.predict(data.x, verbose=0)
    model.compile("sgd", SPARSE)
    model.fit(data.x, data.labels, verbose=0)
    assert not np.array_equal(before, model.predict(data.x, verbose=0))


def test_training_mode_does_not_leak(data: Data) -> None:
    model = make_classifier()
    model.train()
    model.predict(data.x, verbose=0)
    assert not model.training
    model.compile("sgd", SPARSE)
    model.train()
    model.evaluate(data.x, data.labels, verbose=0)
    assert not model.training


def test_on_batch_methods_give_the_values_of_their_batch(data: Data) -> None:
    model = make_classifier()
    model.compile("sgd", SPARSE, metrics=["accuracy"])
    for rows in (slice(0, 10), slice(10, 50)):
        x, y = data.x[rows], data.labels[rows]
        expected = model.evaluate(x, y, verbose=0)
        assert model.test_on_batch(x, y) == pytest.approx(expected, rel=1e-5)
        assert model.train_on_batch(x, y) == pytest.approx(expected, rel=1e-5)
        logs = model.test_on_batch(x, y, return_dict=True)
        assert logs["loss"] < expected[0]


def test_stop_evaluating_and_predicting(data: Data) -> None:
    class Stop(Callback):
        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_evaluating = batch == 1

        def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_predicting = batch == 1

    model = make_classifier()
    model.compile("sgd", SPARSE)
    loss = model.evaluate(data.x, data.labels, 10, verbose=0, callbacks=[Stop()])
    expected = model.evaluate(data.x[:20], data.labels[:20], verbose=0)
    assert loss == pytest.approx(expected, rel=1e-5)
    assert model.predict(data.x, 10, verbose=0, callbacks=[Stop()]).shape == (20, 3)
    assert model.predict(data.x, 10, verbose=0).shape == (50, 3)


def test_silence(data: Data, capfd: pytest.CaptureFixture[str]) -> None:
    model = make_two_outputs()
    model.compile("sgd", [SPARSE, "mse"])
    y = [data.labels, data.values]
    model.fit(data.x, y, validation_split=0.2, verbose=0)
    model.evaluate(data.x, y, verbose=0)
    model.predict(data.x, verbose=0)
    model.train_on_batch(data.x, y)
    model.predict_on_batch(data.x)
    assert capfd.readouterr() == ("", "")
