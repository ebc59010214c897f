"""Reading and changing the optimizer's learning rate, nnkit's or torch's."""

from __future__ import annotations

from typing import Any

from nnkit.callbacks.base import Callback
from nnkit.errors import ArgumentError

__all__ = ["learning_rate", "set_learning_rate"]


def learning_rate(callback: Callback) -> float:
    """The learning rate of the callback's model; that of the first group of a torch optimizer.

    Raises: ArgumentError if the model has no optimizer with one.
    """
    optimizer: Any = getattr(callback.model, "optimizer", None)
    if hasattr(optimizer, "learning_rate"):
        return float(optimizer.learning_rate)
    groups = getattr(optimizer, "param_groups", None)
    if not groups:
        raise ArgumentError(
            f"{type(callback).__name__} needs an optimizer with a learning_rate, but the model "
            f"has {'none' if optimizer is None else optimizer!r}. Compile it with one."
        )
    return float(groups[0]["lr"])


def set_learning_rate(callback: Callback, new: float) -> None:
    """Change it; the further groups of a torch optimizer keep their ratio to the first."""
    optimizer = callback.model.optimizer
    if hasattr(optimizer, "learning_rate"):
        optimizer.learning_rate = new
        return
    old = float(optimizer.param_groups[0]["lr"])
    for group in optimizer.param_groups:
        group["lr"] = new * float(group["lr"]) / old if old else new
