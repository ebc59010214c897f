"""Finding elements: take, where, sort, count."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnkit.errors import ArgumentError, ShapeError
from nnkit.ops.recording import as_tensor, out_of, recorded, tensors

__all__ = [
    "argpartition", "argsort", "bincount", "diagonal", "digitize", "get_item", "histogram",
    "in_top_k", "isin", "nonzero", "searchsorted", "select", "slice", "sort", "take",
    "take_along_axis", "top_k", "unique", "unravel_index", "where",
]  # fmt: skip


def _orderable(x: Any) -> Tensor:
    x = as_tensor(x)
    return x.to(torch.uint8) if x.dtype is torch.bool else x


@recorded
def get_item(x: Any, key: Any) -> Any:
    """x[key]."""
    return as_tensor(x)[key]


def _from_front(indices: Any, x: Tensor, size: int) -> Tensor:
    indices = as_tensor(indices, torch.int64, x.device)
    indices = indices.to(x.device)
    return torch.where(indices < 0, indices + size, indices)


@recorded
def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """The slices of x at these places along `axis`; elements of the flattened x when None.

    Negative indices count from the end. The result has the axes of `indices` in place of `axis`.
    """
    x = as_tensor(x)
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis % x.ndim)
    places = _from_front(indices, x, x.shape[axis])
    taken = x.index_select(axis, places.reshape(-1))
    return taken.reshape((*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]))


@recorded
def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """For each row along `axis` the elements at its own indices, such as those of `argsort`."""
    x = as_tensor(x)
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis)
    places = _from_front(indices, x, x.shape[axis])
    return torch.take_along_dim(x, places if places.ndim == x.ndim else places.reshape(-1), axis)


@recorded
def where(condition: Any, x1: Any = None, x2: Any = None) -> Tensor:
    """x1 where the condition is true, x2 elsewhere; the indices of true elements without them.

    Gradients of the branch not taken are multiplied by zero, so it must be finite.
    """
    if (x1 is None) != (x2 is None):
        raise ArgumentError("where takes both x1 and x2, or neither. Give a value for each case.")
    if x1 is None:
        return torch.stack(torch.where(as_tensor(condition, torch.bool)))
    condition, x1, x2 = tensors(condition, x1, x2)
    return torch.where(condition.bool(), x1, x2)


@recorded
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Tensor:
    """For each element the choice of the first condition that is true there."""
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ArgumentError(
            f"select takes one choice for each condition, got {len(condlist)} conditions and "
            f"{len(choicelist)} choices."
        )
    *choices, result = tensors(*choicelist, default)
    for condition, choice in zip(reversed(condlist), reversed(choices), strict=True):
        result = torch.where(as_tensor(condition).bool(), choice, result)
    return result


@recorded
def nonzero(x: Any) -> Tensor:
    """The indices of the elements that are not zero: one row for each axis of x."""
    return torch.nonzero(as_tensor(x)).T.to(torch.int32)


@recorded
def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """True where an element of x1 is among those of x2 (or is not, with `invert`)."""
    x1, x2 = (_orderable(each) for each in tensors(x1, x2))
    return torch.isin(x1, x2.to(x1.device), assume_unique=assume_unique, invert=invert)


@recorded
def sort(x: Any, axis: int | None = -1) -> Tensor:
    """The elements along `axis` from small to large; flattened when None."""
    x = as_tensor(x)
    return torch.sort(x.reshape(-1) if axis is None else x, -1 if axis is None else axis).values


@recorded
def argsort(x: Any, axis: int | None = -1) -> Tensor:
    """The indices that sort x along `axis`; equal elements keep their order."""
    x = _orderable(x)
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis)
    return torch.argsort(x, dim=axis, stable=True).to(torch.int32)


@recorded
def argpartition(x: Any, kth: int, axis: int | None = -1) -> Tensor:
    """Indices that put the element of rank `kth` in its place and smaller ones before it."""
    return argsort(x, axis)


@recorded
def top_k(x: Any, k: int, sorted: bool = True) -> Any:
    """The k largest elements along the last axis: their `values` and their `indices`."""
    return torch.topk(as_tensor(x), k, sorted=sorted)


@recorded
def in_top_k(targets: Any, predictions: Any, k: int) -> Tensor:
    """Whether the prediction of each target class is among the k largest of its row."""
    targets, predictions = tensors(targets, predictions)
    own = predictions.gather(-1, targets.long().unsqueeze(-1))
    return (own >= torch.topk(predictions, k).values).any(-1)


@recorded
def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Tensor:
    """Where to insert each value into a sorted vector; before equal ones, or after ("right")."""
    if side not in ("left", "right"):
        raise out_of("searchsorted", "side", side, ("left", "right"))
    known, values = tensors(sorted_sequence, values)
    if known.ndim != 1:
        raise ShapeError(
            f"searchsorted looks in a vector, got {tuple(known.shape)}. "
            f"Use vectorized_map for several."
        )
    return torch.searchsorted(known, values.to(known.device), side=side, out_int32=True)


@recorded
def digitize(x: Any, bins: Any) -> Tensor:
    """The number of the bin each element falls into; `bins` are the rising limits."""
    x, bins = tensors(_orderable(x), bins)
    return torch.bucketize(x, bins, right=True).to(torch.int32)


@recorded
def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Tensor:
    """How often each whole number from 0 on is in x, or the sum of its weights.

    Args:
        x: whole numbers; of two axes, each row is counted on its own.
        weights: of the shape of x.
        minlength: the least length of the result.
        sparse: must be False; torch has no sparse counts.
    """
    if sparse:
        raise ArgumentError("bincount gives a dense tensor: leave out sparse=True.")
    x = as_tensor(x)
    kind = torch.int32
    if weights is not None:
        weights = as_tensor(weights, device=x.device)
        kind = torch.promote_types(x.dtype, weights.dtype)
    if x.ndim == 1:
        return torch.bincount(x, weights, minlength).to(kind)
    length = max(minlength, int(x.max()) + 1)
    rows = weights if weights is not None else [None] * len(x)
    counts = [torch.bincount(a, b, length) for a, b in zip(x, rows, strict=True)]
    return torch.stack(counts).to(kind)


@recorded
def histogram(x: Any, bins: int = 10, range: Any = None) -> tuple[Tensor, Tensor]:
    """How many elements of a vector lie in each of equal bins, and the limits of the bins.

    Args:
        x: a vector.
        bins: how many.
        range: (lowest, highest); those of x when None.
    """
    x = as_tensor(x)
    if not isinstance(bins, int) or bins < 1 or x.ndim != 1:
        raise ArgumentError(
            f"histogram takes a vector and a positive number of bins, got "
            f"{tuple(x.shape)} and {bins!r}."
        )
    if range is not None and (len(range) != 2 or range[1] < range[0]):
        raise ArgumentError(f"histogram: range must be (lowest, highest), got {range!r}.")
    # Torch has it on the CPU only.
    values = x.cpu() if x.is_floating_point() else x.cpu().to(torch.get_default_dtype())
    counts, limits = torch.histogram(values, bins, range=range)
    return counts.to(x.device), limits.to(x.device)


@recorded
def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The different elements (slices along `axis`) of x.

    Args:
        x: any tensor.
        sorted: kept for Keras; torch sorts anyway.
        return_index: also give where each is first.
        return_inverse: also give which of them each element is.
        return_counts: also give how often each occurs.
        axis: compared along; elements of the flattened x when None.
        size: cut or fill the result to this many.
        fill_value: what to fill with; 0 when None.

    Returns: the elements, or a tuple with what else was asked for, in the order above.
    """
    x = as_tensor(x)
    flat = x.reshape(-1) if axis is None else x
    dim = 0 if axis is None else axis
    values, inverse, counts = torch.unique(flat, return_inverse=True, return_counts=True, dim=dim)
    order = torch.arange(inverse.numel(), device=x.device)
    first = order.new_zeros(values.shape[dim]).scatter_reduce(
        0, inverse, order, "amin", include_self=False
    )
    inverse = inverse.reshape(x.shape) if axis is None else inverse
    if size is not None:
        values = _sized(values, size, dim, fill_value or 0)
        first, counts = _sized(first, size, 0, 1), _sized(counts, size, 0, 0)
    asked = ((return_index, first), (return_inverse, inverse), (return_counts, counts))
    extra = [each for wanted, each in asked if wanted]
    return (values, *extra) if extra else values


def _sized(x: Tensor, size: int, dim: int, value: Any) -> Tensor:
    missing = [*x.shape]
    missing[dim] = max(size - x.shape[dim], 0)
    return torch.cat([x.narrow(dim, 0, min(size, x.shape[dim])), x.new_full(missing, value)], dim)


@recorded
def unravel_index(indices: Any, shape: Any) -> tuple[Tensor, ...]:
    """Indices into the flattened tensor as one index for each axis of this shape, in int32."""
    return tuple(each.int() for each in torch.unravel_index(as_tensor(indices), tuple(shape)))


@recorded
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The diagonal of two axes, which becomes the last axis."""
    return torch.diagonal(as_tensor(x), offset, axis1, axis2)


@recorded
def slice(inputs: Any, start_indices: Any, shape: Any) -> Tensor:
    """The block of this shape that starts at these indices, one for each axis."""
    x = as_tensor(inputs)
    for axis, (start, length) in enumerate(zip(start_indices, shape, strict=True)):
        x = x.narrow(axis, start, int(length))
    return x
