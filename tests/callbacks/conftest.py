"""A model and a training loop small enough to script: each epoch is given its logs."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from nnkit.callbacks import CallbackList, Logs


class FakeModel:
    """Holds one weight, which the loop sets to the number of the epoch (from 0)."""

    def __init__(self) -> None:
        self.name, self.built, self.stop_training = "fake", True, False
        self.optimizer: Any = SimpleNamespace(learning_rate=0.1)
        self.weight = torch.full((2,), -1.0)
        self.saved: list[tuple[str, str, float]] = []

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {"weight": self.weight}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        self.weight.copy_(state["weight"])

    def save(self, path: str) -> None:
        self.saved.append(("model", path, float(self.weight[0])))

    def save_weights(self, path: str) -> None:
        self.saved.append(("weights", path, float(self.weight[0])))


def run_epochs(
    model: FakeModel, callbacks: Any, epochs: list[dict[str, Any]], batches: int = 0, **params: Any
) -> list[dict[str, Any]]:
    """Run as many epochs as there are logs; return the logs as the callbacks leave them."""
    params = {"verbose": 0, "epochs": len(epochs), "steps": batches, **params}
    calls = CallbackList(callbacks, model=model, **params)
    model.stop_training = False
    done: list[dict[str, Any]] = []
    try:
        calls.on_train_begin()
        for epoch, values in enumerate(epochs):
            logs = dict(values)
            calls.on_epoch_begin(epoch)
            model.weight.fill_(epoch)
            for batch in range(batches):
                calls.on_train_batch_begin(batch)
                calls.on_train_batch_end(batch, Logs(lambda logs=logs: dict(logs)))
                if model.stop_training:
                    break
            calls.on_epoch_end(epoch, logs)
            done.append(logs)
            if model.stop_training:
                break
        calls.on_train_end(done[-1])
    finally:
        calls.close()
    return done


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
def run() -> Callable[..., list[dict[str, Any]]]:
    return run_epochs
