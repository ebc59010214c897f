"""Axes by name: what a layer accepts, whether a shape fits, and what to do when it does not.

Below them, the checks of arguments: choices, numbers, whole numbers, sizes and axes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from numbers import Real
from typing import Any

from nnkit.errors import ArgumentError, ShapeError

__all__ = [
    "Shape",
    "axes",
    "check",
    "check_axes",
    "check_in_range",
    "describe",
    "image_format",
    "number",
    "one_of",
    "positive",
    "same_padding",
    "sizes",
    "whole",
    "window_output",
]

Shape = tuple[int | None, ...]


@lru_cache
def axes(accepts: str) -> tuple[str, ...]:
    """The axis names in "(batch, time, features)"; "..." stands for any number of axes."""
    return tuple(name.strip() for name in accepts.strip("() ").split(",") if name.strip())


def describe(shape: Iterable[int | None], names: Sequence[str] = ()) -> str:
    """A shape as a reader sees it: "(batch, 28, 28)"; free axes go by their names."""
    shape = tuple(shape)
    if "..." in names or len(names) != len(shape):
        names = ("batch",)
    words = [
        str(size) if size is not None else (names[i] if i < len(names) else "None")
        for i, size in enumerate(shape)
    ]
    return f"({', '.join(words)}{',' if len(words) == 1 else ''})"


def check(who: str, accepts: str, shape: Shape, fixed: Mapping[str, int] | None = None) -> None:
    """Raise a ShapeError unless `shape` fits.

    Args:
        who: the layer for the message, "Conv2D 'conv2d_1'".
        accepts: the axes it takes, "(batch, height, width, channels)".
        shape: what came; None is a free size.
        fixed: sizes an axis must have because the weights were made for them.
    """
    names = axes(accepts)
    fits = len(shape) >= len(names) - 1 if "..." in names else len(shape) == len(names)
    if not fits:
        raise ShapeError(
            f"{who} expects {accepts} but received {describe(shape)}. {_advice(names, shape)}"
        )
    for name, size in (fixed or {}).items():
        at = names.index(name)
        at = at if "..." not in names[:at] else at - len(names)
        if shape[at] is not None and shape[at] != size:
            raise ShapeError(
                f"{who} was built for {size} {name} but received {describe(shape, names)}. "
                f"{_change_advice(names, name, shape, size)}"
            )


def _advice(names: tuple[str, ...], shape: Shape) -> str:
    rank = len(shape)
    if "height" in names and "depth" not in names:
        if rank == 2 and shape[1]:
            guess = _image(shape[1])
            return f"Add Reshape({guess or '(height, width, channels)'}) before it."
        if rank == 3:
            size = ", ".join("-1" if s is None else str(s) for s in shape[1:])
            return f"Add the channels axis with Reshape(({size}, 1)) before it."
        if rank > len(names):
            return "Input(shape=...) leaves out the batch axis: give (height, width, channels)."
    if "time" in names:
        if rank == 2:
            return "Add Reshape((time, features)) before it, or Embedding for integer tokens."
        if rank == 4:
            return "Input(shape=...) leaves out the batch axis; TimeDistributed or Reshape fold it."
    if rank > len(names):
        return "Add Flatten() before it, and leave the batch axis out of Input(shape=...)."
    return "Add Reshape(...) before it so that the axes fit."


def _change_advice(names: tuple[str, ...], name: str, shape: Shape, size: int) -> str:
    if name == "channels" and len(shape) > 2 and shape[1] == size:
        return "The channels seem to come first: permute them to the end, x.movedim(1, -1)."
    if len(shape) > 2 and None not in shape[1:] and math.prod(s or 1 for s in shape[1:]) == size:
        return "Add Flatten() before it."
    return f"Give it {size} {name}, or make a new layer for the new size."


def _image(features: int) -> str | None:
    for channels in (1, 3):
        side = math.isqrt(features // channels)
        if side * side * channels == features:
            return f"({side}, {side}, {channels})"
    return None


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


def same_padding(size: int, window: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Pixels to add before and after for an output of ceil(size / stride); an odd one goes last."""
    output = -(-size // stride)
    total = max((output - 1) * stride + (window - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def window_output(size: int, window: int, stride: int, dilation: int = 1) -> int:
    """How many windows fit into `size` without padding; may be 0 or less."""
    return (size - (window - 1) * dilation - 1) // stride + 1
