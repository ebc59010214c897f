"""A training that was stopped and gone on with ends bit for bit like one that was not."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nnkit
from nnkit import callbacks, layers, metrics, optimizers
from nnkit.callbacks import BackupAndRestore, Callback
from nnkit.errors import ArgumentError, DataError, FileError
from nnkit.training import resume
from nnkit.training.state_file import read_state, write_state

ROOT = Path(__file__).parent.parent.parent
SOURCE = np.random.default_rng(0)
X = SOURCE.normal(size=(50, 6)).astype("float32")
Y = (X @ SOURCE.normal(size=(6, 1))).astype("float32")


class Noise(nnkit.Layer):
    """Draws from torch's global generator, as an augmentation does."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return inputs + torch.randn_like(inputs) * 0.1 if training else inputs


class Draws(torch.utils.data.Dataset):
    """Draws from all global generators for each sample."""

    def __len__(self) -> int:
        return 50

    def __getitem__(self, index: int) -> Any:
        drawn = torch.randn(6) + random.random() + float(np.random.rand())
        return torch.from_numpy(X[index]) + 0.1 * drawn, torch.from_numpy(Y[index])


class Mixes(nnkit.utils.PyDataset):
    """Mixes its samples between epochs, and has a generator of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.order = np.arange(50)
        self.rng = np.random.default_rng(3)

    def __len__(self) -> int:
        return 7

    def __getitem__(self, index: int) -> Any:
        rows = self.order[index * 7 : index * 7 + 7]
        noise = self.rng.normal(size=(7, 6)).astype("float32") + np.float32(np.random.rand())
        return X[rows] + 0.1 * noise, Y[rows]

    def on_epoch_end(self) -> None:
        np.random.shuffle(self.order)
        self.order = self.rng.permutation(self.order)


def endless() -> Any:
    while True:
        rows = np.random.randint(0, 50, 8)
        yield X[rows], Y[rows]


def loader(**options: Any) -> Any:
    return torch.utils.data.DataLoader(Draws(), 8, shuffle=True, **options)


SOURCES: dict[str, Callable[[], dict[str, Any]]] = {
    "arrays": lambda: {"x": X, "y": Y, "batch_size": 8},
    "arrays, an epoch a part": lambda: {"x": X, "y": Y, "batch_size": 8, "steps_per_epoch": 4},
    "shuffled in batches": lambda: {"x": X, "y": Y, "batch_size": 8, "shuffle": "batch"},
    "dataset": lambda: {"x": Draws(), "batch_size": 8},
    "loader": lambda: {"x": loader()},
    "loader, own generator": lambda: {"x": loader(generator=torch.Generator().manual_seed(3))},
    "loader, two workers": lambda: {"x": loader(num_workers=2)},
    "PyDataset": lambda: {"x": Mixes()},
    "PyDataset, parts": lambda: {"x": Mixes(), "steps_per_epoch": 5},
    "generator": lambda: {"x": endless(), "steps_per_epoch": 6},
}

OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "adam": lambda: "adam",
    "ema": lambda: optimizers.SGD(0.02, momentum=0.9, use_ema=True, ema_overwrite_frequency=5),
    "accumulating": lambda: optimizers.AdamW(0.01, gradient_accumulation_steps=3, clipnorm=1.0),
    "nadam": lambda: optimizers.Nadam(0.01),
    "adafactor": lambda: optimizers.Adafactor(0.01),
    "scaling": lambda: optimizers.LossScaleOptimizer(
        optimizers.Adam(0.01), initial_scale=2.0**140, dynamic_growth_steps=3
    ),
    "torch's": lambda: torch.optim.AdamW,
}


class Killed(Exception):  # noqa: N818 - stands for a process that is no more
    pass


class Kill(Callback):
    """Ends the run at the n-th call of a hook."""

    def __init__(self, hook: str, at: int) -> None:
        self.calls = 0

        def kill(*args: Any, logs: Any = None) -> None:
            self.calls += 1
            if self.calls == at:
                raise Killed

        setattr(self, hook, kill)

    def state_dict(self) -> dict[str, Any]:
        return {}  # nothing of it goes on

    def load_state_dict(self, state: dict[str, Any]) -> None:
        assert state == {}


class Counts(Callback):
    """What a user writes: state of its own, and a change of the model."""

    def __init__(self, first: int = 0) -> None:
        self.batches, self.rows = first, []
        self.sums = np.zeros(2)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batches += 1
        self.sums += logs["loss"]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.rows.append((epoch, self.batches))
        self.model.layers[3].rate = 0.1 * epoch
        self.model.layers[1].trainable = epoch == 1


def make(optimizer: str) -> Any:
    model = nnkit.Sequential(
        [
            nnkit.Input((6,)),
            Noise(),
            layers.Dense(8, "relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.Dropout(0.2, seed=5),
            layers.Dense(1),
        ]
    )
    model.compile(OPTIMIZERS[optimizer](), "mse", metrics=["mae", metrics.R2Score()])
    return model


def run(
    source: str, optimizer: str = "adam", folder: Path | None = None, kill: Kill | None = None,
    epochs: int = 4, save_freq: Any = 1, make: Callable[[str], Any] = make,
) -> Any:  # fmt: skip
    """The result of a run as plain data; None if it was killed."""
    nnkit.config.clear_session()
    nnkit.utils.set_random_seed(1)
    model = make(optimizer)
    counts = Counts()
    listening: list[Callback] = [
        callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True),
        callbacks.ReduceLROnPlateau("val_loss", patience=1),
        callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        counts,
    ]
    if kill is not None:
        listening.append(kill)
    if folder is not None:
        listening.append(BackupAndRestore(folder, save_freq, delete_checkpoint=False))
    try:
        history = model.fit(
            **SOURCES[source](), epochs=epochs, verbose=0, callbacks=listening,
            validation_data=(X[:20], Y[:20]),
        )  # fmt: skip
    except Killed:
        # Another process has other random numbers.
        nnkit.utils.set_random_seed(77)
        return None
    weights = {name: value.numpy().tolist() for name, value in model.state_dict().items()}
    return {
        "weights": weights, "history": history.history, "epochs": history.epoch,
        "counts": (counts.batches, counts.rows, counts.sums.tolist()),
        "iterations": getattr(model.optimizer, "iterations", None),
        "next": (torch.rand(1).item(), np.random.rand(), random.random()),
    }  # fmt: skip


def check(reference: Any, source: str, folder: Path, kills: list[Kill], **options: Any) -> None:
    for kill in kills:
        assert run(source, folder=folder, kill=kill, **options) is None
    assert run(source, folder=folder, **options) == reference


@pytest.mark.filterwarnings("ignore:.*the data ran out after")
@pytest.mark.parametrize("source", SOURCES)
def test_every_source(source: str, tmp_path: Path) -> None:
    reference = run(source)
    # Killed in the first epoch, in the second, in a validation, between the two files of an epoch.
    check(reference, source, tmp_path / "a", [Kill("on_train_batch_end", 3)])
    kills = [Kill("on_train_batch_begin", 9), Kill("on_test_batch_end", 1), Kill("on_epoch_end", 1)]
    check(reference, source, tmp_path / "b", kills, save_freq=2)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_kind_of_optimizer(optimizer: str, tmp_path: Path) -> None:
    reference = run("arrays", optimizer)
    kills = [Kill("on_train_batch_end", 5), Kill("on_train_batch_end", 11)]
    check(reference, "arrays", tmp_path / "a", kills, optimizer=optimizer)
    check(
        reference, "arrays", tmp_path / "b", [Kill("on_epoch_begin", 3)],
        optimizer=optimizer, save_freq="epoch",
    )  # fmt: skip


def test_only_one_of_the_two(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"resume= and a BackupAndRestore.*Use one"):
        fit(small(), tmp_path, callbacks=[BackupAndRestore(tmp_path)])


@pytest.mark.parametrize("at", range(1, 8))
def test_every_batch_of_an_epoch(at: int, tmp_path: Path) -> None:
    kills = [Kill("on_train_batch_end", 7 + at), Kill("on_train_batch_end", 3)]
    check(run("arrays"), "arrays", tmp_path, kills, save_freq=3)


# -- the end of a run by signals -------------------------------------------------------------------


class Interrupt(Kill):
    """Presses Ctrl-C instead: fit ends by itself and writes the state."""

    def __init__(self, hook: str, at: int) -> None:
        super().__init__(hook, at)
        setattr(self, hook, self.press)
        self.at = at

    def press(self, *args: Any, logs: Any = None) -> None:
        self.calls += 1
        if self.calls == self.at:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.filterwarnings("ignore:fit was interrupted")
@pytest.mark.parametrize(
    ("hook", "at"),
    [("on_train_batch_end", 10), ("on_train_batch_end", 14), ("on_test_batch_end", 2),
     ("on_test_begin", 1), ("on_epoch_end", 2), ("on_epoch_begin", 2)],
)  # fmt: skip
@pytest.mark.parametrize("source", ["arrays", "PyDataset"])
def test_goes_on_after_an_interrupt(source: str, hook: str, at: int, tmp_path: Path) -> None:
    reference = run(source)
    stopped = run(source, folder=tmp_path, kill=Interrupt(hook, at), save_freq=False)
    assert len(stopped["epochs"]) < 4
    assert run(source, folder=tmp_path, save_freq=False) == reference


# -- fit(resume=...) -------------------------------------------------------------------------------


def small(units: int = 3, optimizer: Any = "adam", built: bool = True) -> Any:
    nnkit.utils.set_random_seed(3)
    start = [nnkit.Input((6,))] if built else []
    model = nnkit.Sequential([*start, layers.Dense(units, "tanh"), layers.Dense(1)])
    model.compile(optimizer, "mse")
    return model


def deeper() -> Any:
    model = nnkit.Sequential(
        [nnkit.Input((6,)), layers.Dense(3, "tanh"), layers.Dropout(0.5), layers.Dense(1)]
    )
    model.compile("adam", "mse")
    return model


def fit(model: Any, folder: Any = None, **options: Any) -> Any:
    options = {"x": X, "y": Y, "epochs": 3, "batch_size": 16, "verbose": 0, **options}
    return model.fit(**options, resume=folder)


@pytest.mark.parametrize("built", [True, False])
def test_the_argument(built: bool, tmp_path: Path) -> None:
    reference = fit(small(built=built))
    with pytest.raises(Killed):
        fit(small(built=built), tmp_path / "state", callbacks=[Kill("on_train_batch_end", 9)])
    nnkit.utils.set_random_seed(77)
    history = fit(small(built=built), tmp_path / "state")
    assert history.history == reference.history
    assert history.epoch == [0, 1, 2]
    np.testing.assert_array_equal(history.model.get_weights()[0], reference.model.get_weights()[0])


def test_a_finished_training(tmp_path: Path) -> None:
    longer = fit(small(), epochs=5)
    short = fit(small(), tmp_path)
    model = small()
    with pytest.warns(UserWarning, match=r"nothing to do: the training in .* after 3 epochs"):
        again = fit(model, tmp_path)
    assert again.history == short.history
    np.testing.assert_array_equal(model.get_weights()[0], short.model.get_weights()[0])
    more = fit(small(), tmp_path, epochs=5)
    assert more.history == longer.history
    assert more.epoch == [0, 1, 2, 3, 4]


def test_a_training_that_stopped_early_stays_stopped(tmp_path: Path) -> None:
    def stopping(patience: int) -> Any:
        return callbacks.EarlyStopping("loss", min_delta=99, patience=patience)

    assert fit(small(), tmp_path, epochs=9, callbacks=[stopping(1)]).epoch == [0, 1]
    with pytest.warns(UserWarning, match=r"nothing to do: .* after 2 epochs"):
        assert fit(small(), tmp_path, epochs=9, callbacks=[stopping(1)]).epoch == [0, 1]


def test_arguments_of_callbacks_may_be_others(tmp_path: Path) -> None:
    def stopping(patience: int) -> Any:
        return callbacks.EarlyStopping("loss", min_delta=99, patience=patience)

    with pytest.raises(Killed):
        fit(
            small(), tmp_path, epochs=9,
            callbacks=[stopping(2), Kill("on_epoch_begin", 3)],
        )  # fmt: skip
    later = stopping(5)
    assert fit(small(), tmp_path, epochs=9, callbacks=[later]).epoch == [0, 1, 2, 3, 4, 5]
    assert (later.patience, later.wait) == (5, 5)


def test_says_where_it_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = BackupAndRestore(tmp_path, save_freq=1)
    with pytest.raises(Killed):
        small().fit(
            X, Y, batch_size=16, epochs=3, verbose=0,
            callbacks=[kept, Kill("on_train_batch_begin", 7)],
        )  # fmt: skip
    fit(small(), tmp_path, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Going on in epoch 2 after batch 2, from {str(tmp_path)!r}."
    assert [line[:9] for line in lines[1:]] == ["Epoch 2/3", "Epoch 3/3"]


def test_csv_goes_on_without_a_row_twice(tmp_path: Path) -> None:
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    fit(small(), callbacks=[callbacks.CSVLogger(files[0])])
    kept = BackupAndRestore(tmp_path / "state")
    # The row of epoch 1 is written, its state is not.
    kill = [callbacks.CSVLogger(files[1]), Kill("on_epoch_end", 2), kept]
    with pytest.raises(Killed):
        fit(small(), callbacks=kill)
    assert len(files[1].read_text().splitlines()) == 3
    fit(small(), tmp_path / "state", callbacks=[callbacks.CSVLogger(files[1])])
    assert files[1].read_text() == files[0].read_text()


class Pair(nnkit.Model):
    """A step of one's own, with two optimizers that are built at their first use."""

    def __init__(self) -> None:
        super().__init__()
        self.maker = nnkit.Sequential([nnkit.Input((6,)), layers.Dense(4), layers.Dropout(0.5)])
        self.judge = nnkit.Sequential([nnkit.Input((4,)), layers.Dense(1)])
        self.tracker = metrics.Mean(name="made")
        self.rounds = 0

    @property
    def metrics(self) -> Any:
        return [self.tracker]

    def compile(self, **options: Any) -> None:
        super().compile(**options)
        self.first, self.second = optimizers.Adam(0.01), optimizers.RMSprop(0.01)

    def train_step(self, data: Any) -> Any:
        x, y = data
        self.rounds += 1
        made = self.maker(x, training=True)
        for model, optimizer in ((self.judge, self.first), (self.maker, self.second)):
            loss = torch.mean((self.judge(made.detach() if model is self.judge else made) - y) ** 2)
            weights = model.trainable_weights
            optimizer.apply(torch.autograd.grad(loss, weights), weights)
        self.tracker.update_state(loss.detach())
        return {"made": self.tracker.result()}


def test_a_step_of_ones_own(tmp_path: Path) -> None:
    def make_pair(optimizer: str) -> Any:
        model = Pair()
        model.compile()
        return model

    def trained(folder: Any, kill: Any) -> Any:
        nnkit.utils.set_random_seed(1)
        model = make_pair("")
        kept = [BackupAndRestore(folder, 1)] if folder else []
        history = fit(model, callbacks=[*kept, *([kill] if kill else [])])
        return history.history, model.rounds, [w.tolist() for w in model.get_weights()]

    reference = trained(None, None)
    with pytest.raises(Killed):
        trained(tmp_path, Kill("on_train_batch_begin", 7))
    assert trained(tmp_path, None) == reference


# -- BackupAndRestore ------------------------------------------------------------------------------


def test_deletes_its_files_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    fit(small(), callbacks=[BackupAndRestore(folder, double_checkpoint=True)])
    assert not folder.exists()
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    fit(small(), callbacks=[BackupAndRestore(folder)])
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_keeps_the_state_of_a_run_that_failed(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        fit(small(), callbacks=[BackupAndRestore(tmp_path), Kill("on_epoch_end", 2)])
    [file] = tmp_path.iterdir()
    assert read_state(file)["epoch"] == 1


@pytest.mark.parametrize(
    ("freq", "places"),
    [
        ("epoch", [(1, 0), (2, 0)]),
        (3, [(0, 3), (1, 0), (1, 2), (2, 0)]),
        (False, []),
    ],
)
def test_when_it_writes(
    freq: Any, places: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Any] = []
    monkeypatch.setattr(
        resume, "write_state", lambda path, state: written.append((state["epoch"], state["steps"]))
    )
    fit(small(), epochs=2, callbacks=[BackupAndRestore(tmp_path, freq)])
    assert written == places


def test_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    monkeypatch.setattr(resume, "write_state", lambda path, state: written.append(state["steps"]))
    fit(small(), epochs=1, callbacks=[BackupAndRestore(tmp_path, save_seconds=0)])
    assert written == [1, 2, 3, 4, 0]


def test_costs_nothing_per_batch_unless_asked(tmp_path: Path) -> None:
    assert not BackupAndRestore(tmp_path)._uses("on_train_batch_end")
    assert not BackupAndRestore(tmp_path, False)._uses("on_train_batch_end")
    assert BackupAndRestore(tmp_path, 10)._uses("on_train_batch_end")
    assert BackupAndRestore(tmp_path, save_seconds=10)._uses("on_train_batch_end")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"backup_dir": ""}, "expects a folder, but backup_dir is empty"),
        ({"save_freq": "batch"}, "save_freq='epoch', a number of batches from 1 up, or False"),
        ({"save_freq": 0}, "but received 0"),
        ({"save_freq": True}, "but received True"),
        ({"save_seconds": -1}, "save_seconds from 0 up, or None, not -1"),
    ],
)
def test_refuses(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        BackupAndRestore(**{"backup_dir": "x", **arguments})


# -- what does not fit -----------------------------------------------------------------------------


def noted(folder: Path) -> Path:
    """A folder with the state of a run that was killed in its second epoch."""
    with pytest.raises(Killed):
        fit(small(), callbacks=[BackupAndRestore(folder, 1), Kill("on_train_batch_begin", 7)])
    return folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda: fit(small(4), FOLDER[0]),
            r"of another model .*had the shape \(3, 6\), now \(4, 6",
        ),
        (lambda: fit(small(optimizer="sgd"), FOLDER[0]), "class was 'Adam' and is 'SGD'"),
        (
            lambda: fit(small(optimizer=optimizers.Adam(beta_1=0.5)), FOLDER[0]),
            "Optimizer's beta_1 was 0.9 and is 0.5",
        ),
        (
            lambda: fit(small(), FOLDER[0], x=X[:-1], y=Y[:-1]),
            "number of samples was 50 and is 49",
        ),
        (lambda: fit(deeper(), FOLDER[0]), "number of Dropout modules was None and is 1"),
        (
            lambda: fit(small(), FOLDER[0], batch_size=32),
            "number of batches per epoch was 4 and is 2",
        ),
        (
            lambda: fit(small(), FOLDER[0], validation_data=(X, Y)),
            "The validation was False and is True",
        ),
    ],
)
def test_says_what_differs(change: Callable[[], Any], said: str, tmp_path: Path) -> None:
    FOLDER[:] = [noted(tmp_path / "state")]
    with pytest.raises(FileError, match=f"cannot be gone on with. .*{said}.*another folder"):
        change()


FOLDER: list[Path] = []


def test_data_that_is_shorter_than_before(tmp_path: Path) -> None:
    def few(count: int) -> Any:
        return ((X[:4], Y[:4]) for _ in range(count))

    kept = BackupAndRestore(tmp_path, 1)
    with pytest.raises(Killed):
        small().fit(
            few(20), steps_per_epoch=8, epochs=2, verbose=0,
            callbacks=[kept, Kill("on_train_batch_end", 7)],
        )  # fmt: skip
    with pytest.raises(DataError, match="had taken 6 batches, but the data ends after 5"):
        small().fit(few(5), steps_per_epoch=8, epochs=2, verbose=0, callbacks=[kept])


def test_a_damaged_file(tmp_path: Path) -> None:
    [file] = noted(tmp_path).iterdir()
    whole = file.read_bytes()
    for damaged in (whole[:-7], whole[: len(whole) // 2], b"", whole[:200] + b"x" + whole[201:]):
        file.write_bytes(damaged)
        with pytest.raises(FileError, match="is no state of a training, or is damaged"):
            fit(small(), tmp_path)


def test_the_state_before_a_damaged_one(tmp_path: Path) -> None:
    reference = fit(small())
    kept = BackupAndRestore(tmp_path, 1, double_checkpoint=True)
    with pytest.raises(Killed):
        fit(small(), callbacks=[kept, Kill("on_train_batch_begin", 7)])
    latest = tmp_path / "training.state"
    assert {path.name for path in tmp_path.iterdir()} == {latest.name, latest.name + ".previous"}
    latest.write_bytes(latest.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="is damaged. Going on from the state before it"):
        history = fit(small(), callbacks=[kept])
    assert history.history == reference.history


def test_a_write_that_fails_leaves_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [file] = noted(tmp_path).iterdir()
    before = file.read_bytes()

    def fails(state: Any, out: Any) -> None:
        out.write(b"half of it")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", fails)
    with pytest.raises(OSError, match="No space left"):
        write_state(file, {})
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_cannot_execute_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[Any] = []
    monkeypatch.setattr(os, "mkdir", called.append)

    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, ("here",)

    write_state(tmp_path / "state", {"epoch": Evil()})
    with pytest.raises(FileError, match="holds more than plain data, and is refused"):
        read_state(tmp_path / "state")
    assert called == []


# -- kill -9 ---------------------------------------------------------------------------------------

SCRIPT = """
import os, random, signal, sys
import numpy as np
import torch
import nnkit
from tests.training.test_resume import X, Y, Draws, Noise, loader
from nnkit import layers
from nnkit.callbacks import BackupAndRestore, Callback

folder, out, at, workers = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])


class Dies(Callback):
    batches = 0

    def on_train_batch_begin(self, batch, logs=None):
        Dies.batches += 1
        if Dies.batches == at:
            os.kill(os.getpid(), signal.SIGKILL)


nnkit.utils.set_random_seed(1)
model = nnkit.Sequential([nnkit.Input((6,)), Noise(), layers.Dense(8, "relu"),
    layers.BatchNormalization(), layers.Dropout(0.3), layers.Dense(1)])
model.compile("adam", "mse", metrics=["mae"])
nnkit.utils.set_random_seed(1 if not os.path.exists(folder) else None or 12345)
history = model.fit(loader(num_workers=workers), epochs=6, verbose=0, validation_data=(X, Y),
    callbacks=[Dies(), BackupAndRestore(folder, 2, delete_checkpoint=False)])
torch.save([model.state_dict(), history.history], out)
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_killed_for_good_at_random_batches(workers: int, tmp_path: Path) -> None:
    """A process that kill -9 ends ten times, each time after a few batches."""
    source = random.Random(workers)

    def process(folder: Path, at: int) -> int:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, folder, tmp_path / f"{folder.name}.out", str(at),
             str(workers)],
            cwd=ROOT, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode in (0, -9), done.stderr
        return done.returncode

    assert process(tmp_path / "reference", 0) == 0
    for _ in range(10):
        assert process(tmp_path / "killed", source.randint(3, 6)) == -9
    while process(tmp_path / "killed", 0) != 0:
        pass
    first, second = (
        torch.load(tmp_path / f"{name}.out", weights_only=True) for name in ("reference", "killed")
    )
    assert first[1] == second[1]
    assert all(torch.equal(first[0][name], second[0][name]) for name in first[0])
