"""Linear algebra on the last two axes; the axes before are batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from nnkit.ops.recording import described, floats, out_of, recorded, tensors

__all__ = [
    "cholesky", "cholesky_inverse", "det", "eig", "eigh", "inv", "jvp", "logdet", "lstsq",
    "lu_factor", "matrix_rank", "norm", "pinv", "qr", "slogdet", "solve", "solve_triangular",
    "svd",
]  # fmt: skip


def _of_matrix(name: str, fn: Callable[..., Any], doc: str) -> Callable[[Any], Any]:
    def call(x: Any) -> Any:
        return fn(floats(x))

    return described(name, __name__, doc, call)


det = _of_matrix("det", torch.linalg.det, "The determinant.")
logdet = _of_matrix("logdet", torch.logdet, "The logarithm of the determinant.")
inv = _of_matrix("inv", torch.linalg.inv, "The inverse matrix.")
eig = _of_matrix("eig", torch.linalg.eig, "Eigenvalues and eigenvectors, complex.")
eigh = _of_matrix("eigh", torch.linalg.eigh, "Those of a symmetric matrix, rising and real.")
slogdet = _of_matrix(
    "slogdet", torch.linalg.slogdet, "The sign of the determinant and the logarithm of its size."
)


@recorded
def cholesky(x: Any, upper: bool = False) -> Tensor:
    """The triangular factor L with L @ L.T = x, of a positive definite matrix."""
    return torch.linalg.cholesky(floats(x), upper=upper)


@recorded
def cholesky_inverse(x: Any, upper: bool = False) -> Tensor:
    """The inverse of a positive definite matrix, from its Cholesky factor."""
    return torch.cholesky_inverse(floats(x), upper=upper)


@recorded
def lu_factor(x: Any) -> tuple[Tensor, Tensor]:
    """The factors L and U in one matrix, and the row each row was exchanged with, from 0."""
    factors, pivots = torch.linalg.lu_factor(floats(x))
    return factors, pivots - 1


@recorded
def qr(x: Any, mode: str = "reduced") -> Any:
    """The orthogonal and the triangular factor; "reduced" or "complete"."""
    if mode not in ("reduced", "complete"):
        raise out_of("qr", "mode", mode, ("reduced", "complete"))
    return torch.linalg.qr(floats(x), mode)


@recorded
def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """The singular values, between the two orthogonal factors unless compute_uv is False."""
    if not compute_uv:
        return torch.linalg.svdvals(floats(x))
    return torch.linalg.svd(floats(x), full_matrices)


@recorded
def solve(a: Any, b: Any) -> Tensor:
    """The x with a @ x = b."""
    a, b = (floats(each) for each in tensors(a, b))
    return torch.linalg.solve(a, b)


@recorded
def solve_triangular(a: Any, b: Any, lower: bool = False) -> Tensor:
    """The x with a @ x = b for an upper (or lower) triangular a; b is a matrix or a vector."""
    a, b = (floats(each) for each in tensors(a, b))
    if b.ndim == a.ndim - 1:
        return torch.linalg.solve_triangular(a, b.unsqueeze(-1), upper=not lower).squeeze(-1)
    return torch.linalg.solve_triangular(a, b, upper=not lower)


@recorded
def lstsq(a: Any, b: Any, rcond: float | None = None) -> Tensor:
    """The x with the least squared distance of a @ x from b.

    Args:
        a: a matrix.
        b: a vector or a matrix.
        rcond: singular values below this fraction of the largest count as zero.
    """
    a, b = (floats(each) for each in tensors(a, b))
    columns = b.unsqueeze(-1) if b.ndim == a.ndim - 1 else b
    # Unlike lstsq, the pseudo-inverse takes low ranks on every device, and compiles.
    if rcond is not None or a.device.type != "cpu" or torch.compiler.is_compiling():
        found = torch.linalg.pinv(a, rtol=rcond) @ columns
    else:
        found = torch.linalg.lstsq(a, columns).solution
    return found.squeeze(-1) if columns is not b else found


@recorded
def matrix_rank(x: Any, tol: float | None = None) -> Tensor:
    """The number of singular values above `tol`."""
    return torch.linalg.matrix_rank(floats(x), atol=tol).to(torch.int32)


@recorded
def pinv(x: Any, rcond: float | None = None) -> Tensor:
    """The pseudo-inverse; singular values below `rcond` times the largest count as zero."""
    return torch.linalg.pinv(floats(x), rtol=rcond)


@recorded
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The length of vectors, or the size of matrices.

    Args:
        x: any numbers.
        ord: which norm: a number, inf, "fro" or "nuc"; the root of the squared sum when None.
        axis: one axis for vectors, two for matrices; all elements when None.
        keepdims: whether the axes stay, with size 1.
    """
    axis = tuple(axis) if isinstance(axis, list) else axis
    return torch.linalg.norm(floats(x), ord, axis, keepdims)


def jvp(fun: Any, primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> Any:
    """The value of a function and its derivative in one direction.

    Args:
        fun: a function of tensors.
        primals: where, one tensor for each argument.
        tangents: the direction, of the same shapes.
        has_aux: whether `fun` gives something else beside its value.

    Returns: value and derivative, and the something else.
    """
    return torch.func.jvp(fun, tuple(primals), tuple(tangents), has_aux=has_aux)
