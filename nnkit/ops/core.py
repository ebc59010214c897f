"""Types, conversion and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnkit.dtypes import given_dtype
from nnkit.errors import ArgumentError
from nnkit.ops.recording import as_tensor, recorded
from nnkit.symbolic import SymbolicTensor

__all__ = [
    "cast", "convert_to_numpy", "convert_to_tensor", "custom_gradient", "dtype", "is_tensor",
    "saturate_cast", "stop_gradient",
]  # fmt: skip


@recorded
def convert_to_tensor(
    x: Any, dtype: Any = None, sparse: bool | None = None, ragged: bool | None = None
) -> Tensor:
    """A tensor from a tensor, array, number or list.

    Args:
        x: the data. Double arrays become the default float unless `dtype` says otherwise.
        dtype: a name such as "float32", or torch's.
        sparse, ragged: must not be True; there are dense tensors only.
    """
    if sparse or ragged:
        raise ArgumentError("There are dense tensors only: leave out sparse and ragged.")
    return as_tensor(x, dtype)


def convert_to_numpy(x: Any) -> np.ndarray:
    """A NumPy array from a tensor on any device, without its gradient, or from a list."""
    if isinstance(x, SymbolicTensor):
        return x.numpy()  # raises with advice: there are no values yet
    if isinstance(x, (list, tuple)):
        return np.array([convert_to_numpy(each) for each in x])
    if not isinstance(x, Tensor):
        return np.array(x)
    # NumPy has no bfloat16.
    x = x.float() if x.dtype is torch.bfloat16 else x
    return x.numpy(force=True)


@recorded
def cast(x: Any, dtype: Any) -> Tensor:
    """x in another dtype."""
    return as_tensor(x, given_dtype(dtype) or torch.get_default_dtype())


def _limits(dtype: torch.dtype) -> tuple[float, float]:
    if dtype is torch.bool:
        return 0, 1
    info = torch.finfo(dtype) if dtype.is_floating_point else torch.iinfo(dtype)
    return info.min, info.max


@recorded
def saturate_cast(x: Any, dtype: Any) -> Tensor:
    """`cast` where numbers beyond the range of the dtype become the nearest one in it."""
    x, kind = as_tensor(x), given_dtype(dtype) or torch.get_default_dtype()
    (low, high), (least, most) = _limits(x.dtype), _limits(kind)
    low, high = max(low, least), min(high, most)
    if x.is_floating_point() and not kind.is_floating_point:
        # The largest integer may round up in the type of x; the float below it is still inside.
        limit = torch.tensor(high, dtype=x.dtype, device="cpu")
        if float(limit) > high:
            high = float(torch.nextafter(limit, limit.new_zeros(())))
    return torch.clamp(x, low, high).to(kind) if x.dtype is not torch.bool else x.to(kind)


def dtype(x: Any) -> str:
    """The name of the dtype of x, such as "float32"."""
    kind = x.dtype if hasattr(x, "dtype") else as_tensor(x).dtype
    return str(kind).removeprefix("torch.")


def is_tensor(x: Any) -> bool:
    """Whether x is a tensor, symbolic ones included; arrays and lists are not."""
    return isinstance(x, (Tensor, SymbolicTensor))


@recorded
def stop_gradient(variable: Any) -> Tensor:
    """The same values, through which no gradient flows."""
    return as_tensor(variable).detach()


class _Custom(torch.autograd.Function):
    """A call of a function that says itself how gradients flow back."""

    @staticmethod
    def forward(ctx: Any, f: Callable[..., Any], *args: Any) -> Any:
        result, ctx.grad = f(*args)
        ctx.given = len(args)
        return result

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        upstream = grads[0] if len(grads) == 1 else grads
        back = ctx.grad(upstream=upstream)
        back = tuple(back) if isinstance(back, (tuple, list)) else (back,)
        if len(back) != ctx.given:
            raise ArgumentError(
                f"custom_gradient: the function takes {ctx.given} arguments but gave "
                f"{len(back)} gradients. Return one for each."
            )
        return (None, *back)


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function that returns its result and a function for its gradients.

    Example:
        @custom_gradient
        def log1pexp(x):
            e = ops.exp(x)
            def grad(*args, upstream):
                return upstream * (1 - 1 / (1 + e))
            return ops.log(1 + e), grad
    """

    def call(*args: Any) -> Any:
        return _Custom.apply(f, *args)

    call.__name__ = getattr(f, "__name__", "custom_gradient")
    call.__doc__ = f.__doc__
    return call
