"""Set the learning rate of every epoch with a function."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

from nnkit.callbacks.base import Callback
from nnkit.callbacks.console import say
from nnkit.callbacks.optimizer_rate import learning_rate, set_learning_rate
from nnkit.errors import ArgumentError

__all__ = ["LearningRateScheduler"]


class LearningRateScheduler(Callback):
    """Ask a function for the learning rate before every epoch, and log it.

    Args:
        schedule: `schedule(epoch, learning_rate)` or `schedule(epoch)`, epochs counted from 0;
            returns the new learning rate.
        verbose: 1 to print each learning rate.

    Raises: ArgumentError if `schedule` does not return a finite number from 0 up.

    Example:
        LearningRateScheduler(lambda epoch, rate: rate if epoch < 10 else rate * 0.9)
    """

    def __init__(self, schedule: Callable[..., Any], verbose: int = 0) -> None:
        if not callable(schedule):
            raise ArgumentError(
                f"LearningRateScheduler expects a function of the epoch, but received {schedule!r}."
            )
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        current = learning_rate(self)
        takes_both = _accepts(self.schedule, epoch, current)
        result = self.schedule(epoch, current) if takes_both else self.schedule(epoch)
        try:
            new = math.nan if isinstance(result, (bool, str)) else float(result)
        except (TypeError, ValueError):
            new = math.nan
        if not 0 <= new < math.inf:
            hint = " Did it forget its return?" if result is None else ""
            raise ArgumentError(
                "LearningRateScheduler expects its schedule to return a number from 0 up, but for "
                f"epoch {epoch} (counted from 0) it returned {result!r}.{hint}"
            )
        set_learning_rate(self, new)
        if self.verbose:
            say(f"Epoch {epoch + 1}: learning rate set to {new:.6g}.")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = learning_rate(self)


def _accepts(function: Callable[..., Any], *arguments: Any) -> bool:
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # some builtin functions have no signature
        return True
    return True
