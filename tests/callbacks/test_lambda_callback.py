from __future__ import annotations

from typing import Any

import pytest

from nnkit.callbacks import LambdaCallback
from nnkit.callbacks.base import HOOKS
from nnkit.errors import ArgumentError


def test_functions_are_called_as_keras_calls_them(model: Any, run: Any) -> None:
    seen: list[Any] = []
    callback = LambdaCallback(
        on_train_begin=lambda x: seen.append(("train_begin", x)),
        on_epoch_begin=lambda e, x: seen.append(("epoch_begin", e, x)),
        on_train_batch_begin=lambda b, logs: seen.append(("batch_begin", b, logs)),
        on_train_batch_end=lambda b, logs: seen.append(("batch_end", b, dict(logs))),
        on_epoch_end=lambda e, x: seen.append(("epoch_end", e, x)),
        on_train_end=lambda x: seen.append(("train_end", x)),
    )
    run(model, callback, [{"loss": 1}], batches=1)
    assert seen == [
        ("train_begin", {}),
        ("epoch_begin", 0, {}),
        ("batch_begin", 0, {}),
        ("batch_end", 0, {"loss": 1}),
        ("epoch_end", 0, {"loss": 1}),
        ("train_end", {"loss": 1}),
    ]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_may_be_given(hook: str) -> None:
    function = print
    assert getattr(LambdaCallback(**{hook: function}), hook) is function


def test_an_unknown_hook() -> None:
    with pytest.raises(
        ArgumentError, match=r"Unknown hook 'on_epoch_ends'. Did you mean 'on_epoch_end'"
    ):
        LambdaCallback(on_epoch_ends=print)


def test_what_is_no_function() -> None:
    with pytest.raises(ArgumentError, match="on_test_end expects a function, but received 3"):
        LambdaCallback(on_test_end=3)
