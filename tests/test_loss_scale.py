"""LossScaleOptimizer: Keras's algorithm, and what compile does with it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import torch

from nnkit import config, mixed_precision, optimizers
from nnkit.errors import ArgumentError
from nnkit.layers.core import Dense
from nnkit.layers.input import Input
from nnkit.models import Sequential
from nnkit.optimizers import LossScaleOptimizer


@pytest.fixture(autouse=True)
def no_global_policy() -> Iterator[None]:
    yield
    config.set_dtype_policy(None)


@pytest.mark.parametrize("inner", ["Adam", "SGD", "RMSprop"])
def test_updates_skips_and_scales_are_those_of_keras(inner: str) -> None:
    settings = {"learning_rate": 0.1, "clipnorm": 1.0}
    theirs = keras.optimizers.LossScaleOptimizer(
        getattr(keras.optimizers, inner)(**settings), initial_scale=8.0, dynamic_growth_steps=3
    )
    mine = LossScaleOptimizer(getattr(optimizers, inner)(**settings), 8.0, 3)
    start = np.array([1.0, -2.0, 3.0], "float32")
    their_weight, weight = keras.Variable(start), torch.nn.Parameter(torch.tensor(start))
    theirs.build([their_weight])
    mine.build([weight])
    rng = np.random.default_rng(0)
    seen = []
    for step in range(14):
        gradient = rng.normal(size=3).astype("float32") * 8
        if step in (0, 5, 6):
            gradient[1] = np.inf if step != 5 else np.nan
        theirs.apply([torch.tensor(gradient)], [their_weight])
        mine.apply([torch.tensor(gradient)])
        np.testing.assert_allclose(
            weight.detach(), their_weight.value.detach().numpy(), rtol=1e-5, atol=1e-6
        )
        seen.append(float(mine.dynamic_scale))
        assert seen[-1] == float(theirs.dynamic_scale.value)
        assert int(mine.step_counter) == int(theirs.step_counter.value)
        assert mine.iterations == int(theirs.iterations.value)
    assert set(seen) >= {4.0, 8.0, 2.0}
    assert mine.scale_loss(torch.tensor(2.0)).item() == 2 * seen[-1]
    assert [tuple(v.shape) for v in mine.variables] == [tuple(v.shape) for v in theirs.variables]


def test_compile_wraps_under_mixed_float16_only() -> None:
    def optimizer_of(policy: str, **settings: Any) -> Any:
        mixed_precision.set_global_policy(policy)
        model = Sequential([Input((3,)), Dense(1)])
        model.compile(loss="mse", **settings)
        return model.optimizer

    made = optimizer_of("mixed_float16", optimizer="adam")
    assert isinstance(made, LossScaleOptimizer)
    assert made.name == "loss_scale_optimizer"
    assert type(made.inner_optimizer) is optimizers.Adam
    assert optimizer_of("mixed_float16", optimizer=made) is made
    assert type(optimizer_of("mixed_bfloat16", optimizer="adam")) is optimizers.Adam
    plain = optimizer_of("mixed_float16", optimizer="adam", auto_scale_loss=False)
    assert type(plain) is optimizers.Adam
    with pytest.warns(UserWarning, match="torch optimizer has no loss scaling"):
        optimizer_of("mixed_float16", optimizer=torch.optim.SGD)


def test_what_is_the_inner_optimizers() -> None:
    schedule = optimizers.schedules.ExponentialDecay(0.5, 1, 0.5)
    outer = LossScaleOptimizer(optimizers.SGD(schedule))
    assert (outer.learning_rate, outer.schedule) == (0.5, schedule)
    outer.learning_rate = 0.25
    assert outer.inner_optimizer.learning_rate == outer.lr == 0.25
    outer.iterations = 4
    assert outer.inner_optimizer.iterations == 4


def test_state_copies_and_config() -> None:
    outer = LossScaleOptimizer(optimizers.Adam(0.2), 4.0, 5, name="mine")
    weight = torch.nn.Parameter(torch.ones(2))
    outer.apply([torch.tensor([1.0, 2.0])], [weight])
    again = LossScaleOptimizer.from_config(outer.get_config())
    assert again.get_config() == outer.get_config()
    assert again.get_config()["inner_optimizer"]["class_name"] == "Adam"
    again.build([torch.nn.Parameter(weight.detach().clone())])
    again.load_state_dict(copy.deepcopy(outer.state_dict()))
    assert int(again.step_counter) == again.iterations == 1
    for twin in (again, pickle.loads(pickle.dumps(outer)), copy.deepcopy(outer)):
        twin.apply([torch.tensor([1.0, 2.0])])
    outer.apply([torch.tensor([1.0, 2.0])])
    torch.testing.assert_close(again.built_params()[0], weight)


def test_a_step_of_a_hand_written_loop() -> None:
    outer = LossScaleOptimizer(optimizers.SGD(0.1), 16.0)
    weight = torch.nn.Parameter(torch.tensor([2.0]))
    outer.build([weight])
    outer.scale_loss((weight * 3).sum()).backward()
    assert weight.grad.item() == 48
    outer.step()
    assert weight.item() == pytest.approx(2 - 0.3)
    assert weight.grad.item() == 48


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: LossScaleOptimizer("adam"), "wraps an optimizer of nnkit, got 'adam'"),
        (
            lambda: LossScaleOptimizer(optimizers.SGD(), clipnorm=1.0),
            "Give clipnorm= to the inner optimizer",
        ),
        (lambda: LossScaleOptimizer(optimizers.SGD(), -1.0), "initial_scale must be a number"),
        (
            lambda: LossScaleOptimizer(optimizers.SGD(), dynamic_growth_steps=0),
            "dynamic_growth_steps",
        ),
    ],
)
def test_mistakes(mistake: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        mistake()


def test_float16_training_survives_overflow() -> None:
    mixed_precision.set_global_policy("mixed_float16")
    model = Sequential([Input((3,)), Dense(4, "tanh"), Dense(1, dtype="float32")])
    model.compile(LossScaleOptimizer(optimizers.Adam(0.02), 2.0**24), "mse")
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    y = x.sum(-1, keepdims=True)
    losses = model.fit(x, y, epochs=10, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2
    assert model.optimizer.iterations < 20
    assert float(model.optimizer.dynamic_scale) < 2.0**24
    assert {weight.dtype for weight in model.weights} == {torch.float32}
