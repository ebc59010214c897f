from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from nnkit.callbacks import LearningRateScheduler
from nnkit.errors import ArgumentError


class Halving:
    def __call__(self, epoch: int) -> torch.Tensor:
        return torch.tensor(0.5) ** epoch


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (lambda epoch, rate: rate * 0.5, [0.05, 0.025, 0.0125]),
        (lambda epoch: 1.0 / (epoch + 1), [1.0, 0.5, 1 / 3]),
        (lambda epoch, rate=None: 0.3 if rate else 0.1, [0.3, 0.3, 0.3]),
        (lambda *both: both[1] + both[0], [0.1, 1.1, 3.1]),
        (lambda epoch: np.float32(0.25), [0.25] * 3),
        (Halving(), [1.0, 0.5, 0.25]),
    ],
)
def test_the_rate_is_set_and_logged(model: Any, run: Any, schedule: Any, expected: Any) -> None:
    done = run(model, LearningRateScheduler(schedule), [{"loss": 1.0}] * 3)
    assert [logs["learning_rate"] for logs in done] == pytest.approx(expected, abs=0, rel=1e-15)
    assert model.optimizer.learning_rate == done[-1]["learning_rate"]


def test_what_it_says(model: Any, run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run(model, LearningRateScheduler(lambda epoch: 0.001, verbose=1), [{}])
    assert capsys.readouterr().out == "Epoch 1: learning rate set to 0.001.\n"


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (None, r"epoch 0 \(counted from 0\) it returned None. Did it forget its return\?"),
        (-0.1, "number from 0 up, but .* returned -0.1.$"),
        (float("nan"), "returned nan"),
        (float("inf"), "returned inf"),
        ("0.1", "returned '0.1'"),
        (True, "returned True"),
        ([0.1, 0.2], r"returned \[0.1, 0.2\]"),
    ],
)
def test_a_schedule_that_returns_no_rate(model: Any, run: Any, result: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        run(model, LearningRateScheduler(lambda epoch: result), [{}])


def test_a_type_error_inside_the_schedule_comes_out(model: Any, run: Any) -> None:
    with pytest.raises(TypeError, match="NoneType"):
        run(model, LearningRateScheduler(lambda epoch, rate: None + rate), [{}])


@pytest.mark.parametrize("optimizer", [None, SimpleNamespace(rate=1)])
def test_an_optimizer_without_rate(model: Any, run: Any, optimizer: Any) -> None:
    model.optimizer = optimizer
    with pytest.raises(
        ArgumentError, match="LearningRateScheduler needs an optimizer with a learn"
    ):
        run(model, LearningRateScheduler(lambda epoch: 0.1), [{}])


def test_a_schedule_that_is_no_function() -> None:
    with pytest.raises(ArgumentError, match=r"expects a function of the epoch, but received 0\.1"):
        LearningRateScheduler(0.1)
