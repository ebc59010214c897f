"""LSTMs whose matrices are convolutions: ConvLSTM1D, ConvLSTM2D and ConvLSTM3D."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F

from nnkit.arguments import image_format, one_of, sizes
from nnkit.errors import ArgumentError, NotBuiltError, ShapeError
from nnkit.layers.cells import LSTMCell
from nnkit.layers.recurrent_base import Recurrent
from nnkit.layers.recurrent_kernels import Options, States
from nnkit.layouts import CONV, untied
from nnkit.shapes import axes, describe, same_padding, window_output

__all__ = ["BaseConvLSTM", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"]

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


class BaseConvLSTM(Recurrent, LSTMCell):
    """Base of ConvLSTM1D, ConvLSTM2D and ConvLSTM3D; their arguments are described in ConvLSTM2D.

    Inside a step the channels come first, as views. The input of all steps is convolved at once.

    Attributes:
        rank: the number of spatial axes.
    """

    fixes = "channels"
    size_name = "filters"
    use_cudnn = False
    drops_by_gate = True
    rank: ClassVar[int]

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters,
            activation,
            recurrent_activation,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            unit_forget_bias,
            kernel_regularizer,
            recurrent_regularizer,
            bias_regularizer,
            kernel_constraint,
            recurrent_constraint,
            bias_constraint,
            dropout,
            recurrent_dropout,
            seed,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        along = (return_sequences, return_state, go_backwards, stateful, unroll)
        self.set_time(Options(*along, zero_output_for_mask))
        self.filters = self.units
        self.kernel_size = sizes(self.label, "kernel_size", kernel_size, self.rank)
        self.strides = sizes(self.label, "strides", strides, self.rank)
        self.padding: str = one_of(self.label, "padding", padding, ("valid", "same"))
        self.dilation_rate = sizes(self.label, "dilation_rate", dilation_rate, self.rank)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ArgumentError(
                f"{self.label}: strides={self.strides} and dilation_rate={self.dilation_rate} "
                f"cannot both be above 1. Leave one of them at 1."
            )
        self.data_format = image_format(self.label, data_format)
        self._last = self.data_format == "channels_last"
        self._images: tuple[int, ...] = ()
        if not self._last:
            batch, time, *spatial, channels = axes(self.accepts or "")
            vars(self)["accepts"] = f"({', '.join([batch, time, channels, *spatial])})"
            self.features_axis = 2

    # -- shapes --------------------------------------------------------------------------------

    def check_input(self, shape: Any) -> None:
        super().check_input(shape)
        names = axes(self.accepts or "")
        images = tuple(shape[2:-1] if self._last else shape[3:])
        if self.built and None not in images and images != self._images:
            raise ShapeError(
                f"{self.label} was built for images of size {self._images}, which its states "
                f"have, but received {describe(shape, names)} of {', '.join(names)}."
            )
        if not self.built and None in images:
            raise ShapeError(
                f"{self.label} keeps states of the size of its images, but received "
                f"{describe(shape, names)}. Give all sizes in Input(shape=...)."
            )
        if None not in images and min(self._new_size(images)) < 1:
            raise ShapeError(
                f"{self.label} has windows larger than the images in its input "
                f'{describe(shape, names)}. Use padding="same" or a smaller kernel_size.'
            )

    def _new_size(self, images: Sequence[int]) -> tuple[int, ...]:
        windows = zip(images, self.kernel_size, self.strides, self.dilation_rate, strict=True)
        if self.padding == "same":
            return tuple(-(-n // stride) for n, _, stride, _ in windows)
        return tuple(window_output(*window) for window in windows)

    def build(self, input_shape: Any) -> None:
        self._images = tuple(input_shape[2:-1] if self._last else input_shape[3:])
        super().build(input_shape)

    def kernel_shape(self, inputs: int) -> tuple[int, ...]:
        return (*self.kernel_size, inputs, 4 * self.units)

    def state_shape(self) -> tuple[int, ...]:
        if not self._images:
            raise NotBuiltError(f"{self.label} does not know the size of its images yet: build it.")
        size = self._new_size(self._images)
        return (*size, self.units) if self._last else (self.units, *size)

    # -- steps ---------------------------------------------------------------------------------

    def multiply(self, x: torch.Tensor, weight: torch.Tensor, bias: Any) -> torch.Tensor:
        folded = x.flatten(0, 1)
        folded = folded.movedim(-1, 1) if self._last else folded
        steps, gaps = self.strides, self.dilation_rate
        projected = self._convolve(folded, weight, bias, steps, gaps, self.padding == "same", 1)
        return projected.view(*x.shape[:2], *projected.shape[1:])

    def project_state(self, state: torch.Tensor, drops: torch.Tensor | None) -> torch.Tensor:
        ones = (1,) * self.rank
        if drops is None:
            return self._convolve(state, self.weight_hh, None, ones, ones, True, 1)
        # Each gate sees other elements of the state: a group for each.
        states = (state * drops).transpose(0, 1).flatten(1, 2)
        return self._convolve(states, self.weight_hh, None, ones, ones, True, 4)

    def _convolve(
        self,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: Any,
        strides: Sequence[int],
        gaps: Sequence[int],
        same: bool,
        groups: int,
    ) -> torch.Tensor:
        windows = zip(x.shape[2:], self.kernel_size, strides, gaps, strict=True)
        pads = [same_padding(*window) if same else (0, 0) for window in windows]
        padding = [before for before, _ in pads]
        if any(before != after for before, after in pads):
            x = F.pad(x, [pixels for pair in reversed(pads) for pixels in pair])
            padding = [0] * self.rank
        x, weight = untied(x, weight, strides)
        return _CONV[self.rank](x, weight, bias, strides, padding, gaps, groups)

    def step(self, x: torch.Tensor, states: States, drops: torch.Tensor | None) -> States:
        if not self._last:
            return super().step(x, states, drops)
        drops = None if drops is None else drops.movedim(-1, 2)
        new = super().step(x, tuple(state.movedim(-1, 1) for state in states), drops)
        return tuple(state.movedim(1, -1) for state in new)


class ConvLSTM1D(BaseConvLSTM):
    """An LSTM over sequences of rows, with convolutions along the rows.

    Args: see ConvLSTM2D; with one spatial axis.

    Shape: (batch, time, width, channels) -> (batch, new_width, filters), or with time
    Source: Shi et al., 1506.04214.
    """

    rank = 1
    accepts = "(batch, time, width, channels)"
    weight_layout = CONV[1]


class ConvLSTM2D(BaseConvLSTM):
    """An LSTM over sequences of images, with convolutions in place of matrices.

    Args:
        filters: channels of the output and of the states.
        kernel_size: window in pixels, an int or (height, width); of the recurrent one too.
        strides, dilation_rate: step of the window, and of its pixels; only one of them above 1.
        padding: of the input, "valid" or "same"; the recurrent convolution keeps the size.
        data_format: "channels_last" (also None) or "channels_first".
        activation, recurrent_activation: of the cell and of the gates.
        kernel_*, recurrent_*, bias_*, use_bias, unit_forget_bias: see LSTM; the kernels are
            (height, width, channels, 4 filters) and (height, width, filters, 4 filters).
        dropout, recurrent_dropout: fraction of inputs, of outputs fed back, dropped in training.
        seed, return_sequences, return_state, go_backwards, stateful, unroll,
            zero_output_for_mask: see LSTM.

    Shape: (batch, time, height, width, channels) -> (batch, new_height, new_width, filters), or
        (batch, time, new_height, new_width, filters)
    Raises: ShapeError for images of unknown or changing size.
    Source: Shi et al., 1506.04214.
    """

    rank = 2
    accepts = "(batch, time, height, width, channels)"
    weight_layout = CONV[2]


class ConvLSTM3D(BaseConvLSTM):
    """An LSTM over sequences of volumes, with convolutions in space.

    Args: see ConvLSTM2D; with three spatial axes.

    Shape: (batch, time, depth, height, width, channels) -> (batch, new_depth, new_height,
        new_width, filters), or with time
    Source: Shi et al., 1506.04214.
    """

    rank = 3
    accepts = "(batch, time, depth, height, width, channels)"
    weight_layout = CONV[3]
