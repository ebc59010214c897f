from __future__ import annotations

from typing import Any

import pytest
import torch

from nnkit.callbacks import EarlyStopping

NAN = float("nan")


@pytest.mark.parametrize(
    ("arguments", "values", "epochs_run", "best"),
    [
        ({}, [3, 2, 2, 1], 3, 2),
        ({"patience": 1}, [3, 2, 2, 1], 3, 2),
        ({"patience": 2}, [3, 2, 2, 1, 1, 1, 0], 6, 1),
        ({"min_delta": 0.5}, [3, 2.6, 2, 1], 2, 3),
        ({"mode": "max"}, [1, 2, 2], 3, 2),
        ({"start_from_epoch": 2}, [1, 2, 3, 4, 1], 4, 3),
        ({"baseline": 1.5, "patience": 2}, [3, 2.5, 2.8, 2.9], 3, 2.5),
        ({"baseline": 1.5, "patience": 2}, [3, 1.4, 2, 2.1, 0], 4, 1.4),
        ({"baseline": 1.5, "patience": 3}, [3, 2.5, 2.4, 2.3, 2.2], 5, 2.2),
        ({"patience": 1}, [NAN, 2, 1, NAN, 0], 4, 1),
        ({"patience": 2}, [NAN, NAN, NAN], 2, None),
    ],
)
def test_when_it_stops(
    model: Any, run: Any, arguments: Any, values: list[float], epochs_run: int, best: float
) -> None:
    stop = EarlyStopping(**arguments)
    done = run(model, stop, [{"val_loss": value} for value in values])
    assert len(done) == epochs_run
    assert stop.best == best
    assert stop.stopped_epoch == (epochs_run - 1 if model.stop_training else 0)


@pytest.mark.parametrize(
    ("values", "restored"),
    [([3, 1, 2, 4, 5], 1), ([3, 2, 1], 2), ([NAN, 2, 3], 1), ([NAN, NAN, NAN], 2)],
)
def test_best_weights_come_back_stopped_or_not(
    model: Any, run: Any, values: list[float], restored: int
) -> None:
    run(
        model,
        EarlyStopping(patience=3, restore_best_weights=True),
        [{"val_loss": v} for v in values],
    )
    torch.testing.assert_close(model.weight, torch.full((2,), float(restored)))


def test_without_restoring_the_last_weights_stay(model: Any, run: Any) -> None:
    run(model, EarlyStopping(), [{"val_loss": v} for v in (1, 2)])
    assert float(model.weight[0]) == 1


def test_kept_weights_are_a_detached_copy_on_the_models_device(model: Any) -> None:
    model.weight.requires_grad_()
    stop = EarlyStopping("loss", restore_best_weights=True)
    stop.set_model(model)
    stop.on_train_begin()
    stop.on_epoch_end(0, {"loss": 1.0})
    kept = stop.best_weights["weight"]
    assert not kept.requires_grad
    assert kept.data_ptr() != model.weight.data_ptr()
    assert kept.device == model.weight.device


def test_it_starts_anew_with_every_fit(model: Any, run: Any) -> None:
    stop = EarlyStopping("loss")
    assert len(run(model, stop, [{"loss": 1}, {"loss": 2}])) == 2
    assert len(run(model, stop, [{"loss": 9}, {"loss": 8}, {"loss": 9}, {"loss": 1}])) == 3


def test_what_it_says(model: Any, run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    stop = EarlyStopping(restore_best_weights=True, verbose=1)
    run(model, stop, [{"val_loss": 1}, {"val_loss": 2}])
    assert capsys.readouterr().out == (
        "Epoch 2: stopped early, val_loss did not improve.\n"
        "Restored the weights of epoch 1, the best.\n"
    )
