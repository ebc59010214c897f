"""Which way is better, and the errors of a metric that cannot be watched."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import pytest

from nnkit.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from nnkit.callbacks.monitor import Monitor, best_index, direction
from nnkit.errors import ArgumentError

NAN = float("nan")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("acc accuracy val_accuracy binary_accuracy top_k_categorical_accuracy auc auc_1", "max"),
        ("precision recall_2 f1_score fbeta_score mean_io_u mean_iou binary_io_u", "max"),
        ("cosine_similarity r2_score sensitivity_at_specificity out_accuracy Accuracy", "max"),
        ("loss val_loss out_loss accuracy_loss mse mae rmse root_mean_squared_error", "min"),
        ("mean_absolute_percentage_error binary_crossentropy kl_divergence log_cosh", "min"),
        ("hinge squared_hinge poisson perplexity mean_squared_logarithmic_error", "min"),
        ("score val_my_number true_positives learning_rate gloss accurate", None),
    ],
)
def test_direction_of_names(names: str, expected: str | None) -> None:
    assert {name: direction(name) for name in names.split()} == dict.fromkeys(
        names.split(), expected
    )


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("loss", [3.0, 1.0, 1.0, NAN], 1),
        ("val_accuracy", [0.1, NAN, 0.3, 0.3], 2),
        ("loss", [NAN, NAN], None),
        ("loss", [], None),
        ("what", [1.0], None),
        ("accuracy", [[0.1, 0.2], [0.3, 0.4]], None),
    ],
)
def test_best_index(name: str, values: list[Any], expected: int | None) -> None:
    assert best_index(name, values) == expected


@pytest.mark.parametrize(
    ("mode", "min_delta", "current", "best", "expected"),
    [
        ("min", 0, 0.5, 0.6, True),
        ("min", 0, 0.6, 0.6, False),
        ("min", 0, 0.6, None, True),
        ("min", 0.1, 0.7, 0.8, False),
        ("min", -0.1, 0.75, 0.8, False),
        ("min", 0.1, 0.6, 0.8, True),
        ("max", 0, 0.7, 0.6, True),
        ("max", 0.1, 0.7, 0.6, False),
        ("max", 0.1, 0.8, 0.6, True),
        ("max", 0, NAN, 0.6, False),
        ("min", 0, NAN, None, False),
        ("min", 0, 1e300, 1.0, False),
        ("min", 0, -float("inf"), 1.0, True),
    ],
)
def test_is_better(
    mode: str, min_delta: float, current: float, best: float | None, expected: bool
) -> None:
    assert Monitor("x", mode, min_delta=min_delta).is_better(current, best) is expected


@pytest.mark.parametrize(("way", "better"), [("up", 0.9), ("down", 0.1)])
def test_the_metrics_own_direction_wins_over_its_name(way: str, better: float) -> None:
    monitor = Monitor("val_mine_loss")
    monitor.set_model(SimpleNamespace(metrics=[SimpleNamespace(name="mine_loss", _direction=way)]))
    assert monitor.monitored({"val_mine_loss": 0.5}) == 0.5
    assert monitor.is_better(better, 0.5)


@pytest.mark.parametrize(
    ("callback", "logs", "message"),
    [
        (
            EarlyStopping("val_acc"),
            {"loss": 1, "accuracy": 1, "val_loss": 1, "val_accuracy": 1},
            r"^EarlyStopping monitors 'val_acc', but this run logs: loss, accuracy, val_loss, "
            r"val_accuracy\. Did you mean 'val_accuracy'\?$",
        ),
        (
            ReduceLROnPlateau(),
            {"loss": 1},
            "ReduceLROnPlateau monitors 'val_loss', but this run logs: loss. Give fit "
            "validation_data or validation_split",
        ),
        (
            ModelCheckpoint("a.weights.h5", save_best_only=True, save_weights_only=True),
            {"accuracy": 1, "loss": 1},
            "ModelCheckpoint monitors 'val_loss', but this run logs: accuracy, loss",
        ),
        (EarlyStopping("zzz", mode="max"), {"loss": 1}, "logs: loss.$"),
        (EarlyStopping("score"), {"loss": 1}, "monitors 'score', but this run logs: loss"),
        (EarlyStopping("loss"), {}, "this run logs: nothing"),
        (EarlyStopping("loss"), None, "this run logs: nothing"),
        (
            EarlyStopping("val_score"),
            {"val_score": 1},
            "whether a high or a low 'val_score' is better. Give mode='max' or mode='min'",
        ),
        (EarlyStopping("auc"), {"auc": [0.1, 0.2]}, "'auc', which has 2 values"),
    ],
)
def test_a_metric_that_cannot_be_watched(callback: Any, logs: Any, message: str) -> None:
    callback.set_model(SimpleNamespace(optimizer=SimpleNamespace(learning_rate=0.1)))
    with pytest.raises(ArgumentError, match=message):
        callback.on_epoch_end(0, logs)


@pytest.mark.parametrize("kind", [EarlyStopping, ReduceLROnPlateau])
def test_unknown_modes_are_refused(kind: Any) -> None:
    with pytest.raises(ArgumentError, match=f"Unknown {kind.__name__} mode 'mim'. Did you mean"):
        kind(mode="mim")


def test_epochs_without_validation_are_skipped_if_others_have_it() -> None:
    monitor = Monitor("val_loss")
    monitor.set_params({"validation_freq": 2})
    assert monitor.monitored({"loss": 1.0}) is None
    with pytest.raises(ArgumentError, match="monitors 'val_loss'"):
        monitor.monitored({"loss": 1.0, "val_accuracy": 1.0})
    assert monitor.monitored({"loss": 1.0, "val_loss": 2.0}) == 2.0
    monitor.set_params({})
    assert monitor.monitored({"loss": 1.0}) is None


ODD = [
    ("monitor", 3, "monitor must be a name in the logs, got 3"),
    ("min_delta", "a", "min_delta must be a number, got 'a'"),
    ("baseline", "a", "baseline must be a number, got 'a'"),
    ("patience", "a", "patience must be a number of at least 0, got 'a'"),
    ("patience", -1, "patience must be a number of at least 0, got -1"),
    ("cooldown", None, "cooldown must be a number of at least 0, got None"),
    ("start_from_epoch", None, "start_from_epoch must be a number of at least 0"),
    ("factor", [1], r"factor must be a number of at least 0 and below 1, got \[1\]"),
]
WRONG = [
    (kind, argument, odd, message)
    for kind in (Monitor, EarlyStopping, ReduceLROnPlateau)
    for argument, odd, message in ODD
    if argument in inspect.signature(kind).parameters
]


@pytest.mark.parametrize(("kind", "argument", "odd", "message"), WRONG)
def test_arguments_of_the_wrong_kind(kind: Any, argument: str, odd: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=f"{kind.__name__}: {message}"):
        kind(**{argument: odd})
