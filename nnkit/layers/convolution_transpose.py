"""Transposed convolutions, which make sequences, images and volumes larger."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from nnkit import activations
from nnkit.arguments import positive, sizes
from nnkit.errors import ArgumentError, ShapeError
from nnkit.layers.convolution import WindowLayer
from nnkit.layouts import CONV
from nnkit.shapes import Shape, axes, describe
from nnkit.weights import keras_view

__all__ = [
    "BaseConvTranspose",
    "Conv1DTranspose",
    "Conv2DTranspose",
    "Conv3DTranspose",
    "Convolution1DTranspose",
    "Convolution2DTranspose",
    "Convolution3DTranspose",
]


class BaseConvTranspose(WindowLayer):
    """Base of the transposed convolutions; their arguments are described in Conv2DTranspose."""

    kernel = keras_view("weight")

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
        self.set_data_format(data_format)
        self.filters = positive(self.label, "filters", filters)
        self.set_windows(kernel_size, strides, dilation_rate)
        self.set_padding(padding)
        self.output_padding: tuple[int, ...] | None = None
        if output_padding is not None:
            more = sizes(self.label, "output_padding", output_padding, self.rank, least=0)
            self.output_padding = more
            if any(pixels >= step for pixels, step in zip(more, self.strides, strict=True)):
                raise ArgumentError(
                    f"{self.label}: output_padding must be smaller than strides, "
                    f"got output_padding={more} and strides={self.strides}."
                )
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.set_options("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self.set_options("bias", bias_initializer, bias_regularizer, bias_constraint)
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)
        # Torch cuts both ends alike; what one end has to lose or gain beyond that comes afterwards.
        self._cuts = [self._cut(axis) for axis in range(self.rank)]
        both = [max(min(cuts), 0) for cuts in self._cuts]
        rest = [
            (done - front, done - end) for (front, end), done in zip(self._cuts, both, strict=True)
        ]
        self._both = self.full(both, 0)
        self._grows = any(end > 0 for _, end in rest)
        self._rest = [pixels for ends in reversed(rest) for pixels in ends]
        if self._last:
            self._rest = [0, 0, *self._rest]

    def _cut(self, axis: int) -> tuple[int, int]:
        """Pixels to take off the front and the end of all that the windows reach.

        Fewer than none at the end means zeros to add there.
        """
        step, reach = self.strides[axis], self._reach(axis)
        more = self.output_padding[axis] if self.output_padding is not None else None
        if self.padding == "valid":
            return 0, -(max(step - reach, 0) if more is None else more)
        # What Keras pads before and after the stretched input, of which the rest is cut.
        total = reach + step - 2 if more is None else reach + reach % 2 - 2 + more
        front = min(total - total // 2, reach - 1)
        return reach - 1 - front, reach - 1 - (total - front)

    def _reach(self, axis: int) -> int:
        """How many pixels of the output lie from one end of a window to the other."""
        return (self.kernel_size[axis] - 1) * self.dilation_rate[axis] + 1

    def _grown(self, shape: Shape) -> list[int | None]:
        """The sizes of the output's spatial axes."""
        return [
            None if size is None else (size - 1) * step + self._reach(axis) - sum(self._cuts[axis])
            for axis, (size, step) in enumerate(zip(self.spatial(shape), self.strides, strict=True))
        ]

    def check_input(self, shape: Any) -> None:
        super().check_input(shape)
        found = self._grown(shape)
        if any(size is not None and size < 1 for size in found):
            raise ShapeError(
                f"{self.label} makes nothing of {describe(shape, axes(self.accepts or ''))}: its "
                f"output would have {' x '.join(map(str, found))} pixels. Use a larger input or "
                f"output_padding, or leave output_padding out."
            )

    def check_window(self, shape: Any, argument: str, window: Any) -> None:
        """Any window fits: the output grows with it."""

    def build(self, input_shape: Any) -> None:
        channels = input_shape[-1 if self._last else 1]
        shape = (*self.kernel_size, self.filters, channels)
        self.weight = self.add_named_weight("kernel", shape, CONV[self.rank])
        if self.use_bias:
            self.bias = self.add_named_weight("bias", (self.filters,))

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        self.check_floating(inputs)
        conv = F.conv_transpose3d if self.rank == 3 else F.conv_transpose2d
        weight = self.weight.unsqueeze(2) if self.rank == 1 else self.weight
        # Zeros at the end are not left to torch's output_padding: on a CPU its gradients for a
        # window of one pixel read outside of memory.
        bias = None if self._grows else self.bias
        x = self.to_torch(inputs)
        outputs = self.from_torch(conv(x, weight, bias, self._steps, self._both, 0, 1, self._gaps))
        if any(self._rest):
            # One call for all ends and axes: the gradient of each slice would be a large copy.
            outputs = F.pad(outputs, self._rest)
        if self._grows and self.bias is not None:
            outputs = outputs + (self.bias if self._last else self.bias.view(-1, *[1] * self.rank))
        return self.activation(outputs)

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        if not activations.keeps_shape(self.activation):
            return super().infer_output(inputs)
        self.check_floating(inputs)
        found = self._grown(tuple(inputs.shape))
        free = (*found, self.filters) if self._last else (self.filters, *found)
        return inputs.new_empty((inputs.shape[0], *free))


class Conv1DTranspose(BaseConvTranspose):
    """Every input step adds a weighted window to a longer output sequence.

    Args: those of `Conv2DTranspose`, for one axis of time steps.

    Shape: (batch, time, channels) -> (batch, time * strides, filters) with padding="same"
    """

    rank = 1
    accepts = "(batch, time, channels)"


class Conv2DTranspose(BaseConvTranspose):
    """Every input pixel adds a weighted window to a larger output image.

    Args:
        filters: number of output channels.
        kernel_size: window in pixels, an int or (height, width).
        strides: how many times larger the image gets, an int or (height, width).
        padding: "valid" (output = input * strides, and what the window reaches beyond) or "same"
            (output = input * strides).
        output_padding: pixels more than the least output that gives this input; None as above.
        data_format: "channels_last", or "channels_first" for (batch, channels, ...).
        dilation_rate: distance of the pixels in a window; not together with strides.
        activation: name or function; none when None.
        use_bias: whether to add a bias.
        kernel_initializer, bias_initializer: of (*kernel_size, filters, channels) and (filters,);
            the regularizers add to the loss, constraints apply after each update.

    Shape: (batch, height, width, channels) -> (batch, new_height, new_width, filters)
    """

    rank = 2
    accepts = "(batch, height, width, channels)"


class Conv3DTranspose(BaseConvTranspose):
    """Every input voxel adds a weighted window to a larger output volume.

    Args: those of `Conv2DTranspose`, for three axes (depth, height, width); by position,
        data_format comes before output_padding.

    Shape: (batch, depth, height, width, channels) -> (batch, new_depth, ..., filters)
    """

    rank = 3
    accepts = "(batch, depth, height, width, channels)"

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        output_padding: Any = None,
        dilation_rate: Any = 1,
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
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            output_padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            activity_regularizer,
            kernel_constraint,
            bias_constraint,
            **kwargs,
        )


Convolution1DTranspose, Convolution2DTranspose = Conv1DTranspose, Conv2DTranspose
Convolution3DTranspose = Conv3DTranspose
