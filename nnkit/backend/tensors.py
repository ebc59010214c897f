"""What old scripts compute with: the functions of `K` that `nnkit.ops` names otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from nnkit import activations, losses, ops, random
from nnkit.errors import ShapeError
from nnkit.ops.recording import as_tensor, recorded

__all__ = [
    "argmax", "argmin", "batch_dot", "batch_flatten", "bias_add", "clip", "concatenate",
    "count_params", "cumprod", "cumsum", "dropout", "expand_dims", "gather", "hard_sigmoid",
    "in_top_k", "int_shape", "l2_normalize", "map_fn", "ndim", "one_hot", "permute_dimensions",
    "relu", "repeat", "repeat_elements", "resize_images", "reverse",
    "sparse_categorical_crossentropy", "spatial_2d_padding", "switch", "temporal_padding",
]  # fmt: skip


def int_shape(x: Any) -> tuple[int | None, ...]:
    """The sizes of x; None where a symbolic tensor has a free one."""
    return tuple(x.shape)


def ndim(x: Any) -> int:
    """The number of axes."""
    return len(int_shape(x))


def count_params(x: Any) -> int:
    """How many numbers x holds."""
    return int(math.prod(x.shape))


def expand_dims(x: Any, axis: int = -1) -> Tensor:
    """x with a new axis of size 1."""
    return ops.expand_dims(x, axis)


@recorded
def batch_flatten(x: Any) -> Tensor:
    """All elements of each sample on one axis."""
    return as_tensor(x).flatten(1)


def permute_dimensions(x: Any, pattern: Sequence[int]) -> Tensor:
    """x with its axes in this order."""
    return ops.transpose(x, tuple(pattern))


def reverse(x: Any, axes: int | Sequence[int]) -> Tensor:
    """x in reverse order along these axes."""
    return ops.flip(x, axes)


def concatenate(tensors: Sequence[Any], axis: int = -1) -> Tensor:
    """Tensors one after the other along an axis, the last one unless given."""
    return ops.concatenate(tensors, axis)


def repeat(x: Any, n: int) -> Tensor:
    """Each sample n times: (batch, features) -> (batch, n, features)."""
    if ndim(x) != 2:
        raise ShapeError(f"K.repeat takes (batch, features), got {int_shape(x)}.")
    return ops.repeat(ops.expand_dims(x, 1), n, 1)


def repeat_elements(x: Any, rep: int, axis: int) -> Tensor:
    """Each element along `axis` this many times in a row."""
    return ops.repeat(x, rep, axis)


def gather(reference: Any, indices: Any) -> Tensor:
    """The rows of x at these indices."""
    return ops.take(reference, indices, 0)


def temporal_padding(x: Any, padding: tuple[int, int] = (1, 1)) -> Tensor:
    """Zeros before and after the time axis: (batch, time, features)."""
    return ops.pad(x, ((0, 0), tuple(padding), (0, 0)))


def spatial_2d_padding(
    x: Any,
    padding: tuple[tuple[int, int], tuple[int, int]] = ((1, 1), (1, 1)),
    data_format: str | None = None,
) -> Tensor:
    """Zeros around images: rows above and below, columns left and right."""
    none = ((0, 0),)
    if data_format == "channels_first":
        return ops.pad(x, (*none, *none, *padding))
    return ops.pad(x, (*none, *padding, *none))


def resize_images(
    x: Any,
    height_factor: int,
    width_factor: int,
    data_format: str | None = "channels_last",
    interpolation: str = "nearest",
) -> Tensor:
    """Images this many times larger."""
    sizes = int_shape(x)
    height, width = sizes[2:] if data_format == "channels_first" else sizes[1:3]
    if height is None or width is None:
        raise ShapeError(
            f"resize_images needs known sizes, got {sizes}. Use layers.UpSampling2D instead."
        )
    size = (height * height_factor, width * width_factor)
    return ops.image.resize(x, size, interpolation, data_format=data_format)


# -- numbers ---------------------------------------------------------------------------------------


def clip(x: Any, min_value: Any, max_value: Any) -> Tensor:
    """x limited to min_value .. max_value; None for no limit."""
    low = -torch.inf if min_value is None else min_value
    return ops.clip(x, low, torch.inf if max_value is None else max_value)


def argmax(x: Any, axis: int = -1) -> Tensor:
    """The index of the largest element along `axis`, int64."""
    return ops.cast(ops.argmax(x, axis), "int64")


def argmin(x: Any, axis: int = -1) -> Tensor:
    """The index of the smallest element along `axis`, int64."""
    return ops.cast(ops.argmin(x, axis), "int64")


def cumsum(x: Any, axis: int = 0) -> Tensor:
    """The sum of each element along `axis` and those before it."""
    return ops.cumsum(x, axis)


def cumprod(x: Any, axis: int = 0) -> Tensor:
    """The product of each element along `axis` and those before it."""
    return ops.cumprod(x, axis)


def l2_normalize(x: Any, axis: Any = None) -> Tensor:
    """x divided by the root of its squared sum along `axis`."""
    total = ops.sum(ops.square(x), axis, keepdims=True)
    return ops.multiply(x, ops.rsqrt(ops.maximum(total, 1e-12)))


@recorded
def batch_dot(x: Any, y: Any, axes: Any = None) -> Tensor:
    """The sum of products over one axis of x and one of y, for each sample.

    Args:
        x, y: tensors with a batch axis.
        axes: the axis of both, or one of each; the last of x and the last but one of y when None.

    Shape: the axes of x but for its own, then those of y but for the batch and its own; at least
        (batch, 1)
    """
    x, y = as_tensor(x), as_tensor(y)
    if x.ndim < 2 or y.ndim < 2 or x.shape[0] != y.shape[0]:
        raise ShapeError(
            f"batch_dot takes two tensors with one batch size and more axes, got "
            f"{tuple(x.shape)} and {tuple(y.shape)}."
        )
    if axes is None:
        axes = (x.ndim - 1, y.ndim - 1 if y.ndim == 2 else y.ndim - 2)
    first, second = (axes, axes) if isinstance(axes, int) else axes
    first, second = first % x.ndim, second % y.ndim
    if not first or not second or x.shape[first] != y.shape[second]:
        raise ShapeError(
            f"batch_dot: axes {axes} of {tuple(x.shape)} and {tuple(y.shape)} must be of one size "
            f"and not the batch. Add a batch axis with K.expand_dims(x, 0) if there is none."
        )
    left = [0, *range(2, x.ndim)]
    left.insert(first, 1)
    right = [0, *range(x.ndim, x.ndim + y.ndim - 2)]
    right.insert(second, 1)
    kept = [each for each in left + right[1:] if each != 1]
    result = torch.einsum(x, left, y, right, kept)
    return result.unsqueeze(-1) if result.ndim == 1 else result


@recorded
def bias_add(x: Any, bias: Any, data_format: str | None = None) -> Tensor:
    """x plus a value for each channel."""
    x, bias = as_tensor(x), as_tensor(bias)
    if data_format == "channels_first" and x.ndim > 2:
        return x + bias.reshape(-1, *[1] * (x.ndim - 2))
    return x + bias


def in_top_k(predictions: Any, targets: Any, k: int) -> Tensor:
    """Whether each target class is among the k largest predictions."""
    return ops.in_top_k(targets, predictions, k)


def one_hot(indices: Any, num_classes: int) -> Tensor:
    """Whole numbers as vectors with a single one, on a new last axis."""
    return ops.one_hot(indices, num_classes)


def map_fn(fn: Callable[[Any], Any], elems: Any, name: Any = None, dtype: Any = None) -> Any:
    """fn of each slice along axis 0, stacked."""
    return ops.map(fn, elems)


# -- activations and losses ------------------------------------------------------------------------


def relu(
    x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Tensor:
    """max(x, 0) with an optional leak, ceiling and threshold."""
    return _relu(x, alpha, max_value, threshold)


@recorded
def _relu(x: Any, *options: Any) -> Tensor:
    return activations.relu(as_tensor(x), *options)


def hard_sigmoid(x: Any) -> Tensor:
    """0.2 x + 0.5 limited to 0 .. 1: steeper than today's `ops.hard_sigmoid`."""
    return ops.clip(ops.add(ops.multiply(x, 0.2), 0.5), 0.0, 1.0)


def dropout(x: Any, level: float, noise_shape: Any = None, seed: Any = None) -> Tensor:
    """x with this fraction of its elements set to zero at random, the others scaled up."""
    return _dropout(x, level, noise_shape, seed)


@recorded
def _dropout(x: Any, *options: Any) -> Tensor:
    return random.dropout(as_tensor(x), *options)


def sparse_categorical_crossentropy(
    target: Any,
    output: Any,
    from_logits: bool = False,
    axis: int = -1,
    ignore_class: int | None = None,
) -> Tensor:
    """The crossentropy of class numbers with probabilities (or logits) along `axis`."""
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(target, output, from_logits, axis)
    return losses.sparse_categorical_crossentropy(target, output, from_logits, ignore_class, axis)


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """One of two tensors (or of the results of two functions), as the condition says.

    A condition with axes picks for each sample, or element.
    """
    branches = [
        branch if callable(branch) and not isinstance(branch, Tensor) else (lambda b=branch: b)
        for branch in (then_expression, else_expression)
    ]
    rank = ndim(condition) if hasattr(condition, "shape") else 0
    if not rank:
        return ops.cond(condition, *branches)
    then, other = (branch() for branch in branches)
    for _ in range(ndim(then) - rank):
        condition = ops.expand_dims(condition, -1)
    return ops.where(condition, then, other)
