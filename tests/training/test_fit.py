"""fit: what it learns, keeps, shows and reads, against loops written by hand."""

from __future__ import annotations

import gc
import itertools
import math
import os
import pty
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

import nnkit
from nnkit.callbacks import Callback
from nnkit.layers.core import Dense
from nnkit.layers.input import Input
from nnkit.models import Sequential
from nnkit.training.watch import LossWatch, _finite
from tests.training.conftest import SPARSE, Data, make_classifier, make_two_outputs


def by_hand(model: Any, data: Data, epochs: int, batch_size: int, rate: float) -> list[float]:
    """Plain gradient descent on the crossentropy; the mean loss of each epoch."""
    x, labels = torch.tensor(data.x), torch.tensor(data.labels)
    parameters = list(model.parameters())
    means = []
    for _ in range(epochs):
        total = 0.0
        for start in range(0, len(x), batch_size):
            rows = slice(start, start + batch_size)
            loss = F.nll_loss(model(x[rows]).log(), labels[rows])
            grads = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                for parameter, grad in zip(parameters, grads, strict=True):
                    parameter -= rate * grad
            total += float(loss.detach()) * len(labels[rows])
        means.append(total / len(x))
    return means


def test_same_numbers_as_a_loop_by_hand(data: Data) -> None:
    model, twin = make_classifier(), make_classifier()
    twin.load_state_dict(dict(zip(twin.state_dict(), model.state_dict().values(), strict=True)))
    expected = by_hand(twin, data, 3, 16, 0.1)
    model.compile(nnkit.optimizers.SGD(0.1), SPARSE)
    history = model.fit(data.x, data.labels, 16, epochs=3, shuffle=False, verbose=0)
    assert history.history["loss"] == pytest.approx(expected, rel=1e-5)
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_learns(data: Data) -> None:
    model = make_classifier()
    model.compile("adam", SPARSE, metrics=["accuracy"])
    model.optimizer.learning_rate = 0.05
    model.fit(data.x, data.labels, epochs=40, verbose=0)
    loss, accuracy = model.evaluate(data.x, data.labels, verbose=0)
    assert accuracy > 0.9
    assert loss < 0.3
    assert (model.predict(data.x, verbose=0).argmax(-1) == data.labels).mean() == pytest.approx(
        accuracy
    )


class Rows(Dataset[Any]):
    """Single samples, as a torch Dataset gives them."""

    def __init__(self, data: Data) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data.x)

    def __getitem__(self, row: int) -> tuple[np.ndarray, int]:
        return self.data.x[row], self.data.labels[row]


def batches(data: Data) -> Iterator[Any]:
    while True:
        for start in range(0, 50, 32):
            yield data.x[start : start + 32], data.labels[start : start + 32]


SOURCES: dict[str, Callable[[Data], dict[str, Any]]] = {
    "arrays": lambda d: {"x": d.x, "y": d.labels},
    "tensors": lambda d: {"x": torch.tensor(d.x), "y": torch.tensor(d.labels)},
    "lists": lambda d: {"x": d.x.tolist(), "y": d.labels.tolist()},
    "float64": lambda d: {"x": d.x.astype("float64"), "y": d.labels.astype("int32")},
    "dataset": lambda d: {"x": Rows(d)},
    "tensor dataset": lambda d: {"x": TensorDataset(torch.tensor(d.x), torch.tensor(d.labels))},
    "loader": lambda d: {"x": DataLoader(Rows(d), batch_size=32)},
    "generator": lambda d: {"x": batches(d), "steps_per_epoch": 2},
    "list of batches": lambda d: {
        "x": DataLoader(TensorDataset(torch.tensor(d.x), torch.tensor(d.labels)), batch_size=32)
    },
}


@pytest.mark.parametrize("source", SOURCES)
def test_sources(source: str, data: Data) -> None:
    """All give the same batches, so the same weights."""
    model, twin = make_classifier(), make_classifier()
    twin.set_weights(model.get_weights())
    for each, arguments in ((twin, SOURCES["arrays"](data)), (model, SOURCES[source](data))):
        each.compile("sgd", SPARSE)
        history = each.fit(**arguments, shuffle=False, epochs=2, verbose=0)
        assert len(history.history["loss"]) == 2
    for one, other in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("y", [lambda d: {"kind": d.labels, "amount": d.values}])
def test_dict_batches_from_a_generator(data: Data, y: Any) -> None:
    model = make_two_outputs()
    model.compile("sgd", {"amount": "mse", "kind": SPARSE})
    source = ((data.x, y(data), data.weights) for _ in range(4))
    history = model.fit(source, steps_per_epoch=2, epochs=2, verbose=0).history
    assert list(history) == ["amount_loss", "kind_loss", "loss"]
    total = np.add(history["amount_loss"], history["kind_loss"])
    np.testing.assert_allclose(history["loss"], total, rtol=1e-5)


def test_shuffle_mixes_each_epoch_anew_and_loses_nothing() -> None:
    seen: list[torch.Tensor] = []

    def loss(y: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        if y.dim() == 2:
            seen.append(y[:, 0])
        return (y - p).square().mean(-1)

    model = Sequential([Input((1,)), Dense(1)])
    model.compile("sgd", loss)
    numbers = np.arange(40, dtype="float32")[:, None] / 40
    model.fit(numbers, numbers, batch_size=8, epochs=2, verbose=0)
    epochs = [torch.cat(seen[-10:-5]), torch.cat(seen[-5:])]
    for order in epochs:
        assert order.sort().values.tolist() == numbers[:, 0].tolist()
    assert epochs[0].tolist() != epochs[1].tolist() != numbers[:, 0].tolist()


def test_mode(data: Data) -> None:
    """Training mode while it trains, inference mode while it validates and afterwards."""
    modes = []

    class Watch(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            modes.append(("train", {m.training for m in self.model.modules()}))

        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            modes.append(("test", {m.training for m in self.model.modules()}))

    model = make_classifier()
    model.compile("sgd", SPARSE)
    model.fit(data.x, data.labels, 50, verbose=0, callbacks=[Watch()], validation_split=0.1)
    assert modes == [("train", {True}), ("test", {False})]
    assert {module.training for module in model.modules()} == {False}


def test_freezing_between_fits_keeps_the_moments(data: Data) -> None:
    model = make_classifier()
    model.compile("adam", SPARSE)
    model.fit(data.x, data.labels, verbose=0)
    kernel = model.layers[1].weight
    before = model.optimizer.state[kernel]
    model.layers[0].trainable = False
    frozen = [tensor.clone() for tensor in model.layers[0].parameters()]
    model.fit(data.x, data.labels, verbose=0)
    assert model.optimizer.state[kernel] is before
    assert len(model.optimizer.param_groups[0]["params"]) == 2
    for one, other in zip(frozen, model.layers[0].parameters(), strict=True):
        assert torch.equal(one, other)
    assert model.optimizer.iterations == 4


@pytest.mark.parametrize("optimizer", ["adam", torch.optim.Adam])
@pytest.mark.parametrize("hook", ["on_epoch_end", "on_train_batch_end", "on_train_batch_begin"])
def test_freezing_within_a_fit(hook: str, optimizer: Any, data: Data) -> None:
    class Freeze(Callback):
        def freeze(self, number: int, logs: Any = None) -> None:
            if self.model.layers[0].trainable:
                self.model.layers[0].trainable = False
                self.weights = self.model.layers[0].get_weights()

    setattr(Freeze, hook, Freeze.freeze)
    model, freeze = make_classifier(), Freeze()
    model.compile(optimizer, SPARSE)
    model.fit(data.x, data.labels, epochs=2, verbose=0, callbacks=[freeze])
    model.fit(data.x, data.labels, epochs=2, verbose=0)
    for one, other in zip(freeze.weights, model.layers[0].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_train_on_batch_sees_trainable_at_once(data: Data) -> None:
    """The classic GAN loop freezes the judge between two calls."""
    judge = make_classifier()
    inputs = Input((6,))
    whole = nnkit.models.Model(inputs, judge(Dense(6, name="maker")(inputs)))
    whole.compile("sgd", SPARSE)
    judge.compile("sgd", SPARSE)
    for _ in range(2):
        changed = []
        for model, trainable in ((judge, True), (whole, False)):
            judge.trainable = trainable
            before = whole.get_weights()
            model.train_on_batch(data.x, data.labels)
            after = whole.get_weights()
            changed.append([not np.array_equal(a, b) for a, b in zip(before, after, strict=True)])
        assert changed == [[False] * 2 + [True] * 4, [True] * 2 + [False] * 4]


def test_recompiling_keeps_weights_and_takes_the_new_loss(data: Data) -> None:
    model = make_classifier()
    model.compile("adam", SPARSE, metrics=["accuracy"])
    model.fit(data.x, data.labels, verbose=0)
    before = model.get_weights()
    model.compile("sgd", "categorical_crossentropy", metrics=[])
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    outputs = model.predict(data.x, verbose=0)
    expected = -(data.one_hot * np.log(outputs)).sum(-1).mean()
    assert model.train_on_batch(data.x, data.one_hot) == pytest.approx(expected, rel=1e-5)


def test_history(data: Data) -> None:
    model = make_classifier()
    model.compile("sgd", SPARSE, metrics=["accuracy"])
    first = model.fit(data.x, data.labels, epochs=3, validation_split=0.2, verbose=0)
    assert list(first.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert all(type(value) is float for values in first.history.values() for value in values)
    assert first.epoch == [0, 1, 2]
    assert model.history is first
    assert model.fit(data.x, data.labels, verbose=0).epoch == [0]
    assert first.epoch == [0, 1, 2]


def test_no_epochs(data: Data) -> None:
    model = make_classifier()
    model.compile("sgd", SPARSE)
    for arguments in ({"epochs": 0}, {"epochs": 2, "initial_epoch": 2}):
        assert model.fit(data.x, data.labels, verbose=0, **arguments).history == {}


def test_nothing_reads_the_device_within_an_epoch(
    data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read waits for the accelerator: from the second step on there must be none."""
    # On a CPU, where it need not wait, the watch over the loss does read.
    monkeypatch.setattr(LossWatch, "_can_wait_for", staticmethod(lambda loss: False))
    reads: list[str] = []
    steps: list[int] = []

    class Count(Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            steps.append(len(reads))

    for name in ("item", "__bool__", "__float__", "__int__", "tolist", "numpy", "cpu", "__array__"):
        original = getattr(torch.Tensor, name)

        def spy(self: Any, *args: Any, _name: str = name, _original: Any = original) -> Any:
            reads.append(_name)
            return _original(self, *args)

        monkeypatch.setattr(torch.Tensor, name, spy)
    x = torch.tensor(data.x).repeat(4, 1)
    y = [torch.tensor(data.labels).repeat(4), torch.tensor(data.values).repeat(4, 1)]
    model = make_two_outputs()
    model.compile(
        nnkit.optimizers.Adam(0.01, global_clipnorm=1.0),
        [SPARSE, "mse"],
        metrics=[["accuracy"], ["mae"]],
        weighted_metrics=[["accuracy"], []],
    )
    model.fit(x, y, 16, verbose=0, callbacks=[Count()], sample_weight=torch.ones(200))
    assert len(steps) == 13
    assert set(steps[1:]) == {steps[1]}
    steps.clear()
    model.fit(x, y, 16, epochs=2, verbose=0, callbacks=[Count()])
    assert set(steps[14:]) == {steps[14]}


# -- what is shown -----------------------------------------------------------------------------

SCRIPT = """
import time, numpy as np
from nnkit.layers.core import Dense
from nnkit.layers.input import Input
from nnkit.models import Sequential
from nnkit.callbacks import LambdaCallback
model = Sequential([Input((2,)), Dense(1)])
model.compile("sgd", "mse", metrics=["mae"])
x, y = np.ones((40, 2)), np.ones((40, 1))
slow = LambdaCallback(on_train_batch_end=lambda batch, logs: time.sleep(0.04))
model.fit(x, y, 4, epochs=2, validation_split=0.2, callbacks=[slow], verbose=%s)
model.evaluate(x, y, verbose=%s)
model.predict(x, verbose=%s)
"""
LINE = (
    r"Epoch {}/2 - 8 steps - [\d.]+s - [\d.]+ ms/step - "
    r"loss: \S+ - mae: \S+ - val_loss: \S+ - val_mae: \S+"
)


def run_script(verbose: str, **options: Any) -> Any:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120", "TERM": "xterm"}
    root = Path(nnkit.__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT % (verbose, verbose, verbose)],
        env=environment, cwd=root, **options,
    )  # fmt: skip


@pytest.mark.parametrize("verbose", ["1", "2", "'auto'", "0"])
def test_piped_output(verbose: str) -> None:
    done = run_script(verbose, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = done.communicate(timeout=60)
    assert err == ""
    if verbose == "0":
        assert out == ""
        return
    lines = out.splitlines()
    assert "\x1b" not in out
    assert "\r" not in out
    assert re.fullmatch(LINE.format(1), lines[0])
    assert re.fullmatch(LINE.format(2), lines[1])
    assert re.fullmatch(r"Evaluate - 2 steps - .* - loss: \S+ - mae: \S+", lines[2])
    assert re.fullmatch(r"Predict - 2 steps - .*", lines[3])
    assert len(lines) == 4


def test_a_terminal_has_one_living_bar() -> None:
    ours, theirs = pty.openpty()
    done = run_script("1", stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL)
    os.close(theirs)
    text = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # what Linux answers when the other end is closed
            break
        if not part:
            break
        text += part
    os.close(ours)
    assert done.wait(timeout=60) == 0
    shown = text.decode()
    assert "8/8" not in shown.splitlines()[-1]
    assert re.search(r"\rEpoch 1/2:.*[1-7]/8 ", shown)
    # What stays on the screen: in each line, what was written after the last return.
    left = [line.rstrip("\r").rpartition("\r")[2].strip() for line in shown.split("\r\n")]
    left = [re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]", "", line) for line in left]
    assert [line.split(" - ")[0] for line in left if line] == [
        "Epoch 1/2",
        "Epoch 2/2",
        "Evaluate",
        "Predict",
    ]


# -- memory ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_memory_does_not_grow(data: Data) -> None:
    model = make_classifier()
    model.compile("adam", SPARSE, metrics=["accuracy"])

    def work(fits: int, predictions: int) -> None:
        for _ in range(fits):
            model.fit(data.x, data.labels, 25, validation_split=0.2, verbose=0)
        for _ in range(predictions):
            model.predict(data.x[:4], verbose=0)

    work(3, 100)
    gc.collect()
    tracemalloc.start()
    before, tensors = tracemalloc.get_traced_memory()[0], count_tensors()
    work(50, 3000)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 100_000  # Python's own caches; a History a fit would be more
    assert count_tensors() <= tensors  # fewer: what earlier tests had left in caches


def count_tensors() -> int:
    return sum(issubclass(type(item), torch.Tensor) for item in gc.get_objects())


def test_the_copy_of_finite_weights_leaves_out_what_is_frozen(data: Data) -> None:
    model = make_classifier()
    model.layers[0].trainable = False
    frozen = {p.data_ptr() for p in model.layers[0].parameters()}
    watch = LossWatch(model)
    watch.see(torch.tensor(1.0))
    kept = {tensor.data_ptr() for tensor in watch._tensors}
    assert kept == {p.data_ptr() for p in model.parameters()} - frozen
    model.layers[0].trainable = True
    watch._due = 0.0
    watch.see(torch.tensor(1.0))
    assert {t.data_ptr() for t in watch._tensors} == {p.data_ptr() for p in model.parameters()}


def test_thawing_within_an_epoch_takes_effect_at_the_next_step(
    data: Data, caplog: pytest.LogCaptureFixture
) -> None:
    """And one line says so, once."""
    kernels = []

    class Thaw(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            kernels.append(self.model.layers[0].get_weights()[0])
            self.model.layers[0].trainable = True

    model = make_classifier()
    model.layers[0].trainable = False
    model.compile("adam", SPARSE)
    model.fit(data.x, data.labels, 25, epochs=2, verbose=0, callbacks=[Thaw()])
    changed = [not np.array_equal(a, b) for a, b in itertools.pairwise(kernels)]
    assert changed == [True, True, True]
    assert [record.message for record in caplog.records] == [
        f"{model.label} trains 4 weights from here on, not the 2 of when it was compiled; its "
        f"optimizer keeps its state."
    ]
    caplog.clear()
    model.layers[0].trainable = False
    model.compile("adam", SPARSE)
    model.fit(data.x, data.labels, 25, verbose=0)
    assert not caplog.records


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_accumulation_equals_the_big_batch_also_in_the_last_window(
    optimizer: str, data: Data
) -> None:
    """Ten batches of five in windows of four are updates from 20, 20 and 10 samples."""
    make = getattr(nnkit.optimizers, optimizer)
    small, big = make_classifier(), make_classifier()
    big.set_weights(small.get_weights())
    small.compile(make(0.05, gradient_accumulation_steps=4), SPARSE)
    big.compile(make(0.05), SPARSE)
    small.fit(data.x, data.labels, 5, shuffle=False, verbose=0)
    big.fit(data.x, data.labels, 20, shuffle=False, verbose=0)
    assert small.optimizer.iterations == big.optimizer.iterations == 3
    for one, other in zip(small.get_weights(), big.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    small.fit(data.x, data.labels, 5, shuffle=False, verbose=0, steps_per_epoch=4)
    big.fit(data.x[:20], data.labels[:20], 20, shuffle=False, verbose=0)
    np.testing.assert_allclose(small.get_weights()[0], big.get_weights()[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("value", "finite"),
    [(1.0, True), (3e38, True), (math.nan, False), (math.inf, False), (-math.inf, False)],
)
def test_what_counts_as_finite(value: float, finite: bool) -> None:
    weights = torch.full((4,), value)
    assert _finite([torch.ones(3), weights, torch.empty(0)]) is finite
