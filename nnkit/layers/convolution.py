"""Convolutions over time, images and volumes, and what all layers with such axes share.

Channels come last. Torch gets a view with the channels moved to the front, which is its
channels-last memory format: nothing is copied, and its kernels are fastest this way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F

from nnkit import activations
from nnkit.arguments import image_format, one_of, positive, sizes
from nnkit.errors import ArgumentError, DataError, ShapeError
from nnkit.layer import Layer
from nnkit.layouts import CONV, untied
from nnkit.shapes import Shape, axes, describe, same_padding, window_output
from nnkit.weights import keras_view

__all__ = [
    "BaseConv",
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "Convolution1D",
    "Convolution2D",
    "Convolution3D",
    "SpatialLayer",
    "WindowLayer",
]

_INPUTS = {1: "sequence", 2: "image", 3: "volume"}


class SpatialLayer(Layer):
    """Base of layers for (batch, one to three spatial axes, channels), or channels first.

    Torch's kernels want two spatial axes at least (its one-dimensional ones copy what lies
    channels last), so a sequence goes to them as an image of height 1.

    Attributes:
        rank: the number of spatial axes.
    """

    rank: ClassVar[int]
    strides: tuple[int, ...]
    padding: str

    def set_data_format(self, data_format: str | None) -> None:
        """Keep where the channels are: "channels_last" (also None) or "channels_first"."""
        self.data_format = image_format(self.label, data_format)
        self._last = self.data_format == "channels_last"
        if not self._last and self.accepts is not None:
            batch, *spatial, channels = axes(self.accepts)
            vars(self)["accepts"] = f"({', '.join([batch, channels, *spatial])})"

    def spatial(self, shape: Shape) -> Shape:
        """The sizes of the spatial axes."""
        return shape[1:-1] if self._last else shape[2:]

    def full(self, values: Sequence[int], least: int) -> tuple[int, ...]:
        """One value for each spatial axis torch sees; `least` for the height of a sequence."""
        return (least,) * (self.rank == 1) + tuple(values)

    def to_torch(self, inputs: torch.Tensor) -> torch.Tensor:
        """A view with the channels first, and a height of 1 if there is only time."""
        if self.rank == 1:
            inputs = inputs.unsqueeze(1 if self._last else 2)
        return inputs.movedim(-1, 1) if self._last else inputs

    def from_torch(self, outputs: torch.Tensor) -> torch.Tensor:
        """The way back from `to_torch`."""
        if self.rank == 1:
            outputs = outputs.squeeze(2)
        return outputs.movedim(1, -1) if self._last else outputs

    def infer_windows(
        self, inputs: torch.Tensor, window: Sequence[int], gaps: Sequence[int], channels: int | None
    ) -> torch.Tensor:
        """A meta tensor of the shape that sliding windows give; channels as before when None."""
        spatial = inputs.shape[1:-1] if self._last else inputs.shape[2:]
        every = zip(spatial, window, self.strides, gaps, strict=True)
        if self.padding == "valid":
            found = [window_output(*sizes) for sizes in every]
        else:
            found = [-(-size // stride) for size, _, stride, _ in every]
        channels = channels or inputs.shape[-1 if self._last else 1]
        shape = (*found, channels) if self._last else (channels, *found)
        return inputs.new_empty((inputs.shape[0], *shape))

    def check_window(self, shape: Shape, argument: str, window: Sequence[int]) -> None:
        """Raise a ShapeError if a window of this many pixels does not fit into the input."""
        if all(n is None or n >= w for n, w in zip(self.spatial(shape), window, strict=True)):
            return
        names = axes(self.accepts or "")
        advice = f'Use padding="same", a smaller {argument}, or a larger {_INPUTS[self.rank]}.'
        if self.rank == 2 and self._last and shape[1] in (1, 3):
            advice += " If the channels come first, permute them to the end: x.movedim(1, -1)."
        raise ShapeError(
            f"{self.label} has windows of {' x '.join(map(str, window))}, larger than its input "
            f"{describe(shape, names)} of {', '.join(names)}. {advice}"
        )

    def check_floating(self, inputs: torch.Tensor) -> None:
        """Raise a DataError for whole numbers, such as the bytes of a picture."""
        if not inputs.is_floating_point():
            raise DataError(
                f"{self.label} needs decimal numbers but received {inputs.dtype}. "
                f"Add Rescaling(1 / 255) before it, or give it x.float()."
            )


class WindowLayer(SpatialLayer):
    """Base of layers that slide a kernel over their input.

    Attributes:
        strides_and_dilation: whether windows may be both stepped and spaced.
    """

    fixes = "channels"
    strides_and_dilation: ClassVar[bool] = False

    def set_windows(self, kernel_size: Any, strides: Any, dilation_rate: Any) -> None:
        """Keep the size, the step and the spacing of the windows."""
        self.kernel_size = sizes(self.label, "kernel_size", kernel_size, self.rank)
        self.strides = sizes(self.label, "strides", strides, self.rank)
        self.dilation_rate = sizes(self.label, "dilation_rate", dilation_rate, self.rank)
        both = max(self.strides) > 1 and max(self.dilation_rate) > 1
        if both and not self.strides_and_dilation:
            raise ArgumentError(
                f"{self.label}: strides={self.strides} and dilation_rate={self.dilation_rate} "
                f"cannot both be above 1. Leave one of them at 1."
            )
        self._steps = self.full(self.strides, 1)
        self._gaps = self.full(self.dilation_rate, 1)

    def set_padding(self, padding: Any, causal: bool = False) -> None:
        """Keep how the input is padded; over time it may be `causal`."""
        known = ("valid", "same", "causal") if causal else ("valid", "same")
        self.padding = one_of(self.label, "padding", padding, known)

    def check_input(self, shape: Any) -> None:
        super().check_input(shape)
        self._check_channels_last(shape)
        if self.padding == "valid":
            spans = zip(self.kernel_size, self.dilation_rate, strict=True)
            self.check_window(shape, "kernel_size", [(k - 1) * d + 1 for k, d in spans])

    def _check_channels_last(self, shape: Shape) -> None:
        if self.built or self.rank != 2 or not self._last or None in shape[1:]:
            return
        height, width, channels = shape[1:]
        if height in (1, 3) and width == channels and channels is not None and channels > 4:
            raise ShapeError(
                f"{self.label} expects {self.accepts}, but {describe(shape, axes(self.accepts))} "
                f"looks like channels first. Move them to the end with x.movedim(1, -1), or with "
                f"Permute((2, 3, 1)) in the model."
            )

    def convolve(
        self, inputs: torch.Tensor, weight: torch.Tensor, bias: Any, groups: int,
        activation: Any = activations.linear,
    ) -> torch.Tensor:  # fmt: skip
        """Torch's convolution, with torch's weight, in this layer's windows and data format."""
        self.check_floating(inputs)
        inputs, padding = self._pad(inputs)
        if self.rank == 1:
            weight = weight.unsqueeze(2)
        conv = F.conv3d if self.rank == 3 else F.conv2d
        x, weight = untied(self.to_torch(inputs), weight, self.strides)
        x = conv(x, weight, bias, self._steps, padding, self._gaps, groups)
        if activation is activations.relu:
            # Nobody else has seen this memory, and a convolution's gradient does not need it.
            return self.from_torch(torch.relu_(x))
        return activation(self.from_torch(x))

    def _pad(self, inputs: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """The input and the padding that torch shall add: the same at both ends, or none."""
        if self.padding == "valid":
            return inputs, 0
        windows = zip(self.kernel_size, self.strides, self.dilation_rate, strict=True)
        if self.padding == "causal":
            pads = [((size - 1) * gap, 0) for size, _, gap in windows]
        else:
            free = self.spatial(tuple(inputs.shape))
            pads = [same_padding(n or 0, *w) for n, w in zip(free, windows, strict=True)]
        if all(before == after for before, after in pads):
            return inputs, self.full([before for before, _ in pads], 0)
        # In the layout it came in: then its gradient is not copied into another one either.
        flat = [pixels for pair in reversed(pads) for pixels in pair]
        return F.pad(inputs, [0, 0, *flat] if self._last else flat), 0


class BaseConv(WindowLayer):
    """Base of Conv1D, Conv2D and Conv3D; their arguments are described in Conv2D."""

    kernel = keras_view("weight")

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
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
        self.groups = positive(self.label, "groups", groups)
        self.set_windows(kernel_size, strides, dilation_rate)
        self.set_padding(padding, causal=self.rank == 1)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.set_options("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self.set_options("bias", bias_initializer, bias_regularizer, bias_constraint)
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)
        if self.filters % self.groups:
            raise ArgumentError(
                f"{self.label}: filters must be a multiple of groups, "
                f"got filters={self.filters} and groups={self.groups}."
            )

    def build(self, input_shape: Any) -> None:
        channels = input_shape[-1 if self._last else 1]
        if channels % self.groups:
            raise ShapeError(
                f"{self.label} splits its input into groups={self.groups}, but {channels} channels "
                f"do not divide evenly. Use a divisor of {channels}."
            )
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.weight = self.add_named_weight("kernel", shape, CONV[self.rank])
        if self.use_bias:
            self.bias = self.add_named_weight("bias", (self.filters,))

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.convolve(inputs, self.weight, self.bias, self.groups, self.activation)

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        if not activations.keeps_shape(self.activation):
            return super().infer_output(inputs)
        self.check_floating(inputs)
        return self.infer_windows(inputs, self.kernel_size, self.dilation_rate, self.filters)


class Conv1D(BaseConv):
    """Every output step is a weighted sum of a window of the sequence, plus a bias.

    Args: those of `Conv2D`, for one axis of time steps; padding may also be "causal", so that no
        output sees a later step.

    Shape: (batch, time, channels) -> (batch, new_time, filters)
    Raises: ShapeError if the sequence is shorter than the window, or groups do not divide channels.
    """

    rank = 1
    accepts = "(batch, time, channels)"


class Conv2D(BaseConv):
    """Every output pixel is a weighted sum of a window of the image, plus a bias.

    Args:
        filters: number of output channels.
        kernel_size: window in pixels, an int or (height, width).
        strides: step in pixels, an int or (height, width).
        padding: "valid" (none) or "same" (output = ceil(input / strides)).
        data_format: "channels_last", or "channels_first" for (batch, channels, ...).
        dilation_rate: distance of the pixels in a window; not together with strides.
        groups: split channels and filters into groups that do not see each other.
        activation: name or function; none when None.
        use_bias: whether to add a bias.
        kernel_initializer, bias_initializer: of (*kernel_size, channels / groups, filters) and
            (filters,); the regularizers add to the loss, constraints apply after each update.

    Shape: (batch, height, width, channels) -> (batch, new_height, new_width, filters)
    Raises: ShapeError if the image is smaller than the window, or groups do not divide channels.
    """

    rank = 2
    accepts = "(batch, height, width, channels)"


class Conv3D(BaseConv):
    """Every output voxel is a weighted sum of a window of the volume, plus a bias.

    Args: those of `Conv2D`, for three axes (depth, height, width).

    Shape: (batch, depth, height, width, channels) -> (batch, new_depth, ..., filters)
    Raises: ShapeError if the volume is smaller than the window, or groups do not divide channels.
    """

    rank = 3
    accepts = "(batch, depth, height, width, channels)"


Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D
