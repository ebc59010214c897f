from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot

from nnkit.callbacks import History
from nnkit.errors import ArgumentError

EPOCHS = [
    {"accuracy": 0.5, "loss": 3.0},
    {"accuracy": 0.6, "loss": 2.0, "val_loss": 2.5},
    {"accuracy": 0.7, "loss": 1.0},
    {"accuracy": 0.8, "loss": 0.5, "val_loss": 2.75},
]


@pytest.fixture
def history(model: Any, run: Any) -> History:
    history = History()
    run(model, history, EPOCHS)
    return history


def test_it_keeps_every_epoch(history: History) -> None:
    assert history.history == {
        "accuracy": [0.5, 0.6, 0.7, 0.8],
        "loss": [3.0, 2.0, 1.0, 0.5],
        "val_loss": [2.5, 2.75],
    }
    assert history.epoch == [0, 1, 2, 3]
    assert history.params["epochs"] == 4
    assert history.model.history is history


def test_repr(history: History) -> None:
    assert repr(history) == (
        "<History of 4 epochs; last: accuracy: 0.8000 - loss: 0.5000 - val_loss: 2.7500>"
    )
    assert repr(History()) == "<History of 0 epochs>"


def test_to_frame_lines_up_epochs_without_validation(history: History) -> None:
    frame = history.to_frame()
    assert list(frame.columns) == ["accuracy", "loss", "val_loss"]
    assert frame.index.name == "epoch"
    assert list(frame.index) == [0, 1, 2, 3]
    np.testing.assert_array_equal(frame["val_loss"], [np.nan, 2.5, np.nan, 2.75])


def test_a_second_fit_goes_on(model: Any, run: Any, history: History) -> None:
    run(model, history, EPOCHS[:2])
    assert history.epoch == [0, 1]
    assert history.history["loss"] == [3.0, 2.0, 1.0, 0.5, 3.0, 2.0]
    np.testing.assert_array_equal(
        history.to_frame()["val_loss"], [np.nan, 2.5, np.nan, 2.75, np.nan, 2.5]
    )


def test_lists_joined_by_hand_still_make_a_frame(history: History) -> None:
    history.history["loss"] += [0.25]
    assert list(history.to_frame()["loss"]) == [3.0, 2.0, 1.0, 0.5, 0.25]


@pytest.fixture
def _no_window() -> Any:
    before = mpl.get_backend()
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")
    pyplot.switch_backend(before)


@pytest.mark.usefixtures("_no_window")
def test_plot_draws_training_against_validation_and_marks_the_best(
    history: History, tmp_path: Path
) -> None:
    figure = history.plot(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert not pyplot.get_fignums()
    accuracy, loss = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["accuracy", "loss"]
    lines = {line.get_label(): line for line in loss.get_lines()}
    assert list(lines) == ["training", "validation", "best: epoch 2"]
    assert list(lines["training"].get_xdata()) == [1, 2, 3, 4]
    assert list(lines["training"].get_ydata()) == [3.0, 2.0, 1.0, 0.5]
    assert list(lines["validation"].get_xdata()) == [2, 4]
    assert list(lines["best: epoch 2"].get_ydata()) == [2.5]
    assert [line.get_label() for line in accuracy.get_lines()] == ["training", "best: epoch 4"]


@pytest.mark.usefixtures("_no_window")
def test_plot_without_a_path_stays_open_and_handles_odd_names() -> None:
    history = History()
    history.history = {"what": [1.0], "val_only": [2.0], "a": [1], "b": [2]}
    figure = history.plot()
    assert [axes.get_title() for axes in figure.axes] == ["what", "a", "b", "val_only"]
    assert [line.get_label() for line in figure.axes[3].get_lines()] == ["validation"]
    assert pyplot.get_fignums() == [figure.number]


def test_plot_of_nothing() -> None:
    with pytest.raises(ArgumentError, match="nothing to draw: no epoch has been logged"):
        History().plot()


@pytest.mark.parametrize(
    ("method", "module", "package"),
    [("to_frame", "pandas", "pandas"), ("plot", "matplotlib.pyplot", "matplotlib")],
)
def test_without_the_package(
    history: History, monkeypatch: pytest.MonkeyPatch, method: str, module: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        ImportError, match=rf"History.{method} needs {package}. Install it: pip inst"
    ):
        getattr(history, method)()
