"""Whatever raises in the middle of fit comes through as it is, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import nnkit
from nnkit import layers, metrics
from nnkit.callbacks import Callback, CSVLogger, LambdaCallback

ROOT = Path(__file__).parent.parent.parent
X = np.random.default_rng(0).normal(size=(33, 3)).astype("float32")
Y = X.sum(-1, keepdims=True)


class Own(Exception):  # noqa: N818 - what a user's code raises
    pass


def make(**options: Any) -> Any:
    nnkit.utils.set_random_seed(0)
    model = nnkit.Sequential(
        [nnkit.Input((3,)), layers.Dense(4), layers.BatchNormalization(), layers.Dense(1)]
    )
    model.compile("sgd", "mse", **options)
    return model


class BadMetric(metrics.Metric):
    def __init__(self) -> None:
        super().__init__(name="bad")
        self.calls = 0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.calls += 1
        if self.calls == 3:
            guilty()

    def result(self) -> Any:
        return self.calls


class BadSet(nnkit.utils.PyDataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        return guilty() if index == 2 else (X[:8], Y[:8])


def guilty() -> Any:
    raise Own("here")


def bad_generator() -> Any:
    yield X[:8], Y[:8]
    yield X[:8], Y[:8]
    guilty()


def bad_loss(y_true: Any, y_pred: Any) -> Any:
    return guilty() if y_true.shape[0] == 1 else (y_true - y_pred) ** 2


ARRAYS = {"x": X, "y": Y, "batch_size": 8}
CASES: dict[str, Any] = {
    "callback": lambda: ({}, ARRAYS, [LambdaCallback(on_train_batch_end=lambda b, logs: guilty())]),
    "end": lambda: ({}, ARRAYS, [LambdaCallback(on_epoch_end=lambda epoch, logs: guilty())]),
    "metric": lambda: ({"metrics": [BadMetric()]}, ARRAYS, []),
    "generator": lambda: ({}, {"x": bad_generator(), "steps_per_epoch": 4}, []),
    "PyDataset": lambda: ({}, {"x": BadSet(), "shuffle": False}, []),
    "loss": lambda: ({"loss": bad_loss}, ARRAYS, []),
    "validation": lambda: (
        {}, {**ARRAYS, "validation_data": bad_generator(), "validation_steps": 3}, []
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("verbose", [0, 2])
def test_its_own_traceback(name: str, verbose: int, tmp_path: Path, capsys: Any) -> None:
    options, data, listening = CASES[name]()
    model = make()
    if options:
        model.compile("sgd", **{"loss": "mse", **options})
    log = CSVLogger(tmp_path / "log.csv")
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Own, match=r"^here$") as caught:
        model.fit(**data, epochs=2, verbose=verbose, callbacks=[log, *listening])
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames[-1] == "guilty"
    assert caught.value.__cause__ is None
    assert {module.training for module in model.modules()} == {False}
    assert log._file is None
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    model.compile("sgd", "mse")
    assert len(model.fit(X, Y, epochs=2, verbose=0).epoch) == 2


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_one_sample_in_the_last_batch() -> None:
    """Batch normalization gets on with a variance of zero, as in Keras."""
    ours = make()
    theirs = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(1),
        ]
    )
    theirs.compile("sgd", "mse")
    theirs.set_weights(ours.get_weights())
    options: dict[str, Any] = {"batch_size": 32, "epochs": 3, "verbose": 0, "shuffle": False}
    expected = theirs.fit(X, Y, **options).history["loss"]
    np.testing.assert_allclose(ours.fit(X, Y, **options).history["loss"], expected, rtol=1e-4)
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-5)


def test_a_batch_larger_than_the_data() -> None:
    class Count(Callback):
        batches = 0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.batches += 1

    count = Count()
    one = make()
    history = one.fit(X, Y, batch_size=500, epochs=2, verbose=0, callbacks=[count], shuffle=False)
    other = make()
    expected = other.fit(X, Y, batch_size=33, epochs=2, verbose=0, shuffle=False)
    assert history.history == expected.history
    assert count.batches == 2
    assert one.predict(X, batch_size=500, verbose=0).shape == (33, 1)


SCRIPT = """
import numpy as np
import nnkit
x = np.ones((64, 2), "float32")
model = nnkit.Sequential([nnkit.Input((2,)), nnkit.layers.Dense(1)], name="модель")
model.compile("sgd", "mse", metrics=[nnkit.metrics.MeanAbsoluteError(name="größe")])
model.fit(x, x[:, :1], epochs=2, verbose={verbose}, callbacks=[
    nnkit.callbacks.LearningRateScheduler(lambda epoch: 0.1, verbose=1)])
model.summary()
"""


@pytest.mark.parametrize("verbose", [1, 2])
def test_stdout_that_cannot_encode(verbose: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("{verbose}", str(verbose))],
        cwd=ROOT, capture_output=True, timeout=120,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert b"gr??e: " in done.stdout
