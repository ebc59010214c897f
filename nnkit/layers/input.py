"""Where data enters a model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from nnkit.dtypes import given_dtype
from nnkit.errors import ArgumentError
from nnkit.layer import Layer
from nnkit.naming import auto_name
from nnkit.shapes import Shape
from nnkit.symbolic import Node, SymbolicTensor, placeholder
from nnkit.wrapper import intercept_modules

__all__ = ["Input", "InputLayer"]


class InputLayer(Layer):
    """The entrance of a model; holds a shape and no weights.

    Args:
        shape: sizes without the batch axis, None where free.
        batch_size: a fixed number of samples, or None.
        dtype: what the model casts its input to; the default float when None.
        batch_shape: the shape with the batch axis, instead of shape and batch_size.

    Raises: ArgumentError for a missing or impossible shape.
    """

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Any = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if sparse or ragged or input_tensor is not None or optional:
            raise ArgumentError(
                "Input takes shape, batch_size, dtype and name; sparse, ragged, "
                "tensor and optional inputs do not exist here."
            )
        if dtype == "string":
            raise ArgumentError(
                "Input(dtype='string'): a model takes numbers. Call the TextVectorization or "
                "StringLookup layer on the texts first, and begin the model after it, with "
                "Input(shape, dtype='int64'). Of a model in a file, save in Keras what follows "
                "that layer: keras.Model(layer.output, model.output)."
            )
        shape = kwargs.pop("input_shape", shape)
        super().__init__(
            name=name or auto_name("input_layer"),
            dtype=given_dtype(dtype) or torch.get_default_dtype(),
            **kwargs,
        )
        if batch_shape is None and shape is None:
            raise ArgumentError("Input needs a shape, such as Input(shape=(784,)).")
        if batch_shape is None:
            batch_shape = (batch_size, *_sizes(self.label, "shape", shape))
        batch_shape = _sizes(self.label, "batch_shape", batch_shape)
        self.batch_shape: Shape = tuple(_size(self.label, size) for size in batch_shape)
        self.built = True
        node = Node(self, (), {})
        placeholder(node, self.batch_shape, self._dtype)
        self._inbound_nodes.append(node)
        intercept_modules()

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs

    @property
    def input(self) -> Any:
        """What goes through it; programs ask for `model.layers[0].input`."""
        return self.output

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dtype": self.dtype}


def _sizes(label: str, argument: str, given: Any) -> tuple[Any, ...]:
    if isinstance(given, int):
        return (given,)
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ArgumentError(f"{label}: {argument} must be a tuple of sizes, got {given!r}.")
    return tuple(given)


def _size(label: str, size: Any) -> int | None:
    if size is None:
        return None
    whole = hasattr(size, "__index__") and not isinstance(size, bool) and np.ndim(size) == 0
    if not whole or int(size) < 0:
        raise ArgumentError(f"{label}: a size must be a whole number or None, got {size!r}.")
    return int(size)


def Input(  # noqa: N802 - Keras's name
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Any = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> SymbolicTensor:
    """A symbolic tensor to build a model from.

    Args:
        shape: sizes without the batch axis, such as (28, 28, 1); None where free.
        batch_size: a fixed number of samples, or None.
        dtype: what the model casts this input to, "float32" or "int64"; default float when None.
        batch_shape: the shape with the batch axis, instead of shape and batch_size.
        name: of the input, used to feed it by name.

    Example: `x = Input((784,)); model = Model(x, Dense(10)(x))`
    """
    layer = InputLayer(
        shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, name
    )
    return layer._inbound_nodes[0].outputs
