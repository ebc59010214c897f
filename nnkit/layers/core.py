"""The dense layer and small general ones."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, Self

import torch
import torch.nn.functional as F

from nnkit import activations
from nnkit.arguments import positive
from nnkit.custom_objects import custom_objects_now
from nnkit.errors import ArgumentError
from nnkit.layer import Layer
from nnkit.layer_config import readable
from nnkit.layouts import DENSE
from nnkit.probing import like
from nnkit.serialization import serialize_keras_object, serialized_function
from nnkit.weights import keras_view

__all__ = ["Activation", "Dense", "Lambda"]


class Dense(Layer):
    """Every output is a weighted sum of all inputs, plus a bias, through an activation.

    Args:
        units: number of outputs.
        activation: name or function; none when None.
        use_bias: whether to add a bias.
        kernel_initializer, bias_initializer: of the weights (inputs, units) and (units,).
        kernel_regularizer, bias_regularizer: add to the loss.
        kernel_constraint, bias_constraint: applied after each update.

    Shape: (batch, ..., features) -> (batch, ..., units)
    Raises: ShapeError if the number of features is free, or changes between calls.
    """

    accepts = "(batch, ..., features)"
    fixes = "features"
    supports_masking = True
    kernel = keras_view("weight")

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = positive(self.label, "units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.set_options("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self.set_options("bias", bias_initializer, bias_regularizer, bias_constraint)
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)

    def build(self, input_shape: Any) -> None:
        self.weight = self.add_named_weight("kernel", (input_shape[-1], self.units), DENSE)
        if self.use_bias:
            self.bias = self.add_named_weight("bias", (self.units,))

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        x = inputs if inputs.is_floating_point() else inputs.to(self.weight.dtype)
        return self.activation(F.linear(x, self.weight, self.bias))

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        if not activations.keeps_shape(self.activation):
            return super().infer_output(inputs)
        return like(inputs, (*inputs.shape[:-1], self.units))


class Activation(Layer):
    """Apply an activation function.

    Args:
        activation: a name such as "relu", or a function of a tensor.

    Shape: any -> the same
    """

    supports_masking = True

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.activation(inputs)

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        known = activations.keeps_shape(self.activation)
        return like(inputs, inputs.shape) if known else super().infer_output(inputs)


def _argument_names(function: Callable[..., Any]) -> Iterable[str]:
    try:
        return inspect.signature(function).parameters
    except ValueError:  # torch's built-in functions do not tell their arguments
        return ()


class Lambda(Layer):
    """Make a layer of a function.

    Args:
        function: takes the input, and `mask` or `training` if it names them.
        output_shape: not needed; accepted because Keras scripts give it.
        mask: the output's mask, or a function (inputs, mask) -> mask.
        arguments: further keyword arguments of the function.

    Shape: whatever the function takes and gives
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise ArgumentError(f"{self.label} needs a function of a tensor, got {function!r}.")
        self.function = function
        self.output_shape = output_shape
        if not isinstance(arguments or {}, dict):
            raise ArgumentError(
                f"{self.label}: arguments must be a dict of keyword arguments, got {arguments!r}."
            )
        self.arguments = arguments or {}
        self.mask = mask
        self.supports_masking = mask is not None

        self._filled = [word for word in ("mask", "training") if word in _argument_names(function)]

    def call(self, inputs: Any, mask: Any = None, training: Any = None) -> Any:
        given = {"mask": mask, "training": training}
        filled = {word: given[word] for word in self._filled if word not in self.arguments}
        return self.function(inputs, **filled, **self.arguments)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def get_config(self) -> dict[str, Any]:
        """The arguments; a lambda has no name, so it goes by that of the layer."""
        config = super().get_config()
        for name in ("function", "output_shape", "mask"):
            value = getattr(self, name)
            if callable(value):
                config[name] = self._named(value)
            elif value is None:
                del config[name]  # as Keras does
        return {**config, "arguments": serialize_keras_object(self.arguments)}

    def _named(self, function: Callable[..., Any]) -> Any:
        nameless = getattr(function, "__name__", "<lambda>") == "<lambda>"
        return serialized_function(self.name) if nameless else serialize_keras_object(function)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A new layer from `get_config()`; custom objects must have its function.

        They are asked for the function's name, or for the layer's. Bytecode is never run.
        """
        function = custom_objects_now().get(str(config.get("name")))
        if function is not None:
            return cls(**readable(cls, {**config, "function": None}) | {"function": function})
        if dict(config["function"]).get("class_name") == "__lambda__":
            raise ArgumentError(
                f"The Lambda layer {config.get('name')!r} holds the bytecode of a function, which "
                f"is never run here, whatever safe_mode says. Supply the function: "
                f"custom_objects={{{config.get('name')!r}: function}}."
            )
        return cls(**readable(cls, config))
