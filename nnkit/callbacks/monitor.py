"""Watching one metric: which way is better, and is this value better?"""

from __future__ import annotations

import difflib
import math
import re
from typing import Any

import numpy as np

from nnkit.arguments import number
from nnkit.callbacks.base import Callback
from nnkit.errors import ArgumentError, unknown_name

__all__ = ["Monitor", "best_index", "direction"]

_HIGH = re.compile(
    "acc|accuracy|auc|precision|recall|f1|f1score|f2|fbeta|iou|io|miou|jaccard|dice|r2|cosine|"
    "similarity|sensitivity|specificity|correlation|psnr|ssim|bleu"
)
_LOW = re.compile(
    "loss|losses|error|errors|mse|mae|mape|msle|rmse|crossentropy|entropy|nll|hinge|divergence|"
    "kld|poisson|cosh|logcosh|deviance|perplexity|distance"
)


def direction(name: str) -> str | None:
    """Whether a metric of this name is good when "max" or "min"; None if its name does not say.

    The last telling word decides, so that "accuracy_loss" is a loss.
    """
    for word in reversed(re.split(r"[^a-z0-9]+", name.lower())):
        if _HIGH.fullmatch(word):
            return "max"
        if _LOW.fullmatch(word):
            return "min"
    return None


def best_index(name: str, values: list[Any]) -> int | None:
    """The position of the best value, the first of equal ones; None if that cannot be said."""
    better = {"max": max, "min": min}.get(direction(name) or "")
    numbers = {
        at: float(value)
        for at, value in enumerate(values)
        if np.ndim(value) == 0 and not math.isnan(value)
    }
    return better(numbers, key=numbers.__getitem__) if better and numbers else None


class Monitor(Callback):
    """The base of callbacks that watch whether a metric gets better.

    Args:
        monitor: the name in the logs, "val_loss".
        mode: "min" or "max" for what is better; "auto" to tell it from the metric or its name.
        baseline: the best value so far; None to take the first.
        min_delta: a smaller change than this is no improvement.

    Raises: ArgumentError for an unknown mode.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        baseline: float | None = None,
        min_delta: float = 0.0,
    ) -> None:
        if mode not in ("auto", "min", "max"):
            raise unknown_name(f"{type(self).__name__} mode", mode, ("auto", "min", "max"))
        if not isinstance(monitor, str):
            raise ArgumentError(
                f"{type(self).__name__}: monitor must be a name in the logs, got {monitor!r}."
            )
        self.monitor = monitor
        self.mode = mode
        self.best = baseline if baseline is None else number(self, "baseline", baseline)
        self.min_delta = abs(number(self, "min_delta", min_delta))
        self._better: str | None = None if mode == "auto" else mode
        self._has_been_logged = False

    def monitored(self, logs: dict[str, Any] | None) -> float | None:
        """The watched value; None in an epoch without validation, if others have one.

        Raises: ArgumentError if the run does not log it, if it is not one number, or if
        mode="auto" and neither the metric nor its name tells which way is better.
        """
        logs = {} if logs is None else logs
        if self._better is None:
            self._better = self._find_direction(logs)
        if self.monitor not in logs:
            if self._has_been_logged or self._is_between_validations(logs):
                return None
            raise ArgumentError(self._not_logged(logs))
        self._has_been_logged = True
        value = np.asarray(logs[self.monitor], dtype=float)
        if value.size != 1:
            raise ArgumentError(
                f"{type(self).__name__} monitors {self.monitor!r}, which has {value.size} values. "
                "Choose a metric of one value, or average them."
            )
        return float(value.reshape(()))

    def is_better(self, current: float, best: float | None) -> bool:
        """Whether `current` beats `best` by more than `min_delta`. NaN is never better."""
        if math.isnan(current):
            return False
        if best is None:
            return True
        # Compared in float32, as Keras does: 0.7 + 0.1 is not below 0.8.
        with np.errstate(over="ignore"):
            if self._better == "max":
                return bool(np.float32(current - self.min_delta) > np.float32(best))
            return bool(np.float32(current + self.min_delta) < np.float32(best))

    def _find_direction(self, logs: dict[str, Any]) -> str:
        name = self.monitor.removeprefix("val_")
        for metric in getattr(self.model, "metrics", None) or ():
            way = getattr(metric, "_direction", None)
            if way in ("up", "down") and getattr(metric, "name", None) == name:
                return "max" if way == "up" else "min"
        found = direction(name)
        if found is None:
            if self.monitor not in logs and not self._is_between_validations(logs):
                raise ArgumentError(self._not_logged(logs))
            raise ArgumentError(
                f"{type(self).__name__} cannot tell whether a high or a low {self.monitor!r} is "
                "better. Give mode='max' or mode='min'."
            )
        return found

    def _is_between_validations(self, logs: dict[str, Any]) -> bool:
        """Whether validation runs only in some epochs, and not in this one."""
        sparse = (self.params or {}).get("validation_freq", 1) not in (None, 1)
        return sparse and self.monitor.startswith("val_") and not _validates(logs)

    def _not_logged(self, logs: dict[str, Any]) -> str:
        text = (
            f"{type(self).__name__} monitors {self.monitor!r}, but this run logs: "
            f"{', '.join(logs) or 'nothing'}."
        )
        if self.monitor.startswith("val_") and not _validates(logs):
            return f"{text} Give fit validation_data or validation_split, or monitor one of these."
        close = difflib.get_close_matches(self.monitor, list(logs), n=1)
        return f"{text} Did you mean {close[0]!r}?" if close else text


def _validates(logs: dict[str, Any]) -> bool:
    return any(name.startswith("val_") for name in logs)
