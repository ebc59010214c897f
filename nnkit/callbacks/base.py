"""What a callback is, and the logs it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["HOOKS", "Callback", "Logs"]


class Callback:
    """Override any of these hooks to act while a model trains, is evaluated or predicts.

    Attributes:
        model: the model at work; read or set `model.stop_training`,
            `model.optimizer.learning_rate`, its weights.
        params: `{"verbose": ..., "epochs": ..., "steps": ...}`; steps is None when unknown.

    `epoch` and `batch` count from 0. `logs` holds the metrics by name: at the end of an epoch
    those of training and, with the prefix `val_`, of validation. A key that one callback adds is
    seen by the next. Batch logs are read from the device only when something looks into them.

    Example:
        class Shout(Callback):
            def on_epoch_end(self, epoch, logs=None):
                print(epoch, logs["loss"])
    """

    # On the class, so that a subclass which forgets super().__init__() still works.
    model: Any = None
    params: dict[str, Any] | None = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Take what the run is told: verbose, epochs, steps."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Take the model the hooks are about."""
        self.model = model

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """After the last epoch, with its logs."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Before an epoch."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """After an epoch and its validation, with the logs of both."""

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Before an update. Calls `on_batch_begin`, its older name."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """After an update, with the averages of the epoch so far. Calls `on_batch_end`."""
        self.on_batch_end(batch, logs=logs)

    def on_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """The older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """The older name of `on_train_batch_end`."""

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Before an evaluation, also the validation inside `fit`."""

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """After an evaluation, with its metrics."""

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Before a batch of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """After a batch of an evaluation, with the averages so far."""

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Before a prediction."""

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        """After a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Before a batch of a prediction."""

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """After a batch of a prediction; logs["outputs"] are its results."""

    def close(self) -> None:
        """Let go of what is open (files, bars); called when a run is over, however it ended."""

    def _uses(self, hook: str) -> bool:
        """Whether calling this batch hook would do anything."""
        if hook.startswith("on_train_batch_") and self._uses(hook.replace("train_", "")):
            return True
        method = getattr(self, hook)
        return getattr(method, "__func__", method) is not getattr(Callback, hook)


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class Logs(dict[str, Any]):
    """A dict that is filled by `fetch()` when it is first looked at, and not before.

    Args:
        fetch: returns the metrics by name; called once at most, it may read the device.
    """

    __slots__ = ("_fetch",)

    def __init__(self, fetch: Callable[[], dict[str, float]]) -> None:
        self._fetch: Callable[[], dict[str, float]] | None = fetch
        # json's C encoder asks the bare dict for its size: an empty one would print as "{}".
        super().__setitem__("", None)

    def _fill(self) -> None:
        if self._fetch is not None:
            values = self._fetch()
            self._fetch = None
            super().clear()
            super().update(values)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)

    def copy(self) -> dict[str, Any]:
        """A plain dict with the same entries."""
        return dict(self)


def _filled_first(name: str) -> Callable[..., Any]:
    plain = getattr(dict, name)

    def method(self: Logs, *args: Any, **kwargs: Any) -> Any:
        if self._fetch is not None:
            self._fill()
        for other in args:
            if isinstance(other, Logs):
                other._fill()
        return plain(self, *args, **kwargs)

    method.__name__ = name
    return method


for _name in (
    *("__contains__", "__delitem__", "__eq__", "__getitem__", "__ior__", "__iter__", "__len__"),
    *("__ne__", "__or__", "__repr__", "__reversed__", "__ror__", "__setitem__", "clear", "get"),
    *("items", "keys", "pop", "popitem", "setdefault", "update", "values"),
):
    setattr(Logs, _name, _filled_first(_name))
