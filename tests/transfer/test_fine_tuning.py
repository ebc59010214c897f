"""fine_tune: its stages, what it keeps, and what it says."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
import torch

import nnkit
from nnkit import layers, transfer
from nnkit.data.pipeline import Pipeline
from nnkit.errors import ArgumentError, FileError
from tests.transfer.test_transfer import pictures, small_base


def batches_through(base: nnkit.Model) -> list[int]:
    """The sizes of the batches that a model is given, written down as they come."""
    seen: list[int] = []
    base.register_forward_pre_hook(
        lambda _, args: None if args[0].is_meta else seen.append(len(args[0]))
    )
    return seen


@pytest.mark.filterwarnings("ignore:The optimizer .* starts anew")
def test_the_stages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, data = small_base(), pictures(60)
    seen = batches_through(base)
    path = tmp_path / "best.weights.h5"
    tuned = transfer.fine_tune(
        base, data, data, head_epochs=5, stages=(1, "all"), stage_epochs=2, learning_rate=0.02,
        checkpoint=path,
    )  # fmt: skip
    said = capsys.readouterr().out
    assert "Stage 1 of 3: the head (39 weights) learns on base's features." in said
    assert (
        "Stage 2 of 3: base learns from block3_conv on (876 weights), learning rate 2.0e-03" in said
    )
    assert "Stage 3 of 3: base learns from block1_conv on" in said
    assert seen[:4] == [32, 28, 32, 28]  # once for the training and once for the validation data
    assert [stage.trained for stage in tuned.stages] == [
        "head", "from block3_conv", "from block1_conv",
    ]  # fmt: skip
    assert [stage.learning_rate for stage in tuned.stages] == pytest.approx([0.02, 2e-3, 2e-4])
    assert len(tuned.history["val_loss"]) == sum(stage.epochs for stage in tuned.stages) == 9
    best = min(tuned.history["val_loss"])
    loss = tuned.model.evaluate(*data, verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(best, rel=1e-3)
    kept = tuned.model.predict(data[0], verbose=0)
    for weight in tuned.model.weights:
        weight.data.zero_()
    tuned.model.load_weights(path)
    np.testing.assert_allclose(tuned.model.predict(data[0], verbose=0), kept, rtol=1e-4, atol=1e-6)


def test_a_stage_that_does_harm_is_taken_back(capsys: pytest.CaptureFixture[str]) -> None:
    base, data = small_base(), pictures(30)
    tuned = transfer.fine_tune(
        base, data, data, head_epochs=3, stages=("all",), stage_epochs=1, learning_rate=0.02,
        slower=1000.0,
    )  # fmt: skip
    assert "this stage is taken back" in capsys.readouterr().out
    loss = tuned.model.evaluate(*data, verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(tuned.stages[0].best, rel=1e-3)


@pytest.mark.filterwarnings("ignore:fit was interrupted")
@pytest.mark.parametrize(
    ("at", "stages", "epochs"),
    [(1, [], 0), (6, [("head", 2)], 2), (14, [("head", 5), ("from", 1)], 6)],
)
def test_ctrl_c_ends_it_with_what_was_learned(
    at: int, stages: list[tuple[str, int]], epochs: int, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[int] = []

    def loss(y_true: torch.Tensor, y_pred: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        if len(calls) == at:
            signal.raise_signal(signal.SIGINT)
        return torch.nn.functional.nll_loss(y_pred.log(), y_true.long(), reduction="none")

    base, data = small_base(), pictures(30)
    tuned = transfer.fine_tune(
        base, data, data, head_epochs=5, stages=(1, 2), stage_epochs=3, patience=9, loss=loss
    )
    assert "Interrupted: the stages that were to follow are left out." in capsys.readouterr().out
    assert [(stage.trained[:4], stage.epochs) for stage in tuned.stages] == stages
    assert len(tuned.history.get("loss", [])) == epochs
    assert tuned.model.predict(data[0], verbose=0).shape == (30, 3)


def test_with_augmentation_the_base_runs_in_every_epoch(tmp_path: Path) -> None:
    base, data = small_base(), pictures(12)
    seen = batches_through(base)
    path = tmp_path / "best.weights.h5"
    tuned = transfer.fine_tune(
        base, data, augment=layers.GaussianNoise(0.1), head_epochs=3, stages=(), patience=5,
        checkpoint=path, verbose=0,
    )  # fmt: skip
    assert seen == [12, 12, 12]
    kept = tuned.model.get_weights()
    tuned.model.load_weights(path)
    for ours, best in zip(tuned.model.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(ours, best)


def test_mistakes_show_before_anything_is_trained(tmp_path: Path) -> None:
    base, data = small_base(), pictures(6)
    with pytest.raises(ArgumentError, match="last must be from 1 to 3"):
        transfer.fine_tune(base, data, stages=(1, 4), verbose=0)
    with pytest.raises(ArgumentError, match="blocks or 'all', got 'every'"):
        transfer.fine_tune(base, data, stages=("every",), verbose=0)
    with pytest.raises(ArgumentError, match="augment must be a layer or a model, got 3"):
        transfer.fine_tune(base, data, augment=3)
    with pytest.raises(ArgumentError, match="head must be a layer or a model, got 'dense'"):
        transfer.fine_tune(base, data, head="dense")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"ends in '.weights.h5', but received 'best.txt'"):
        transfer.fine_tune(base, data, checkpoint="best.txt")
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="Nothing can be written to"):
        transfer.fine_tune(base, data, checkpoint=tmp_path / "file" / "best.weights.h5")


def test_the_model_is_compiled_also_without_stages() -> None:
    base, data = small_base(), pictures(12)
    tuned = transfer.fine_tune(base, data, head_epochs=1, stages=(), verbose=0)
    assert set(tuned.model.evaluate(*data, verbose=0, return_dict=True)) == {"loss", "accuracy"}


def test_from_a_loader_with_named_classes() -> None:
    x, y = pictures(20)
    data = torch.utils.data.TensorDataset(torch.as_tensor(x), torch.as_tensor(y))
    loader = torch.utils.data.DataLoader(data, batch_size=8)
    loader.class_names = ["a", "b", "c", "d"]
    tuned = transfer.fine_tune(small_base(), loader, loader, head_epochs=1, stages=(1,),
                               stage_epochs=1, verbose=0)  # fmt: skip
    assert tuned.model.output_shape == (None, 4)
    assert "val_accuracy" in tuned.history
    del loader.class_names
    with pytest.raises(ArgumentError, match="how many classes"):
        transfer.fine_tune(small_base(), loader)


@pytest.mark.parametrize(
    ("labels", "loss"),
    [(np.eye(3), "categorical_crossentropy"), (np.arange(3), "sparse_categorical_crossentropy")],
)
def test_the_loss_follows_the_labels(labels: np.ndarray, loss: str) -> None:
    x, y = pictures(12)
    tuned = transfer.fine_tune(small_base(), (x, labels[y]), head_epochs=1, stages=(1,),
                               stage_epochs=1, verbose=0)  # fmt: skip
    assert tuned.model.loss == loss
    assert tuned.model.output_shape == (None, 3)


def test_a_cached_source_is_trained_on_after_its_features() -> None:
    x, y = pictures(30)
    source = Pipeline.from_tensor_slices((x, y)).map(lambda x, y: (x + 0, y)).batch(10).cache()
    tuned = transfer.fine_tune(
        small_base(), source, classes=3, head_epochs=1, stages=(1,), stage_epochs=1, verbose=0
    )
    assert len(tuned.history["loss"]) == 2


def test_yes_or_no_from_a_folder_of_two_classes() -> None:
    x, y = pictures(12)
    labels = torch.as_tensor(y > 0).float()[:, None]
    data = torch.utils.data.TensorDataset(torch.as_tensor(x), labels)
    loader = torch.utils.data.DataLoader(data, batch_size=8)
    loader.class_names = ["no", "yes"]
    tuned = transfer.fine_tune(small_base(), loader, head_epochs=1, stages=(), verbose=0)
    assert tuned.model.output_shape == (None, 1)


def test_the_public_names() -> None:
    assert nnkit.transfer.fine_tune is transfer.fine_tune
