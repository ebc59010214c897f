"""Reading the optimizer's learning rate for the callbacks that change it."""

from __future__ import annotations

from typing import Any

from nnkit.callbacks.base import Callback
from nnkit.errors import ArgumentError

__all__ = ["learning_rate"]


def learning_rate(callback: Callback) -> float:
    """The learning rate of the callback's model.

    Raises: ArgumentError if the model has no optimizer with one.
    """
    optimizer: Any = getattr(callback.model, "optimizer", None)
    if not hasattr(optimizer, "learning_rate"):
        raise ArgumentError(
            f"{type(callback).__name__} needs an optimizer with a learning_rate, but the model "
            f"has {'none' if optimizer is None else optimizer!r}. Compile it with one."
        )
    return float(optimizer.learning_rate)
