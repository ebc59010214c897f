"""The arguments that say how strong an augmentation is, checked."""

from __future__ import annotations

import math
import numbers
from typing import Any

from nnkit.errors import ArgumentError

__all__ = ["as_factor", "as_value_range"]


def _real(value: Any) -> bool:
    return (
        isinstance(value, numbers.Real)
        and not isinstance(value, bool)
        and math.isfinite(float(value))
    )


def as_factor(
    who: str,
    argument: str,
    value: Any,
    bounds: tuple[float, float],
    least: float | None = None,
) -> tuple[float, float]:
    """The range that is drawn from: a pair as it is, a single number from minus itself to itself.

    Args:
        who, argument: for the message.
        value: a number or two of them.
        bounds: what they must lie between.
        least: where the range of a single number starts at the lowest; the lower bound when None.
    """
    pair = isinstance(value, (tuple, list))
    numbers_ = tuple(value) if pair else (value,)
    fits = len(numbers_) == (2 if pair else 1) and all(
        _real(each) and bounds[0] <= each <= bounds[1] for each in numbers_
    )
    if not fits:
        raise ArgumentError(
            f"{who}: {argument} must be a number or a pair of numbers from {bounds[0]} to "
            f"{bounds[1]}, got {value!r}."
        )
    if pair:
        low, high = sorted(numbers_)
        return low, high
    size = abs(value)
    return max(-size, bounds[0] if least is None else least), size


def as_value_range(who: str, value: Any) -> tuple[float, float]:
    """The darkest and the brightest value of images."""
    fits = isinstance(value, (tuple, list)) and len(value) == 2 and all(map(_real, value))
    if not fits or value[0] == value[1]:
        raise ArgumentError(
            f"{who}: value_range must be two different numbers, such as (0, 255) or (0, 1), "
            f"got {value!r}."
        )
    low, high = sorted(value)
    return low, high
