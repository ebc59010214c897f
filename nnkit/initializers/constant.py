"""Initializers without chance: constants, given values, the identity."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnkit.arguments import number
from nnkit.dtypes import to_dtype
from nnkit.errors import ArgumentError
from nnkit.initializers.base import REGISTRY, Initializer, Shape

__all__ = ["Constant", "GivenValues", "Identity", "Ones", "Zeros"]


@REGISTRY.add("zeros", "zero")
class Zeros(Initializer):
    """All zeros."""

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        return torch.zeros(self.sizes(shape), dtype=to_dtype(dtype))


@REGISTRY.add("ones", "one")
class Ones(Initializer):
    """All ones."""

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        return torch.ones(self.sizes(shape), dtype=to_dtype(dtype))


def _plain_value(value: Any) -> Any:
    if isinstance(value, dict):  # Keras's form for arrays
        return value["config"]["value"]
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


@REGISTRY.add("constant")
class Constant(Initializer):
    """The same value everywhere.

    Args:
        value: a number, or an array or nested list that broadcasts to the weight's shape.

    Raises: ArgumentError for what is no number, and when called if it does not fit the shape.
    """

    def __init__(self, value: Any = 0.0) -> None:
        if not isinstance(value, Tensor) and np.asarray(value).dtype.kind not in "biuf":
            raise ArgumentError(
                f"{type(self).__name__}: value must be a number or an array of them, got {value!r}."
            )
        self.value = value

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        shape = self.sizes(shape)
        if isinstance(self.value, (int, float)):
            return torch.full(shape, self.value, dtype=to_dtype(dtype))
        value = torch.as_tensor(self.value, dtype=to_dtype(dtype))
        value = value.detach().to(torch.get_default_device())
        try:
            return value.broadcast_to(shape).clone()
        except RuntimeError as exc:
            raise ArgumentError(
                f"Constant holds a value of shape {tuple(value.shape)}, "
                f"which does not broadcast to the weight's shape {shape}."
            ) from exc

    def get_config(self) -> dict[str, Any]:
        return {"value": _plain_value(self.value)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        return cls(_plain_value(config.get("value", 0.0)))


@REGISTRY.add()
class GivenValues(Constant):
    """Exactly these values: what `get` makes of an array or tensor.

    Args:
        value: an array of the weight's own shape.

    Raises: ArgumentError when called for another shape.
    """

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        if tuple(np.shape(self.value)) != tuple(shape):
            raise ArgumentError(
                f"The array given as initializer has shape {tuple(np.shape(self.value))}, "
                f"but the weight has shape {tuple(shape)}."
            )
        return super().__call__(shape, dtype)


@REGISTRY.add("identity", "IdentityInitializer")
class Identity(Initializer):
    """The identity matrix times `gain`, with zeros in surplus rows or columns.

    Raises: ArgumentError when called for anything but a matrix.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = number(self, "gain", gain)

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        if len(shape := self.sizes(shape)) != 2:
            raise ArgumentError(f"Identity expects a matrix (rows, columns), got shape {shape}.")
        kind = to_dtype(dtype)
        return (torch.eye(shape[0], shape[1], dtype=kind) * self.gain).to(kind)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}
