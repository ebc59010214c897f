"""check_callback passes good callbacks and catches each kind of fault in a broken one."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnkit import callbacks, optimizers
from nnkit.callbacks import Callback
from nnkit.errors import ArgumentError
from nnkit.layers import Dense, Input
from nnkit.models import Sequential
from nnkit.testing import CALLBACK_PROPERTIES, ConformanceError, check_callback


class Misspells(Callback):
    def on_epoch_ends(self, epoch: int, logs: Any = None) -> None:
        pass


class InventsAHook(Callback):
    def on_lunch(self) -> None:
        pass


class TakesNoLogs(Callback):
    def on_epoch_end(self, epoch: int) -> None:  # type: ignore[override]
        pass


class TakesMetrics(Callback):
    def on_train_batch_end(self, batch: int, metrics: Any = None) -> None:  # type: ignore[override]
        pass


class NeverAwaited(Callback):
    async def on_train_begin(self, logs: Any = None) -> None:  # type: ignore[override]
        pass


class Raises(Callback):
    def on_predict_end(self, logs: Any = None) -> None:
        raise KeyError("lost")


class KeepsTheModelOut(Callback):
    def set_model(self, model: Any) -> None:
        pass


class KeepsTheParamsOut(Callback):
    def set_params(self, params: Any) -> None:
        pass


class TakesLogsOut(Callback):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs.pop("val_loss")


class NeverStartsAgain(Callback):
    epochs = 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epochs += 1
        self.model.stop_training = self.epochs > 1


class SlowsDownForGood(Callback):
    rate = 0.5

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.rate /= 2
        self.model.optimizer.learning_rate = self.rate


class NeedsAnEnd(Callback):
    running = False

    def on_train_begin(self, logs: Any = None) -> None:
        if self.running:
            raise RuntimeError("still running")
        self.running = True

    def on_train_end(self, logs: Any = None) -> None:
        self.running = False


class ClosesOnce(Callback):
    closed = False

    def on_train_begin(self, logs: Any = None) -> None:
        self.closed = False

    def close(self) -> None:
        if self.closed:
            raise ValueError("closed already")
        self.closed = True


class NoCallback:
    pass


@pytest.mark.parametrize(
    ("broken", "name", "said"),
    [
        (Misspells, "hooks", "nothing calls 'on_epoch_ends'. Write 'on_epoch_end'."),
        (InventsAHook, "hooks", "nothing calls 'on_lunch'. Correct its name, or let other"),
        (NoCallback, "hooks", "which has no set_model. Derive its class from"),
        (TakesNoLogs, "signatures", "on_epoch_end(epoch: 'int') -> 'None' is called with (0, logs"),
        (TakesMetrics, "signatures", "on_train_batch_end(batch: 'int', metrics: 'Any' = None)"),
        (NeverAwaited, "signatures", "on_train_begin is a coroutine, which nothing awaits"),
        (Raises, "runs", "KeyError came: 'lost'"),
        (KeepsTheModelOut, "runs", "model is None after a run. Call super().set_model(model)"),
        (KeepsTheParamsOut, "runs", "params is None after a run"),
        (TakesLogsOut, "logs", "'val_loss' was lost. Add to logs, but take nothing out"),
        (NeverStartsAgain, "reuse", "the first run had 2 epochs and the next 1"),
        (SlowsDownForGood, "reuse", "in the first run and"),
        (NeedsAnEnd, "failure", "RuntimeError came: still running"),
        (ClosesOnce, "runs", "ValueError came: closed already"),
    ],
)
def test_catches(broken: type, name: str, said: str) -> None:
    with pytest.raises(ConformanceError) as caught:
        check_callback(broken)
    assert caught.value.property == name
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{broken.__name__} fails '{name}': expected ")


def test_every_property_is_caught_by_a_test_above() -> None:
    rows = test_catches.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {name for _, name, _ in rows} == set(CALLBACK_PROPERTIES)


def halved(epoch: int, rate: float) -> float:
    return rate / 2


def averaging_run(with_these: list[Any]) -> Any:
    model = Sequential([Input((2,), name="x"), Dense(1, name="y")])
    model.compile(optimizers.SGD(0.1, use_ema=True), "mse")
    x = np.ones((4, 2), "float32")
    history = model.fit(
        x, x[:, :1], batch_size=2, epochs=2, verbose=0, validation_data=(x, x[:, :1]),
        callbacks=with_these,
    )  # fmt: skip
    model.predict(x, verbose=0, callbacks=with_these)
    return history


@pytest.mark.filterwarnings("ignore:RemoteMonitor could not reach")
@pytest.mark.parametrize(
    "make",
    [
        Callback,
        lambda: callbacks.EarlyStopping(patience=1, restore_best_weights=True),
        callbacks.History,
        lambda: callbacks.RemoteMonitor("http://127.0.0.1:9"),
        lambda: callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None),
        lambda: callbacks.LearningRateScheduler(halved),
        callbacks.ReduceLROnPlateau,
        callbacks.TerminateOnNaN,
    ],
)
def test_ours_pass(make: Any) -> None:
    check_callback(make)


def test_ours_with_files_pass(tmp_path: Path) -> None:
    check_callback(lambda: callbacks.TensorBoard(tmp_path / "events", write_graph=False))
    # It goes on where the run before ended: only a folder of its own begins anew.
    counted = itertools.count()
    check_callback(lambda: callbacks.BackupAndRestore(tmp_path / f"state {next(counted)}"))
    check_callback(callbacks.SwapEMAWeights, averaging_run)
    check_callback(callbacks.CSVLogger(tmp_path / "log.csv"))
    path = tmp_path / "{epoch}.weights.h5"
    check_callback(lambda: callbacks.ModelCheckpoint(path, save_weights_only=True))
    assert (tmp_path / "3.weights.h5").exists()


def test_progress_passes(capsys: pytest.CaptureFixture[str]) -> None:
    check_callback(callbacks.ProgbarLogger)
    capsys.readouterr()


def test_a_run_of_ones_own() -> None:
    ran: list[int] = []

    def run(with_these: list[Any]) -> Any:
        ran.append(len(with_these))
        model = Sequential([Input((2,), name="x"), Dense(1, name="y")])
        model.compile("sgd", "mse", metrics=["mae"])
        x = np.ones((4, 2), "float32")
        return model.fit(x, x[:, :1], batch_size=2, epochs=2, verbose=0, callbacks=with_these)

    check_callback(lambda: callbacks.EarlyStopping("mae", mode="min"), run)
    assert set(ran) == {0, 1, 2}
    with pytest.raises(ConformanceError, match=r"EarlyStopping monitors 'mae', but this run logs"):
        check_callback(lambda: callbacks.EarlyStopping("mae", mode="min"))


def test_skips_what_it_is_told_to() -> None:
    check_callback(TakesLogsOut, skip={"logs": "it hides one"})


def test_refuses_an_unknown_property() -> None:
    with pytest.raises(ArgumentError, match=r"Unknown property in skip 'log'. Did you mean 'logs'"):
        check_callback(Callback, skip={"log": "no"})
