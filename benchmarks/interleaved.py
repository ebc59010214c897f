"""Two ways to do the same, timed in turn: what the benchmarks here share.

Rounds alternate, and the figure is the median over rounds of the quotient of the two times, so that
a machine that changes its speed changes both.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

__all__ = ["Ratio", "compare", "memory_rise", "timed"]

Run = Callable[[], Any]


class Ratio(NamedTuple):
    """Ours / theirs: the median, lowest and highest round, and the quotient of the best times of
    both; and the medians in seconds.

    The best times say what the code costs where the system's share (the disk, new memory) differs
    from round to round.
    """

    median: float
    lowest: float
    highest: float
    best: float
    ours: float
    theirs: float

    def __str__(self) -> str:
        return (
            f"{self.median:.2f} ({self.lowest:.2f} to {self.highest:.2f}), best {self.best:.2f}; "
            f"{self.ours * 1e3:.3g} ms / {self.theirs * 1e3:.3g} ms"
        )


Clock = Callable[[], float]


def timed(run: Run, clock: Clock = time.perf_counter) -> float:
    """Seconds of one run, the device's work included; what earlier runs left is cleared first."""
    gc.collect()
    wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    wait()
    start = clock()
    run()
    wait()
    return clock() - start


def compare(
    ours: Run, theirs: Run, rounds: int = 11, warmup: int = 1, clock: Clock = time.perf_counter
) -> Ratio:
    """Run both in turn; each round begins with the one that ended the last."""
    for _ in range(warmup):
        ours(), theirs()
    pairs = []
    for number in range(rounds):
        if number % 2:
            second = timed(theirs, clock)
            pairs.append((timed(ours, clock), second))
        else:
            first = timed(ours, clock)
            pairs.append((first, timed(theirs, clock)))
    quotients = [a / b for a, b in pairs]
    return Ratio(
        statistics.median(quotients),
        min(quotients),
        max(quotients),
        min(a for a, _ in pairs) / min(b for _, b in pairs),
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
    )


def memory_rise(run: Run) -> int:
    """By how many bytes this process's memory rises at most while `run` runs; on Linux only."""

    def field(name: str) -> int:
        rows = Path("/proc/self/status").read_text().split("\n")
        return next(int(row.split()[1]) * 1024 for row in rows if row.startswith(name))

    Path("/proc/self/clear_refs").write_text("5")  # the peak is what is held now
    before = field("VmRSS")
    run()
    return field("VmHWM") - before
