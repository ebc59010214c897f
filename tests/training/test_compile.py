"""compile: everything that may be given for an optimizer, a loss and metrics."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnkit import losses, metrics, optimizers
from nnkit.callbacks import Callback
from nnkit.layers.core import Dense
from nnkit.layers.embedding import Embedding
from nnkit.layers.input import Input
from nnkit.layers.reshaping import Flatten
from nnkit.models import Sequential
from tests.training.conftest import SPARSE, Data, make_classifier

OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "name": lambda model: "adam",
    "other case": lambda model: "Adam",
    "object": lambda model: optimizers.Adam(),
    "class": lambda model: optimizers.Adam,
    "config": lambda model: {"class_name": "Adam", "config": {"learning_rate": 0.001}},
}


@pytest.mark.parametrize("given", OPTIMIZERS)
def test_optimizers(given: str, data: Data) -> None:
    model = make_classifier()
    model.compile(OPTIMIZERS[given](model), SPARSE)
    assert type(model.optimizer) is optimizers.Adam
    model.fit(data.x, data.labels, verbose=0)
    assert model.optimizer.iterations == 2


TORCH: dict[str, Callable[[Any], Any]] = {
    "instance": lambda model: torch.optim.Adam(model.parameters(), lr=0.01),
    "factory": lambda model: lambda parameters: torch.optim.Adam(parameters, lr=0.01),
    "partial": lambda model: functools.partial(torch.optim.Adam, lr=0.01),
    "groups": lambda model: torch.optim.Adam([{"params": [p], "lr": 0.01} for p in model.weights]),
}


def loop(model: Any, optimizer: Any, data: Data, epochs: int) -> None:
    """The loop a torch user writes."""
    x, labels = torch.tensor(data.x), torch.tensor(data.labels)
    for _ in range(epochs):
        for start in range(0, 50, 16):
            rows = slice(start, start + 16)
            optimizer.zero_grad()
            F.nll_loss(model(x[rows]).log(), labels[rows]).backward()
            optimizer.step()


@pytest.mark.parametrize("given", TORCH)
def test_torch_optimizers_do_what_a_loop_does(given: str, data: Data) -> None:
    model = make_classifier()
    twin = copy.deepcopy(model)
    model.compile(TORCH[given](model), SPARSE)
    model.fit(data.x, data.labels, 16, epochs=3, shuffle=False, verbose=0)
    loop(twin, torch.optim.Adam(twin.parameters(), lr=0.01), data, 3)
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_torch_optimizer_class(data: Data) -> None:
    model = Sequential([Dense(4, "relu"), Dense(3, "softmax")])  # not built yet
    model.compile(torch.optim.AdamW, SPARSE)
    model.fit(data.x, data.labels, verbose=0)
    assert type(model.optimizer) is torch.optim.AdamW
    assert model.optimizer.param_groups[0]["lr"] == 1e-3
    assert len(model.optimizer.state) == 4


def test_freezing_keeps_the_state_of_a_torch_optimizer(data: Data) -> None:
    model = make_classifier()
    model.layers[0].trainable = False
    model.compile(torch.optim.Adam, SPARSE)
    model.fit(data.x, data.labels, verbose=0)
    optimizer, kernel = model.optimizer, model.layers[1].weight
    assert len(optimizer.state) == 2
    assert int(optimizer.state[kernel]["step"]) == 2
    model.layers[0].trainable = True
    frozen = model.layers[0].get_weights()
    model.fit(data.x, data.labels, verbose=0)
    assert model.optimizer is optimizer
    assert int(optimizer.state[kernel]["step"]) == 4
    assert len(optimizer.state) == 4
    assert not np.array_equal(frozen[0], model.layers[0].get_weights()[0])


def test_torch_schedules_act_on_the_optimizer(data: Data) -> None:
    model = make_classifier()
    model.compile(torch.optim.SGD(model.parameters(), lr=0.5), SPARSE)
    schedule = torch.optim.lr_scheduler.StepLR(model.optimizer, 1, 0.1)
    model.fit(data.x, data.labels, verbose=0)
    schedule.step()
    assert model.optimizer.param_groups[0]["lr"] == pytest.approx(0.05)


def test_names_of_the_parameters_reach_the_optimizer(data: Data) -> None:
    """Muon leaves out embeddings and layers by name; weight decay can too."""
    layers = [Embedding(5, 4), Flatten(), Dense(6), Dense(3, "softmax", name="head")]
    model = Sequential([Input((2,), dtype="int32"), *layers])
    model.compile(optimizers.Muon(exclude_layers=["head"]), SPARSE)
    model.fit(np.ones((4, 2), int), data.labels[:4], verbose=0)
    kinds = ["velocity" in model.optimizer.state[p] for p in model.trainable_weights]
    assert kinds == [True, False, True, True, True]


LOSSES: dict[str, Any] = {
    "name": "categorical_crossentropy",
    "class name": "CategoricalCrossentropy",
    "object": losses.CategoricalCrossentropy(),
    "class": losses.CategoricalCrossentropy,
    "function": losses.categorical_crossentropy,
    "shape": "crossentropy",
    "own function": lambda y, p: -(y * p.log()).sum(-1),
    "own, reduced": lambda y, p: -(y * p.log()).sum(-1).mean(),
}


@pytest.mark.parametrize("given", LOSSES)
def test_losses(given: str, data: Data) -> None:
    model = make_classifier()
    model.compile("sgd", LOSSES[given])
    outputs = model.predict(data.x, verbose=0)
    expected = -(data.one_hot * np.log(outputs)).sum(-1).mean()
    assert model.evaluate(data.x, data.one_hot, verbose=0) == pytest.approx(expected, rel=1e-5)
    model.fit(data.x, data.one_hot, verbose=0)


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss, nn.CrossEntropyLoss(), F.cross_entropy])
@pytest.mark.parametrize("column", [False, True])
def test_torch_losses(loss: Any, column: bool, data: Data) -> None:
    model = make_classifier(3, None)
    model.compile("sgd", loss)
    labels = data.labels[:, None] if column else data.labels
    outputs = torch.tensor(model.predict(data.x, verbose=0))
    expected = float(F.cross_entropy(outputs, torch.tensor(data.labels)))
    assert model.evaluate(data.x, labels, verbose=0) == pytest.approx(expected, rel=1e-5)
    model.fit(data.x, labels, verbose=0)


METRICS: dict[str, tuple[Any, str]] = {
    "name": ("mae", "mae"),
    "class name": ("MeanAbsoluteError", "MeanAbsoluteError"),
    "object": (lambda: metrics.MeanAbsoluteError(name="error"), "error"),
    "class": (metrics.MeanAbsoluteError, "mean_absolute_error"),
    "function": (metrics.mean_absolute_error, "mean_absolute_error"),
    "loss function": (losses.mean_absolute_error, "mean_absolute_error"),
    "torch function": (F.l1_loss, "l1_loss"),
}


def how_far(y: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    return (y - p).abs().mean(-1)


@pytest.mark.parametrize("given", [*METRICS, "own function"])
def test_metrics(given: str, data: Data) -> None:
    asked, name = METRICS.get(given, (how_far, "how_far"))
    model = make_classifier()
    model.compile("sgd", "mse", metrics=[asked() if given == "object" else asked])
    logs = model.evaluate(data.x, data.one_hot, 16, return_dict=True, verbose=0)
    assert list(logs) == sorted(["loss", name])
    expected = np.abs(data.one_hot - model.predict(data.x, verbose=0)).mean()
    assert logs[name] == pytest.approx(expected, rel=0.05 if given == "torch function" else 1e-5)


def test_equal_names_are_numbered(data: Data) -> None:
    model = make_classifier()
    model.compile("sgd", SPARSE, metrics=["accuracy", "accuracy"], weighted_metrics=["accuracy"])
    logs = model.evaluate(data.x, data.labels, return_dict=True, verbose=0)
    assert list(logs) == ["accuracy", "accuracy_1", "loss", "weighted_accuracy"]


def test_metrics_names(data: Data) -> None:
    model = make_classifier()
    assert model.metrics_names == []
    model.compile("sgd", SPARSE)
    assert model.metrics_names == ["loss"]
    model.compile("sgd", SPARSE, metrics=["accuracy"])
    assert model.metrics_names == ["loss", "compile_metrics"]


def test_loss_weights_of_one_output(data: Data) -> None:
    model = make_classifier()
    values = []
    for factor in (None, 0.25, [0.25]):
        model.compile("sgd", SPARSE, factor)
        values.append(model.evaluate(data.x, data.labels, verbose=0))
    assert values[1] == values[2] == pytest.approx(values[0] / 4)


def test_steps_per_execution_groups_the_batch_hooks(data: Data) -> None:
    """Hooks are called with the numbers of a group's first and last batch; the updates stay."""
    seen: list[Any] = []

    class Watch(Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            seen.append(("begin", batch))

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append(("end", batch, sorted(logs)))

        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append(("test", batch))

        def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append(("predict", batch, len(logs["outputs"])))

    model, twin = make_classifier(), make_classifier()
    twin.set_weights(model.get_weights())
    twin.compile("adam", SPARSE)
    model.compile("adam", SPARSE, steps_per_execution=2)
    arguments = {"batch_size": 10, "shuffle": False, "verbose": 0}
    expected = twin.fit(data.x, data.labels, **arguments).history
    found = model.fit(data.x, data.labels, **arguments, callbacks=[Watch()]).history
    assert found == expected
    assert seen == [
        ("begin", 0), ("end", 1, ["loss"]), ("begin", 2), ("end", 3, ["loss"]),
        ("begin", 4), ("end", 5, ["loss"]),
    ]  # fmt: skip
    seen.clear()
    model.evaluate(data.x, data.labels, 20, verbose=0, callbacks=[Watch()])
    outputs = model.predict(data.x, 10, verbose=0, callbacks=[Watch()])
    np.testing.assert_array_equal(outputs, model.predict(data.x, 10, verbose=0))
    assert seen == [
        ("test", 1), ("test", 3), ("predict", 1, 20), ("predict", 3, 20), ("predict", 5, 10),
    ]  # fmt: skip


def test_the_config_says_what_is_in_effect() -> None:
    model = make_classifier()
    model.compile("sgd", SPARSE, metrics=["accuracy"])
    model.compile("adam")
    config = model.get_compile_config()
    assert (config["loss"], config["metrics"]) == (SPARSE, ["accuracy"])
    assert config["optimizer"]["class_name"] == "Adam"
