"""The checks of arguments: choices, numbers, whole numbers, sizes and axes.

Each gives the value back, as the type that the caller wants, or says whose argument it is, what is
expected and what came.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from numbers import Real
from typing import Any

from nnkit.errors import ArgumentError, ShapeError

__all__ = [
    "check_axes",
    "check_in_range",
    "image_format",
    "number",
    "one_of",
    "path_text",
    "positive",
    "sizes",
    "whole",
]


def one_of(who: Any, argument: str, value: Any, allowed: Sequence[Any]) -> Any:
    """The value, if it is among the allowed ones; else an ArgumentError that lists them."""
    value = value.lower() if isinstance(value, str) else value
    if value not in allowed:
        choices = ", ".join(map(repr, allowed))
        raise ArgumentError(f"{_called(who)}: {argument} must be one of {choices}, got {value!r}.")
    return value


def image_format(who: str, data_format: Any) -> str:
    """Where the channels are: "channels_last", also for None, or "channels_first"."""
    known = ("channels_last", "channels_first")
    chosen: str = one_of(who, "data_format", data_format or known[0], known)
    return chosen


def number(
    who: Any,
    argument: str,
    value: Any,
    least: float = -math.inf,
    most: float = math.inf,
    *,
    above: float | None = None,
    below: float | None = None,
) -> Any:
    """The value, if it is a finite number within these limits.

    Args:
        who: whose argument it is, for the message: a name, or the object itself.
        argument: its name.
        value: what was given; a tensor or array without axes counts as its number.
        least, most: the limits, if they are allowed themselves.
        above, below: the limits, if they are not.

    Raises: ArgumentError for anything else, True included.
    """
    found: Any = value.item() if getattr(value, "ndim", None) == 0 else value
    low, high = (least if above is None else above), (most if below is None else below)
    real = found is not True and isinstance(found, Real) and math.isfinite(found)
    if not real or not low <= found <= high or found in (above, below):
        raise ArgumentError(
            f"{_called(who)}: {argument} must be a number{_range(least, most, above, below)}, "
            f"got {value!r}."
        )
    return found


def _range(least: float, most: float, above: float | None, below: float | None) -> str:
    if above is None and below is None and math.isfinite(least) and math.isfinite(most):
        return f" from {least:g} to {most:g}"
    limits = []
    if above is not None:
        limits.append(f"above {above:g}")
    elif least > -math.inf:
        limits.append(f"of at least {least:g}")
    if below is not None:
        limits.append(f"below {below:g}")
    elif most < math.inf:
        limits.append(f"at most {most:g}")
    return f" {' and '.join(limits)}" if limits else ""


def _called(who: Any) -> str:
    return who if isinstance(who, str) else getattr(who, "label", type(who).__name__)


def check_axes(who: Any, axis: Any, *, several: bool = False, argument: str = "axis") -> Any:
    """`axis`, if it is an int, or a list or tuple of them where several may be given."""
    each = axis if several and isinstance(axis, (list, tuple)) else (axis,)
    if not each or any(isinstance(one, bool) or not hasattr(one, "__index__") for one in each):
        kind = "an int or ints" if several else "an int"
        raise ArgumentError(f"{_called(who)}: {argument} must be {kind}, got {axis!r}.")
    return type(axis)(map(int, axis)) if isinstance(axis, (list, tuple)) else int(axis)


def check_in_range(who: Any, axis: Any, shape: Sequence[int | None]) -> None:
    """Raise unless this is an axis, or several different ones, of a shape."""
    check_axes(who, axis, several=True)
    rank = len(shape)
    each = axis if isinstance(axis, (list, tuple)) else (axis,)
    if not all(-rank <= one < rank for one in each):
        raise ShapeError(
            f"{_called(who)}: axis={axis!r} is not an axis of the shape {tuple(shape)}. "
            f"Use {-rank} to {rank - 1}."
        )
    if len({one % rank for one in each}) < len(each):
        raise ShapeError(f"{_called(who)}: axis={axis!r} names an axis of {tuple(shape)} twice.")


def path_text(who: Any, argument: str, value: Any) -> str:
    """The path that was given (a string, bytes or `os.PathLike`) as a string."""
    try:
        return os.fsdecode(value)
    except TypeError:
        raise ArgumentError(
            f"{_called(who)}: {argument} must be a string or a path, got {value!r}."
        ) from None


def positive(who: Any, argument: str, value: Any, *, least: int = 1) -> int:
    """The value as an int, if it is a whole number of at least `least`."""
    return whole(who, argument, value, least)


def whole(who: Any, argument: str, value: Any, least: float = -math.inf) -> int:
    """The value as an int, if it is a whole number, and not below `least`."""
    fits = isinstance(value, int) or (hasattr(value, "__index__") and not hasattr(value, "shape"))
    if isinstance(value, float) and value.is_integer():
        fits = True
    if hasattr(value, "dtype") and getattr(value, "ndim", 1) == 0:
        fits = float(value).is_integer()
    if isinstance(value, bool) or not fits or int(value) < least:
        limit = "" if least == -math.inf else f" of at least {least}"
        raise ArgumentError(
            f"{_called(who)}: {argument} must be a whole number{limit}, got {value!r}."
        )
    return int(value)


def sizes(who: str, argument: str, value: Any, rank: int, *, least: int = 1) -> tuple[int, ...]:
    """An int, or one int an axis, as a tuple with one entry an axis."""
    values = (value,) * rank if not isinstance(value, (list, tuple)) else tuple(value)
    if len(values) != rank:
        raise ArgumentError(f"{who}: {argument} must be an int or {rank} ints, got {value!r}.")
    return tuple(positive(who, argument, item, least=least) for item in values)
