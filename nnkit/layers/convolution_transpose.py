"""Transposed convolutions, which make sequences, images and volumes larger."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from nnkit import activations
from nnkit.errors import ArgumentError
from nnkit.layers.convolution import WindowLayer
from nnkit.layouts import CONV
from nnkit.shapes import positive, sizes
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
                    f"got {output_padding} and {strides}."
                )
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.set_options("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self.set_options("bias", bias_initializer, bias_regularizer, bias_constraint)
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)
        # Torch cuts both ends alike; the rest is cut, or added, afterwards.
        self._cuts = [self._cut(axis) for axis in range(self.rank)]
        self._both = self.full([max(min(cuts), 0) for cuts in self._cuts], 0)
        self._more = [max(-end, 0) for _, end in self._cuts]

    def _cut(self, axis: int) -> tuple[int, int]:
        """Pixels to take off the front and the end of all that the windows reach.

        Fewer than none at the end means zeros to add there.
        """
        step = self.strides[axis]
        reach = (self.kernel_size[axis] - 1) * self.dilation_rate[axis] + 1
        more = self.output_padding[axis] if self.output_padding is not None else None
        if self.padding == "valid":
            return 0, -(max(step - reach, 0) if more is None else more)
        # What Keras pads before and after the stretched input, of which the rest is cut.
        total = reach + step - 2 if more is None else reach + reach % 2 - 2 + more
        front = min(total - total // 2, reach - 1)
        return reach - 1 - front, reach - 1 - (total - front)

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
        x, grows = self.to_torch(inputs), any(self._more)
        # Zeros at the end are not left to torch's output_padding: on a CPU its gradients for a
        # window of one pixel read outside of memory.
        bias = None if grows else self.bias
        outputs = self.from_torch(conv(x, weight, bias, self._steps, self._both, 0, 1, self._gaps))
        outputs = self._trim(outputs)
        if grows:
            flat = [pixels for more in reversed(self._more) for pixels in (0, more)]
            outputs = F.pad(outputs, [0, 0, *flat] if self._last else flat)
            if self.bias is not None:
                across = self.bias if self._last else self.bias.view(-1, *[1] * self.rank)
                outputs = outputs + across
        return self.activation(outputs)

    def _trim(self, outputs: torch.Tensor) -> torch.Tensor:
        """Cut what one end has to lose more than the other."""
        both = self._both[-self.rank :]
        cuts = zip(self._cuts, both, strict=True)
        for axis, ((front, end), done) in enumerate(cuts, start=1 if self._last else 2):
            lost = front - done + max(end - done, 0)
            if lost:
                outputs = outputs.narrow(axis, front - done, outputs.shape[axis] - lost)
        return outputs


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

    Args: those of `Conv2DTranspose`, for three axes (depth, height, width).

    Shape: (batch, depth, height, width, channels) -> (batch, new_depth, ..., filters)
    """

    rank = 3
    accepts = "(batch, depth, height, width, channels)"


Convolution1DTranspose, Convolution2DTranspose = Conv1DTranspose, Conv2DTranspose
Convolution3DTranspose = Conv3DTranspose
