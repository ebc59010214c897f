"""Constraints: functions applied to a weight after each update.

They take and return a tensor in Keras's layout, so `axis=0` runs over the inputs of a Dense kernel.
"""

from __future__ import annotations

import math
import numbers
from typing import Any

import torch
from torch import Tensor

from nnkit.custom_objects import supplying
from nnkit.errors import ArgumentError
from nnkit.registry import Registry

__all__ = [
    "REGISTRY",
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]

REGISTRY = Registry("constraint", "keras.constraints")

# Keeps a zero vector from dividing by zero; Keras's default epsilon.
_EPSILON = 1e-7

Axis = int | list[int] | tuple[int, ...]


class Constraint:
    """The base of constraints: give a subclass `__call__`. This one changes nothing."""

    def __call__(self, w: Tensor) -> Tensor:
        """The weight as it should be."""
        return w

    def get_config(self) -> dict[str, Any]:
        """The arguments, as plain data."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constraint:
        """A constraint with the arguments of `get_config()`."""
        return cls(**config)


def _number(owner: str, name: str, value: Any, most: float = math.inf) -> Any:
    if not isinstance(value, numbers.Real) or not 0 <= float(value) <= most:
        limits = ">= 0" if most == math.inf else f"from 0 to {most:g}"
        raise ArgumentError(f"{owner} expects {name} to be a number {limits}, got {value!r}.")
    return value


def _norms(w: Tensor, axis: Axis) -> Tensor:
    axes = axis if isinstance(axis, int) else tuple(axis)
    return torch.linalg.vector_norm(w, dim=axes, keepdim=True)


@REGISTRY.add("max_norm")
class MaxNorm(Constraint):
    """Shrink vectors that are longer than a limit to that length.

    Args:
        max_value: the greatest length.
        axis: the axis, or axes, a vector runs over: 0 for Dense, [0, 1, 2] for Conv2D kernels.

    Raises: ArgumentError if max_value is negative.
    """

    def __init__(self, max_value: float = 2, axis: Axis = 0) -> None:
        self.max_value = _number("MaxNorm", "max_value", max_value)
        self.axis = axis

    def __call__(self, w: Tensor) -> Tensor:
        norms = _norms(w, self.axis)
        return w * (norms.clamp(max=self.max_value) / (norms + _EPSILON))

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


@REGISTRY.add("non_neg")
class NonNeg(Constraint):
    """Set negative weights to zero."""

    def __call__(self, w: Tensor) -> Tensor:
        return w.clamp(min=0)


@REGISTRY.add("unit_norm")
class UnitNorm(Constraint):
    """Scale every vector to length 1; zero vectors stay.

    Args:
        axis: the axis, or axes, a vector runs over: 0 for Dense, [0, 1, 2] for Conv2D kernels.
    """

    def __init__(self, axis: Axis = 0) -> None:
        self.axis = axis

    def __call__(self, w: Tensor) -> Tensor:
        return w / (_norms(w, self.axis) + _EPSILON)

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


@REGISTRY.add("min_max_norm")
class MinMaxNorm(Constraint):
    """Move the length of every vector into a range, at once or step by step.

    Args:
        min_value: the smallest length.
        max_value: the greatest length.
        rate: the part of the way to go at each update, from 0 to 1.
        axis: the axis, or axes, a vector runs over: 0 for Dense, [0, 1, 2] for Conv2D kernels.

    Raises: ArgumentError for negative lengths, min_value > max_value, a rate outside 0 .. 1.
    """

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Axis = 0
    ) -> None:
        self.max_value = _number("MinMaxNorm", "max_value", max_value)
        self.min_value = _number("MinMaxNorm", "min_value", min_value)
        if min_value > max_value:
            raise ArgumentError(
                f"MinMaxNorm expects min_value <= max_value, got {min_value!r} and {max_value!r}."
            )
        self.rate = _number("MinMaxNorm", "rate", rate, most=1)
        self.axis = axis

    def __call__(self, w: Tensor) -> Tensor:
        norms = _norms(w, self.axis)
        wanted = norms.lerp(norms.clamp(self.min_value, self.max_value), self.rate)
        # Divided first: wanted / epsilon overflows in float16.
        return w / (norms + _EPSILON) * wanted

    def get_config(self) -> dict[str, Any]:
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            "axis": self.axis,
        }


max_norm = MaxNorm
non_neg = NonNeg
unit_norm = UnitNorm
min_max_norm = MinMaxNorm


def get(identifier: Any) -> Any:
    """Turn what a user wrote as `kernel_constraint=` into a constraint.

    Args:
        identifier: None (stays None), a name such as "non_neg", an object, a class, a config, or
            any function from a tensor to a tensor of the same shape.

    Raises: ArgumentError for an unknown name or a value that cannot be called.
    """
    return REGISTRY.get(identifier)


def serialize(constraint: Any) -> Any:
    """Plain data from which `deserialize` makes the same constraint."""
    return REGISTRY.serialize(constraint)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The constraint for what `serialize` gave.

    Args:
        config: the dict, or a name.
        custom_objects: classes and functions by the names the config has for them.
    """
    with supplying(custom_objects):
        return REGISTRY.get(config)
