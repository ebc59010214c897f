"""Products of tensors: matrices, vectors, sums over shared axes, and signals slid over another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nnkit.errors import ShapeError
from nnkit.ops.recording import as_tensor, floats, out_of, recorded, tensors, wide_floats

__all__ = [
    "cdist", "corrcoef", "correlate", "cross", "diff", "dot", "einsum", "inner", "kron", "matmul",
    "outer", "tensordot", "trapezoid", "vdot",
]  # fmt: skip


def _product(fn: Callable[..., Tensor], x1: Any, x2: Any) -> Tensor:
    """Multiply in the common type of both; where torch cannot for whole numbers, in doubles."""
    x1, x2 = tensors(x1, x2)
    kind = torch.promote_types(x1.dtype, x2.dtype)
    whole = not (kind.is_floating_point or kind.is_complex)
    inexact = kind is torch.bool or (whole and x1.device.type != "cpu")
    compute = torch.float64 if inexact else kind
    return fn(x1.to(compute), x2.to(compute)).to(kind)


@recorded
def matmul(x1: Any, x2: Any) -> Tensor:
    """The matrix product of the last two axes; the axes before broadcast. int8 gives int32."""
    x1, x2 = tensors(x1, x2)
    if x1.dtype is torch.int8 and x2.dtype is torch.int8:
        x1, x2 = x1.to(torch.int32), x2.to(torch.int32)
    return torch.matmul(x1, x2) if _plain(x1, x2) else _product(torch.matmul, x1, x2)


def _plain(x1: Tensor, x2: Tensor) -> bool:
    return x1.dtype is x2.dtype and x1.dtype.is_floating_point


@recorded
def dot(x1: Any, x2: Any) -> Tensor:
    """The sum of products over the last axis of x1 and the last but one of x2."""
    x1, x2 = tensors(x1, x2)
    if x1.ndim == 0 or x2.ndim == 0:
        return x1 * x2
    axis = -1 if x2.ndim == 1 else -2
    return _product(lambda a, b: torch.tensordot(a, b, dims=([-1], [axis])), x1, x2)


@recorded
def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Tensor:
    """The sum of products over shared axes.

    Args:
        x1, x2: tensors.
        axes: the number of axes, last of x1 and first of x2; or those of x1 and those of x2.
    """
    if isinstance(axes, (list, tuple)):
        axes = [list(each) if isinstance(each, (list, tuple)) else [each] for each in axes]
    return _product(lambda a, b: torch.tensordot(a, b, dims=axes), x1, x2)


@recorded
def inner(x1: Any, x2: Any) -> Tensor:
    """The sum of products over the last axes."""
    return _product(torch.inner, x1, x2)


@recorded
def vdot(x1: Any, x2: Any) -> Tensor:
    """The sum of products of two vectors, the first one conjugated."""
    return _product(torch.vdot, x1, x2)


@recorded
def outer(x1: Any, x2: Any) -> Tensor:
    """All products of an element of x1 and one of x2, both flattened."""
    x1, x2 = tensors(x1, x2)
    return x1.reshape(-1, 1) * x2.reshape(1, -1)


@recorded
def kron(x1: Any, x2: Any) -> Tensor:
    """The Kronecker product: x2 in the place of each element of x1, times that element."""
    x1, x2 = tensors(x1, x2)
    return torch.kron(x1, x2)


@recorded
def cross(
    x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Tensor:
    """The vector product.

    Args:
        x1, x2: tensors with an axis of size 3.
        axisa, axisb, axisc: where the vectors are in x1, in x2 and in the result.
        axis: all three at once.
    """
    x1, x2 = tensors(x1, x2)
    kind = torch.promote_types(x1.dtype, x2.dtype)
    first, second, third = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    x1, x2 = x1.movedim(first, -1).to(kind), x2.movedim(second, -1).to(kind)
    return torch.linalg.cross(x1, x2).movedim(-1, third)


@recorded
def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Tensor:
    """Sums of products by the names of axes: "bij,bjk->bik" is a batch of matrix products."""
    given = tensors(*operands)
    if all(each.dtype is torch.int8 for each in given):
        given = [each.to(torch.int32) for each in given]
    return torch.einsum(subscripts, *given)


@recorded
def cdist(x: Any, y: Any) -> Tensor:
    """The distance of each row of x from each row of y."""
    x, y = (floats(each) for each in tensors(x, y))
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-1]:
        raise ShapeError(
            f"cdist takes rows of one length, got {tuple(x.shape)} and {tuple(y.shape)}."
        )
    return (x.unsqueeze(-2) - y.unsqueeze(-3)).square().sum(-1).sqrt()


@recorded
def diff(a: Any, n: int = 1, axis: int = -1) -> Tensor:
    """The difference of each element from the one before, `n` times over."""
    return torch.diff(as_tensor(a), n, axis)


@recorded
def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Tensor:
    """The area under the straight lines through the points (x, y), or through y at distance dx."""
    y = floats(y)
    if x is None:
        return torch.trapezoid(y, dx=dx, dim=axis)
    return torch.trapezoid(y, tensors(y, x)[1], dim=axis)


@recorded
def corrcoef(x: Any) -> Tensor:
    """The correlation of each row of x with each other."""
    rows = wide_floats(x)
    rows = rows.unsqueeze(0) if rows.ndim == 1 else rows
    rows = rows - rows.mean(1, keepdim=True)
    shared = rows @ rows.T
    size = shared.diagonal().sqrt()
    return (shared / size / size.unsqueeze(1)).clamp(-1, 1).squeeze()


@recorded
def correlate(x1: Any, x2: Any, mode: str = "valid") -> Tensor:
    """The sum of products of a signal and another that is slid along it.

    Args:
        x1, x2: vectors.
        mode: "valid" where they overlap fully, "same" for the length of x1, "full" for all.
    """
    if mode not in ("valid", "same", "full"):
        raise out_of("correlate", "mode", mode, ("valid", "same", "full"))
    x1, x2 = (wide_floats(each) for each in tensors(x1, x2))
    kind = torch.promote_types(x1.dtype, x2.dtype)
    x1, x2 = x1.to(kind), x2.to(kind)
    size, window = x1.shape[-1], x2.shape[-1]
    slid = F.conv1d(x1.reshape(1, 1, -1), x2.reshape(1, 1, -1), padding=window - 1).reshape(-1)
    if mode == "full":
        return slid
    kept = size if mode == "same" else max(size, window) - min(size, window) + 1
    return slid.narrow(0, (slid.shape[0] - kept) // 2, kept)
