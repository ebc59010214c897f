"""Convolutions that look at each channel by itself, and then, when separable, mix the channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from nnkit import activations
from nnkit.arguments import positive
from nnkit.layers.convolution import WindowLayer
from nnkit.layouts import CONV, Layout
from nnkit.weights import keras_view

__all__ = [
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
]


class _DepthwiseLayout(Layout):
    """Keras has (*window, channels, multiplier), torch (channels * multiplier, 1, *window)."""

    def __init__(self, multiplier: int) -> None:
        super().__init__()
        self.multiplier = multiplier

    def to_keras(self, value: torch.Tensor) -> torch.Tensor:
        """A view of torch's tensor in Keras's order."""
        apart = value.view(-1, self.multiplier, *value.shape[2:])
        return apart.movedim((0, 1), (-2, -1))

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        *window, channels, multiplier = shape
        return torch.empty((channels * multiplier, 1, *window), dtype=dtype)

    def as_torch(self, value: torch.Tensor) -> torch.Tensor:
        """A tensor in torch's order."""
        apart = value.movedim((-2, -1), (0, 1))
        return apart.reshape(-1, 1, *apart.shape[2:])


class _Depthwise(WindowLayer):
    """Base of the layers here: the weights by their two names, and the convolution."""

    strides_and_dilation = True
    activation: Any
    depth_multiplier: int
    _outputs: int  # channels, known once built

    def make(self, option: str, name: str, shape: Any, layout: Layout) -> torch.nn.Parameter:
        """A weight called `name` whose initializer and the like are called after `option`."""
        return self.add_weight(
            shape,
            getattr(self, f"{option}_initializer"),
            dtype=self._dtype,
            regularizer=getattr(self, f"{option}_regularizer"),
            constraint=getattr(self, f"{option}_constraint"),
            name=name,
            layout=layout,
        )

    def channels_of(self, shape: Any) -> int:
        """The size of the channels axis."""
        return int(shape[-1 if self._last else 1])

    def depthwise(self, inputs: torch.Tensor, weight: torch.Tensor, bias: Any) -> torch.Tensor:
        """Each channel with its own windows."""
        axis = -1 if self._last else 1
        if self.depth_multiplier > 1 and inputs.is_cpu:
            # With one window a channel torch's kernel for CPUs is some three times faster.
            inputs = inputs.repeat_interleave(self.depth_multiplier, axis)
        return self.convolve(inputs, weight, bias, inputs.shape[axis])

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        if not activations.keeps_shape(self.activation):
            return super().infer_output(inputs)
        self.check_floating(inputs)
        return self.infer_windows(inputs, self.kernel_size, self.dilation_rate, self._outputs)


class _DepthwiseConv(_Depthwise):
    """Base of DepthwiseConv1D and DepthwiseConv2D; arguments are described in the latter."""

    kernel = keras_view("weight")

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.set_data_format(data_format)
        self.set_windows(kernel_size, strides, dilation_rate)
        self.set_padding(padding)
        self.depth_multiplier = positive(self.label, "depth_multiplier", depth_multiplier)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.set_options(
            "depthwise", depthwise_initializer, depthwise_regularizer, depthwise_constraint
        )
        self.set_options("bias", bias_initializer, bias_regularizer, bias_constraint)
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)

    def build(self, input_shape: Any) -> None:
        channels, many = self.channels_of(input_shape), self.depth_multiplier
        shape = (*self.kernel_size, channels, many)
        self.weight = self.make("depthwise", "kernel", shape, _DepthwiseLayout(many))
        self._outputs = channels * many
        if self.use_bias:
            self.bias = self.add_named_weight("bias", (self._outputs,))

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.activation(self.depthwise(inputs, self.weight, self.bias))


class DepthwiseConv1D(_DepthwiseConv):
    """Every output step is a weighted sum of a window of one channel of a sequence.

    Args: those of `DepthwiseConv2D`, for one axis of time steps.

    Shape: (batch, time, channels) -> (batch, new_time, channels * depth_multiplier)
    """

    rank = 1
    accepts = "(batch, time, channels)"


class DepthwiseConv2D(_DepthwiseConv):
    """Every output pixel is a weighted sum of a window of one channel of an image.

    Args:
        kernel_size: window in pixels, an int or (height, width).
        strides: step in pixels, an int or (height, width).
        padding: "valid" (none) or "same" (output = ceil(input / strides)).
        depth_multiplier: number of output channels for each input channel; they are neighbours.
        data_format: "channels_last", or "channels_first" for (batch, channels, ...).
        dilation_rate: distance of the pixels in a window.
        activation: name or function; none when None.
        use_bias: whether to add a bias.
        depthwise_initializer, bias_initializer: of (*kernel_size, channels, depth_multiplier) and
            (channels * depth_multiplier,); the regularizers add to the loss, constraints apply
            after each update.

    Shape: (batch, height, width, channels) -> (batch, ..., channels * depth_multiplier)
    Raises: ShapeError if the image is smaller than the window.
    """

    rank = 2
    accepts = "(batch, height, width, channels)"


class _SeparableConv(_Depthwise):
    """Base of SeparableConv1D and SeparableConv2D; arguments are described in the latter."""

    depthwise_kernel = keras_view("depthwise_weight")
    pointwise_kernel = keras_view("pointwise_weight")

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.set_data_format(data_format)
        self.filters = positive(self.label, "filters", filters)
        self.set_windows(kernel_size, strides, dilation_rate)
        self.set_padding(padding)
        self.depth_multiplier = positive(self.label, "depth_multiplier", depth_multiplier)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.set_options(
            "depthwise", depthwise_initializer, depthwise_regularizer, depthwise_constraint
        )
        self.set_options(
            "pointwise", pointwise_initializer, pointwise_regularizer, pointwise_constraint
        )
        self.set_options("bias", bias_initializer, bias_regularizer, bias_constraint)
        for name in ("depthwise_weight", "pointwise_weight", "bias"):
            self.register_parameter(name, None)

    def build(self, input_shape: Any) -> None:
        channels, many = self.channels_of(input_shape), self.depth_multiplier
        shape = (*self.kernel_size, channels, many)
        layout = _DepthwiseLayout(many)
        self.depthwise_weight = self.make("depthwise", "depthwise_kernel", shape, layout)
        shape = (*[1] * self.rank, channels * many, self.filters)
        self.pointwise_weight = self.make("pointwise", "pointwise_kernel", shape, CONV[self.rank])
        self._outputs = self.filters
        if self.use_bias:
            self.bias = self.add_named_weight("bias", (self.filters,))

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        apart = self.to_torch(self.depthwise(inputs, self.depthwise_weight, None))
        weight = self.pointwise_weight.unsqueeze(2) if self.rank == 1 else self.pointwise_weight
        return self.activation(self.from_torch(F.conv2d(apart, weight, self.bias)))


class SeparableConv1D(_SeparableConv):
    """A window for each channel of a sequence, then weighted sums over the channels.

    Args: those of `SeparableConv2D`, for one axis of time steps.

    Shape: (batch, time, channels) -> (batch, new_time, filters)
    """

    rank = 1
    accepts = "(batch, time, channels)"


class SeparableConv2D(_SeparableConv):
    """A window for each channel of an image, then weighted sums over the channels.

    Args:
        filters: number of output channels.
        kernel_size, strides, padding, data_format, dilation_rate, depth_multiplier: of the first
            part, as in `DepthwiseConv2D`.
        activation: name or function, after both parts; none when None.
        use_bias: whether to add a bias after both parts.
        depthwise_initializer, pointwise_initializer, bias_initializer: of the weights
            (*kernel_size, channels, depth_multiplier), (1, 1, channels * depth_multiplier, filters)
            and (filters,); the regularizers add to the loss, constraints apply after each update.

    Shape: (batch, height, width, channels) -> (batch, new_height, new_width, filters)
    Raises: ShapeError if the image is smaller than the window.
    """

    rank = 2
    accepts = "(batch, height, width, channels)"


SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
