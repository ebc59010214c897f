"""Axes by name: what a layer accepts, whether a shape fits, and what to do when it does not.

Below them, the sizes of windows that slide over an axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from nnkit.errors import ShapeError

__all__ = [
    "Shape",
    "axes",
    "check",
    "describe",
    "same_padding",
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


def same_padding(size: int, window: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Pixels to add before and after for an output of ceil(size / stride); an odd one goes last."""
    output = -(-size // stride)
    total = max((output - 1) * stride + (window - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def window_output(size: int, window: int, stride: int, dilation: int = 1) -> int:
    """How many windows fit into `size` without padding; may be 0 or less."""
    return (size - (window - 1) * dilation - 1) // stride + 1
