"""Many callbacks called as one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from nnkit.callbacks.base import HOOKS, Callback
from nnkit.callbacks.history import History
from nnkit.callbacks.progress import ProgbarLogger
from nnkit.errors import ArgumentError

__all__ = ["CallbackList"]


class CallbackList(Callback):
    """Call each hook of several callbacks, in order: the user's, History, ProgbarLogger.

    Those with a true attribute `last` (BackupAndRestore) come after all others.

    Args:
        callbacks: a callback, or lists of callbacks, nested as you like. Objects of another base
            class, such as keras.callbacks.Callback, will do if they have all the hooks.
        add_history, add_progbar: append a History or ProgbarLogger where there is none.
        model: the model the callbacks are told about; its `history` becomes the History.
        params: a dict with verbose, epochs and steps; they may also be given as keywords.

    Attributes:
        needs_train_batch_begin, needs_train_batch_end, needs_test_batch_begin, ...: False when
            no callback acts at this hook, so that a loop need not call it. Calls skip those
            callbacks that inherit the empty hook.

    Raises: ArgumentError for anything that is no callback.
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        *,
        params: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        self.callbacks = _flatten(callbacks)
        if add_history and self.find(History) is None:
            self.callbacks.append(History())
        if add_progbar and self.find(ProgbarLogger) is None:
            self.callbacks.append(ProgbarLogger())
        self._put_last()
        self.set_params({**(params or {}), **more})
        self.set_model(model)

    def append(self, callback: Any) -> None:
        """Add a callback at the end; tell it the model and the params."""
        self.callbacks.extend(_flatten(callback))
        self._put_last()
        self.set_params(self.params or {})
        self.set_model(self.model)

    def set_params(self, params: dict[str, Any]) -> None:
        """Tell all callbacks."""
        self.params = params
        for callback in self.callbacks if params else []:
            callback.set_params(params)
        self._prepare()

    def set_model(self, model: Any) -> None:
        """Tell all callbacks."""
        self.model = model
        if model is None:
            return
        history = self.find(History)
        if history is not None:
            model.history = history
        for callback in self.callbacks:
            callback.set_model(model)
        self._prepare()

    def _put_last(self) -> None:
        self.callbacks.sort(key=lambda each: bool(getattr(each, "last", False)))

    def find(self, kind: type[Callback]) -> Any:
        """The first callback of this class, or None."""
        return next((each for each in self.callbacks if isinstance(each, kind)), None)

    def _prepare(self) -> None:
        self._progbar = self.find(ProgbarLogger)
        hooks = {
            name: [getattr(each, name) for each in self.callbacks if _acts(each, name)]
            for name in HOOKS
            if "_batch_" in name
        }
        self._batch_hooks: dict[str, list[Callable[..., None]]] = hooks
        self.needs_train_batch_begin = bool(hooks["on_train_batch_begin"])
        self.needs_train_batch_end = bool(hooks["on_train_batch_end"])
        self.needs_test_batch_begin = bool(hooks["on_test_batch_begin"])
        self.needs_test_batch_end = bool(hooks["on_test_batch_end"])
        self.needs_predict_batch_begin = bool(hooks["on_predict_batch_begin"])
        self.needs_predict_batch_end = bool(hooks["on_predict_batch_end"])

    def _call_all(self, hook: str, *args: Any) -> None:
        if hook.endswith("_end") and self._progbar is not None:
            # What callbacks print now must not land behind a bar.
            (self._progbar.leave if hook == "on_train_end" else self._progbar.clear)()
        for callback in self.callbacks:
            getattr(callback, hook)(*args)

    def _call_batch(self, hook: str, batch: int, logs: dict[str, Any] | None) -> None:
        logs = {} if logs is None else logs
        for method in self._batch_hooks[hook]:
            method(batch, logs=logs)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._call_all("on_train_begin", {} if logs is None else logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._call_all("on_train_end", {} if logs is None else logs)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._call_all("on_epoch_begin", epoch, {} if logs is None else logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._call_all("on_epoch_end", epoch, {} if logs is None else logs)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._call_all("on_test_begin", {} if logs is None else logs)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        self._call_all("on_test_end", {} if logs is None else logs)

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._call_all("on_predict_begin", {} if logs is None else logs)

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        self._call_all("on_predict_end", {} if logs is None else logs)

    def on_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._call_batch("on_batch_begin", batch, logs)

    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._call_batch("on_batch_end", batch, logs)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._call_batch("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._call_batch("on_train_batch_end", batch, logs)

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._call_batch("on_test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._call_batch("on_test_batch_end", batch, logs)

    def on_predict_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._call_batch("on_predict_batch_begin", batch, logs)

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._call_batch("on_predict_batch_end", batch, logs)

    def close(self) -> None:
        """Close all callbacks, each one even if another fails. Call it however a run ended."""
        with ExitStack() as stack:
            for callback in self.callbacks:
                if isinstance(callback, Callback):
                    stack.callback(callback.close)


def _acts(callback: Any, hook: str) -> bool:
    # Of an object with another base class we do not know which hooks are empty.
    return not isinstance(callback, Callback) or callback._uses(hook)


def _flatten(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    if isinstance(callbacks, (list, tuple)):
        return [found for item in callbacks for found in _flatten_item(item)]
    return _flatten_item(callbacks)


def _flatten_item(item: Any) -> list[Any]:
    if isinstance(item, (list, tuple)):
        return _flatten(item)
    if isinstance(item, CallbackList):
        return item.callbacks
    if inspect.isclass(item):
        raise ArgumentError(
            f"callbacks holds the class {item.__name__} itself; write {item.__name__}(...) to "
            "make an object of it."
        )
    missing = [name for name in ("set_model", "set_params", *HOOKS) if not hasattr(item, name)]
    if not missing:
        return [item]
    advice = (
        "Wrap the function: LambdaCallback(on_epoch_end=your_function)."
        if inspect.isroutine(item)
        else "Derive its class from nnkit.callbacks.Callback."
    )
    raise ArgumentError(
        f"callbacks expects Callback objects, but holds {item!r}, which has no "
        f"{missing[0]}. {advice}"
    )
