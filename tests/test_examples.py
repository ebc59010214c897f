"""The examples run offline with their defaults and reach what they promise."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

import nnkit
from nnkit import layers

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.slow
def test_digits_cnn_passes_97_5_percent(capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(EXAMPLES / "digits_cnn.py"))["main"]
    assert main(8) > 0.975
    printed = capsys.readouterr().out
    assert "Total params: 82,666" in printed
    assert "Epoch 8/8" in printed
    assert "Test accuracy: 9" in printed
    assert "\x1b" not in printed
    assert "\r" not in printed


@pytest.mark.slow
def test_the_courses_first_model_passes_90_percent() -> None:
    """Flatten, 300, 100, 10 with plain SGD, 20 epochs."""
    nnkit.utils.set_random_seed(42)
    (x_train, y_train), (x_test, y_test) = nnkit.datasets.digits.load_data()
    model = nnkit.Sequential(
        [
            layers.Flatten(input_shape=[28, 28]),
            layers.Dense(300, activation="relu"),
            layers.Dense(100, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(loss="sparse_categorical_crossentropy", optimizer="sgd", metrics=["accuracy"])
    history = model.fit(x_train / 255.0, y_train, epochs=20, verbose=0)
    assert model.evaluate(x_test / 255.0, y_test, verbose=0)[1] > 0.9
    assert history.history["accuracy"][-1] > 0.9


@pytest.mark.slow
def test_augmentation_grid_draws_a_picture(tmp_path: Path) -> None:
    main = runpy.run_path(str(EXAMPLES / "augmentation_grid.py"))["main"]
    main(str(tmp_path / "grid.png"))
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_transfer_beats_training_from_scratch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = runpy.run_path(str(EXAMPLES / "transfer_digits.py"))["main"]
    results = main(10, 30, tmp_path / "curves.png")
    assert results["transfer from 0 to 4"] > results["from scratch"] + 0.05
    assert results["transfer from 0 to 4"] > 0.7
    assert (tmp_path / "curves.png").stat().st_size > 5000
    printed = capsys.readouterr().out
    assert "Stage 2 of 2: base learns from block3_conv on" in printed


@pytest.mark.slow
def test_a_folder_of_pictures_end_to_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = runpy.run_path(str(EXAMPLES / "fine_tune_vgg16.py"))["main"]
    assert main(None, None, 48, tmp_path, 20) > 0.8
    printed = capsys.readouterr().out
    assert "Using 40 files for validation." in printed
    assert "Stage 3 of 3: small learns from block2_conv1 on" in printed
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {"best.weights.h5", "confusion.png", "wrong.png", "seen.png"}
