from __future__ import annotations

from typing import Any

import pytest
import torch

from nnkit.callbacks import TerminateOnNaN


@pytest.mark.parametrize(
    ("loss", "stops"),
    [
        (1.0, False),
        (float("nan"), True),
        (float("inf"), True),
        (-float("inf"), True),
        (torch.tensor(float("nan")), True),
    ],
)
def test_it_stops_at_the_batch(
    model: Any, run: Any, capsys: pytest.CaptureFixture[str], loss: Any, stops: bool
) -> None:
    assert len(run(model, TerminateOnNaN(), [{"loss": loss}] * 2, batches=2)) == (1 if stops else 2)
    assert model.stop_training is stops
    said = f"The loss is {float(loss)} at batch 1: training stops.\n"
    assert capsys.readouterr().out == (said if stops else "")


def test_runs_without_loss_go_on(model: Any, run: Any) -> None:
    assert len(run(model, TerminateOnNaN(), [{"acc": float("nan")}], batches=1)) == 1
    assert not model.stop_training


def test_it_can_raise(model: Any, run: Any) -> None:
    with pytest.raises(
        RuntimeError, match=r"The loss is nan at batch 1. Try a lower learning rate"
    ):
        run(model, TerminateOnNaN(raise_error=True), [{"loss": float("nan")}], batches=1)
