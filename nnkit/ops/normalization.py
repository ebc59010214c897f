"""Normalization, and classes as vectors."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nnkit import config
from nnkit.dtypes import given_dtype
from nnkit.errors import ArgumentError
from nnkit.ops.recording import all_axes, as_tensor, floats, recorded, tensors

__all__ = [
    "batch_normalization",
    "layer_normalization",
    "moments",
    "multi_hot",
    "normalize",
    "one_hot",
    "rms_normalization",
]  # fmt: skipp


@recorded
def moments(
    x: Any, axes: Any, keepdims: bool = False, synchronized: bool = False
) -> tuple[Tensor, Tensor]:
    """The mean and the variance over `axes`. `synchronized` must be False."""
    if synchronized:
        raise ArgumentError("moments does not reach other processes: leave out synchronized=True.")
    x = floats(x)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    spread, middle = torch.var_mean(wide, all_axes(x, axes), correction=0, keepdim=keepdims)
    if x.dtype is torch.float16:
        limit = torch.finfo(x.dtype).max
        spread, middle = spread.clamp(max=limit), middle.clamp(-limit, limit)
    return middle.to(x.dtype), spread.to(x.dtype)


@recorded
def normalize(x: Any, axis: Any = -1, order: int = 2, epsilon: float | None = None) -> Tensor:
    """x divided by its length along `axis`.

    Args:
        x: any numbers.
        axis: an axis or several.
        order: of the norm, 1 or more.
        epsilon: the least length; the global one when None.
    """
    if not isinstance(order, int) or order < 1:
        raise ArgumentError(f"normalize: order must be a whole number from 1 on, got {order!r}.")
    x = floats(x)
    x = x.reshape(1) if x.ndim == 0 else x
    least = config.epsilon() if epsilon is None else epsilon
    length = torch.linalg.vector_norm(x, order, all_axes(x, axis), keepdim=True)
    return x / length.clamp(min=least)


@recorded
def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    axis: int,
    offset: Any = None,
    scale: Any = None,
    epsilon: float = 1e-3,
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * scale + offset, each a vector along `axis`."""
    x, mean, variance = (floats(each) for each in tensors(x, mean, variance))
    shape = [-1 if each == axis % x.ndim else 1 for each in range(x.ndim)]
    factor = torch.rsqrt(variance + epsilon)
    if scale is not None:
        factor = factor * tensors(x, scale)[1]
    y = (x - mean.reshape(shape)) * factor.reshape(shape)
    return y if offset is None else y + tensors(x, offset)[1].reshape(shape)


def _over(x: Tensor, weight: Any, axes: tuple[int, ...]) -> Tensor | None:
    """A weight with the sizes of some axes of x, so that it broadcasts with x."""
    if weight is None:
        return None
    weight = tensors(x, weight)[1].to(x.dtype)
    return weight.reshape([x.shape[i] if i in axes else 1 for i in range(x.ndim)])


@recorded
def layer_normalization(
    x: Any, gamma: Any = None, beta: Any = None, axis: Any = -1, epsilon: float | None = None
) -> Tensor:
    """x with mean 0 and variance 1 over `axis`, times gamma, plus beta.

    Args:
        x: any numbers.
        gamma, beta: of the sizes of these axes; 1 and 0 when None.
        axis: an axis or several.
        epsilon: added to the variance; the global one when None.
    """
    x = floats(x)
    axes = tuple(sorted(all_axes(x, axis)))
    least = config.epsilon() if epsilon is None else epsilon
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    gamma, beta = _over(wide, gamma, axes), _over(wide, beta, axes)
    if axes == tuple(range(x.ndim - len(axes), x.ndim)):
        last = x.shape[axes[0] :]
        weights = [None if each is None else each.reshape(last) for each in (gamma, beta)]
        return F.layer_norm(wide, last, weights[0], weights[1], least).to(x.dtype)
    variance, mean = torch.var_mean(wide, axes, correction=0, keepdim=True)
    y = (wide - mean) * torch.rsqrt(variance + least)
    y = y if gamma is None else y * gamma
    return (y if beta is None else y + beta).to(x.dtype)


@recorded
def rms_normalization(
    x: Any, scale: Any = None, axis: Any = -1, epsilon: float | None = None
) -> Tensor:
    """x divided by the root of its mean square over `axis`, times scale."""
    x = floats(x)
    axes = tuple(sorted(all_axes(x, axis)))
    least = config.epsilon() if epsilon is None else epsilon
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    y = wide * torch.rsqrt(wide.square().mean(axes, keepdim=True) + least)
    scale = _over(wide, scale, axes)
    return (y if scale is None else y * scale).to(x.dtype)


@recorded
def one_hot(
    x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Tensor:
    """Whole numbers as vectors with a single one; all zeros for numbers that are no class.

    Args:
        x: class numbers from 0 on.
        num_classes: how many there are.
        axis: where the new axis goes.
        dtype: the default float when None.
        sparse: must be False.
    """
    if sparse:
        raise ArgumentError("one_hot gives a dense tensor: leave out sparse=True.")
    x = as_tensor(x)
    classes = torch.arange(num_classes, device=x.device)
    hot = (x.long().unsqueeze(-1) == classes).to(given_dtype(dtype) or torch.get_default_dtype())
    return hot.movedim(-1, axis)


@recorded
def multi_hot(
    inputs: Any,
    num_classes: int | None = None,
    axis: int = -1,
    dtype: Any = None,
    sparse: bool = False,
    **kwargs: Any,
) -> Tensor:
    """A row of class numbers as one vector with a one for each; arguments as for `one_hot`."""
    number = kwargs.pop("num_tokens", None) if num_classes is None else num_classes
    if number is None or kwargs:
        raise ArgumentError("multi_hot takes num_classes, the number of classes there are.")
    hot = one_hot(inputs, number, axis, dtype, sparse)
    return hot.amax(1 if as_tensor(inputs).ndim > 1 else 0)
