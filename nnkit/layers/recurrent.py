"""Recurrent layers: SimpleRNN, LSTM and GRU."""

from __future__ import annotations

from typing import Any

from nnkit.arguments import one_of
from nnkit.errors import ArgumentError
from nnkit.layers.cells import GRUCell, LSTMCell, SimpleRNNCell
from nnkit.layers.recurrent_base import Recurrent
from nnkit.layers.recurrent_kernels import Options

__all__ = ["GRU", "LSTM", "SimpleRNN"]


class SimpleRNN(Recurrent, SimpleRNNCell):
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
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
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


class LSTM(Recurrent, LSTMCell):
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
        self.use_cudnn = one_of(self.label, "use_cudnn", use_cudnn, ("auto", True, False))
        _check_use_cudnn(self)


class GRU(Recurrent, GRUCell):
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
            recurrent_activation,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            kernel_regularizer,
            recurrent_regularizer,
            bias_regularizer,
            kernel_constraint,
            recurrent_constraint,
            bias_constraint,
            dropout,
            recurrent_dropout,
            reset_after,
            seed,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        along = (return_sequences, return_state, go_backwards, stateful, unroll)
        self.set_time(Options(*along, zero_output_for_mask))
        self.use_cudnn = one_of(self.label, "use_cudnn", use_cudnn, ("auto", True, False))
        _check_use_cudnn(self)


def _check_use_cudnn(layer: LSTM | GRU) -> None:
    if layer.use_cudnn is True and (layer.recurrent_dropout or layer.fused_kernel() is None):
        raise ArgumentError(
            f"{layer.label}: use_cudnn=True needs activation='tanh', "
            f"recurrent_activation='sigmoid', no recurrent_dropout and, in a GRU, "
            f"reset_after=True. Use use_cudnn='auto'."
        )
