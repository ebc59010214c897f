"""Lower the learning rate when a metric no longer gets better."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.arguments import number
from nnkit.callbacks.console import say
from nnkit.callbacks.monitor import Monitor
from nnkit.callbacks.optimizer_rate import learning_rate, set_learning_rate

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(Monitor):
    """Multiply the learning rate by a factor once the monitored metric stops improving.

    Args:
        monitor: a name in the logs.
        factor: what the learning rate is multiplied by, from 0 up to but without 1.
        patience: epochs without improvement before that.
        verbose: 1 to print each change.
        mode: "min", "max", or "auto" to tell from the metric.
        min_delta: a smaller change than this is no improvement.
        cooldown: epochs after a reduction in which waiting does not count.
        min_lr: the learning rate goes no lower.

    The logs get "learning_rate", the value used in that epoch.

    Raises: ArgumentError for a bad argument, or a metric that the run does not log.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self.factor = number(self, "factor", factor, 0, below=1)
        self.patience = number(self, "patience", patience, 0)
        self.verbose = verbose
        self.cooldown = number(self, "cooldown", cooldown, 0)
        self.min_lr = number(self, "min_lr", min_lr, 0)
        self._reset()

    def _reset(self) -> None:
        self.best = None
        self.cooldown_counter = 0
        self.wait = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._reset()

    def in_cooldown(self) -> bool:
        """Whether the last reduction is too recent to count epochs again."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        current = self.monitored(logs)
        if logs is not None:
            logs["learning_rate"] = learning_rate(self)
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_better(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        old = learning_rate(self)
        # In float32, the optimizer's precision: there 0.001 reads back as a little more.
        if np.float32(old) > np.float32(self.min_lr):
            new = max(old * self.factor, self.min_lr)
            set_learning_rate(self, new)
            self.cooldown_counter = self.cooldown
            self.wait = 0
            if self.verbose:
                say(f"Epoch {epoch + 1}: learning rate reduced from {old:.6g} to {new:.6g}.")
