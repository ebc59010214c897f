"""Normalization over features, over groups of channels, and to unit length."""

from __future__ import annotations

import warnings
from typing import Any

import torch
import torch.nn.functional as F

from nnkit.arguments import number, positive
from nnkit.errors import ArgumentError, ShapeError
from nnkit.layer import Layer
from nnkit.probing import like
from nnkit.shapes import Shape, describe
from nnkit.weights import keras_view

__all__ = [
    "GroupNormalization",
    "LayerNormalization",
    "NormalizationLayer",
    "RMSNormalization",
    "UnitNormalization",
]


class NormalizationLayer(Layer):
    """What the layers share: the axes they work along, a scale gamma and an offset beta."""

    supports_masking = True
    weight: torch.Tensor | None
    bias: torch.Tensor | None
    gamma = keras_view("weight")
    beta = keras_view("bias")

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        return like(inputs, inputs.shape)

    def set_axis(self, axis: Any, several: bool = False) -> None:
        """Keep the axis, or the axes where `several` are allowed; the batch axis is refused."""
        many = several and isinstance(axis, (list, tuple))
        self._given: list[Any] = list(axis) if many else [axis]
        fits = [hasattr(a, "__index__") and not isinstance(a, bool) and a for a in self._given]
        if not fits or not all(fits):
            kind = "a whole number or a list of them" if several else "a whole number"
            raise ArgumentError(
                f"{self.label}: axis must be {kind} and not 0, the batch axis; got {axis!r}."
            )
        self.axis: Any = list(axis) if many else int(axis)
        self._sizes: Shape | None = None
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)

    def set_epsilon(self, epsilon: Any) -> None:
        """Keep the number that is added before dividing."""
        self.epsilon = float(number(self, "epsilon", epsilon, 0))

    def axes_of(self, rank: int) -> list[int]:
        """The axes counted from the front, in rising order."""
        return sorted({int(axis) % rank for axis in self._given})

    def trailing(self, rank: int) -> bool:
        """Whether the axes are the last ones, for which torch has kernels."""
        axes = self.axes_of(rank)
        return axes == list(range(rank - len(axes), rank))

    def check_input(self, shape: Any) -> None:
        rank = len(shape) if isinstance(shape, tuple) else 0
        if not all(-rank < axis < rank for axis in self._given):
            came = describe(shape) if isinstance(shape, tuple) else repr(shape)
            raise ShapeError(
                f"{self.label} normalizes along axis {self.axis}, which {came} does not have "
                f"besides its batch axis. Change axis, or the layer before."
            )
        sizes = tuple(shape[axis] for axis in self.axes_of(rank))
        known = self._sizes
        if known and (
            len(known) != len(sizes)
            or any(size not in (None, want) for size, want in zip(sizes, known, strict=True))
        ):
            raise ShapeError(
                f"{self.label} was built for {known} along axis {self.axis} but received "
                f"{describe(shape)}. Make a new layer for the new size."
            )

    def fix_sizes(self, shape: Shape) -> tuple[int, ...]:
        """The sizes of the axes, which weights are made for and later inputs must have."""
        sizes = tuple(shape[axis] for axis in self.axes_of(len(shape)))
        known = tuple(size for size in sizes if size is not None)
        if len(known) != len(sizes):
            raise ShapeError(
                f"{self.label} needs to know the size of axis {self.axis}, but received "
                f"{describe(shape)}. Give that size in Input(shape=...)."
            )
        self._sizes = known
        return known

    def broadcast(self, weight: torch.Tensor, rank: int) -> torch.Tensor:
        """A view of a weight that lines up with an input of this rank."""
        axes, sizes = self.axes_of(rank), iter(weight.shape)
        return weight.view([next(sizes) if axis in axes else 1 for axis in range(rank)])

    def scale_and_shift(self, normal: torch.Tensor) -> torch.Tensor:
        """Normalized values times gamma, plus beta, if the layer has them."""
        if self.weight is not None:
            normal = normal * self.broadcast(self.weight, normal.ndim)
        return normal if self.bias is None else normal + self.broadcast(self.bias, normal.ndim)

    def floating(self, inputs: torch.Tensor) -> torch.Tensor:
        """Whole numbers as floats; anything else as it is."""
        return inputs if inputs.is_floating_point() else inputs.to(self._compute)


class LayerNormalization(NormalizationLayer):
    """Give each sample mean 0 and variance 1 over its features, then a learned scale and offset.

    Args:
        axis: the axis or axes of the features.
        epsilon: added to the variance.
        center, scale: whether to learn an offset beta, a scale gamma.
        beta_initializer, gamma_initializer: of these weights, which have the sizes of the axes;
            the regularizers add to the loss, constraints apply after each update.
        rms_scaling: divide by the deviation without removing the mean (not root mean square: for
            that there is RMSNormalization).

    Shape: (batch, ..., features) -> the same
    Source: https://arxiv.org/abs/1607.06450
    """

    def __init__(
        self,
        axis: Any = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        rms_scaling: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.set_axis(axis, several=True)
        self.set_epsilon(epsilon)
        self.center, self.scale, self.rms_scaling = center, scale, rms_scaling
        self.set_options("gamma", gamma_initializer, gamma_regularizer, gamma_constraint)
        self.set_options("beta", beta_initializer, beta_regularizer, beta_constraint)
        if rms_scaling:
            warnings.warn(
                f"{self.label}: rms_scaling divides by the deviation, not by the root mean square. "
                f"Use RMSNormalization for that.",
                stacklevel=2,
            )

    def build(self, input_shape: Any) -> None:
        shape = self.fix_sizes(input_shape)
        if self.scale or self.rms_scaling:
            self.weight = self.add_named_weight("gamma", shape)
        if self.center and not self.rms_scaling:
            self.bias = self.add_named_weight("beta", shape)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        x = self.floating(inputs)
        axes = self.axes_of(x.ndim)
        if self.trailing(x.ndim) and not self.rms_scaling:
            bias = self.bias
            if self.weight is None and bias is not None:  # alone, torch wants it in x's dtype
                bias = bias.to(x.dtype)
            return F.layer_norm(x, x.shape[axes[0] :], self.weight, bias, self.epsilon)
        deviation = (x.var(axes, correction=0, keepdim=True) + self.epsilon).sqrt()
        centred = x if self.rms_scaling else x - x.mean(axes, keepdim=True)
        return self.scale_and_shift(centred / deviation)


class RMSNormalization(NormalizationLayer):
    """Divide each sample by the root mean square of its features, then a learned scale.

    Args:
        axis: the axis or axes of the features.
        epsilon: added to the mean square.

    Shape: (batch, ..., features) -> the same
    Source: https://arxiv.org/abs/1910.07467
    """

    scale = keras_view("weight")

    def __init__(self, axis: Any = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.set_axis(axis, several=True)
        self.set_epsilon(epsilon)
        self.set_options("scale", "ones")

    def build(self, input_shape: Any) -> None:
        self.weight = self.add_named_weight("scale", self.fix_sizes(input_shape))

    def call(self, x: torch.Tensor) -> torch.Tensor:
        x = self.floating(x)
        axes = self.axes_of(x.ndim)
        if self.trailing(x.ndim):
            weight = self.weight
            if weight is not None and weight.dtype is not x.dtype:
                weight = weight.to(x.dtype)
            return F.rms_norm(x, x.shape[axes[0] :], weight, self.epsilon)
        return self.scale_and_shift(
            x * (x.square().mean(axes, keepdim=True) + self.epsilon).rsqrt()
        )


class GroupNormalization(NormalizationLayer):
    """Give each group of channels mean 0 and variance 1 within a sample, then scale and offset.

    Args:
        groups: number of groups; it divides the channels. -1 makes each channel a group, which is
            instance normalization; 1 is layer normalization over all axes.
        axis: the axis of the channels.
        epsilon: added to the variance.
        center, scale: whether to learn an offset beta, a scale gamma.
        beta_initializer, gamma_initializer: of these weights, (channels,); the regularizers add to
            the loss, constraints apply after each update.

    Shape: (batch, ..., channels) -> the same
    Raises: ShapeError if the groups do not divide the channels.
    Source: https://arxiv.org/abs/1803.08494
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.set_axis(axis)
        self.set_epsilon(epsilon)
        self.groups = groups if groups == -1 else positive(self.label, "groups", groups)
        self.center, self.scale = center, scale
        self.set_options("gamma", gamma_initializer, gamma_regularizer, gamma_constraint)
        self.set_options("beta", beta_initializer, beta_regularizer, beta_constraint)

    def build(self, input_shape: Any) -> None:
        shape = self.fix_sizes(input_shape)
        if self.groups != -1 and shape[0] % self.groups:
            raise ShapeError(
                f"{self.label} splits its input into groups={self.groups}, but {shape[0]} channels "
                f"do not divide evenly. Use a divisor of {shape[0]}, or -1 for one group each."
            )
        if self.scale:
            self.weight = self.add_named_weight("gamma", shape)
        if self.center:
            self.bias = self.add_named_weight("beta", shape)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        x = self.floating(inputs).movedim(self.axis, 1)
        groups = x.shape[1] if self.groups == -1 else self.groups
        x = torch.group_norm(x, groups, self.weight, self.bias, self.epsilon)
        return x.movedim(1, self.axis)


class UnitNormalization(NormalizationLayer):
    """Divide each sample by its length (L2 norm); a sample of zeros stays zero.

    Args:
        axis: the axis or axes of the features.

    Shape: (batch, ..., features) -> the same
    """

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.set_axis(axis, several=True)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        axes: Any = tuple(self.axes_of(inputs.ndim))
        return F.normalize(self.floating(inputs), dim=axes, eps=1e-12)
