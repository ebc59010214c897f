"""Recurrent layers: SimpleRNN, LSTM and GRU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from nnkit import activations
from nnkit.errors import ArgumentError
from nnkit.initializers import call_initializer
from nnkit.layers.recurrent_base import Dropouts, Options, Recurrent
from nnkit.layers.recurrent_kernels import Kernel, States
from nnkit.layouts import Layout

__all__ = ["GRU", "LSTM", "SimpleRNN"]

_TANH = (activations.tanh, torch.tanh, F.tanh)
_SIGMOID = (activations.sigmoid, torch.sigmoid, F.sigmoid)
_RELU = (activations.relu, torch.relu, F.relu)


class _SwappedGates(Layout):
    """Keras keeps a GRU's gates as update, reset, candidate; torch as reset, update, candidate."""

    def to_keras(self, value: torch.Tensor) -> torch.Tensor:
        """A copy in Keras's order; there is no view of swapped blocks."""
        return _swap(super().to_keras(value))

    def to_torch(self, value: torch.Tensor) -> torch.Tensor:
        """A contiguous tensor in torch's order."""
        return super().to_torch(_swap(value))


def _swap(value: torch.Tensor) -> torch.Tensor:
    first, second, third = value.chunk(3, -1)
    return torch.cat([second, first, third], -1)


class SimpleRNN(Recurrent):
    """Feed each output back into the next step: h = activation(x W + h U + b).

    Args:
        units: length of the output.
        activation: name or function.
        use_bias: whether to add a bias.
        kernel_*, recurrent_*, bias_*: initializers, regularizers, constraints of the weights
            (features, units), (units, units) and (units,).
        dropout, recurrent_dropout: fraction of inputs, of outputs fed back, dropped in training.
        return_sequences: give the outputs of all steps, not only the last.
        return_state: give the states too: (output, state).
        go_backwards: run from the last step to the first; the outputs stay in that order.
        stateful: start a batch where the last one ended; see `reset_state`.
        unroll: accepted; nothing is gained by it here.
        seed: makes dropout repeatable.
        zero_output_for_mask: masked steps give zeros instead of the output before.

    Shape: (batch, time, features) -> (batch, units) or (batch, time, units)
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            activation,
            use_bias,
            (kernel_initializer, kernel_regularizer, kernel_constraint),
            (recurrent_initializer, recurrent_regularizer, recurrent_constraint),
            (bias_initializer, bias_regularizer, bias_constraint),
            Dropouts(dropout, recurrent_dropout, seed),
            Options(return_sequences, return_state, go_backwards, stateful, unroll),
            "auto",
            zero_output_for_mask,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )

    def fused_kernel(self) -> Kernel | None:
        if self.activation in _TANH:
            return torch._VF.rnn_tanh
        return torch._VF.rnn_relu if self.activation in _RELU else None

    def step(self, x: torch.Tensor, states: States, drops: torch.Tensor | None) -> States:
        return (self.activation(x + self.project_state(states[0], drops)),)


class LSTM(Recurrent):
    """Long short-term memory: gates decide what enters, stays in and leaves a cell state.

    Args:
        units: length of the output and of the cell state.
        activation, recurrent_activation: of the cell and of the gates.
        use_bias: whether to add a bias.
        kernel_*, recurrent_*, bias_*: initializers, regularizers, constraints of the weights
            (features, 4 units), (units, 4 units), (4 units,); gates: input, forget, cell, output.
        unit_forget_bias: start the forget gate's bias at 1.
        dropout, recurrent_dropout: fraction of inputs, of outputs fed back, dropped in training.
        return_state: give the states too: (output, hidden state, cell state).
        use_cudnn: False runs a loop in plain torch; True insists on torch's kernel.
        seed, return_sequences, go_backwards, stateful, unroll, zero_output_for_mask: see SimpleRNN.

    Shape: (batch, time, features) -> (batch, units) or (batch, time, units)
    Raises: ArgumentError if use_cudnn=True does not go with the other options.
    Source: Hochreiter and Schmidhuber, 1997.
    """

    gates = 4
    state_names = ("state_h", "state_c")

    def __init__(
        self,
        units: int,
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
        use_cudnn: bool | str = "auto",
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            activation,
            use_bias,
            (kernel_initializer, kernel_regularizer, kernel_constraint),
            (recurrent_initializer, recurrent_regularizer, recurrent_constraint),
            (bias_initializer, bias_regularizer, bias_constraint),
            Dropouts(dropout, recurrent_dropout, seed),
            Options(return_sequences, return_state, go_backwards, stateful, unroll),
            use_cudnn,
            zero_output_for_mask,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias
        _check_use_cudnn(self)

    def make_bias(self) -> Any:
        return self._forget_bias if self.unit_forget_bias else self.bias_initializer

    def _forget_bias(self, shape: Sequence[int], dtype: Any = None) -> torch.Tensor:
        enter, rest = (
            call_initializer(self.bias_initializer, (size,), dtype)
            for size in (self.units, 2 * self.units)
        )
        return torch.cat([enter, torch.ones_like(enter), rest])

    def fused_kernel(self) -> Kernel | None:
        if self.activation not in _TANH or self.recurrent_activation not in _SIGMOID:
            return None
        compiling = torch.compiler.is_compiling() and not torch.compiler.is_exporting()
        if compiling and torch.is_grad_enabled() and not self.weight_ih.is_cuda:
            return None  # AOTAutograd cannot differentiate this kernel
        return torch._VF.lstm

    def step(self, x: torch.Tensor, states: States, drops: torch.Tensor | None) -> States:
        hidden, cell = states
        enter, forget, new, leave = (x + self.project_state(hidden, drops)).chunk(4, 1)
        gate = self.recurrent_activation
        cell = gate(forget) * cell + gate(enter) * self.activation(new)
        return gate(leave) * self.activation(cell), cell


class GRU(Recurrent):
    """Gated recurrent unit: one gate mixes the old and the new state, one resets the old.

    Args:
        units: length of the output.
        activation, recurrent_activation: of the new state and of the gates.
        use_bias: whether to add a bias.
        kernel_*, recurrent_*, bias_*: initializers, regularizers, constraints of the weights
            (features, 3 units), (units, 3 units) and the bias; gates: update, reset, new state.
        dropout, recurrent_dropout: fraction of inputs, of outputs fed back, dropped in training.
        return_state: give the state too: (output, state).
        reset_after: reset after the multiplication, as torch's kernel does, with a bias of
            (2, 3 units); False before it, with a bias of (3 units,) and without the kernel.
        use_cudnn: see LSTM.
        seed, return_sequences, go_backwards, stateful, unroll, zero_output_for_mask: see SimpleRNN.

    Shape: (batch, time, features) -> (batch, units) or (batch, time, units)
    Raises: ArgumentError if use_cudnn=True does not go with the other options.
    Source: Cho et al., 1406.1078.
    """

    gates = 3
    weight_layout = _SwappedGates(1, 0)
    bias_layout = _SwappedGates()

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
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
        reset_after: bool = True,
        use_cudnn: bool | str = "auto",
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            activation,
            use_bias,
            (kernel_initializer, kernel_regularizer, kernel_constraint),
            (recurrent_initializer, recurrent_regularizer, recurrent_constraint),
            (bias_initializer, bias_regularizer, bias_constraint),
            Dropouts(dropout, recurrent_dropout, seed),
            Options(return_sequences, return_state, go_backwards, stateful, unroll),
            use_cudnn,
            zero_output_for_mask,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.recurrent_activation = activations.get(recurrent_activation)
        self.reset_after = reset_after
        _check_use_cudnn(self)

    def bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def biases(self) -> tuple[torch.Tensor, ...]:
        both = self.reset_after and self.bias is not None
        return self.bias.unbind(0) if both else super().biases()

    def fused_kernel(self) -> Kernel | None:
        usual = self.activation in _TANH and self.recurrent_activation in _SIGMOID
        return torch._VF.gru if usual and self.reset_after else None

    def step(self, x: torch.Tensor, states: States, drops: torch.Tensor | None) -> States:
        (hidden,) = states
        gate = self.recurrent_activation
        x_reset, x_update, x_new = x.chunk(3, 1)
        if self.reset_after:
            projected = self.project_state(hidden, drops)
            if self.bias is not None:
                projected = projected + self.bias[1]
            h_reset, h_update, h_new = projected.chunk(3, 1)
            update = gate(x_update + h_update)
            new = self.activation(x_new + gate(x_reset + h_reset) * h_new)
        else:
            kept = (hidden, hidden, hidden) if drops is None else (hidden * drops).unbind(0)
            w_reset, w_update, w_new = self.weight_hh.chunk(3)
            reset = gate(x_reset + F.linear(kept[0], w_reset))
            update = gate(x_update + F.linear(kept[1], w_update))
            new = self.activation(x_new + F.linear(reset * kept[2], w_new))
        return (update * hidden + (1 - update) * new,)


def _check_use_cudnn(layer: LSTM | GRU) -> None:
    if layer.use_cudnn is True and (layer.recurrent_dropout or layer.fused_kernel() is None):
        raise ArgumentError(
            f"{layer.label}: use_cudnn=True needs activation='tanh', "
            f"recurrent_activation='sigmoid', no recurrent_dropout and, in a GRU, "
            f"reset_after=True. Use use_cudnn='auto'."
        )
