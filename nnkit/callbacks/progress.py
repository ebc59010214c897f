"""The progress of fit, evaluate and predict on stdout."""

from __future__ import annotations

import shutil
import sys
from time import perf_counter
from typing import Any

from tqdm.auto import tqdm
from tqdm.utils import disp_len, disp_trim

from nnkit.callbacks.base import Callback
from nnkit.callbacks.console import IN_NOTEBOOK, duration, is_live, line_of, printable, say
from nnkit.errors import ArgumentError

__all__ = ["ProgbarLogger"]

SECONDS_BETWEEN_DRAWINGS = 0.1


# From wide to narrow; tqdm's own line cuts off the metrics of a narrow terminal, or wraps.
_LAYOUTS = (
    "{l_bar}{bar}{r_bar}",
    "{desc}{bar}| {n_fmt}/{total_fmt} [{remaining}, {rate_fmt}{postfix}]",
    "{desc}{bar}| {n_fmt}/{total_fmt} [{remaining}{postfix}]",
)
_LAYOUTS_WITHOUT_TOTAL = (
    "{desc}{n_fmt}step [{elapsed}, {rate_fmt}{postfix}]",
    "{desc}{n_fmt}step [{elapsed}{postfix}]",
)


class _Bar(tqdm):
    # No watching thread: the bar is redrawn by the loop alone, and threads do not survive forks.
    monitor_interval = 0

    def __str__(self) -> str:
        """The bar in the widest layout that fits."""
        if not self.ncols:  # a notebook
            return super().__str__()
        values = self.format_dict
        for layout in _LAYOUTS if self.total else _LAYOUTS_WITHOUT_TOTAL:
            values["bar_format"] = layout
            if disp_len(self.format_meter(**{**values, "ncols": None})) <= self.ncols:
                break
        return disp_trim(self.format_meter(**values), self.ncols)


class ProgbarLogger(Callback):
    """Show how far a run is: a bar that moves, then one line for each epoch.

    In a terminal or notebook with `verbose=1` a bar lives while the epoch runs, redrawn at most
    ten times a second (the metrics are read from the device only then), and is replaced by

        Epoch 3/20 - 250 steps - 1.2s - 5 ms/step - accuracy: 0.9312 - loss: 0.2304

    With `verbose=2`, or when stdout is a file or a pipe, only these lines are written. The time
    includes validation, the time of a step does not. `verbose` comes with `set_params`.
    """

    def __init__(self) -> None:
        self.verbose = 1
        self.epochs = 1
        self.target: int | None = None
        self.seen = 0
        self._bar: Any = None
        self._in_fit = self._in_epoch = False
        self._title = ""
        self._began = self._drawn = 0.0
        self._worked: float | None = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Read verbose (0, 1, 2 or "auto"), epochs and steps (None when unknown).

        Raises: ArgumentError for any other verbose.
        """
        super().set_params(params)
        verbose = params.get("verbose", 1)
        if verbose not in (0, 1, 2, "auto"):
            raise ArgumentError(
                f"verbose is 0 (silent), 1 (a bar), 2 (a line an epoch) or 'auto', not {verbose!r}."
            )
        self.verbose = 1 if verbose == "auto" else int(verbose)
        self.epochs = params.get("epochs", 1)
        self.target = params.get("steps")

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._in_fit = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._in_fit = False
        self._remove()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._in_epoch = True
        self._start(f"Epoch {epoch + 1}/{self.epochs}")

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._step(batch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._in_epoch = False
        self._finish(logs)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self._in_fit:
            self._start("Evaluate")
        else:
            self._worked = perf_counter() - self._began
            self._draw(f"{self._title}, validating")

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not self._in_fit:
            self._step(batch, logs)
        elif self._bar is not None and self._is_time_to_draw():
            self._draw(f"{self._title}, validating step {batch + 1}")

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        if not self._in_fit:
            self._finish(logs)
            self._remove()

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._start("Predict")

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._step(batch, None)

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        self._finish(None)
        self._remove()

    def clear(self) -> None:
        """Take the bar off a terminal: its line is free for others to print on."""
        if not IN_NOTEBOOK:
            self._remove()

    def leave(self) -> None:
        """At the end of a run, take the bar off unless the run was interrupted."""
        if self._in_epoch:
            self.close()
        else:
            self.clear()

    def close(self) -> None:
        """End an interrupted bar where it stands, with the cursor on a new line."""
        self._in_fit = False
        if self._bar is not None:
            bar, self._bar = self._bar, None
            bar.n = self.seen
            bar.close()

    def _uses(self, hook: str) -> bool:
        return self.verbose != 0 and super()._uses(hook)

    def _remove(self) -> None:
        if self._bar is not None:
            bar, self._bar = self._bar, None
            bar.leave = False
            bar.total = None  # A notebook keeps an unfinished bar on the page, in red.
            bar.close()

    def _start(self, title: str) -> None:
        self.clear()
        self._title, self.seen, self._worked = title, 0, None
        if self._bar is not None:  # A notebook has one bar for all epochs.
            self._bar.set_description_str(f"{title}: ", refresh=False)
            self._bar.reset(self.target)
        elif self.verbose == 1 and is_live():
            # Our own throttle decides when to draw, so tqdm's (mininterval, miniters) is off.
            self._bar = _Bar(
                total=self.target,
                desc=f"{title}: ",
                unit="step",
                file=sys.stdout,
                mininterval=0,
                miniters=0,
                ncols=_columns(),
                nrows=20,  # Asked itself, a terminal of unknown height answers 0: no bar at all.
            )
        self._began = self._drawn = perf_counter()

    def _is_time_to_draw(self) -> bool:
        now = perf_counter()
        if now - self._drawn < SECONDS_BETWEEN_DRAWINGS:
            return False
        self._drawn = now
        return True

    def _step(self, batch: int, logs: dict[str, Any] | None) -> None:
        self.seen = batch + 1
        if self._bar is not None and self._is_time_to_draw():
            self._bar.set_postfix_str(printable(line_of(logs or {})), refresh=False)
            self._draw(self._title)

    def _draw(self, title: str) -> None:
        if self._bar is not None:
            self._bar.ncols = _columns()
            self._bar.set_description_str(f"{title}: ", refresh=False)
            self._bar.update(self.seen - self._bar.n)

    def _finish(self, logs: dict[str, Any] | None) -> None:
        self.clear()
        if self.verbose == 0:
            return
        elapsed = perf_counter() - self._began
        short = self.target is not None and self.seen < self.target
        steps = f"{self.seen}/{self.target}" if short else f"{self.seen}"
        parts = [self._title, f"{steps} step{'s' * (steps != '1')}", duration(elapsed)]
        if self.seen:
            parts.append(_pace((elapsed if self._worked is None else self._worked) / self.seen))
        if self.target is None and self.seen:
            self.target = self.seen  # The first epoch tells how long the next ones are.
        say(" - ".join(parts + ([line_of(logs)] if logs else [])))


def _columns() -> int | None:
    # One column less than there are: a full line would make some terminals scroll.
    return None if IN_NOTEBOOK else max(shutil.get_terminal_size().columns - 1, 10)


def _pace(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.1f} s/step"
    return f"{seconds * 1e3:.0f} ms/step" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} us/step"
