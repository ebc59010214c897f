"""Many elements to one: sums, means, extremes.

`axis` is a number, several or None for all; `keepdims` leaves the axes there with size 1. Small
integers and booleans add up to int32, integers have a float32 mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nnkit.errors import ShapeError
from nnkit.ops.elementwise import isclose
from nnkit.ops.recording import all_axes, as_tensor, described, floats, recorded, tensors

__all__ = [
    "Axis", "all", "allclose", "amax", "amin", "any", "argmax", "argmin", "at_least_single",
    "average", "count_nonzero", "logsumexp", "max", "mean", "min", "prod", "ptp", "std", "sum",
    "trace", "var",
]  # fmt: skip

Axis = int | tuple[int, ...] | list[int] | None
_SMALL = (torch.bool, torch.uint8, torch.int8, torch.int16)


def _total_type(x: Tensor) -> torch.dtype:
    return torch.int32 if x.dtype in _SMALL else x.dtype


def at_least_single(x: Tensor) -> Tensor:
    """Half precision as float32, wider floats as they are."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


@recorded
def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum over `axis`."""
    x = as_tensor(x)
    axes = all_axes(x, axis)
    kind = _total_type(x)
    return torch.sum(x, axes, keepdims, dtype=kind) if axes else x.to(kind)


@recorded
def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean over `axis`."""
    x = floats(x)
    axes = all_axes(x, axis)
    return torch.mean(x, axes, keepdims) if axes else x


@recorded
def prod(x: Any, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """The product over `axis`."""
    x = as_tensor(x)
    x = as_tensor(x, dtype or _total_type(x))
    for each in sorted(all_axes(x, axis), reverse=True):
        x = torch.prod(x, each, keepdims, dtype=x.dtype)
    return x


@recorded
def var(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The variance over `axis`: the mean squared distance from the mean (divided by n)."""
    x = floats(x)
    axes = all_axes(x, axis)
    if not axes:
        return torch.zeros_like(x)
    return torch.var(at_least_single(x), axes, correction=0, keepdim=keepdims).to(x.dtype)


@recorded
def std(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The standard deviation over `axis`, the root of `var`."""
    x = floats(x)
    axes = all_axes(x, axis)
    if not axes:
        return torch.zeros_like(x)
    return torch.std(at_least_single(x), axes, correction=0, keepdim=keepdims).to(x.dtype)


def _extreme(
    name: str, fn: Callable[..., Tensor], pick: Callable[..., Tensor], doc: str
) -> Callable[..., Tensor]:
    def call(x: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Tensor:
        x = as_tensor(x)
        axes = all_axes(x, axis)
        if not axes:
            best = x
        elif 0 not in [x.shape[each] for each in axes]:
            best = fn(x, axes, keepdims)
        elif initial is not None:
            return torch.sum(x, axes, keepdims).to(x.dtype).fill_(initial)
        else:
            raise ShapeError(
                f"{name} of an axis without elements does not exist: the shape is "
                f"{tuple(x.shape)}. Give initial=, the value to start from."
            )
        return best if initial is None else pick(best, as_tensor(initial, best.dtype, x.device))

    return described(name, __name__, doc, call)


max = _extreme(
    "max", torch.amax, torch.maximum, "The largest element along `axis`, and not below `initial`."
)
min = _extreme(
    "min", torch.amin, torch.minimum, "The smallest element along `axis`, and not above `initial`."
)


@recorded
def amax(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The same as `max`."""
    return max(x, axis, keepdims)


@recorded
def amin(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The same as `min`."""
    return min(x, axis, keepdims)


@recorded
def ptp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element along `axis` minus the smallest."""
    return max(x, axis, keepdims) - min(x, axis, keepdims)


@recorded
def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """True where every element along `axis` is true."""
    x = as_tensor(x).bool()
    axes = all_axes(x, axis)
    return torch.all(x, axes, keepdims) if axes else x


@recorded
def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """True where an element along `axis` is true."""
    x = as_tensor(x).bool()
    axes = all_axes(x, axis)
    return torch.any(x, axes, keepdims) if axes else x


@recorded
def allclose(
    x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Whether all elements are close, as one boolean tensor. See `isclose`."""
    return isclose(x1, x2, rtol, atol, equal_nan).all()


@recorded
def count_nonzero(x: Any, axis: Axis = None) -> Tensor:
    """How many elements along `axis` are not zero."""
    x = as_tensor(x)
    axes = all_axes(x, axis)
    return torch.count_nonzero(x, axes).to(torch.int32) if axes else (x != 0).to(torch.int32)


def _place(fn: Callable[..., Tensor], x: Tensor, axis: int | None, keepdims: bool) -> Tensor:
    x = x.to(torch.uint8) if x.dtype is torch.bool else x
    return fn(x, axis, keepdims).to(torch.int32)


@recorded
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The index of the largest element along `axis`; in the flattened tensor when None."""
    return _place(torch.argmax, as_tensor(x), axis, keepdims)


@recorded
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The index of the smallest element along `axis`; in the flattened tensor when None."""
    return _place(torch.argmin, as_tensor(x), axis, keepdims)


@recorded
def average(x: Any, axis: Axis = None, weights: Any = None) -> Tensor:
    """The mean over `axis`, with a weight for each element.

    Args:
        x: any numbers.
        axis: averaged over; all when None.
        weights: of the shape of x, or one for each place on the one axis.
    """
    if weights is None:
        return mean(x, axis)
    x, weights = tensors(x, weights)
    x, weights = floats(x), floats(weights)
    axes = all_axes(x, axis)
    if weights.ndim == 1 and len(axes) == 1:
        weights = weights.reshape([-1 if each == axes[0] else 1 for each in range(x.ndim)])
    return sum(x * weights, axes) / sum(weights.expand_as(x), axes)


@recorded
def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) over `axis` without overflow."""
    x = floats(x)
    return torch.logsumexp(x, all_axes(x, axis), keepdims)


@recorded
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sum of the diagonal of axis1 and axis2."""
    x = as_tensor(x)
    return torch.sum(torch.diagonal(x, offset, axis1, axis2), -1, dtype=_total_type(x))
