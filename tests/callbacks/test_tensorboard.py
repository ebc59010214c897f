"""TensorBoard: what its own reader finds in the files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnkit
from nnkit import layers
from nnkit.callbacks import Callback, TensorBoard
from nnkit.errors import ArgumentError

SOURCE = np.random.default_rng(0)
X = SOURCE.normal(size=(20, 6, 6, 2)).astype("float32")
Y = SOURCE.integers(0, 3, 20)


def train(callback: Any, **options: Any) -> Any:
    nnkit.config.clear_session()
    model = nnkit.Sequential(
        [nnkit.Input((6, 6, 2)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3, "softmax")]
    )
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    options = {"epochs": 2, "validation_data": (X, Y), **options}
    return model, model.fit(X, Y, batch_size=5, verbose=0, callbacks=[callback], **options)


def read(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), {"histograms": 0, "images": 0, "scalars": 0})
    found.Reload()
    return found


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    found = read(folder)
    return {
        tag: [(event.step, event.value) for event in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }


def rounded(pairs: Any) -> Any:
    return [(step, pytest.approx(value, rel=1e-6)) for step, value in pairs]


def test_epochs(tmp_path: Path) -> None:
    _, history = train(TensorBoard(tmp_path))
    logged = history.history
    assert scalars(tmp_path / "train") == {
        "epoch_loss": rounded(enumerate(logged["loss"])),
        "epoch_accuracy": rounded(enumerate(logged["accuracy"])),
        "epoch_learning_rate": rounded([(0, 0.01), (1, 0.01)]),
    }
    assert scalars(tmp_path / "validation") == {
        "epoch_loss": rounded(enumerate(logged["val_loss"])),
        "epoch_accuracy": rounded(enumerate(logged["val_accuracy"])),
        # Against the updates made: four in each epoch.
        "evaluation_loss_vs_iterations": rounded(zip((4, 8), logged["val_loss"], strict=True)),
        "evaluation_accuracy_vs_iterations": rounded(
            zip((4, 8), logged["val_accuracy"], strict=True)
        ),
    }
    assert read(tmp_path / "train").Tags()["graph"]


@pytest.mark.parametrize(("freq", "steps"), [("batch", list(range(1, 9))), (3, [3, 6])])
def test_batches(freq: Any, steps: list[int], tmp_path: Path) -> None:
    seen: list[float] = []

    class Keep(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append(logs["loss"])

    callback = TensorBoard(
        tmp_path, update_freq=freq, write_graph=False, write_steps_per_second=True
    )
    train([callback, Keep()])
    found = scalars(tmp_path / "train")
    assert found["batch_loss"] == rounded((step, seen[step - 1]) for step in steps)
    assert [step for step, _ in found["batch_steps_per_second"]] == steps
    assert [step for step, _ in found["epoch_steps_per_second"]] == [0, 1]
    assert all(speed > 0 for _, speed in found["epoch_steps_per_second"])
    assert not read(tmp_path / "train").Tags()["graph"]


def test_weights(tmp_path: Path) -> None:
    train(TensorBoard(tmp_path, histogram_freq=2, write_images=True), epochs=4)
    found = read(tmp_path / "train")
    paths = [f"sequential/{name}" for name in
             ("conv2d/kernel", "conv2d/bias", "dense/kernel", "dense/bias")]  # fmt: skip
    assert sorted(found.Tags()["histograms"]) == sorted(f"{path}/histogram" for path in paths)
    events = found.Histograms("sequential/dense/kernel/histogram")
    assert [event.step for event in events] == [0, 2]
    assert events[0].histogram_value.num == 4 * 4 * 4 * 3
    images = found.Images("sequential/dense/kernel/image")
    assert [image.step for image in images] == [0, 2]
    assert (images[0].height, images[0].width) == (3, 64)  # Keras turns tall kernels round


def test_embeddings(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\n".join("abcdefgh"))
    model = nnkit.Sequential(
        [nnkit.Input((3,), dtype="int32"), layers.Embedding(8, 4, name="words"), layers.Flatten(),
         layers.Dense(1)]
    )  # fmt: skip
    model.compile("sgd", "mse")
    callback = TensorBoard(tmp_path, embeddings_freq=1, embeddings_metadata={"words": str(names)})
    model.fit(np.zeros((4, 3), int), np.zeros((4, 1)), verbose=0, callbacks=[callback])
    folder = tmp_path / "train" / "00000" / "words"
    saved = np.loadtxt(folder / "tensors.tsv", delimiter="\t")
    np.testing.assert_allclose(saved, model.layers[0].get_weights()[0], rtol=1e-5)
    assert (folder / "metadata.tsv").read_text().split() == list("abcdefgh")
    with pytest.raises(ArgumentError, match="names 'word', but the Embedding layers are: words"):
        model.fit(
            np.zeros((4, 3), int), np.zeros((4, 1)), verbose=0,
            callbacks=[TensorBoard(tmp_path, embeddings_metadata={"word": str(names)})],
        )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("batches", [(2, 3), "2,3", 2])
def test_profile(batches: Any, tmp_path: Path, capfd: Any) -> None:
    train(TensorBoard(tmp_path, profile_batch=batches, write_graph=False))
    [trace] = (tmp_path / "train").glob("*.trace.json")
    assert "conv2d" in trace.read_text()
    capfd.readouterr()


def test_evaluate_alone(tmp_path: Path) -> None:
    model, _ = train(TensorBoard(tmp_path / "a"), epochs=1)
    loss, _ = model.evaluate(X, Y, verbose=0, callbacks=[TensorBoard(tmp_path / "b")])
    found = scalars(tmp_path / "b" / "validation")
    assert found["evaluation_loss_vs_iterations"] == rounded([(4, loss)])
    assert not (tmp_path / "b" / "train").exists()


def test_a_model_that_cannot_be_drawn_trains_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.utils.tensorboard import SummaryWriter

    def fail(*args: Any) -> None:
        raise ValueError("no picture")

    monkeypatch.setattr(SummaryWriter, "add_graph", fail)
    with pytest.warns(UserWarning, match="could not draw the model: no picture"):
        _, history = train(TensorBoard(tmp_path))
    assert len(history.epoch) == 2


def test_nothing_per_batch_unless_asked() -> None:
    callback = TensorBoard(update_freq="epoch")
    assert not callback._uses("on_train_batch_end")
    assert TensorBoard(update_freq=5)._uses("on_train_batch_end")
    assert TensorBoard(profile_batch=2)._uses("on_train_batch_begin")


def test_refuses() -> None:
    with pytest.raises(ArgumentError, match="update_freq='epoch', 'batch' or a number"):
        TensorBoard(update_freq="epochs")
    for wrong in (-1, (3, 2), "a", [1, 2, 3], 1.5):
        with pytest.raises((ArgumentError, ValueError), match=r"profile_batch|invalid literal"):
            TensorBoard(profile_batch=wrong)


def test_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match="pip install tensorboard"):
        train(TensorBoard(tmp_path, write_graph=False))
