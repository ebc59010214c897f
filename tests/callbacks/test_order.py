"""Which hooks are called, in which order, and which are left out."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nnkit.callbacks import (
    Callback,
    CallbackList,
    EarlyStopping,
    History,
    LambdaCallback,
    Logs,
    ModelCheckpoint,
    ProgbarLogger,
    TerminateOnNaN,
)
from nnkit.callbacks.base import HOOKS
from nnkit.errors import ArgumentError

BATCH_HOOKS = [
    f"{run}_batch_{end}" for run in ("train", "test", "predict") for end in ("begin", "end")
]


class Duck:
    """All the hooks, another base class."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, float]] = []

    def set_model(self, model: object) -> None:
        self.model = model

    def set_params(self, params: object) -> None:
        pass

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.batches.append((batch, logs["loss"]))

    def __getattr__(self, name: str) -> object:
        if name.startswith("on_"):
            return lambda *args, **kwargs: None
        raise AttributeError(name)


class Recorder(Callback):
    """Writes down every hook that is called on it."""

    def __init__(self, name: str, calls: list[str]) -> None:
        for hook in HOOKS:
            if "on_batch" not in hook:
                setattr(self, hook, self.note(name, hook, calls))

    @staticmethod
    def note(name: str, hook: str, calls: list[str]):
        def note(*args: object, logs: object = None) -> None:
            numbers = [str(each) for each in args if isinstance(each, int)]
            calls.append(" ".join([name, hook.removeprefix("on_"), *numbers]))

        return note


def test_all_hooks_reach_all_callbacks_in_order() -> None:
    calls: list[str] = []
    both = CallbackList([Recorder("a", calls), [(Recorder("b", calls),)]])
    both.on_train_begin()
    both.on_epoch_begin(0)
    both.on_train_batch_begin(0)
    both.on_train_batch_end(0, {"loss": 1.0})
    both.on_test_begin()
    both.on_test_batch_begin(0)
    both.on_test_batch_end(0, {"loss": 1.0})
    both.on_test_end({"loss": 1.0})
    both.on_epoch_end(0, {"loss": 1.0})
    both.on_train_end({"loss": 1.0})
    both.on_predict_begin()
    both.on_predict_batch_begin(3)
    both.on_predict_batch_end(3)
    both.on_predict_end()
    expected = [
        *("train_begin", "epoch_begin 0", "train_batch_begin 0", "train_batch_end 0"),
        *("test_begin", "test_batch_begin 0", "test_batch_end 0", "test_end", "epoch_end 0"),
        *("train_end", "predict_begin", "predict_batch_begin 3", "predict_batch_end 3"),
        "predict_end",
    ]
    assert calls == [f"{name} {hook}" for hook in expected for name in "ab"]


def test_history_follows_the_users_callbacks_and_progress_is_last() -> None:
    mine, model = Callback(), SimpleNamespace()
    calls = CallbackList(mine, add_history=True, add_progbar=True, model=model, verbose=0)
    assert [type(each) for each in calls.callbacks] == [Callback, History, ProgbarLogger]
    assert calls.callbacks[0] is mine
    assert model.history is calls.callbacks[1]
    assert all(each.model is model for each in calls.callbacks)
    assert all(each.params == {"verbose": 0} for each in calls.callbacks)


def test_a_given_history_and_progress_are_kept() -> None:
    given = [ProgbarLogger(), History(), Callback()]
    assert CallbackList(given, add_history=True, add_progbar=True).callbacks == given


def test_params_may_be_a_dict_and_keywords() -> None:
    assert CallbackList(None, params={"epochs": 3}, steps=2).params == {"epochs": 3, "steps": 2}


def test_a_callback_list_in_a_list_is_unpacked_and_append_tells_the_newcomer() -> None:
    inner, late, model = Callback(), TerminateOnNaN(), SimpleNamespace()
    calls = CallbackList([CallbackList([inner])], model=model, epochs=1)
    assert calls.callbacks == [inner]
    assert not calls.needs_train_batch_end
    calls.append(late)
    assert late.model is model
    assert late.params == {"epochs": 1}
    assert calls.needs_train_batch_end


def test_logs_changed_by_one_callback_reach_the_next() -> None:
    seen = []
    first = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(extra=7))
    second = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(dict(logs)))
    CallbackList([first, second]).on_epoch_end(0, {"loss": 1.0})
    assert seen == [{"loss": 1.0, "extra": 7}]


@pytest.mark.parametrize("hook", ["on_batch_begin", "on_batch_end"])
def test_the_older_batch_hooks_are_called(hook: str) -> None:
    seen: list[int] = []
    older = type("Older", (Callback,), {hook: lambda self, batch, logs=None: seen.append(batch)})
    calls = CallbackList([older()])
    calls.on_train_batch_begin(4)
    calls.on_train_batch_end(4)
    assert seen == [4]
    getattr(calls, hook)(5)
    assert seen == [4, 5]


NOTHING: set[str] = set()


@pytest.mark.parametrize(
    ("callback", "needed"),
    [
        (Callback(), NOTHING),
        (History(), NOTHING),
        (EarlyStopping(), NOTHING),
        (ModelCheckpoint("a.keras"), NOTHING),
        (ModelCheckpoint("a.keras", save_freq=2), {"train_batch_end"}),
        (TerminateOnNaN(), {"train_batch_end"}),
        (LambdaCallback(on_epoch_end=print), NOTHING),
        (LambdaCallback(on_test_batch_begin=print), {"test_batch_begin"}),
        (LambdaCallback(on_batch_begin=print), {"train_batch_begin"}),
        (LambdaCallback(on_predict_batch_end=print), {"predict_batch_end"}),
        (ProgbarLogger(), {"train_batch_end", "test_batch_end", "predict_batch_end"}),
        (Duck(), set(BATCH_HOOKS)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_needed_batch_hooks_are_announced(callback: object, needed: set[str]) -> None:
    calls = CallbackList([callback])
    assert {hook for hook in BATCH_HOOKS if getattr(calls, f"needs_{hook}")} == needed


def test_a_subclass_of_model_checkpoint_keeps_its_batch_hook() -> None:
    class Mine(ModelCheckpoint):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)

    assert CallbackList([Mine("a.keras")]).needs_train_batch_end


def test_silent_progress_needs_no_batches() -> None:
    assert not CallbackList([ProgbarLogger()], verbose=0).needs_train_batch_end
    assert CallbackList([ProgbarLogger()], verbose=1).needs_train_batch_end


def test_nobody_looking_means_no_fetch_and_one_look_means_one() -> None:
    fetched: list[int] = []

    def fetch() -> dict[str, float]:
        fetched.append(1)
        return {"loss": 2.0}

    CallbackList([LambdaCallback(on_batch_end=lambda batch, logs: None)]).on_train_batch_end(
        0, Logs(fetch)
    )
    assert not fetched
    look = LambdaCallback(on_batch_end=lambda batch, logs: logs["loss"])
    CallbackList([look, look]).on_train_batch_end(0, Logs(fetch))
    assert len(fetched) == 1


def test_an_object_of_another_base_class_will_do_if_it_has_the_hooks() -> None:
    duck, model = Duck(), SimpleNamespace()
    CallbackList([duck], model=model).on_train_batch_end(2, Logs(lambda: {"loss": 0.5}))
    assert duck.batches == [(2, 0.5)]
    assert duck.model is model


def test_a_callback_without_super_init_works() -> None:
    class Mine(Callback):
        def __init__(self) -> None:
            self.seen = 0

        def on_epoch_end(self, epoch, logs=None):
            self.seen += 1

    mine = Mine()
    assert mine.model is None
    CallbackList([mine], model=SimpleNamespace()).on_epoch_end(0)
    assert mine.seen == 1


def test_errors_are_not_swallowed() -> None:
    def fail(epoch: int, logs: object) -> None:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        CallbackList([LambdaCallback(on_epoch_end=fail)]).on_epoch_end(0)


def test_close_closes_all_even_if_one_fails() -> None:
    closed = []

    class Closing(Callback):
        def close(self) -> None:
            closed.append(self)
            raise OSError("disk full")

    two = [Closing(), Closing()]
    with pytest.raises(OSError, match="disk full"):
        CallbackList([*two, Duck()]).close()
    assert set(closed) == set(two)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (EarlyStopping, r"the class EarlyStopping itself; write EarlyStopping\(\.\.\.\)"),
        ([[print]], r"Wrap the function: LambdaCallback\(on_epoch_end"),
        ([lambda epoch: None], "Wrap the function"),
        (["EarlyStopping"], "holds 'EarlyStopping', which has no set_model. Derive its class"),
        ([None], "holds None"),
        ({"a": Callback()}, "Callback objects, but holds {'a'"),
    ],
)
def test_what_is_no_callback_is_refused(wrong: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        CallbackList(wrong)
