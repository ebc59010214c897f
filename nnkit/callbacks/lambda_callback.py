"""A callback made of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnkit.callbacks.base import HOOKS, Callback
from nnkit.errors import ArgumentError, unknown_name

__all__ = ["LambdaCallback"]


class LambdaCallback(Callback):
    """Call your functions at the hooks of `Callback`.

    Args:
        on_epoch_begin, on_epoch_end: `function(epoch, logs)`, epochs counted from 0.
        on_train_begin, on_train_end: `function(logs)`.
        on_train_batch_begin, on_train_batch_end: `function(batch, logs=logs)`: the second
            argument has to be called logs.
        hooks: a function for any other hook by its name, such as `on_test_end`.

    Raises: ArgumentError for a hook that does not exist, or something that is no function.

    Example:
        LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **hooks: Callable[..., Any] | None,
    ) -> None:
        hooks.update(
            on_epoch_begin=on_epoch_begin,
            on_epoch_end=on_epoch_end,
            on_train_begin=on_train_begin,
            on_train_end=on_train_end,
            on_train_batch_begin=on_train_batch_begin,
            on_train_batch_end=on_train_batch_end,
        )
        for name, function in hooks.items():
            if name not in HOOKS:
                raise unknown_name("hook", name, HOOKS)
            if function is not None and not callable(function):
                raise ArgumentError(f"{name} expects a function, but received {function!r}.")
            if function is not None:
                setattr(self, name, function)
