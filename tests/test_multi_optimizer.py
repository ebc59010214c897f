"""Several optimizers for one model, and the optimizer without a schedule."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import torch

from nnkit import optimizers
from nnkit.errors import ArgumentError, MissingNameError
from nnkit.layers.core import Dense
from nnkit.layers.input import Input
from nnkit.models import Sequential
from nnkit.optimizers import SGD, Adam, MultiOptimizer, OptimizerMap, ScheduleFreeAdamW

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

X = np.random.default_rng(0).normal(size=(32, 3)).astype("float32")
Y = (X @ np.array([[1.0], [-2.0], [0.5]])).astype("float32")


def mapped(of: Any) -> Any:
    return of.OptimizerMap(of.SGD(0.1, momentum=0.5), {".*first/.*": of.Adam(0.01)})


def model(k: Any, optimizer: Any) -> Any:
    made = k.Sequential([k.Input((3,)), k.Dense(4, name="first"), k.Dense(1, name="second")])
    made.compile(optimizer=optimizer, loss="mse")
    return made


class Ours:
    Sequential, Input, Dense = Sequential, Input, Dense


class Theirs:
    Sequential, Input, Dense = keras.Sequential, keras.Input, keras.layers.Dense


@pytest.mark.parametrize("by", ["map", "function"])
def test_fit_is_as_in_keras(by: str) -> None:
    models = []
    for kit, of in ((Theirs, keras.optimizers), (Ours, optimizers)):
        one, other = of.Adam(0.01), of.SGD(0.1, momentum=0.5)
        chooser = lambda weight, a=one, b=other: a if "first" in weight.path else b  # noqa: E731
        models.append(model(kit, of.MultiOptimizer(mapped(of) if by == "map" else chooser)))
    theirs, ours = models
    ours.set_weights(theirs.get_weights())
    before = ours.get_weights()
    for each in models:
        each.fit(X, Y, epochs=3, batch_size=8, shuffle=False, verbose=0)
    for own, expected, old in zip(ours.get_weights(), theirs.get_weights(), before, strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-4, atol=1e-5)
        assert not np.array_equal(own, old)
    assert ours.optimizer.iterations == int(theirs.optimizer.iterations) == 12
    assert [type(one).__name__ for one in ours.optimizer.optimizers] == ["Adam", "SGD"]


def test_learning_rates_are_those_of_the_parts() -> None:
    optimizer = MultiOptimizer(mapped(optimizers))
    assert not hasattr(optimizer, "learning_rate")
    with pytest.raises(MissingNameError, match="each of its `optimizers` has its own"):
        optimizer.learning_rate  # noqa: B018
    with pytest.raises(MissingNameError, match="set it on each"):
        optimizer.learning_rate = 0.1


def test_state_goes_into_another_one() -> None:
    first = model(Ours, MultiOptimizer(mapped(optimizers)))
    first.fit(X, Y, verbose=0)
    state = copy.deepcopy(first.optimizer.state_dict())
    second = model(Ours, MultiOptimizer(mapped(optimizers)))
    second.set_weights(first.get_weights())
    second.fit(X, Y, verbose=0)
    second.set_weights(first.get_weights())
    second.optimizer.load_state_dict(state)
    for each in (first, second):
        each.fit(X, Y, verbose=0, shuffle=False)
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ArgumentError, match="The state is of 0 optimizers"):
        second.optimizer.load_state_dict({"state": {}, "param_groups": [{}]})


def test_config(tmp_path: Path) -> None:
    made = optimizers.deserialize(optimizers.serialize(MultiOptimizer(mapped(optimizers))))
    assert isinstance(made, MultiOptimizer)
    adam = made.optimizer_map["first/kernel"]
    assert type(adam) is Adam
    assert adam.learning_rate == pytest.approx(0.01)
    assert made.optimizer_map["second/kernel"] is made.optimizer_map.default_optimizer
    with pytest.raises(ArgumentError, match="Use an OptimizerMap"):
        MultiOptimizer(lambda weight: SGD()).get_config()


def test_a_map_of_paths() -> None:
    chosen = OptimizerMap(SGD(), {"encoder/.*": Adam(name="a"), "encoder/out/bias": Adam(name="b")})
    assert len(chosen) == 2
    assert chosen["encoder/dense/kernel"].name == "a"
    assert chosen["encoder/out/bias"].name == "b"
    assert type(chosen["decoder"]) is SGD
    del chosen["encoder/.*"]
    assert type(chosen["encoder/dense/kernel"]) is SGD
    chosen["en.*"], chosen[".*er/x"] = Adam(), Adam()
    with pytest.raises(ArgumentError, match="Several keys of the OptimizerMap fit 'encoder/x'"):
        chosen["encoder/x"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OptimizerMap("adam"), "default_optimizer must be an optimizer of nnkit"),
        (lambda: OptimizerMap(SGD(), {"a": torch.optim.SGD}), "The optimizer for 'a' must be"),
        (lambda: OptimizerMap(SGD(), {1: SGD()}), "a path, a string; got 1"),
        (lambda: OptimizerMap(MultiOptimizer(OptimizerMap(SGD()))), "that holds no other one"),
        (lambda: MultiOptimizer(SGD()), "needs an OptimizerMap"),
        (lambda: ScheduleFreeAdamW(warmup_steps=-1), "warmup_steps must be a number of at least 0"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()
    taken = OptimizerMap(SGD(), {"a": SGD()})
    with pytest.raises(ArgumentError, match="has an optimizer for 'a' already"):
        taken["a"] = SGD()


def test_the_optimizer_of_a_function_must_be_one() -> None:
    optimizer = MultiOptimizer(lambda weight: "adam")
    with pytest.raises(ArgumentError, match="An optimizer in a MultiOptimizer must be"):
        optimizer.build([torch.nn.Parameter(torch.ones(2))], ["a"])


@pytest.mark.parametrize("warmup", [0, 4])
def test_schedule_free(warmup: int) -> None:
    """Against the paper's formulas; Keras on torch reads one of its values too late."""
    rate, beta_1, beta_2 = 0.1, 0.8, 0.9
    param = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))
    optimizer = ScheduleFreeAdamW(rate, beta_1, beta_2, warmup_steps=warmup)
    optimizer.build([param])
    y = param.detach().double().numpy()
    z, x, v = y.copy(), y.copy(), np.zeros(3)
    for step in range(1, 9):
        gradient = np.random.default_rng(step).normal(size=3)
        optimizer.apply([torch.tensor(gradient, dtype=torch.float32)])
        v = beta_2 * v + (1 - beta_2) * gradient**2
        now = rate * min(step / warmup, 1) if warmup else rate
        z = z - now * gradient / (np.sqrt(v / (1 - beta_2**step)) + 1e-8)
        x = (1 - 1 / step) * x + z / step
        y = (1 - beta_1) * z + beta_1 * x
        np.testing.assert_allclose(param.detach().numpy(), y, rtol=1e-5, atol=1e-5)
