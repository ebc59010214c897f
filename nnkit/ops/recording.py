"""What all operations share: what counts as a tensor, and being recorded in a graph as one step."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

from nnkit.creation import creation_device
from nnkit.dtypes import given_dtype
from nnkit.errors import ArgumentError
from nnkit.symbolic import Function, has_symbolic, record
from nnkit.tree import flatten, map_structure

__all__ = [
    "all_axes",
    "as_tensor",
    "described",
    "floats",
    "is_number",
    "out_of",
    "recorded",
    "tensors",
    "wide_floats",
]

# How torch says that an operation needs values, not shapes alone.
_NO_DATA = re.compile(r"[Mm]eta tensor|[Mm]eta Tensor|register_meta")

P = ParamSpec("P")
R = TypeVar("R")

_NUMBERS = (bool, int, float, complex, torch.SymInt, torch.SymFloat, torch.SymBool)
# What torch has no arithmetic for, and the next type that holds the same numbers.
_WIDER = {"uint16": np.int32, "uint32": np.int64, "uint64": np.int64}


def recorded(fn: Callable[P, R]) -> Callable[P, R]:
    """Make `fn` a single step of the graph when any argument is a symbolic tensor."""

    def infer(*args: Any, **kwargs: Any) -> Any:
        # New tensors (from a recorded size, or a list of numbers) have to be probes too.
        with torch.no_grad(), torch.device("meta"):
            try:
                return fn(*args, **kwargs)
            except (NotImplementedError, RuntimeError) as error:
                if not _NO_DATA.search(str(error)):
                    raise
                raise ArgumentError(
                    f"{fn.__name__}: the size of the result depends on the data, which a graph "
                    f"does not have yet. Give that size if there is an argument for it "
                    f"(num_segments=), or use {fn.__name__} in the call() of a layer of your own."
                ) from error

    @functools.wraps(fn)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if not has_symbolic(args, kwargs):
            return fn(*args, **kwargs)
        kept = map_structure(_fixed, (args, dict(kwargs)))
        return record(Function(call), kept[0], kept[1], infer)

    return call


def described(name: str, module: str, doc: str, fn: Callable[P, R]) -> Callable[P, R]:
    """`recorded`, for a function made from a table: with the name by which it is pickled."""
    fn.__name__ = fn.__qualname__ = name
    fn.__module__, fn.__doc__ = module, doc
    return recorded(fn)


def _fixed(value: Any) -> Any:
    return as_tensor(value) if isinstance(value, np.ndarray) else value


def is_number(value: Any) -> bool:
    """Whether this is a Python number, which has a kind but no dtype of its own."""
    return isinstance(value, _NUMBERS)


def as_tensor(value: Any, dtype: Any = None, device: torch.device | None = None) -> Tensor:
    """A tensor from a tensor, array, number or (nested) list of them.

    Args:
        value: the data; arrays share their memory with the tensor where they can.
        dtype: torch's, NumPy's or a name. When None, tensors and arrays keep theirs, except that
            double arrays become the default float; Python's numbers become int32 or that float.
        device: where new tensors go, beside the data at work when None; tensors stay.

    Raises: ArgumentError for words and objects.
    """
    dtype = given_dtype(dtype)
    if isinstance(value, Tensor):
        return value if dtype is None or value.dtype is dtype else value.to(dtype)
    device = device or creation_device()
    if is_number(value):
        return torch.tensor(value, dtype=dtype or _kind(value), device=device)
    if isinstance(value, (list, tuple)):
        leaves = flatten(value)
        if any(isinstance(leaf, Tensor) for leaf in leaves):
            return torch.stack([as_tensor(item, dtype, device) for item in value])
        if all(is_number(leaf) for leaf in leaves):
            return _of_numbers(value, leaves, dtype, device)
    if torch.compiler.is_compiling() and isinstance(value, np.ndarray):
        made = torch.as_tensor(value, device=device)  # all that a compiled function can do
        return made.to(
            dtype or (torch.get_default_dtype() if made.dtype is torch.float64 else made.dtype)
        )
    return _of_array(value, dtype, device)


def _of_numbers(value: Any, leaves: list[Any], dtype: Any, device: Any) -> Tensor:
    if dtype is None:
        kinds = [_kind(leaf) for leaf in leaves] or [torch.get_default_dtype()]
        dtype = functools.reduce(torch.promote_types, kinds)
    try:
        return torch.tensor(value, dtype=dtype, device=device)
    except ValueError as error:
        raise ArgumentError(f"A tensor is made of rows of one length: {error}.") from error


def _of_array(value: Any, dtype: torch.dtype | None, device: torch.device | None) -> Tensor:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ArgumentError(f"A tensor is made of rows of one length: {error}.") from error
    if array.dtype.kind in "OSUMm":
        raise ArgumentError(
            f"A tensor is made of numbers, got {type(value).__name__} of {array.dtype.name}. "
            f"Encode words and dates as numbers first."
        )
    if dtype is None and array.dtype == np.float64:
        dtype = torch.get_default_dtype()
    array = array.astype(_WIDER.get(array.dtype.name, array.dtype), copy=False)
    if not array.flags.writeable or any(step < 0 for step in array.strides):
        array = array.copy()
    return torch.as_tensor(array, dtype=dtype, device=device)


def _kind(value: Any) -> torch.dtype:
    if isinstance(value, (bool, torch.SymBool)):
        return torch.bool
    if isinstance(value, int):
        return torch.int32 if -(2**31) <= value < 2**31 else torch.int64
    if isinstance(value, torch.SymInt):
        return torch.int32
    return torch.complex64 if isinstance(value, complex) else torch.get_default_dtype()


def tensors(*values: Any) -> list[Tensor]:
    """All of them as tensors; arrays and lists go to the device of the tensors among them.

    Numbers stay on the CPU, from where torch combines them with tensors anywhere.
    """
    if all(isinstance(value, Tensor) for value in values):
        return list(values)
    home = next((v.device for v in values if isinstance(v, Tensor) and v.ndim), None)
    return [as_tensor(v, device=None if is_number(v) else home) for v in values]


def floats(x: Any) -> Tensor:
    """As a tensor of floats: integers and booleans become the default float."""
    x = as_tensor(x)
    whole = not (x.is_floating_point() or x.is_complex())
    return x.to(torch.get_default_dtype()) if whole else x


def wide_floats(x: Any) -> Tensor:
    """`floats`, but 64-bit integers become doubles, as Keras has it for some functions."""
    x = as_tensor(x)
    return x.double() if x.dtype is torch.int64 else floats(x)


def all_axes(x: Tensor, axis: Any) -> tuple[int, ...]:
    """An axis, several or None (all of them) as a tuple of numbers from 0."""
    if axis is None:
        return tuple(range(x.ndim))
    axes = tuple(axis) if isinstance(axis, (list, tuple)) else (axis,)
    for each in axes:
        if not -x.ndim <= each < x.ndim:
            raise ArgumentError(
                f"axis={axis!r} is not an axis of a tensor of shape {tuple(x.shape)}. "
                f"Use {-x.ndim} to {x.ndim - 1}."
            )
    return tuple(each % x.ndim for each in axes)


def out_of(name: str, argument: str, value: Any, allowed: Any) -> ArgumentError:
    """The error for a word that is not among those an argument takes."""
    choices = ", ".join(map(repr, allowed))
    return ArgumentError(f"{name}: {argument} must be one of {choices}, got {value!r}.")
