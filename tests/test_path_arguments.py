"""Paths of a wrong type are told by the argument's name, before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnkit import callbacks, datasets, models, saving, utils
from nnkit.callbacks import History
from nnkit.errors import ArgumentError
from nnkit.layers import Dense, Input
from nnkit.models import Sequential
from nnkit.preprocessing.image import ImageDataGenerator

ONES = np.ones((4, 2), "float32")


def model() -> Sequential:
    made = Sequential([Input((2,)), Dense(1)])
    made.compile("sgd", "mse")
    return made


CALLS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "CSVLogger": (callbacks.CSVLogger, "CSVLogger: filename"),
    "ModelCheckpoint": (callbacks.ModelCheckpoint, "ModelCheckpoint: filepath"),
    "BackupAndRestore": (callbacks.BackupAndRestore, "BackupAndRestore: backup_dir"),
    "TensorBoard": (callbacks.TensorBoard, "TensorBoard: log_dir"),
    "save": (lambda path: model().save(path), "A model's file: filepath"),
    "load_model": (models.load_model, "A model's file: filepath"),
    "save_weights": (lambda path: model().save_weights(path), "A file of weights: filepath"),
    "load_weights": (lambda path: model().load_weights(path), "A file of weights: filepath"),
    "load_torch": (lambda path: saving.load_torch(model(), path), "A file of weights: filepath"),
    "export": (lambda path: model().export(path), "export: filepath"),
    "plot_model": (lambda path: utils.plot_model(model(), path), "plot_model: to_file"),
    "resume": (
        lambda path: model().fit(ONES, ONES[:, :1], resume=path or 0, verbose=0),
        "fit: resume",
    ),
    "folder": (utils.image_dataset_from_directory, "A folder of files: directory"),
    "texts": (utils.text_dataset_from_directory, "A folder of files: directory"),
    "flow": (ImageDataGenerator().flow_from_directory, "flow_from_directory: directory"),
    "save_img": (lambda path: utils.save_img(path, np.zeros((2, 2, 3))), "save_img: path"),
    "get_file": (lambda path: utils.get_file(path or 0.5, "http://a/b"), "get_file: fname"),
    "cache": (
        lambda path: utils.get_file("a", "http://a/b", cache_dir=path or 0),
        "get_file: cache_dir",
    ),
    "mnist": (lambda path: datasets.mnist.load_data(path or 0.5), "MNIST: path"),
    "history": (lambda path: History().plot(path or 0), "History: path"),
}


@pytest.mark.parametrize("value", [3, None, ["a"]])
@pytest.mark.parametrize("call", CALLS)
def test_refused(call: str, value: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run, said = CALLS[call]
    with pytest.raises(ArgumentError, match=f"{said} must be a string or a path, got"):
        run(value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [str, Path, lambda path: str(path).encode()])
def test_strings_bytes_and_paths_are_taken(kind: Any, tmp_path: Path) -> None:
    path = kind(tmp_path / "log.csv")
    model().fit(ONES, ONES[:, :1], callbacks=[callbacks.CSVLogger(path)], verbose=0)
    assert (tmp_path / "log.csv").read_text().startswith("epoch,loss")
    model().save(kind(tmp_path / "model.keras"))
    assert models.load_model(kind(tmp_path / "model.keras")).count_params() == 3


def test_other_addresses() -> None:
    with pytest.raises(ArgumentError, match="RemoteMonitor expects a root that begins with http"):
        callbacks.RemoteMonitor(root=3)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="get_file needs origin, the URL of the file, got 3"):
        utils.get_file("a", 3)  # type: ignore[arg-type]
