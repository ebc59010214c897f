"""Stop when a metric no longer gets better."""

from __future__ import annotations

import copy
from typing import Any

import torch

from nnkit.arguments import number
from nnkit.callbacks.console import say
from nnkit.callbacks.monitor import Monitor

__all__ = ["EarlyStopping"]


class EarlyStopping(Monitor):
    """End training once the monitored metric has stopped improving.

    Args:
        monitor: a name in the logs.
        min_delta: a smaller change than this is no improvement.
        patience: epochs without improvement before training stops.
        verbose: 1 to print when it stops and what it restores.
        mode: "min", "max", or "auto" to tell from the metric.
        baseline: a value to reach; patience starts anew only with an improvement that beats it.
        restore_best_weights: whether training ends with the weights of the best epoch, however
            it ends. They are kept on the model's device: one more copy of it.
        start_from_epoch: epochs to let pass before watching.

    Attributes:
        stopped_epoch, best_epoch: counted from 0; stopped_epoch is 0 if it did not stop.
        best: the best value.

    Raises: ArgumentError for an unknown mode, or a metric that the run does not log.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = number(self, "patience", patience, 0)
        self.verbose = verbose
        self.baseline = baseline if baseline is None else number(self, "baseline", baseline)
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = number(self, "start_from_epoch", start_from_epoch, 0)
        self._reset()

    def _reset(self) -> None:
        self._in_fit = False
        self.wait = 0
        self.stopped_epoch = 0
        self.best = None
        self.best_epoch = 0
        self.best_weights: dict[str, Any] | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._reset()
        self._in_fit = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        current = self.monitored(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.is_better(current, self.best):
            self.best, self.best_epoch = current, epoch
            if self.restore_best_weights:
                self.best_weights = _snapshot(self.model)
            if self.baseline is None or self.is_better(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.stopped_epoch > 0 and self.verbose:
            say(f"Epoch {self.stopped_epoch + 1}: stopped early, {self.monitor} did not improve.")
        self._restore()

    def close(self) -> None:
        """Restore the best weights when an error has ended training."""
        if self._in_fit:
            self._restore()

    def _restore(self) -> None:
        self._in_fit = False
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)
            if self.verbose:
                say(f"Restored the weights of epoch {self.best_epoch + 1}, the best.")


def _snapshot(model: Any) -> dict[str, Any]:
    return {
        name: value.detach().clone() if isinstance(value, torch.Tensor) else copy.deepcopy(value)
        for name, value in model.state_dict().items()
    }
