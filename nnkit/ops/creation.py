"""New tensors: filled, counted, spaced, diagonal, and windows of signals.

They are made on torch's default device; those `_like` another are made where it is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nnkit.creation import creation_device
from nnkit.dtypes import given_dtype
from nnkit.ops.recording import as_tensor, described, floats, is_number, recorded, tensors

__all__ = [
    "arange", "array", "bartlett", "blackman", "copy", "diag", "diagflat", "empty", "empty_like",
    "eye", "full", "full_like", "geomspace", "hamming", "hanning", "identity", "kaiser",
    "linspace", "logspace", "meshgrid", "ones", "ones_like", "tri", "tril", "triu", "vander",
    "zeros", "zeros_like",
]  # fmt: skip


def _sizes(shape: Any) -> Any:
    return (shape,) if is_number(shape) else tuple(shape)


def _float_type(dtype: Any) -> torch.dtype:
    return given_dtype(dtype) or torch.get_default_dtype()


@recorded
def array(x: Any, dtype: Any = None) -> Tensor:
    """A tensor from a list, array, number or tensor."""
    return as_tensor(x, dtype)


@recorded
def copy(x: Any) -> Tensor:
    """A tensor with the same values in its own memory."""
    return as_tensor(x).clone()


@recorded
def zeros(shape: Any, dtype: Any = None) -> Tensor:
    """A tensor of zeros; of the default float when dtype is None."""
    return torch.zeros(_sizes(shape), dtype=_float_type(dtype), device=creation_device())


@recorded
def ones(shape: Any, dtype: Any = None) -> Tensor:
    """A tensor of ones; of the default float when dtype is None."""
    return torch.ones(_sizes(shape), dtype=_float_type(dtype), device=creation_device())


@recorded
def empty(shape: Any, dtype: Any = None) -> Tensor:
    """A tensor whose values are whatever was in memory."""
    return torch.empty(_sizes(shape), dtype=_float_type(dtype), device=creation_device())


@recorded
def full(shape: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """A tensor filled with a value, or with a tensor that broadcasts to the shape."""
    value = as_tensor(fill_value, _float_type(dtype))
    return value.expand(_sizes(shape)).clone()


@recorded
def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """Zeros of the shape of x."""
    return torch.zeros_like(as_tensor(x), dtype=given_dtype(dtype))


@recorded
def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """Ones of the shape of x."""
    return torch.ones_like(as_tensor(x), dtype=given_dtype(dtype))


@recorded
def empty_like(x: Any, dtype: Any = None) -> Tensor:
    """A tensor of the shape of x, whose values are whatever was in memory."""
    return torch.empty_like(as_tensor(x), dtype=given_dtype(dtype))


@recorded
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """A tensor of the shape of x filled with a value."""
    x = as_tensor(x)
    return as_tensor(fill_value, dtype or x.dtype, x.device).expand(x.shape).clone().to(x.device)


@recorded
def eye(N: Any, M: Any = None, k: int = 0, dtype: Any = None) -> Tensor:
    """Ones on diagonal `k` of an N x M matrix (N x N when M is None), zeros elsewhere."""
    columns = N if M is None else M
    device = creation_device()
    places = torch.arange(columns, device=device) - torch.arange(N, device=device).unsqueeze(1)
    return (places == (k or 0)).to(_float_type(dtype))


@recorded
def identity(n: Any, dtype: Any = None) -> Tensor:
    """The n x n matrix with ones on its diagonal."""
    return eye(n, dtype=dtype)


@recorded
def tri(N: Any, M: Any = None, k: int = 0, dtype: Any = None) -> Tensor:
    """Ones on and below diagonal `k` of an N x M matrix, zeros above."""
    return torch.tril(ones((N, N if M is None else M), dtype), k)


@recorded
def tril(x: Any, k: int = 0) -> Tensor:
    """x with zeros above diagonal `k` of its last two axes."""
    return torch.tril(as_tensor(x), k)


@recorded
def triu(x: Any, k: int = 0) -> Tensor:
    """x with zeros below diagonal `k` of its last two axes."""
    return torch.triu(as_tensor(x), k)


@recorded
def diag(x: Any, k: int = 0) -> Tensor:
    """The matrix with the vector x on diagonal `k`, or that diagonal of the matrix x."""
    return torch.diag(as_tensor(x), k)


@recorded
def diagflat(x: Any, k: int = 0) -> Tensor:
    """The matrix with all elements of x on diagonal `k`."""
    return torch.diagflat(as_tensor(x), k)


@recorded
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of each element of a vector, N columns with falling (or increasing) powers."""
    x = as_tensor(x)
    return torch.vander(x, N, increasing).to(x.dtype)


@recorded
def meshgrid(*x: Any, indexing: str = "xy") -> tuple[Tensor, ...]:
    """The coordinates of all points of a grid from those along each axis."""
    return tuple(torch.meshgrid(tensors(*x), indexing=indexing))


@recorded
def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Tensor:
    """Numbers from `start` (0 when only one is given) to before `stop`, `step` apart.

    Whole numbers give int32 when dtype is None.
    """
    if dtype is None:
        kinds = [as_tensor(v).dtype for v in (start, stop, step) if v is not None]
        dtype = functools.reduce(torch.promote_types, kinds)
    start, stop = (0, start) if stop is None else (start, stop)
    kind, device = given_dtype(dtype), creation_device()
    return torch.arange(start, stop, 1 if step is None else step, dtype=kind, device=device)


def _between(start: Any, stop: Any, num: int, endpoint: bool, dtype: Any) -> tuple[Tensor, Tensor]:
    """The points from start to stop on a new first axis, and their distance."""
    first, last = tensors(start, stop)
    kind = given_dtype(dtype)
    if kind is None:
        kind = torch.promote_types(first.dtype, last.dtype)
        kind = kind if kind.is_floating_point else torch.get_default_dtype()
    wide = torch.promote_types(kind, torch.float32)
    first, last = first.to(wide), last.to(wide)
    span = last - first
    parts = num - 1 if endpoint else num
    distance = span / parts if parts else torch.full_like(span, torch.nan)
    steps = torch.arange(num, dtype=wide, device=first.device).reshape(-1, *[1] * span.ndim)
    points = first + steps * torch.where(distance.isnan(), 0, distance)
    if endpoint and num > 1:
        # Exactly the end, not what rounding makes of it.
        points = torch.cat([points[:-1], last.expand_as(span).unsqueeze(0)])
    return points.to(kind), distance.to(kind)


@recorded
def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Evenly spaced numbers.

    Args:
        start, stop: the ends, numbers or tensors that broadcast.
        num: how many numbers.
        endpoint: whether the last one is `stop`.
        retstep: True returns their distance too.
        dtype: the default float when None.
        axis: where they go in the result.
    """
    points, distance = _between(start, stop, num, endpoint, dtype)
    points = points.movedim(0, axis)
    return (points, distance) if retstep else points


@recorded
def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10,
    dtype: Any = None,
    axis: int = 0,
) -> Tensor:
    """`base` to the power of evenly spaced numbers from `start` to `stop`."""
    points = _between(start, stop, num, endpoint, dtype)[0]
    return torch.pow(base, points).to(points.dtype).movedim(0, axis)


@recorded
def geomspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    dtype: Any = None,
    axis: int = 0,
) -> Tensor:
    """Numbers from `start` to `stop` with the same ratio from each to the next."""
    first, last = tensors(start, stop)
    first, last = floats(first), floats(last)
    points = _between(first.abs().log10(), last.abs().log10(), num, endpoint, dtype)[0]
    return (torch.pow(10.0, points) * first.sign()).to(points.dtype).movedim(0, axis)


def _window(name: str, fn: Callable[..., Tensor], doc: str) -> Callable[[Any], Tensor]:
    def call(x: Any) -> Tensor:
        return fn(int(x))

    return described(name, __name__, doc, call)


_windows = torch.signal.windows
bartlett = _window("bartlett", _windows.bartlett, "A triangular window of x points.")
blackman = _window("blackman", _windows.blackman, "A Blackman window of x points.")
hamming = _window("hamming", _windows.hamming, "A Hamming window of x points.")
hanning = _window("hanning", _windows.hann, "A Hann window of x points.")


@recorded
def kaiser(x: Any, beta: float) -> Tensor:
    """A Kaiser window of x points; the larger `beta`, the narrower."""
    return _windows.kaiser(int(x), beta=float(beta))
