"""Ctrl-C and SIGTERM, as the system sends them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnkit.callbacks import BackupAndRestore, Callback, EarlyStopping
from nnkit.training.signals import Interruptions
from tests.training.conftest import SPARSE, Data, make_classifier

ROOT = Path(__file__).parent.parent.parent


class Send(Callback):
    """Sends signals to this process at one hook of epoch 1, and counts the batches."""

    def __init__(self, numbers: list[int], hook: str, at: int = 1) -> None:
        self.batches, self.heard, self.epoch = 0, 0, 0
        self.closed = 0

        def send(*args: Any, logs: Any = None) -> None:
            self.count += 1
            if self.epoch == 1 and self.count == at:
                for number in numbers:
                    os.kill(os.getpid(), number)

        setattr(self, hook, send)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch, self.count = epoch, 0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.batches += 1

    def on_train_end(self, logs: Any = None) -> None:
        self.heard += 1

    def close(self) -> None:
        self.closed += 1


def fit(data: Data, send: Send, *more: Callback, **options: Any) -> Any:
    model = make_classifier()
    model.compile("adam", SPARSE)
    options = {"epochs": 4, "verbose": 0, "batch_size": 10, **options}
    return model, lambda: model.fit(
        data.x, data.labels, callbacks=[send, *more], validation_data=(data.x, data.labels),
        **options,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def handlers_are_put_back() -> Any:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize(
    ("hook", "batches", "epochs"),
    [
        ("on_train_batch_end", 5 + 2, [0]),  # the batch at work is finished, and no other begun
        ("on_test_batch_end", 5 + 5, [0]),
        ("on_epoch_end", 5 + 5, [0, 1]),
        ("on_epoch_begin", 5 + 1, [0]),
    ],
)
def test_first_interrupt_ends_within_a_batch(
    hook: str, batches: int, epochs: list[int], data: Data
) -> None:
    send = Send([signal.SIGINT], hook, at=2 if hook == "on_train_batch_end" else 1)
    if hook == "on_epoch_begin":
        send.on_epoch_begin = lambda epoch, logs=None: (  # type: ignore[method-assign]
            os.kill(os.getpid(), signal.SIGINT) if epoch == 1 else None
        )
    model, train = fit(data, send)
    with pytest.warns(UserWarning, match="fit was interrupted; the model keeps"):
        history = train()
    assert send.batches == batches
    assert history.epoch == epochs
    assert history is model.history
    assert send.heard == 1
    assert send.closed >= 1
    assert {module.training for module in model.modules()} == {False}
    assert model.predict(data.x, verbose=0).shape == (50, 3)
    assert len(model.fit(data.x, data.labels, verbose=0).epoch) == 1


def test_second_interrupt_raises_at_once(data: Data) -> None:
    send = Send([signal.SIGINT, signal.SIGINT], "on_train_batch_end", at=2)
    model, train = fit(data, send)
    with pytest.raises(KeyboardInterrupt):
        train()
    assert send.batches == 7
    assert send.heard == 0
    assert send.closed >= 1
    assert {module.training for module in model.modules()} == {False}


def test_best_weights_are_restored_after_an_interrupt(data: Data) -> None:
    best = EarlyStopping("val_loss", patience=9, restore_best_weights=True)
    send = Send([signal.SIGINT], "on_train_batch_end", at=3)
    model, train = fit(data, send, best)
    with pytest.warns(UserWarning, match="interrupted"):
        train()
    kept = best.best_weights
    assert kept is not None
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), kept[name].numpy())


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_test_batch_end", "on_epoch_end"])
def test_terminated(hook: str, data: Data, tmp_path: Path) -> None:
    """The state is written, callbacks hear of the end, and the exit code is that of SIGTERM."""
    send = Send([signal.SIGTERM], hook)
    model, train = fit(data, send, BackupAndRestore(tmp_path / "state", save_freq=False))
    with pytest.raises(SystemExit) as caught:
        train()
    assert caught.value.code == 143
    assert send.heard == 1
    assert send.closed >= 1
    assert list((tmp_path / "state").iterdir())
    assert {module.training for module in model.modules()} == {False}


def test_handlers_of_ones_own_stay(data: Data) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        send = Send([signal.SIGTERM], "on_train_batch_end")
        _, train = fit(data, send)
        assert len(train().epoch) == 4
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]


def test_fit_in_a_thread(data: Data) -> None:
    """Only the main thread may set handlers."""
    epochs: list[int] = []
    _, train = fit(data, Send([], "on_epoch_end"))
    thread = threading.Thread(target=lambda: epochs.extend(train().epoch))
    thread.start()
    thread.join()
    assert epochs == [0, 1, 2, 3]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_forked_child_dies_of_its_signals(number: signal.Signals) -> None:
    class Model:
        stop_training = stop_evaluating = False

    with Interruptions(Model()) as signals:
        child = os.fork()
        if child == 0:
            try:
                os.kill(os.getpid(), number)
                signal.pause()
            except KeyboardInterrupt:
                os._exit(77)
            os._exit(0)
        _, status = os.waitpid(child, 0)
    ended = os.waitstatus_to_exitcode(status)
    assert ended == (77 if number == signal.SIGINT else -signal.SIGTERM)
    assert signals.received is None


SCRIPT = """
import os, signal, sys
import numpy as np
import nnkit

x = np.ones((8, 2), "float32")
model = nnkit.Sequential([nnkit.Input((2,)), nnkit.layers.Dense(1)])
model.compile("sgd", "mse")


class Kill(nnkit.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        os.kill(os.getpid(), signal.SIGTERM)

    def on_train_end(self, logs=None):
        print("heard", flush=True)


model.fit(x, x[:, :1], epochs=3, verbose=0, callbacks=[Kill()], resume=sys.argv[1])
print("not reached")
"""


def test_exit_code_of_a_process(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "state")],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 143, done.stderr
    assert done.stdout == "heard\n"
    assert list((tmp_path / "state").iterdir())
