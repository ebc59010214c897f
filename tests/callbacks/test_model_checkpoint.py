from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnkit
from nnkit.callbacks import ModelCheckpoint
from nnkit.errors import ArgumentError, FileError

NAN = float("nan")


@pytest.mark.parametrize(
    ("arguments", "values", "saved_epochs"),
    [
        ({}, [3, 1, 2], [0, 1, 2]),
        ({"save_best_only": True}, [3, 1, 2], [0, 1]),
        ({"save_best_only": True, "mode": "max"}, [3, 1, 4], [0, 2]),
        ({"save_best_only": True, "initial_value_threshold": 2}, [3, 1, 2], [1]),
        ({"save_best_only": True}, [NAN, 2, NAN, 1], [1, 3]),
    ],
)
def test_which_epochs_are_saved(
    model: Any, run: Any, tmp_path: Path, arguments: Any, values: list[float], saved_epochs: Any
) -> None:
    callback = ModelCheckpoint(tmp_path / "m.keras", **arguments)
    run(model, callback, [{"val_loss": value} for value in values])
    assert model.saved == [("model", str(tmp_path / "m.keras"), epoch) for epoch in saved_epochs]


def test_names_are_filled_in_and_folders_made(model: Any, run: Any, tmp_path: Path) -> None:
    path = tmp_path / "new" / "{epoch:02d}-{val_loss:.2f}.weights.h5"
    run(model, ModelCheckpoint(path, save_weights_only=True), [{"val_loss": 0.5}, {"val_loss": 2}])
    names = [(kind, Path(path).name) for kind, path, _ in model.saved]
    assert names == [("weights", "01-0.50.weights.h5"), ("weights", "02-2.00.weights.h5")]
    assert (tmp_path / "new").is_dir()


def test_batches_count_across_epochs(model: Any, run: Any, tmp_path: Path) -> None:
    callback = ModelCheckpoint(tmp_path / "{epoch}-{batch}.keras", save_freq=4)
    run(model, callback, [{"loss": 1}] * 3, batches=3)
    assert [Path(path).stem for _, path, _ in model.saved] == ["2-1", "3-2"]


def test_a_call_may_stand_for_several_batches(model: Any) -> None:
    callback = ModelCheckpoint("{epoch}-{batch}.keras", save_freq=4)
    callback.set_model(model)
    for epoch in range(2):
        callback.on_epoch_begin(epoch)
        for batch in (1, 3, 5):
            callback.on_train_batch_end(batch, {})
    assert [path for _, path, _ in model.saved] == ["1-4.keras", "2-2.keras", "2-6.keras"]


def test_batches_may_save_the_best_only(model: Any, tmp_path: Path) -> None:
    callback = ModelCheckpoint(
        tmp_path / "{batch}.keras", monitor="loss", save_best_only=True, save_freq=1
    )
    callback.set_model(model)
    for batch, loss in enumerate((3.0, 4.0, 2.0)):
        callback.on_train_batch_end(batch, {"loss": loss})
    assert [Path(path).stem for _, path, _ in model.saved] == ["1", "3"]


def test_an_undecidable_monitor_matters_only_for_the_best(
    model: Any, run: Any, tmp_path: Path
) -> None:
    run(model, ModelCheckpoint(tmp_path / "a.keras", monitor="score"), [{"score": 1}])
    assert len(model.saved) == 1


def test_what_it_says(
    model: Any, run: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "m.keras"
    callback = ModelCheckpoint(path, save_best_only=True, verbose=1)
    run(model, callback, [{"val_loss": v} for v in (NAN, 0.5, 0.6)])
    run(model, ModelCheckpoint(path, verbose=1), [{"loss": 1}])
    assert capsys.readouterr().out == (
        "Epoch 1: val_loss is not a number, not saved.\n"
        f"Epoch 2: val_loss improved to 0.5000, saved to {path}\n"
        "Epoch 3: val_loss is not better than 0.5000, not saved.\n"
        f"Epoch 1: saved to {path}\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filepath": "a.hdf5"}, r"ends in '\.keras' or '\.h5', but received 'a\.hdf5'"),
        ({"filepath": "a.keras", "save_weights_only": True}, r"ends in '\.weights\.h5'"),
        (
            {"filepath": "a.keras", "save_freq": "batch"},
            "a number of batches from 1 up, but received 'b",
        ),
        ({"filepath": "a.keras", "save_freq": 0}, "received 0"),
        ({"filepath": "a.keras", "save_freq": True}, "received True"),
        ({"filepath": "a.keras", "mode": "up"}, "Unknown ModelCheckpoint mode 'up'"),
    ],
)
def test_bad_arguments(arguments: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        ModelCheckpoint(**arguments)


@pytest.mark.parametrize("name", ["{val_loss}.keras", "{}.keras", "{loss:q}.keras"])
def test_a_name_that_cannot_be_filled_in(model: Any, run: Any, name: str) -> None:
    with pytest.raises(
        ArgumentError, match=r"cannot fill in the filepath .* There are: epoch, loss"
    ):
        run(model, ModelCheckpoint(name), [{"loss": 1.0}])


def test_a_folder_in_the_way(model: Any, run: Any, tmp_path: Path) -> None:
    (tmp_path / "a.keras").mkdir()
    with pytest.raises(ArgumentError, match=r"expects a file, but .* is a folder"):
        run(model, ModelCheckpoint(tmp_path / "a.keras"), [{"loss": 1.0}])


@pytest.mark.parametrize("ending", ["{epoch}.keras", "best.keras", "{epoch}/best.keras"])
def test_a_folder_that_cannot_be_written_is_told_before_the_first_epoch(
    tmp_path: Path, ending: str
) -> None:
    (tmp_path / "file").write_text("")
    model = nnkit.Sequential([nnkit.Input((2,)), nnkit.layers.Dense(1)])
    model.compile("sgd", "mse")
    before = model.get_weights()
    callback = ModelCheckpoint(tmp_path / "file" / ending)
    with pytest.raises(FileError, match="Nothing can be written to"):
        model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0, callbacks=[callback])
    assert np.array_equal(model.get_weights()[0], before[0])


def test_a_full_disk_is_told_before_the_first_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=3_000_000))
    model = nnkit.Sequential([nnkit.Input((1000,)), nnkit.layers.Dense(1000)])
    model.compile("sgd", "mse")
    callback = ModelCheckpoint(tmp_path / "new" / "{epoch}.keras")
    with pytest.raises(FileError, match="need about 4 MB, but its disk has 3 MB left"):
        model.fit(np.ones((4, 1000)), np.ones((4, 1000)), verbose=0, callbacks=[callback])
