"""What `fit` returns: the metrics of every epoch."""

from __future__ import annotations

import importlib
import os
from typing import Any

from nnkit.arguments import path_text
from nnkit.callbacks.base import Callback
from nnkit.callbacks.console import line_of
from nnkit.callbacks.monitor import best_index
from nnkit.errors import ArgumentError

__all__ = ["History"]


class History(Callback):
    """Collect the logs of every epoch; `fit` adds one and returns it.

    Attributes:
        history: for each metric the list of its values, one for each epoch it was logged in.
        epoch: the epochs of the last `fit`, counted from 0.

    Example:
        history = model.fit(x, y, epochs=3)
        history.history["loss"]
    """

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        self._rows: dict[str, list[int]] = {}
        self._last_row = -1

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epoch.append(epoch)
        # A second fit with the same History counts on, even if its epochs start at 0 again.
        self._last_row = max(epoch, self._last_row + 1)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
            self._rows.setdefault(name, []).append(self._last_row)
        if self.model is not None:
            self.model.history = self

    def __repr__(self) -> str:
        epochs = max((len(values) for values in self.history.values()), default=0)
        last = line_of({name: values[-1] for name, values in self.history.items() if values})
        return f"<History of {epochs} epoch{'s' * (epochs != 1)}{'; last: ' * bool(last)}{last}>"

    def to_frame(self) -> Any:
        """A pandas DataFrame: a column for each metric, a row for each epoch (from 0).

        Metrics that some epochs lack (validation every second epoch) have NaN there.

        Raises: ImportError if pandas is not installed.
        """
        pandas = _optional("pandas", "History.to_frame")
        columns = {
            name: pandas.Series(values, index=self._rows_of(name))
            for name, values in self.history.items()
        }
        return pandas.DataFrame(columns).rename_axis(index="epoch")

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw a panel for each metric, training against validation, the best epoch marked.

        Args:
            path: an image file to write, such as "curves.png". Without one the figure stays open
                for `pyplot.show()`, or a notebook's cell (end the line with `;` to see it once).

        Returns: the matplotlib figure. Epochs count from 1 on it, as they do on the screen.
        Raises: ImportError if matplotlib is not installed, ArgumentError before any epoch.
        """
        path = None if path is None else path_text(self, "path", path)
        names = [name for name in self.history if name.removeprefix("val_") == name]
        names += [name for name in self.history if name.removeprefix("val_") not in names]
        if not names:
            raise ArgumentError("History.plot has nothing to draw: no epoch has been logged yet.")
        pyplot = _optional("matplotlib.pyplot", "History.plot")
        rows, columns = -(-len(names) // 3), min(len(names), 3)
        figure, grid = pyplot.subplots(
            rows, columns, figsize=(4.5 * columns, 3.2 * rows), squeeze=False, layout="constrained"
        )
        for name, axes in zip(names, grid.flat, strict=False):
            self._draw_panel(name, axes)
        for axes in grid.flat[len(names) :]:
            axes.remove()
        if path is not None:
            figure.savefig(path)
            pyplot.close(figure)
        return figure

    def _draw_panel(self, name: str, axes: Any) -> None:
        series = {"training": name, "validation": f"val_{name}"}
        if name.startswith("val_"):
            series = {"validation": name}
        best = None
        for label, key in series.items():
            if key in self.history:
                epochs, values = [row + 1 for row in self._rows_of(key)], self.history[key]
                axes.plot(epochs, values, marker="." if len(values) < 30 else None, label=label)
                at = best_index(key, values)
                best = best if at is None else (epochs[at], values[at])
        if best is not None:
            axes.plot(*best, "o", color="black", fillstyle="none", label=f"best: epoch {best[0]}")
        axes.set_title(name)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()

    def _rows_of(self, name: str) -> list[int]:
        values, rows = self.history[name], self._rows.get(name, [])
        # Lists that a user joined or cut no longer have rows of their own.
        return rows if len(rows) == len(values) else list(range(len(values)))


def _optional(module: str, user: str) -> Any:
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ImportError as exc:
        raise ImportError(f"{user} needs {package}. Install it: pip install {package}") from exc
