"""Our callbacks and Keras's, told the same logs, do the same."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from nnkit import callbacks as ours
from nnkit.callbacks.base import HOOKS
from nnkit.callbacks.monitor import direction

theirs = keras.callbacks


class Optimizer:
    """Keeps its learning rate in float32, as Keras does."""

    def __init__(self) -> None:
        self.learning_rate = 0.1

    def __setattr__(self, name: str, value: float) -> None:
        super().__setattr__(name, float(np.float32(value)))


class Model:
    """One weight: the number of the epoch."""

    def __init__(self) -> None:
        self.optimizer = Optimizer()
        self.stop_training = False
        self.weight = np.full(2, -1.0)
        self.saved: list[tuple[str, str]] = []

    def get_weights(self) -> list[np.ndarray]:
        return [self.weight.copy()]

    def set_weights(self, weights: list[np.ndarray]) -> None:
        self.weight = weights[0].copy()

    def state_dict(self) -> dict[str, np.ndarray]:
        return {"weight": self.weight}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        self.weight = state["weight"].copy()

    def save(self, path: str, **_: Any) -> None:
        self.saved.append(("model", path))

    def save_weights(self, path: str, **_: Any) -> None:
        self.saved.append(("weights", path))


def scripted_fit(module: Any, callback: Any, epochs: list[dict[str, float]], batches: int) -> Any:
    """What a fit leaves behind: the logs, the stop, the weights, the saved files."""
    model = Model()
    calls = module.CallbackList([callback], add_history=True, model=model, epochs=len(epochs))
    calls.on_train_begin()
    for epoch, values in enumerate(epochs):
        logs = dict(values)
        calls.on_epoch_begin(epoch)
        model.weight = np.full(2, float(epoch))
        for batch in range(batches):
            calls.on_train_batch_begin(batch)
            calls.on_train_batch_end(batch, dict(logs))
            if model.stop_training:
                break
        calls.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    calls.on_train_end(logs)
    history = model.history
    return {
        "history": history.history,
        "epochs": history.epoch,
        "stopped": model.stop_training,
        "weight": model.weight.tolist(),
        "rate": model.optimizer.learning_rate,
        "saved": model.saved,
        **{
            name: getattr(callback, name)
            for name in ("best", "wait", "stopped_epoch", "best_epoch", "cooldown_counter")
            if hasattr(callback, name)
        },
    }


def compare(
    kind: str, arguments: dict[str, Any], epochs: list[dict[str, Any]], batches: int
) -> Any:
    mine = scripted_fit(ours, getattr(ours, kind)(**arguments), epochs, batches)
    real = scripted_fit(theirs, getattr(theirs, kind)(**arguments), epochs, batches)
    assert mine == real
    return mine


def scripts(count: int, length: int = 14) -> list[list[dict[str, float]]]:
    """Noisy losses that fall, in steps of 0.05 so that ties and edges of min_delta occur."""
    made = []
    for seed in range(count):
        random = np.random.default_rng(seed)
        falling = np.linspace(1.0, 0.6, length) + random.normal(0, 0.15, length)
        made.append([{"loss": 1.0, "val_loss": float(v)} for v in np.round(falling * 20) / 20])
    return made


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"patience": 1},
        {"patience": 3, "restore_best_weights": True},
        {"patience": 2, "min_delta": 0.1},
        {"patience": 2, "min_delta": -0.1, "restore_best_weights": True},
        {"patience": 2, "mode": "max", "restore_best_weights": True},
        {"patience": 3, "baseline": 0.8, "restore_best_weights": True},
        {"patience": 2, "baseline": 0.8, "mode": "max"},
        {"patience": 1, "start_from_epoch": 4, "restore_best_weights": True},
        {"patience": 99, "restore_best_weights": True},
    ],
    ids=str,
)
def test_early_stopping(arguments: dict[str, Any]) -> None:
    results = [compare("EarlyStopping", arguments, script, 0) for script in scripts(12)]
    assert len({len(result["epochs"]) for result in results}) > 1 or arguments.get("patience") == 99


@pytest.mark.parametrize(
    "arguments",
    [
        {"patience": 1},
        {"patience": 2, "factor": 0.5},
        {"patience": 1, "cooldown": 2},
        {"patience": 1, "factor": 0.3, "min_lr": 0.01, "cooldown": 1},
        {"patience": 2, "min_delta": 0.1},
        {"patience": 1, "mode": "max"},
    ],
    ids=str,
)
def test_reduce_lr_on_plateau(arguments: dict[str, Any]) -> None:
    for script in scripts(12):
        result = compare("ReduceLROnPlateau", arguments, script, 0)
        assert result["rate"] < 0.1


@pytest.mark.parametrize(
    "schedule",
    [
        lambda epoch, rate: rate * 0.9,
        lambda epoch: 0.5 ** (epoch + 1),
        lambda epoch, rate: rate if epoch < 3 else float(rate * np.exp(-0.1)),
        lambda epoch: np.float32(0.3),
    ],
)
def test_learning_rate_scheduler(schedule: Any) -> None:
    result = compare("LearningRateScheduler", {"schedule": schedule}, scripts(1)[0], 0)
    assert len(result["history"]["learning_rate"]) == 14


@pytest.mark.parametrize(
    "arguments",
    [
        {"filepath": "{epoch:03d}-{val_loss:.2f}.keras"},
        {"filepath": "best.keras", "save_best_only": True},
        {"filepath": "{epoch}.h5", "save_best_only": True, "mode": "max"},
        {"filepath": "{epoch}.weights.h5", "save_weights_only": True, "save_best_only": True},
        {"filepath": "{epoch}.keras", "save_best_only": True, "initial_value_threshold": 0.7},
        {"filepath": "{epoch}-{batch:02d}.keras", "save_freq": 5},
        {"filepath": "{epoch}-{batch}-{loss}.keras", "save_freq": 1},
        {"filepath": "{epoch}.weights.h5", "save_freq": 7, "save_weights_only": True},
    ],
    ids=str,
)
def test_model_checkpoint(
    arguments: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for script in scripts(6):
        compare("ModelCheckpoint", arguments, script, 3)
    assert compare("ModelCheckpoint", arguments, scripts(1)[0], 3)["saved"]


@pytest.mark.parametrize("append", [False, True])
@pytest.mark.parametrize(
    "epochs",
    [
        scripts(1)[0],
        [{"loss": 0.5, "acc": 0.1}, {"loss": 0.25, "acc": 0.2, "val_loss": 3.0}],
        [{"auc": np.array([0.5, 0.25]), "val_auc": [1, 2], "name": "text"}],
        [{}],
    ],
    ids=["plain", "late validation", "vectors", "empty"],
)
def test_csv_logger(epochs: list[dict[str, Any]], append: bool, tmp_path: Path) -> None:
    written = []
    for module in (ours, theirs):
        path = tmp_path / f"{module.__name__}.csv"
        for _ in range(2):
            logger = module.CSVLogger(path, separator=";", append=append)
            scripted_fit(module, logger, epochs, 0)
        written.append(path.read_bytes())
    assert written[0] == written[1]
    assert written[0].startswith(b"epoch")


@pytest.mark.parametrize("loss", [1.0, float("nan"), float("inf")])
def test_terminate_on_nan(loss: float) -> None:
    stops = []
    for module in (ours, theirs):
        epochs = [{"loss": 1.0}, {"loss": loss}, {"loss": 1.0}]
        result = scripted_fit(module, module.TerminateOnNaN(), epochs, 2)
        stops.append((result["stopped"], result["epochs"]))
    assert stops[0] == stops[1]


def test_directions_agree_with_keras_metrics() -> None:
    special = {
        "Precision": {},
        "MeanIoU": {"num_classes": 2},
        "IoU": {"num_classes": 2, "target_class_ids": [0]},
        "OneHotIoU": {"num_classes": 2, "target_class_ids": [0]},
        "OneHotMeanIoU": {"num_classes": 2},
        "SensitivityAtSpecificity": {"specificity": 0.5},
        "SpecificityAtSensitivity": {"sensitivity": 0.5},
        "PrecisionAtRecall": {"recall": 0.5},
        "RecallAtPrecision": {"precision": 0.5},
    }
    checked = 0
    for name, kind in inspect.getmembers(keras.metrics, inspect.isclass):
        if name in ("Metric", "MeanMetricWrapper"):
            continue
        metric = kind(**special.get(name, {}))
        way = getattr(metric, "_direction", None)
        if way is not None:
            assert direction(metric.name) == {"up": "max", "down": "min"}[way], metric.name
            checked += 1
    assert checked > 35


@pytest.mark.parametrize(
    "name",
    [
        *("CSVLogger", "EarlyStopping", "History", "LambdaCallback", "ProgbarLogger"),
        *("LearningRateScheduler", "ModelCheckpoint", "ReduceLROnPlateau", "TerminateOnNaN"),
        *("BackupAndRestore", "RemoteMonitor", "SwapEMAWeights", "TensorBoard", "CallbackList"),
    ],
)
def test_arguments_are_keras_arguments(name: str) -> None:
    def arguments(kind: Any) -> dict[str, Any]:
        parameters = inspect.signature(kind.__init__).parameters.values()
        return {
            each.name: each.default
            for each in parameters
            if each.kind is each.POSITIONAL_OR_KEYWORD
        }

    mine, real = arguments(getattr(ours, name)), arguments(getattr(theirs, name))
    assert list(mine) == list(real)
    assert mine == real


def test_hooks_are_keras_hooks() -> None:
    real = {name for name in dir(theirs.Callback) if name.startswith("on_")}
    assert set(HOOKS) == real
    for name in real:
        mine = inspect.signature(getattr(ours.Callback, name)).parameters
        assert list(mine) == list(inspect.signature(getattr(theirs.Callback, name)).parameters)


def test_keras_callbacks_run_in_our_list() -> None:
    script = scripts(1)[0]
    stop = theirs.EarlyStopping(patience=1, restore_best_weights=True)
    result = scripted_fit(ours, stop, script, 2)
    assert result == scripted_fit(
        theirs, theirs.EarlyStopping(patience=1, restore_best_weights=True), script, 2
    )


def test_our_callbacks_run_in_keras(tmp_path: Path) -> None:
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    log = tmp_path / "log.csv"
    history = model.fit(
        np.ones((8, 1)),
        np.ones((8, 1)),
        batch_size=2,
        epochs=3,
        verbose=0,
        callbacks=[
            ours.LearningRateScheduler(lambda epoch: 0.01 / (epoch + 1)),
            ours.CSVLogger(log),
            ours.EarlyStopping("mae", min_delta=10, patience=1),
        ],
    )
    assert history.epoch == [0, 1]
    assert history.history["learning_rate"] == pytest.approx([0.01, 0.005], rel=1e-6)
    assert log.read_text().startswith("epoch,learning_rate,loss,mae,val_learning_rate")
