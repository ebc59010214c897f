"""A dense layer whose axes are told by an einsum equation."""

from __future__ import annotations

import re
from typing import Any

import torch
import torch.nn.functional as F

from nnkit import activations
from nnkit.arguments import positive
from nnkit.errors import ArgumentError, ShapeError
from nnkit.initializers import VarianceScaling
from nnkit.layer import Layer
from nnkit.layouts import SAME, Layout
from nnkit.probing import like
from nnkit.shapes import Shape, describe
from nnkit.weights import keras_view

__all__ = ["EinsumDense"]

_FORMS = (
    r"(?P<x>[a-zA-Z]+),(?P<w>[a-zA-Z]+)->(?P<y>[a-zA-Z]+)",
    r"(?P<left>\.{3})(?P<x>[a-zA-Z]+),(?P<w>[a-zA-Z]+)->\.{3}(?P<y>[a-zA-Z]+)",
    r"(?P<x>[a-zA-Z]{2,})(?P<right>\.{3}),(?P<w>[a-zA-Z]+)->(?P<y>[a-zA-Z]+)\.{3}",
)
_NOT_HERE = ("lora_rank", "lora_alpha", "gptq_unpacked_column_size", "quantization_config")


class EinsumDense(Layer):
    """Sum products of the input and a kernel along the axes that an equation names.

    Args:
        equation: "abc,cd->abd" (input, kernel -> output); "..." may stand for axes on the left or
            on the right of input and output.
        output_shape: size of each output axis but the batch and "..."; None for the input's size.
        activation: name or function; none when None.
        bias_axes: the output axes, by their letters, along which a bias varies; no bias when None.
        kernel_initializer, bias_initializer: of the weights.
        kernel_regularizer, bias_regularizer: add to the loss.
        kernel_constraint, bias_constraint: applied after each update.
        lora_rank, lora_alpha, gptq_unpacked_column_size, quantization_config: Keras's; only None
            is possible.

    Shape: as the equation says
    Raises: ArgumentError for an equation of another form, ShapeError if a size does not fit it.
    """

    kernel = keras_view("weight")

    def __init__(
        self,
        equation: str,
        output_shape: Any,
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        gptq_unpacked_column_size: int | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        given = (lora_rank, lora_alpha, gptq_unpacked_column_size, quantization_config)
        for name, value in zip(_NOT_HERE, given, strict=True):
            if value is not None:
                raise ArgumentError(f"{self.label}: {name} is not available; leave it out.")
        self.equation = equation
        for argument, letters in (("equation", equation), ("bias_axes", bias_axes or "")):
            if not isinstance(letters, str):
                raise ArgumentError(f"{self.label}: {argument} must be text, got {letters!r}.")
        self._read(equation, bias_axes)
        listed = isinstance(output_shape, (list, tuple))
        self.partial_output_shape = tuple(
            size if size is None else positive(self.label, "a size in output_shape", size)
            for size in (output_shape if listed else (output_shape,))
        )
        self.bias_axes = bias_axes
        self.activation = activations.get(activation)
        self.set_options("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self.set_options("bias", bias_initializer, bias_regularizer, bias_constraint)
        self._sizes: dict[str, int | None] = {}
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)

    def _read(self, equation: str, bias_axes: str | None) -> None:
        """Take the equation apart, and see whether it is a plain linear map of the last axes."""
        plain = str(equation).replace(" ", "")
        found = next((m for form in _FORMS if (m := re.fullmatch(form, plain))), None)
        if found is None:
            raise ArgumentError(
                f"{self.label} expects an equation like 'abc,cd->abd', '...x,xy->...y' or "
                f"'ab...,bc->ac...', got {equation!r}."
            )
        groups = found.groupdict()
        x, w, y = self._letters = groups["x"], groups["w"], groups["y"]
        self._dots = next((side for side in ("left", "right") if groups.get(side)), None)
        lost = [c for c in y if c not in x + w] + [c for c in w if c not in x + y]
        if lost:
            raise ArgumentError(
                f"{self.label}: axis {lost[0]!r} of {equation!r} is in one place only. An output "
                f"axis must come from the input or the kernel, a kernel axis must meet one of them."
            )
        for axis in bias_axes or "":
            if axis not in y:
                raise ArgumentError(
                    f"{self.label}: bias_axes has {axis!r}, which is no axis of the output {y!r}."
                )
        new = "".join(c for c in y if c not in x)
        summed = "".join(c for c in x if c not in y)
        free = y.removesuffix(new)
        self._linear = (
            bool(new and summed)
            and self._dots != "right"
            and (x, y) == (free + summed, free + new)
            and sorted(w) == sorted(new + summed)
            and len(set(x + new)) == len(x + new)
        )
        self._new, self._summed = len(new), len(summed)
        # torch's linear() takes (outputs, inputs); so stored, a call needs views only.
        self._layout = Layout(*((new + summed).index(c) for c in w)) if self._linear else SAME
        self._bias_fits = self._linear and (not bias_axes or set(bias_axes) == set(new))

    def _measure(self, shape: Shape) -> dict[str, int | None]:
        """The size of each axis in the equation for an input of this shape; None where free."""
        x, w, y = self._letters
        extra = len(shape) - len(x)
        if extra < 0 or (extra and self._dots is None):
            raise ShapeError(
                f"{self.label} computes {self.equation!r}, whose input has "
                f"{len(x)}{' or more' if self._dots else ''} axes, but received {describe(shape)}."
            )
        own = shape[extra:] if self._dots == "left" else shape[: len(x)]
        found: dict[str, int | None] = dict(zip(x, own, strict=True))
        named = y if self._dots == "left" and extra else y[1:]
        if len(named) != len(self.partial_output_shape):
            raise ShapeError(
                f"{self.label} computes {self.equation!r}, so output_shape needs one entry for "
                f"each of {', '.join(named) or 'no axes'}, got {self.partial_output_shape}."
            )
        for axis, size in zip(named, self.partial_output_shape, strict=True):
            if size is not None and found.get(axis) not in (None, size):
                raise ShapeError(
                    f"{self.label}: output_shape says {size} for axis {axis!r} of "
                    f"{self.equation!r}, but the input {describe(shape)} has {found[axis]}."
                )
            found[axis] = size if size is not None else found.get(axis)
        for axis in (*w, *(self.bias_axes or "")):
            if found.get(axis) is None:
                raise ShapeError(
                    f"{self.label} needs to know the size of axis {axis!r} in {self.equation!r}. "
                    f"Give it in output_shape or Input(shape=...); received {describe(shape)}."
                )
        return found

    def check_input(self, shape: Any) -> None:
        if not isinstance(shape, tuple):
            raise ShapeError(f"{self.label} expects one tensor, got {shape!r}.")
        sizes = self._measure(shape)
        for axis in self._letters[1] if self._sizes else ():
            if sizes[axis] != self._sizes[axis]:
                raise ShapeError(
                    f"{self.label} was built for {self._sizes[axis]} along axis {axis!r} of "
                    f"{self.equation!r}, but received {describe(shape)}."
                )

    def build(self, input_shape: Any) -> None:
        x, w, y = self._letters
        sizes = self._measure(tuple(input_shape))
        shape = [int(sizes[axis] or 0) for axis in w]
        initializer: Any = self.kernel_initializer
        if isinstance(initializer, VarianceScaling) and initializer.input_axes is None:
            initializer = initializer.clone()
            initializer.input_axes = [i for i, axis in enumerate(w) if axis not in y]
            initializer.output_axes = [i for i, axis in enumerate(w) if axis in y]
        self.weight = self.add_weight(
            shape,
            initializer,
            dtype=self._dtype,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
            layout=self._layout,
        )
        if self.bias_axes:
            first = min(y.index(axis) for axis in self.bias_axes)
            behind = len(input_shape) - len(x) if self._dots == "right" else 0
            bias = [int(sizes[c] or 0) if c in self.bias_axes else 1 for c in y[first:]]
            self.bias = self.add_named_weight("bias", [*bias, *[1] * behind])
        self._sizes = {axis: sizes[axis] for axis in w}

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        weight: torch.Tensor = self.weight
        bias: torch.Tensor | None = self.bias
        inputs = inputs if inputs.is_floating_point() else inputs.to(weight.dtype)
        if not self._linear:
            outputs = torch.einsum(self.equation, inputs, weight)
            return self.activation(outputs if bias is None else outputs + bias)
        new = weight.shape[: self._new]
        if self._summed > 1:
            inputs, weight = inputs.flatten(-self._summed), weight.flatten(self._new)
        if self._new > 1:
            weight = weight.flatten(0, self._new - 1)
        inside = bias.flatten() if bias is not None and self._bias_fits else None
        outputs = F.linear(inputs, weight, inside)
        if self._new > 1:
            outputs = outputs.reshape(*outputs.shape[:-1], *new)
        if bias is not None and inside is None:
            outputs = outputs + bias
        return self.activation(outputs)

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        if not activations.keeps_shape(self.activation):
            return super().infer_output(inputs)
        x, _, y = self._letters
        sizes, shape = self._measure(tuple(inputs.shape)), tuple(inputs.shape)
        named = [sizes[axis] for axis in y]
        extra = len(shape) - len(x)
        outer = (shape[:extra], ()) if self._dots == "left" else ((), shape[len(x) :])
        return like(inputs, [*outer[0], *named, *outer[1]])  # type: ignore[list-item]
