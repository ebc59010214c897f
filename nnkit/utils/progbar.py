"""Progbar: a progress bar for loops of one's own."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from tqdm.auto import tqdm

from nnkit.callbacks.console import duration, is_live, number, say
from nnkit.errors import ArgumentError

__all__ = ["Progbar"]


class Progbar:
    """Shows how many steps are done, and values: their averages, or the last ones.

    Args:
        target: steps in all; None when unknown.
        width: accepted; the bar is as wide as the screen allows.
        verbose: 0 nothing, 1 a bar where there is a terminal or notebook, 2 a line at the end.
        interval: seconds between two drawings.
        stateful_metrics: names whose last value is shown, not the average.
        stateless_metrics: the other way round: the names that are averaged.
        unit_name: what a step is called.

    Example:
        bar = Progbar(3, verbose=2)
        for step in range(3):
            bar.update(step + 1, values=[("loss", 0.5)])
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ArgumentError("Progbar takes stateful_metrics or stateless_metrics, not both.")
        self.target = target
        self.verbose = verbose
        self.unit_name = unit_name
        self._last_only = set(stateful_metrics or ())
        self._averaged = None if stateless_metrics is None else set(stateless_metrics)
        self._totals: dict[str, tuple[float, float]] = {}
        self._done = 0
        self._bar = tqdm(
            total=target, unit=unit_name, mininterval=interval, leave=False, file=sys.stdout,
            disable=verbose != 1 or not is_live(),
        )  # fmt: skip

    def update(
        self, current: int, values: Iterable[tuple[str, Any]] | None = None,
        finalize: bool | None = None,
    ) -> None:  # fmt: skip
        """Show that `current` steps are done, and pairs of name and value of the last step.

        Args:
            current: steps done.
            values: what to show.
            finalize: whether this is the last call; when target is reached, if None.
        """
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        steps = max(current - self._done, 1)
        for name, value in values or ():
            averages = name not in self._last_only
            if self._averaged is not None:
                averages = name in self._averaged
            if finalize or not averages:
                self._totals[name] = (float(value), 1)
            else:
                total, count = self._totals.get(name, (0.0, 0.0))
                self._totals[name] = (total + float(value) * steps, count + steps)
        self._bar.set_postfix_str(self._told(), refresh=False)
        self._bar.update(current - self._done)
        self._done = current
        if finalize:
            elapsed = self._bar.format_dict["elapsed"]
            self._bar.close()
            if self.verbose:
                target = current if self.target is None else self.target
                told = f"{current}/{target} - {duration(elapsed)}"
                say(" - ".join(filter(None, [told, self._told()])))

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Show that n more steps are done."""
        self.update(self._done + n, values)

    def _told(self) -> str:
        return " - ".join(
            f"{name}: {number(total / count)}" for name, (total, count) in self._totals.items()
        )
