from __future__ import annotations

from typing import Any

import pytest

from nnkit.callbacks import ReduceLROnPlateau
from nnkit.errors import ArgumentError

NAN = float("nan")


@pytest.mark.parametrize(
    ("arguments", "values", "exponents"),
    [
        ({"patience": 1}, [1, 1, 1, 1], [0, 0, 1, 2]),
        ({"patience": 2}, [1, 1, 1, 1, 1, 1], [0, 0, 0, 1, 1, 2]),
        ({"patience": 1, "cooldown": 2}, [1] * 7, [0, 0, 1, 1, 2, 2, 3]),
        ({"patience": 1, "mode": "max"}, [1, 2, 3, 3, 3], [0, 0, 0, 0, 1]),
        ({"patience": 1}, [1, 0.99995, 0.9, 0.8], [0, 0, 1, 1]),
        ({"patience": 1, "min_delta": 0}, [1, 0.99995, 0.9, 0.8], [0, 0, 0, 0]),
        ({"patience": 2}, [NAN, NAN, 1, 2], [0, 0, 1, 1]),
    ],
)
def test_when_the_rate_falls(
    model: Any, run: Any, arguments: Any, values: list[float], exponents: list[int]
) -> None:
    model.optimizer.learning_rate = 1.0
    callback = ReduceLROnPlateau(factor=0.5, **arguments)
    done = run(model, callback, [{"val_loss": value} for value in values])
    assert [logs["learning_rate"] for logs in done] == [0.5**power for power in exponents]


def test_it_goes_no_lower_than_min_lr(model: Any, run: Any) -> None:
    done = run(model, ReduceLROnPlateau(patience=1, min_lr=0.004), [{"val_loss": 1}] * 5)
    rates = [logs["learning_rate"] for logs in done]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.004, 0.004], rel=1e-12)


def test_a_rate_read_back_in_float32_counts_as_min_lr(model: Any, run: Any) -> None:
    model.optimizer.learning_rate = 0.0010000000474974513
    callback = ReduceLROnPlateau(patience=1, min_lr=0.001, cooldown=5)
    run(model, callback, [{"val_loss": 1}] * 3)
    assert model.optimizer.learning_rate == 0.0010000000474974513
    assert not callback.in_cooldown()


def test_it_starts_anew_with_every_fit(model: Any, run: Any) -> None:
    callback = ReduceLROnPlateau(patience=2)
    run(model, callback, [{"val_loss": 1}] * 2)
    done = run(model, callback, [{"val_loss": 5}] * 3)
    assert [logs["learning_rate"] for logs in done] == [0.1] * 3


def test_what_it_says(model: Any, run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run(model, ReduceLROnPlateau(patience=1, verbose=1), [{"val_loss": 1}] * 2)
    assert capsys.readouterr().out == "Epoch 2: learning rate reduced from 0.1 to 0.01.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"factor": 1.0}, r"factor must be a number of at least 0 and below 1, got 1\.0"),
        ({"factor": -0.5}, r"got -0\.5"),
        ({"factor": NAN}, "got nan"),
        ({"min_lr": -1}, "min_lr must be a number of at least 0, got -1"),
        ({"mode": "auto_"}, "Unknown ReduceLROnPlateau mode"),
    ],
)
def test_bad_arguments(arguments: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        ReduceLROnPlateau(**arguments)
