"""Constraints: functions applied to a weight after each update.

They take and return a tensor in Keras's layout, so `axis=0` runs over the inputs of a Dense kernel.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnkit.arguments import check_axes, check_in_range, number
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


class _OfVectors(Constraint):
    """A constraint on the lengths of vectors."""

    def __init__(self, axis: Axis) -> None:
        self.axis = check_axes(self, axis, several=True)

    def lengths(self, w: Tensor) -> Tensor:
        """The length of each vector. Raises: ShapeError if the weight has no such axis."""
        axes = tuple(self.axis) if isinstance(self.axis, (list, tuple)) else self.axis
        check_in_range(self, axes, w.shape)
        return torch.linalg.vector_norm(w, dim=axes, keepdim=True)

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


@REGISTRY.add("max_norm")
class MaxNorm(_OfVectors):
    """Shrink vectors that are longer than a limit to that length.

    Args:
        max_value: the greatest length.
        axis: the axis, or axes, a vector runs over: 0 for Dense, [0, 1, 2] for Conv2D kernels.

    Raises: ArgumentError if max_value is negative.
    """

    def __init__(self, max_value: float = 2, axis: Axis = 0) -> None:
        super().__init__(axis)
        self.max_value = number(self, "max_value", max_value, 0)

    def __call__(self, w: Tensor) -> Tensor:
        norms = self.lengths(w)
        return w * (norms.clamp(max=self.max_value) / (norms + _EPSILON))

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, **super().get_config()}


@REGISTRY.add("non_neg")
class NonNeg(Constraint):
    """Set negative weights to zero."""

    def __call__(self, w: Tensor) -> Tensor:
        return w.clamp(min=0)


@REGISTRY.add("unit_norm")
class UnitNorm(_OfVectors):
    """Scale every vector to length 1; zero vectors stay.

    Args:
        axis: the axis, or axes, a vector runs over: 0 for Dense, [0, 1, 2] for Conv2D kernels.
    """

    def __init__(self, axis: Axis = 0) -> None:
        super().__init__(axis)

    def __call__(self, w: Tensor) -> Tensor:
        return w / (self.lengths(w) + _EPSILON)


@REGISTRY.add("min_max_norm")
class MinMaxNorm(_OfVectors):
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
        super().__init__(axis)
        self.max_value = number(self, "max_value", max_value, 0)
        self.min_value = number(self, "min_value", min_value, 0)
        if min_value > max_value:
            raise ArgumentError(
                f"MinMaxNorm expects min_value <= max_value, got {min_value!r} and {max_value!r}."
            )
        self.rate = number(self, "rate", rate, 0, 1)

    def __call__(self, w: Tensor) -> Tensor:
        norms = self.lengths(w)
        wanted = norms.lerp(norms.clamp(self.min_value, self.max_value), self.rate)
        # Divided first: wanted / epsilon overflows in float16.
        return w / (norms + _EPSILON) * wanted

    def get_config(self) -> dict[str, Any]:
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            **super().get_config(),
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
