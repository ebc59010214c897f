"""Learning rate schedules: values by hand, and what they refuse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from nnkit.errors import ArgumentError
from nnkit.optimizers import SGD, schedules
from nnkit.optimizers.schedules import LearningRateSchedule


class Warmup(LearningRateSchedule):
    """Written as Keras's guides do: infinite at step 0 before the minimum."""

    def __call__(self, step: Any) -> Any:
        return torch.minimum(torch.rsqrt(step), step * 100**-1.5)


@pytest.mark.parametrize(
    ("schedule", "step", "expected"),
    [
        (schedules.ExponentialDecay(0.1, 10, 0.5), 20, 0.025),
        (schedules.ExponentialDecay(0.1, 10, 0.5, staircase=True), 19, 0.05),
        (schedules.InverseTimeDecay(0.1, 1, 0.5), 2, 0.05),
        (schedules.InverseTimeDecay(0.1, 10, 1.0, staircase=True), 19, 0.05),
        (schedules.PiecewiseConstantDecay([5, 10], [3, 2.0, 1.0]), 5, 3.0),
        (schedules.PiecewiseConstantDecay([5, 10], [3, 2.0, 1.0]), 6, 2.0),
        (schedules.PiecewiseConstantDecay([5, 10], [3, 2.0, 1.0]), 11, 1.0),
        (schedules.PolynomialDecay(0.1, 10, 0.0, power=2), 5, 0.025),
        (schedules.PolynomialDecay(0.1, 10, 0.0), 99, 0.0),
        (schedules.PolynomialDecay(0.1, 10, 0.0, cycle=True), 15, 0.025),
        (schedules.CosineDecay(0.1, 10), 5, 0.05),
        (schedules.CosineDecay(0.1, 10, alpha=0.1), 10, 0.01),
        (schedules.CosineDecay(0.0, 10, warmup_target=0.2, warmup_steps=4), 1, 0.05),
        (schedules.CosineDecay(0.0, 10, warmup_target=0.2, warmup_steps=4), 4, 0.2),
        (schedules.CosineDecayRestarts(0.1, 10), 29, 0.05 * (1 + math.cos(math.pi * 19 / 20))),
        (schedules.CosineDecayRestarts(0.1, 10), 30, 0.1),
        (schedules.CosineDecayRestarts(0.1, 10, m_mul=0.5), 10 * (2**29 - 1), 0.1 * 0.5**29),
        (schedules.CosineDecayRestarts(0.1, 10, t_mul=1), 25, 0.05),
    ],
)
def test_values(schedule: LearningRateSchedule, step: int, expected: float) -> None:
    value = schedule(step)
    assert type(value) is float
    assert value == pytest.approx(expected)
    assert schedule.value_at(step) == value


def test_tensors_and_arrays() -> None:
    schedule = schedules.PolynomialDecay(1.0, 4, 0.0)
    expected = torch.tensor([[1.0, 0.75], [0.5, 0.25]])
    assert torch.equal(schedule(torch.arange(4).reshape(2, 2)), expected)
    assert torch.equal(schedule(np.arange(4).reshape(2, 2)), expected)
    assert torch.equal(schedule(torch.tensor(3)), torch.tensor(0.25))


@pytest.mark.parametrize(("step", "expected"), [(0, 0.0), (1, 0.001), (400, 0.05)])
def test_a_schedule_of_ones_own(step: int, expected: float) -> None:
    assert Warmup().value_at(step) == pytest.approx(expected)
    optimizer = SGD(Warmup())
    optimizer.iterations = step
    assert optimizer.learning_rate == pytest.approx(expected)


def test_config() -> None:
    schedule = schedules.CosineDecay(0.1, 10, warmup_target=0.3, warmup_steps=2)
    assert schedules.deserialize(schedules.serialize(schedule)).get_config() == (
        schedule.get_config()
    )
    assert schedules.get(schedule) is schedule
    assert repr(schedules.PiecewiseConstantDecay([1], [2, 3])) == (
        "PiecewiseConstantDecay(boundaries=[1], values=[2, 3], name='PiecewiseConstant')"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: schedules.ExponentialDecay(0.1, 0, 0.5),
            "ExponentialDecay: decay_steps must be a number above 0",
        ),
        (lambda: schedules.InverseTimeDecay(0.1, -1, 0.5), "decay_steps must be a number above 0"),
        (lambda: schedules.CosineDecay(float("nan"), 1), "initial_learning_rate must be a number"),
        (lambda: schedules.CosineDecay("0.1", 1), "must be a number of at least 0, got '0.1'"),
        (lambda: schedules.PolynomialDecay(-0.1, 1), "at least 0, got -0.1"),
        (
            lambda: schedules.CosineDecayRestarts(0.1, 5, t_mul=0.5),
            "t_mul must be a number of at least 1",
        ),
        (
            lambda: schedules.PiecewiseConstantDecay([1, 2], [1.0, 2.0]),
            "received 2 boundaries and 2 values",
        ),
        (lambda: schedules.PiecewiseConstantDecay([2, 1], [1.0, 2.0, 3.0]), "must rise"),
        (lambda: schedules.PiecewiseConstantDecay([1], [1.0, -1]), "each of values"),
        (lambda: schedules.get("cosinedecai"), "Did you mean 'CosineDecay'"),
    ],
)
def test_refused(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


def test_warmup_without_a_target_warns() -> None:
    with pytest.warns(UserWarning, match="no warmup_target"):
        schedules.CosineDecay(0.1, 10, warmup_steps=5)


def test_unfinished_schedules() -> None:
    with pytest.raises(NotImplementedError, match="needs a method __call__"):
        LearningRateSchedule()(1)
    with pytest.raises(NotImplementedError, match="needs a method get_config"):
        Warmup().get_config()
