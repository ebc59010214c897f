"""Quantiles, running totals, and reductions that leave out NaN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nnkit.dtypes import given_dtype
from nnkit.ops.recording import all_axes, as_tensor, floats, is_number, recorded
from nnkit.ops.reduction import Axis, all, argmax, argmin, at_least_single, max, min, prod, sum

__all__ = [
    "cumprod", "cumsum", "median", "nanargmax", "nanargmin", "nancumprod", "nancumsum", "nanmax",
    "nanmean", "nanmedian", "nanmin", "nanpercentile", "nanprod", "nanquantile", "nanstd",
    "nansum", "nanvar", "percentile", "quantile",
]  # fmt: skip


def _quantile(
    fn: Callable[..., Tensor], x: Any, q: Any, axis: Axis, method: str, keepdims: bool
) -> Tensor:
    x = floats(x)
    wide = at_least_single(x)
    axes = all_axes(x, axis)
    rest = [each for each in range(x.ndim) if each not in axes]
    flat = wide.permute(*rest, *axes).reshape(*[x.shape[each] for each in rest], -1)
    q = float(q) if is_number(q) else as_tensor(q, wide.dtype, x.device)
    result = fn(flat, q, dim=-1, interpolation=method)
    if keepdims:
        for each in sorted(axes):
            result = result.unsqueeze(each + (q.ndim if isinstance(q, Tensor) else 0))
    return result.to(x.dtype)


def _hundredths(q: Any) -> Any:
    return q / 100 if is_number(q) else floats(q) / 100


@recorded
def quantile(
    x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """The value below which a fraction `q` of the elements lies.

    Args:
        x: any numbers.
        q: a fraction, 0 to 1, or several, which make the first axis of the result.
        axis: taken over; all when None.
        method: between two elements: "linear", "lower", "higher", "midpoint" or "nearest".
        keepdims: whether the axes stay, with size 1.
    """
    return _quantile(torch.quantile, x, q, axis, method, keepdims)


@recorded
def percentile(
    x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """`quantile` with q from 0 to 100."""
    return _quantile(torch.quantile, x, _hundredths(q), axis, method, keepdims)


@recorded
def median(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The middle element along `axis`; of an even number the mean of the two in the middle."""
    return _quantile(torch.quantile, x, 0.5, axis, "linear", keepdims)


def _without(x: Any, value: float) -> Tensor:
    x = as_tensor(x)
    return torch.where(torch.isnan(x), value, x) if x.is_floating_point() else x


def _empty(x: Any, axis: Axis, keepdims: bool) -> Tensor:
    return all(torch.isnan(as_tensor(x)), axis, keepdims)


@recorded
def nansum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`sum` with NaN as 0."""
    return sum(_without(x, 0), axis, keepdims)


@recorded
def nanprod(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`prod` with NaN as 1."""
    return prod(_without(x, 1), axis, keepdims)


@recorded
def nanmean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`mean` of the elements that are not NaN."""
    x = floats(x)
    return torch.nanmean(x, all_axes(x, axis), keepdims)


@recorded
def nanvar(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`var` of the elements that are not NaN."""
    x = floats(x)
    axes = all_axes(x, axis)
    spread = torch.where(torch.isnan(x), 0, x - torch.nanmean(x, axes, True)).square()
    return spread.sum(axes, keepdims) / (~torch.isnan(x)).sum(axes, keepdims)


@recorded
def nanstd(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`std` of the elements that are not NaN."""
    return nanvar(x, axis, keepdims).sqrt()


@recorded
def nanmax(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`max` of the elements that are not NaN; NaN when there is none."""
    best = max(_without(x, -torch.inf), axis, keepdims)
    return (
        torch.where(_empty(x, axis, keepdims), torch.nan, best)
        if best.is_floating_point()
        else best
    )


@recorded
def nanmin(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`min` of the elements that are not NaN; NaN when there is none."""
    best = min(_without(x, torch.inf), axis, keepdims)
    return (
        torch.where(_empty(x, axis, keepdims), torch.nan, best)
        if best.is_floating_point()
        else best
    )


@recorded
def nanargmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """`argmax` of the elements that are not NaN; -1 when there is none."""
    place = argmax(_without(x, -torch.inf), axis, keepdims)
    return torch.where(_empty(x, axis, keepdims), -1, place)


@recorded
def nanargmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """`argmin` of the elements that are not NaN; -1 when there is none."""
    place = argmin(_without(x, torch.inf), axis, keepdims)
    return torch.where(_empty(x, axis, keepdims), -1, place)


@recorded
def nanquantile(
    x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """`quantile` of the elements that are not NaN."""
    return _quantile(torch.nanquantile, x, q, axis, method, keepdims)


@recorded
def nanpercentile(
    x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """`percentile` of the elements that are not NaN."""
    return _quantile(torch.nanquantile, x, _hundredths(q), axis, method, keepdims)


@recorded
def nanmedian(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`median` of the elements that are not NaN."""
    return _quantile(torch.nanquantile, x, 0.5, axis, "linear", keepdims)


@recorded
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """The sum of each element along `axis` and those before it; flattened when None."""
    return _running(torch.cumsum, as_tensor(x), axis, dtype)


@recorded
def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """The product of each element along `axis` and those before it; flattened when None."""
    return _running(torch.cumprod, as_tensor(x), axis, dtype)


@recorded
def nancumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """`cumsum` with NaN as 0."""
    return _running(torch.cumsum, _without(x, 0), axis, dtype)


@recorded
def nancumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """`cumprod` with NaN as 1."""
    return _running(torch.cumprod, _without(x, 1), axis, dtype)


def _running(fn: Callable[..., Tensor], x: Tensor, axis: int | None, dtype: Any) -> Tensor:
    kind = given_dtype(dtype) or (torch.int32 if x.dtype is torch.bool else x.dtype)
    return fn(x.reshape(-1) if axis is None else x, 0 if axis is None else axis, dtype=kind)
