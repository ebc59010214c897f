"""Does a callback do what every callback must do? `check_callback` tries it out."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch

from nnkit.callbacks import Callback, CallbackList, History
from nnkit.callbacks.base import HOOKS
from nnkit.layers.core import Dense
from nnkit.layers.input import Input
from nnkit.models.sequential import Sequential
from nnkit.testing.case import repeatable
from nnkit.testing.conformance import Checklist, Fault

__all__ = ["CALLBACK_PROPERTIES", "check_callback"]

CALLBACK_PROPERTIES = Checklist()
Run = Callable[[list[Any]], History]


class _CallbackCase:
    """A callback under test, and the training it takes part in."""

    def __init__(self, make: Callable[[], Any], run: Run) -> None:
        self.fresh = make
        self.run = run

    @cached_property
    def bare(self) -> dict[str, list[Any]]:
        """What a run without callbacks logged."""
        return self.history([])

    def history(self, callbacks: list[Any]) -> dict[str, list[Any]]:
        """What a run with these callbacks logged, from the same start each time."""
        torch.manual_seed(0)
        return self.run(callbacks).history


def check_callback(
    callback: Any, run: Run | None = None, *, skip: Mapping[str, str] | None = None
) -> None:
    """Raise a ConformanceError unless a callback has all the properties of a good callback.

    Args:
        callback: a callback, or a class or function that makes it.
        run: trains a new model with a list of callbacks, the same way each time, and returns
            fit's History. When None three epochs of a small classifier, which logs loss, accuracy,
            val_loss and val_accuracy; then evaluate and predict.
        skip: {property: reason} for what is not to be checked. The properties are the keys of
            `nnkit.testing.CALLBACK_PROPERTIES`.

    Raises: ConformanceError saying which property fails, what was expected, what came, what to do.
    """
    CALLBACK_PROPERTIES.reasons(skip)
    makes = inspect.isclass(callback) or inspect.isroutine(callback)
    with repeatable():
        case = _CallbackCase(callback if makes else (lambda: callback), run or _small_run)
        CALLBACK_PROPERTIES.check(type(case.fresh()).__name__, case, skip)


def _small_run(callbacks: list[Any]) -> History:
    source = np.random.default_rng(0)
    x = source.normal(size=(12, 4)).astype("float32")
    y = (x.sum(-1, keepdims=True) > 0).astype("float32")
    model = Sequential(
        [Input((4,), name="x"), Dense(3, "relu", name="a"), Dense(1, "sigmoid", name="b")],
        name="small",
    )
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(
        x[:8], y[:8], batch_size=4, epochs=3, verbose=0, shuffle=False,
        validation_data=(x[8:], y[8:]), callbacks=callbacks,
    )  # fmt: skip
    model.evaluate(x, y, batch_size=4, verbose=0, callbacks=callbacks)
    model.predict(x, batch_size=4, verbose=0, callbacks=callbacks)
    return history


@CALLBACK_PROPERTIES.add(
    "hooks",
    "every method that begins with on_ to be a hook that training calls",
    "Correct its name, or let other methods begin with something else.",
)
def _hooks(case: _CallbackCase) -> None:
    callback = case.fresh()
    CallbackList([callback])
    for name in dir(type(callback)):
        if name.startswith("on_") and name not in HOOKS:
            close = difflib.get_close_matches(name, HOOKS, n=1)
            raise Fault(
                f"nothing calls {name!r}",
                f"Write {close[0]!r}." if close else None,
            )


def _arguments(hook: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """How training calls a hook."""
    if "_batch_" in hook:
        return (0,), {"logs": {}}
    return ((0, {}), {}) if "_epoch_" in hook else (({},), {})


@CALLBACK_PROPERTIES.add(
    "signatures",
    "each hook to take what training calls it with",
    "Write on_epoch_end(self, epoch, logs=None), on_train_batch_end(self, batch, logs=None), "
    "on_train_begin(self, logs=None), and so on.",
)
def _signatures(case: _CallbackCase) -> None:
    callback = case.fresh()
    for name in HOOKS:
        method = getattr(callback, name)
        args, kwargs = _arguments(name)
        try:
            inspect.signature(method).bind(*args, **kwargs)
        except TypeError as error:
            given = ", ".join(["0"] * (len(args) + len(kwargs) - 1) + ["logs={}"])
            raise Fault(f"{name}{inspect.signature(method)} is called with ({given})") from error
        if inspect.iscoroutinefunction(method):
            raise Fault(f"{name} is a coroutine, which nothing awaits", "Write def, not async def.")


@CALLBACK_PROPERTIES.add(
    "runs",
    "fit, evaluate and predict to run with it, knowing the model and params",
    "Call super().set_model(model) and super().set_params(params) where these are overridden. "
    "If it needs other logs than loss, accuracy, val_loss and val_accuracy, give run=.",
)
def _runs(case: _CallbackCase) -> None:
    callback = case.fresh()
    case.history([callback])
    for name in ("model", "params"):
        if getattr(callback, name, None) is None:
            raise Fault(f"{name} is None after a run")


@CALLBACK_PROPERTIES.add(
    "logs",
    "the logs of a run to have all the names they have without it",
    "Add to logs, but take nothing out; copy them first: logs = dict(logs).",
)
def _logs(case: _CallbackCase) -> None:
    logged = case.history([case.fresh()])
    missing = [name for name in case.bare if name not in logged]
    if missing:
        raise Fault(f"{missing[0]!r} was lost")


@CALLBACK_PROPERTIES.add(
    "reuse",
    "a second run with the same object to go like the first",
    "Set what it counts and collects back in on_train_begin.",
)
def _reuse(case: _CallbackCase) -> None:
    callback = case.fresh()
    _alike(case, case.history([callback]), case.history([callback]))


def _alike(case: _CallbackCase, first: dict[str, Any], second: dict[str, Any]) -> None:
    names = [name for name in case.bare if name in first and name in second]
    for name in names:
        one, other = first[name], second[name]
        if len(one) != len(other):
            raise Fault(f"the first run had {len(one)} epochs and the next {len(other)}")
        if not np.allclose(one, other, rtol=1e-4, atol=1e-6, equal_nan=True):
            raise Fault(f"{name!r} was {one} in the first run and {other} in the next")


class _Breaks(Callback):
    """Ends a run with an error in its second batch."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if batch == 1:
            raise _Broken


class _Broken(Exception):  # noqa: N818 - only ever caught below
    """What `_Breaks` raises."""


@CALLBACK_PROPERTIES.add(
    "failure",
    "a run to go as ever after one that ended in an error",
    "Let go of files and the like in close(), which is called however a run ends, and set "
    "everything back in on_train_begin.",
)
def _failure(case: _CallbackCase) -> None:
    expected, callback = case.history([case.fresh()]), case.fresh()
    try:
        case.history([callback, _Breaks()])
    except _Broken:
        pass
    else:
        return  # it ended training before the second batch
    _alike(case, expected, case.history([callback]))
