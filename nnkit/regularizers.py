"""Penalties on weights or outputs that a layer adds to the loss.

A regularizer is called with a tensor in Keras's layout and returns a scalar tensor.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nnkit.arguments import number, one_of
from nnkit.custom_objects import supplying
from nnkit.errors import ShapeError
from nnkit.registry import Registry

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "REGISTRY",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "serialize",
]

REGISTRY = Registry("regularizer", "keras.regularizers")


class Regularizer:
    """The base of regularizers: give a subclass `__call__` and, to be saved, `get_config`."""

    def __call__(self, x: Tensor) -> Tensor:
        """The penalty for `x`, a scalar tensor."""
        raise NotImplementedError(f"{type(self).__name__} has no __call__(self, x).")

    def get_config(self) -> dict[str, Any]:
        """The arguments, as plain data."""
        raise NotImplementedError(f"{type(self).__name__} has no get_config(self).")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Regularizer:
        """A regularizer with the arguments of `get_config()`."""
        return cls(**config)


def _factor(owner: Regularizer, name: str, value: Any) -> float:
    return float(number(owner, name, value, 0))


def _square_sum(x: Tensor) -> Tensor:
    # The norm reads x once forward and once backward, half of what squaring and summing does.
    return torch.linalg.vector_norm(x).square()


@REGISTRY.add("l1")
class L1(Regularizer):
    """Penalty l1 * sum(|x|), which drives weights to exactly zero.

    Args:
        l1: the factor; 0.01 when None.

    Raises: ArgumentError for a negative, infinite or NaN factor.
    """

    def __init__(self, l1: float | None = 0.01) -> None:
        self.l1 = _factor(self, "l1", 0.01 if l1 is None else l1)

    def __call__(self, x: Tensor) -> Tensor:
        return x.abs().sum() * self.l1

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


@REGISTRY.add("l2")
class L2(Regularizer):
    """Penalty l2 * sum(x**2), which keeps weights small. Its gradient is 2 * l2 * x.

    Args:
        l2: the factor; 0.01 when None.

    Raises: ArgumentError for a negative, infinite or NaN factor.
    """

    def __init__(self, l2: float | None = 0.01) -> None:
        self.l2 = _factor(self, "l2", 0.01 if l2 is None else l2)

    def __call__(self, x: Tensor) -> Tensor:
        return _square_sum(x) * self.l2

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


@REGISTRY.add("l1_l2", "l1l2")
class L1L2(Regularizer):
    """Penalty l1 * sum(|x|) + l2 * sum(x**2). Both factors are 0 unless given.

    Args:
        l1: factor of the absolute values.
        l2: factor of the squares.

    Raises: ArgumentError for a negative, infinite or NaN factor.
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = _factor(self, "l1", 0.0 if l1 is None else l1)
        self.l2 = _factor(self, "l2", 0.0 if l2 is None else l2)

    def __call__(self, x: Tensor) -> Tensor:
        if not self.l2:
            return x.abs().sum() * self.l1 if self.l1 else x.new_zeros(())
        squares = _square_sum(x) * self.l2
        return squares + x.abs().sum() * self.l1 if self.l1 else squares

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


@REGISTRY.add("orthogonal_regularizer")
class OrthogonalRegularizer(Regularizer):
    """Penalty factor * mean |cosine| between the rows (or columns) of a matrix.

    Args:
        factor: size of the penalty.
        mode: "rows" or "columns", what should become orthogonal to one another.

    Shape: (rows, columns) -> ()
    Raises: ArgumentError for a bad factor or mode, ShapeError for a tensor that is no matrix.
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = _factor(self, "factor", factor)
        self.mode = one_of(self, "mode", mode, ("rows", "columns"))

    def __call__(self, x: Tensor) -> Tensor:
        if x.ndim != 2:
            raise ShapeError(
                f"OrthogonalRegularizer expects a matrix (rows, columns) but received "
                f"{tuple(x.shape)}."
            )
        vectors = F.normalize(x if self.mode == "rows" else x.T, eps=1e-7)
        count = vectors.shape[0]
        cosines = (vectors @ vectors.T).abs()
        # Each pair stands twice in the product; a single vector has no pairs and no penalty.
        return (cosines.sum() - cosines.trace()) * (self.factor / max(count * (count - 1), 1))

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor, "mode": self.mode}


l1 = L1
l2 = L2
l1_l2 = L1L2
orthogonal_regularizer = OrthogonalRegularizer


def get(identifier: Any) -> Any:
    """Turn what a user wrote as `kernel_regularizer=` into a regularizer.

    Args:
        identifier: None (stays None), a name such as "l2", an object, a class, a config, or any
            function from a tensor to a scalar tensor.

    Raises: ArgumentError for an unknown name or a value that cannot be called.
    """
    return REGISTRY.get(identifier)


def serialize(regularizer: Any) -> Any:
    """Plain data from which `deserialize` makes the same regularizer."""
    return REGISTRY.serialize(regularizer)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The regularizer for what `serialize` gave.

    Args:
        config: the dict, or a name.
        custom_objects: classes and functions by the names the config has for them.
    """
    with supplying(custom_objects):
        return REGISTRY.get(config)
