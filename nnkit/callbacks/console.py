"""Writing to stdout beside a progress bar: lines, numbers and durations."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from nnkit import config

__all__ = ["IN_NOTEBOOK", "duration", "is_live", "line_of", "number", "printable", "say"]

# tqdm.auto picks its widget bar in a notebook; stdout is no terminal there.
IN_NOTEBOOK = any(base.__module__ == "tqdm.notebook" for base in tqdm.__mro__)


def is_live() -> bool:
    """Whether what is on the screen can be redrawn: a terminal or a notebook, no file or pipe."""
    if not config.is_interactive_logging_enabled():
        return False
    isatty = getattr(sys.stdout, "isatty", None)
    return IN_NOTEBOOK or (isatty is not None and bool(isatty()))


def printable(text: str) -> str:
    """The text with a question mark for each letter that stdout cannot encode."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


def say(text: str) -> None:
    """Print a line on stdout, above a living progress bar if there is one."""
    if sys.stdout is None:  # a program without a console
        return
    if is_live():
        tqdm.write(printable(text), file=sys.stdout)
    else:
        sys.stdout.write(printable(text) + "\n")
    sys.stdout.flush()


def number(value: Any) -> str:
    """A metric as text: four decimals, or scientific where they would show nothing.

    Args:
        value: a number, or an array of numbers (one for each class, say).
    """
    try:
        values = np.asarray(value, dtype=float)
    except (TypeError, ValueError):  # a custom train_step may log anything
        return str(value)
    if values.ndim:
        return f"[{', '.join(number(item) for item in values.ravel())}]"
    scalar = float(values)
    tiny_or_huge = 0 < abs(scalar) <= 1e-3 or 1e8 <= abs(scalar) < np.inf
    return f"{scalar:.4e}" if tiny_or_huge else f"{scalar:.4f}"


def line_of(logs: dict[str, Any]) -> str:
    """The metrics on one line: `accuracy: 0.9312 - loss: 0.2304`."""
    return " - ".join(f"{name}: {number(value)}" for name, value in logs.items())


def duration(seconds: float) -> str:
    """A time for people: `1.2s`, `2m05s`, `1h02m`."""
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"
