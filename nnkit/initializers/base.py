"""The base of initializers, and how any of them is called."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from nnkit.arguments import positive
from nnkit.dtypes import to_dtype
from nnkit.errors import ArgumentError, FileError
from nnkit.registry import Registry

__all__ = [
    "REGISTRY", "Fill", "Initializer", "Shape", "call_initializer", "filled", "left_empty",
    "room_for",
]  # fmt: skip

REGISTRY = Registry("initializer", "keras.initializers")

Shape = Sequence[int]
Fill = Callable[[Tensor, torch.Generator | None], Any]


class Initializer:
    """The base of initializers: give a subclass `__call__` and, to be saved, `get_config`."""

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        """A new tensor of this shape (Keras's layout) and dtype."""
        raise NotImplementedError(f"{type(self).__name__} has no __call__(self, shape, dtype).")

    def sizes(self, shape: Any) -> tuple[int, ...]:
        """A shape as whole numbers. Raises: ArgumentError if it is no list of them."""
        if isinstance(shape, str) or not isinstance(shape, Iterable):
            raise ArgumentError(
                f"{type(self).__name__}: shape must be a tuple of sizes, got {shape!r}."
            )
        return tuple(positive(self, "a size in shape", size, least=0) for size in shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments, as plain data."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        """An initializer with the arguments of `get_config()`."""
        return cls(**config)

    def clone(self) -> Initializer:
        """A new initializer with the same arguments; without a seed it draws other values."""
        return type(self).from_config(self.get_config())


_budgets: list[list[int] | None] = []


@contextmanager
def left_empty(limit: int) -> Iterator[None]:
    """Inside, weights are made without values, for a file to fill them.

    Their memory is only reserved, so a model costs nothing before it is known to fit its file.

    Args:
        limit: bytes that all weights together may have.
    """
    _budgets.append([limit, limit])
    try:
        yield
    finally:
        _budgets.pop()


@contextmanager
def filled() -> Iterator[None]:
    """Inside, also while a model is left empty, values are made: of state that no file holds."""
    _budgets.append(None)
    try:
        yield
    finally:
        _budgets.pop()


def room_for(shape: Shape, dtype: torch.dtype) -> bool:
    """Whether a weight is to be left empty; counts it.

    Raises: FileError when the weights come to more than `left_empty` allows.
    """
    budget = _budgets[-1] if _budgets else None
    if budget is None:
        return False
    budget[0] -= math.prod(shape) * dtype.itemsize
    if budget[0] < 0:
        raise FileError(
            f"The configuration asks for weights of more than {budget[1]} bytes, which is more "
            f"than there are in the file: it is damaged, or not what it claims to be."
        )
    return True


def call_initializer(initializer: Callable[..., Any], shape: Shape, dtype: Any = None) -> Tensor:
    """Make a weight with any initializer, a user's function included, and check what came.

    Args:
        initializer: called with (shape, dtype), or with the shape alone if that is all it takes.
        shape: in Keras's layout.
        dtype: of the result; torch's default when None.

    Raises: ArgumentError unless the result has this shape.
    """
    if not callable(initializer):
        raise ArgumentError(
            f"Cannot use {initializer!r} as initializer here. Give a name, an object or a function."
        )
    kind = to_dtype(dtype)
    if room_for(shape, kind):
        return torch.empty(tuple(shape), dtype=kind)
    values = _call(initializer, tuple(shape), kind)
    if not isinstance(initializer, Initializer):
        # A user's function may hand out an array of its own, which training must not change.
        values = torch.as_tensor(values).detach().clone()
    if tuple(values.shape) != tuple(shape):
        name = getattr(initializer, "__name__", type(initializer).__name__)
        raise ArgumentError(
            f"Initializer {name} was asked for shape {tuple(shape)} "
            f"but returned {tuple(values.shape)}."
        )
    return values.to(torch.get_default_device(), kind)


def _call(initializer: Callable[..., Any], shape: tuple[int, ...], dtype: torch.dtype) -> Any:
    try:
        parameters = list(inspect.signature(initializer).parameters.values())
    except ValueError:  # torch's built-in functions do not tell their arguments
        return initializer(shape, dtype=dtype)
    names = [parameter.name for parameter in parameters]
    if "dtype" in names or any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return initializer(shape, dtype=dtype)
    required = [parameter for parameter in parameters if parameter.default is parameter.empty]
    return initializer(shape, dtype) if len(required) > 1 else initializer(shape)
