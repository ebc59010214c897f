"""Writing elements to places, always into a copy, and collecting rows by segment."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from nnkit.errors import ShapeError
from nnkit.ops.recording import as_tensor, out_of, recorded, tensors

__all__ = [
    "scatter", "scatter_update", "segment_max", "segment_min", "segment_prod", "segment_sum",
    "slice_update",
]  # fmt: skip


@recorded
def scatter(indices: Any, values: Any, shape: Any) -> Tensor:
    """Zeros of this shape with values added at these places.

    Args:
        indices: (..., n): places, given by their index along the first n axes of the result.
        values: an element, or slice over the other axes, for each place.
        shape: of the result. Values for the same place add up.
    """
    indices, values = tensors(indices, values)
    depth = indices.shape[-1]
    places = indices.reshape(-1, depth).long().unbind(-1)
    rows = values.reshape(-1, *tuple(shape)[depth:])
    return values.new_zeros(tuple(shape)).index_put(places, rows, accumulate=True)


_REDUCTIONS = {"max": "amax", "min": "amin", "mul": "prod"}


@recorded
def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Tensor:
    """A copy of `inputs` with updates written at these places.

    Args:
        inputs: any tensor.
        indices: (places, n): each place by its index along the first n axes.
        updates: an element, or slice over the other axes, for each place.
        reduction: None to replace, or "add", "max", "min" or "mul" to combine with what is there.
    """
    inputs, indices, updates = tensors(inputs, indices, updates)
    indices, updates = indices.long(), updates.to(inputs.dtype)
    if reduction in (None, "add"):
        places = indices.unbind(-1)
        return inputs.index_put(places, updates, accumulate=reduction == "add")
    if reduction not in _REDUCTIONS:
        raise out_of("scatter_update", "reduction", reduction, (None, "add", *_REDUCTIONS))
    depth = indices.shape[-1]
    front = inputs.shape[:depth]
    rows = inputs.reshape(math.prod(front), -1)
    row = sum(each * math.prod(front[i + 1 :]) for i, each in enumerate(indices.unbind(-1)))
    place = as_tensor(row).unsqueeze(-1).expand(-1, rows.shape[1])
    filled = updates.reshape(place.shape)
    return rows.scatter_reduce(0, place, filled, _REDUCTIONS[reduction]).reshape(inputs.shape)


@recorded
def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Tensor:
    """A copy of `inputs` with the block that starts at these indices replaced."""
    inputs, updates = tensors(inputs, updates)
    rank = inputs.ndim
    block = []
    for axis, (start, length) in enumerate(zip(start_indices, updates.shape, strict=True)):
        # An index may be a tensor, whose value is then not read by the host.
        index = torch.arange(length, device=inputs.device) + start
        block.append(index.reshape([-1 if each == axis else 1 for each in range(rank)]))
    return inputs.index_put(tuple(block), updates.to(inputs.dtype))


def _segments(reduce: str, start: float, data: Any, segment_ids: Any, number: Any) -> Tensor:
    data, ids = tensors(data, segment_ids)
    if ids.ndim != 1 or ids.shape[0] != data.shape[0]:
        raise ShapeError(
            f"segment_ids must be a vector with one number for each of the {data.shape[0]} rows, "
            f"got {tuple(ids.shape)}."
        )
    total = int(ids.max()) + 1 if number is None else number
    # Rows of no segment go to one more, which is cut off.
    place = torch.where((ids >= 0) & (ids < total), ids.long(), total)
    place = place.reshape(-1, *[1] * (data.ndim - 1)).expand_as(data)
    if data.dtype is torch.bool:
        start = start > 0
    elif abs(start) == torch.inf and not data.is_floating_point():
        limits = torch.iinfo(data.dtype)
        start = limits.min if start < 0 else limits.max
    empty = data.new_full((total + 1, *data.shape[1:]), start)
    return empty.scatter_reduce(0, place, data, reduce)[:-1]


@recorded
def segment_sum(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Tensor:
    """The sum of the rows of each segment.

    Args:
        data: rows.
        segment_ids: the segment of each row; rows of a negative one are left out.
        num_segments: how many; the highest number and one when None, which reads the data.
        sorted: kept for Keras; makes no difference here.
    """
    return _segments("sum", 0, data, segment_ids, num_segments)


@recorded
def segment_prod(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Tensor:
    """The product of the rows of each segment; arguments as for `segment_sum`."""
    return _segments("prod", 1, data, segment_ids, num_segments)


@recorded
def segment_max(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Tensor:
    """The largest of the rows of each segment, -inf for none; arguments as for `segment_sum`."""
    return _segments("amax", -torch.inf, data, segment_ids, num_segments)


@recorded
def segment_min(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Tensor:
    """The smallest of the rows of each segment, inf for none; arguments as for `segment_sum`."""
    return _segments("amin", torch.inf, data, segment_ids, num_segments)
