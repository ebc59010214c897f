"""A training that was stopped and gone on with ends bit for bit like one that was not."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nnkit
from nnkit import callbacks, layers, metrics, optimizers
from nnkit.callbacks import BackupAndRestore, Callback

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


@pytest.mark.parametrize("at", range(1, 8))
def test_every_batch_of_an_epoch(at: int, tmp_path: Path) -> None:
    kills = [Kill("on_train_batch_end", 7 + at), Kill("on_train_batch_end", 3)]
    check(run("arrays"), "arrays", tmp_path, kills, save_freq=3)
