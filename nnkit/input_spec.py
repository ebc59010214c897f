"""InputSpec: what a layer of one's own takes, checked at each new input shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nnkit.errors import ArgumentError, ShapeError

__all__ = ["InputSpec", "check_specs"]


class InputSpec(NamedTuple):
    """The rank and sizes of an input; set it (or a list of them) as a layer's `input_spec`.

    Args:
        dtype: accepted; inputs are cast to the layer's dtype.
        shape: the sizes, None where free, batch included.
        ndim, max_ndim, min_ndim: the number of axes.
        axes: {axis: size} for single axes.
        allow_last_axis_squeeze: whether a last axis of size 1 may be missing or too much.
        name: accepted, for inputs in a dict.
        optional: whether the input may be None.

    Example: `self.input_spec = InputSpec(ndim=4, axes={-1: 3})`
    """

    dtype: Any = None
    shape: Sequence[int | None] | None = None
    ndim: int | None = None
    max_ndim: int | None = None
    min_ndim: int | None = None
    axes: Mapping[int, int | None] | None = None
    allow_last_axis_squeeze: bool = False
    name: str | None = None
    optional: bool = False

    def problem(self, shape: tuple[int | None, ...]) -> str | None:
        """What is wrong with a shape, as the rest of "expects ..."; None when it fits."""
        rank = self.ndim if self.shape is None else len(self.shape)
        fits = rank is None or len(shape) == rank
        if not fits and self.allow_last_axis_squeeze and rank is not None:
            shape = shape[:-1] if len(shape) == rank + 1 and shape[-1] == 1 else shape
            shape = (*shape, 1) if len(shape) == rank - 1 else shape
            fits = len(shape) == rank
        if not fits:
            return f"{rank} axes"
        if self.max_ndim is not None and len(shape) > self.max_ndim:
            return f"at most {self.max_ndim} axes"
        if self.min_ndim is not None and len(shape) < self.min_ndim:
            return f"at least {self.min_ndim} axes"
        sizes = dict(enumerate(self.shape or ())) | dict(self.axes or {})
        for axis, size in sizes.items():
            if not -len(shape) <= axis < len(shape):
                return f"an axis {axis}"
            if size is not None and shape[axis] not in (size, None):
                return f"size {size} at axis {axis}"
        return None


def check_specs(layer: Any, shapes: Any) -> None:
    """Compare the shapes of a layer's inputs with its `input_spec`, if it has one.

    Raises: ShapeError for an input that does not fit, ArgumentError for a wrong number of inputs.
    """
    specs = vars(layer).get("input_spec")
    if specs is None:
        return
    listed = list(specs) if isinstance(specs, list) else [specs]
    given = list(shapes) if isinstance(shapes, list) else [shapes]
    if len(listed) != len(given):
        raise ArgumentError(
            f"{layer.label} has {len(listed)} input_spec but received {len(given)} inputs."
        )
    for spec, shape in zip(listed, given, strict=True):
        if isinstance(spec, InputSpec) and isinstance(shape, tuple):
            wrong = spec.problem(shape)
            if wrong is not None:
                raise ShapeError(f"{layer.label} expects {wrong} but received {shape}.")
