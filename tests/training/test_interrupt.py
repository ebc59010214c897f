"""Ctrl-C and exceptions in the middle of a fit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnkit
from nnkit import optimizers
from nnkit.callbacks import Callback, EarlyStopping
from tests.training.conftest import SPARSE, Data, make_classifier


class Break(Callback):
    """Raises at one hook of one epoch."""

    def __init__(self, error: type[BaseException], hook: str) -> None:
        self.epoch, self.heard, self.closed = 0, [], False

        def hurt(*args: Any, logs: Any = None) -> None:
            if self.epoch == 1:
                raise error("stop here")

        setattr(self, hook, hurt)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_end(self, logs: Any = None) -> None:
        self.heard.append(logs)

    def close(self) -> None:
        self.closed = True


HOOKS = ["on_train_batch_begin", "on_train_batch_end", "on_test_batch_end", "on_epoch_end"]


@pytest.mark.parametrize("hook", HOOKS)
def test_keyboard_interrupt(hook: str, data: Data) -> None:
    """fit returns what there is."""
    model = make_classifier()
    model.compile("adam", SPARSE)
    before = model.get_weights()
    stop = Break(KeyboardInterrupt, hook)
    with pytest.warns(UserWarning, match="fit was interrupted; the model keeps") as warned:
        history = model.fit(
            data.x, data.labels, epochs=5, verbose=0, callbacks=[stop], validation_split=0.2
        )
    assert warned[0].filename == __file__  # it points at the user's line
    assert history.epoch == [0]
    assert len(history.history["val_loss"]) == 1
    assert history is model.history
    assert len(stop.heard) == 1
    assert stop.closed
    assert {module.training for module in model.modules()} == {False}
    assert not np.array_equal(before[0], model.get_weights()[0])
    assert model.predict(data.x, verbose=0).shape == (50, 3)
    assert len(model.fit(data.x, data.labels, epochs=2, verbose=0).epoch) == 2


def test_averages_are_taken_over_after_an_interrupt(data: Data) -> None:
    model = make_classifier()
    model.compile(optimizers.SGD(0.1, use_ema=True), SPARSE)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(
            data.x, data.labels, epochs=3, verbose=0,
            callbacks=[Break(KeyboardInterrupt, "on_train_batch_end")],
        )  # fmt: skip
    kernel = model.layers[0].weight
    np.testing.assert_array_equal(
        kernel.detach().numpy(), model.optimizer.state[kernel]["average"].numpy()
    )


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("verbose", [0, 1])
def test_exceptions_come_through(hook: str, verbose: int, data: Data, capsys: Any) -> None:
    model = make_classifier()
    model.compile("sgd", SPARSE)
    stop = Break(ZeroDivisionError, hook)
    with pytest.raises(ZeroDivisionError, match="stop here") as caught:
        model.fit(
            data.x, data.labels, epochs=5, verbose=verbose, callbacks=[stop], validation_split=0.2
        )
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames[-1] == "hurt"
    assert caught.value.__cause__ is None
    assert stop.closed
    assert {module.training for module in model.modules()} == {False}
    assert model.evaluate(data.x, data.labels, verbose=0) > 0
    assert bool(capsys.readouterr().out) == bool(verbose)


def test_exception_in_a_generator(data: Data) -> None:
    def broken() -> Iterator[Any]:
        yield data.x, data.labels
        raise LookupError("no such file")

    model = make_classifier()
    model.compile("sgd", SPARSE)
    for run in (model.fit, model.evaluate):
        with pytest.raises(LookupError, match="no such file"):
            run(broken(), verbose=0)
        assert not model.training
    with pytest.raises(LookupError, match="no such file"):
        model.predict(broken(), verbose=0)


SCRIPT = """
import numpy as np
from nnkit.layers.core import Dense
from nnkit.layers.input import Input
from nnkit.models import Sequential
from nnkit.callbacks import LambdaCallback
model = Sequential([Input((2,)), Dense(1)])
model.compile("sgd", "mse")
tell = LambdaCallback(on_epoch_end=lambda epoch, logs: print("ready"[: epoch * 5], flush=True))
x = np.ones((64, 2))
history = model.fit(x, x[:, :1], 1, epochs=10**6, verbose=0, callbacks=[tell])
print("after", len(history.epoch) >= 1, model.training, model.predict(x, verbose=0).shape)
"""


def test_control_c() -> None:
    """A real signal, to a real process."""
    done = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=Path(nnkit.__file__).parents[1],
    )  # fmt: skip
    assert done.stdout is not None
    for line in done.stdout:
        if line == "ready\n":
            break
    done.send_signal(signal.SIGINT)
    out, err = done.communicate(timeout=60)
    assert out.splitlines()[-1] == "after True False (64, 1)"
    assert "fit was interrupted" in err
    assert "Traceback" not in err
    assert done.returncode == 0


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit])
def test_best_weights_are_restored_after_an_error(error: type[BaseException], data: Data) -> None:
    model = make_classifier()
    model.compile("adam", SPARSE)
    best = EarlyStopping("loss", restore_best_weights=True)
    with pytest.raises(error):
        model.fit(
            data.x, data.labels, epochs=3, verbose=0,
            callbacks=[best, Break(error, "on_train_batch_end")],
        )  # fmt: skip
    assert best.best_weights is not None
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), best.best_weights[name].numpy())
