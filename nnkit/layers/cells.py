"""Cells: one step of SimpleRNN, LSTM and GRU, for RNN or for a loop of your own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from nnkit import activations
from nnkit.errors import ArgumentError, ShapeError
from nnkit.initializers import call_initializer
from nnkit.layers.recurrent_base import Gated
from nnkit.layers.recurrent_kernels import (
    Cell,
    Kernel,
    States,
    Wanted,
    build_inner,
    check_cell,
    first_states,
    listed,
    nested,
    one_step,
    run_cell,
)
from nnkit.layouts import Layout

__all__ = ["GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells"]

_TANH = (activations.tanh, torch.tanh, F.tanh)
_SIGMOID = (activations.sigmoid, torch.sigmoid, F.sigmoid)
_RELU = (activations.relu, torch.relu, F.relu)


class _SwappedGates(Layout):
    """Keras keeps a GRU's gates as update, reset, candidate; torch as reset, update, candidate."""

    def to_keras(self, value: torch.Tensor) -> torch.Tensor:
        """A copy in Keras's order; there is no view of swapped blocks."""
        return _swap(super().to_keras(value))

    def as_torch(self, value: torch.Tensor) -> torch.Tensor:
        """A copy in torch's order."""
        return super().as_torch(_swap(value))

    def fill(self, value: torch.Tensor, read: Callable[[torch.Tensor], Any]) -> None:
        """As of any layout, by way of a copy."""
        copy = self.to_keras(value)
        read(copy)
        value.copy_(self.as_torch(copy))


def _swap(value: torch.Tensor) -> torch.Tensor:
    first, second, third = value.chunk(3, -1)
    return torch.cat([second, first, third], -1)


class SimpleRNNCell(Gated):
    """One step of SimpleRNN: h = activation(x W + h U + b).

    Called with inputs and states, it gives the output and the new states.

    Args: see SimpleRNN.

    Shape: (batch, features), [(batch, units)] -> (batch, units), [(batch, units)]
    Raises: ShapeError for states of another number or shape.
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
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            activation,
            use_bias,
            (kernel_initializer, kernel_regularizer, kernel_constraint),
            (recurrent_initializer, recurrent_regularizer, recurrent_constraint),
            (bias_initializer, bias_regularizer, bias_constraint),
            (dropout, recurrent_dropout, seed),
            **kwargs,
        )

    def fused_kernel(self) -> Kernel | None:
        if self.activation in _TANH:
            return torch._VF.rnn_tanh
        return torch._VF.rnn_relu if self.activation in _RELU else None

    def step(self, x: torch.Tensor, states: States, drops: torch.Tensor | None) -> States:
        return (self.activation(x + self.project_state(states[0], drops)),)


class LSTMCell(Gated):
    """One step of LSTM.

    Called with inputs and states, it gives the output and the new states.

    Args: see LSTM.

    Shape: (batch, features), two states (batch, units) -> (batch, units), two new states
    Raises: ShapeError for states of another number or shape.
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
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            activation,
            use_bias,
            (kernel_initializer, kernel_regularizer, kernel_constraint),
            (recurrent_initializer, recurrent_regularizer, recurrent_constraint),
            (bias_initializer, bias_regularizer, bias_constraint),
            (dropout, recurrent_dropout, seed),
            **kwargs,
        )
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias

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


class GRUCell(Gated):
    """One step of GRU.

    Called with inputs and states, it gives the output and the new states.

    Args: see GRU.

    Shape: (batch, features), [(batch, units)] -> (batch, units), [(batch, units)]
    Raises: ShapeError for states of another number or shape.
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
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            activation,
            use_bias,
            (kernel_initializer, kernel_regularizer, kernel_constraint),
            (recurrent_initializer, recurrent_regularizer, recurrent_constraint),
            (bias_initializer, bias_regularizer, bias_constraint),
            (dropout, recurrent_dropout, seed),
            **kwargs,
        )
        self.recurrent_activation = activations.get(recurrent_activation)
        self.reset_after = reset_after

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


class StackedRNNCells(Cell):
    """Several cells as one: the output of each is the input of the next.

    In RNN each cell runs over all steps before the next one does, which gives the same numbers.

    Args:
        cells: a list of cells.

    Shape: (batch, features), a list of each cell's states -> (batch, units), the new states
    Raises: ArgumentError for what is not a cell.
    """

    def __init__(self, cells: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(cells, (list, tuple)) or not cells:
            raise ArgumentError(f"{self.label} needs a list of cells, got {cells!r}.")
        self.cells = [check_cell(self.label, cell) for cell in cells]
        first = self.cells[0]
        vars(self)["accepts"] = getattr(first, "accepts", None)
        vars(self)["fixes"] = getattr(first, "fixes", None)

    @property
    def state_size(self) -> list[Any]:
        """The sizes of each cell's states."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> Any:
        """The length of the last cell's output."""
        shape = _output_shape(self.cells[-1])
        return shape[0] if len(shape) == 1 else shape

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        """What each cell starts with."""
        return [first_states(cell, batch_size) for cell in self.cells]

    def build(self, input_shape: Any) -> None:
        for cell in self.cells:
            build_inner(cell, input_shape)
            input_shape = (input_shape[0], *_output_shape(cell))

    def forward(self, inputs: torch.Tensor, states: Any, training: bool | None = None) -> Any:
        """One step of all cells: the output, and the new states of each."""
        self._check_number(states)
        new = []
        for cell, old in zip(self.cells, states, strict=True):
            inputs, last = one_step(cell, inputs, listed(old))
            self._check_output(cell, tuple(inputs.shape[1:]))
            new.append(nested(old, last))
        return inputs, new

    def run(
        self, x: torch.Tensor, states: Any, mask: Any, training: bool, wanted: Wanted
    ) -> tuple[torch.Tensor, States]:
        self._check_number(states)
        new: list[torch.Tensor] = []
        for at, (cell, old) in enumerate(zip(self.cells, states, strict=True), 1):
            # What a cell gives at masked steps does not matter: the next one skips them too.
            here = wanted if at == len(self.cells) else wanted._replace(sequences=True, zeros=False)
            x, last = run_cell(cell, x, listed(old), mask, training, here)
            self._check_output(cell, tuple(x.shape[1 + here.sequences :]))
            new.extend(last)
        return x, tuple(new)

    def _check_number(self, states: Any) -> None:
        if not isinstance(states, (list, tuple)) or len(states) != len(self.cells):
            got = len(states) if isinstance(states, (list, tuple)) else type(states).__name__
            raise ShapeError(
                f"{self.label} needs a list with the states of each of its {len(self.cells)} "
                f"cells, got {got}."
            )

    def _check_output(self, cell: Any, shape: tuple[int, ...]) -> None:
        # The next cell was built for what this one said; nobody reads what the last one says.
        if cell is not self.cells[-1] and shape != _output_shape(cell):
            who = getattr(cell, "label", type(cell).__name__)
            raise ShapeError(
                f"{self.label}: {who} gives outputs of shape {shape}, but its output_size (without "
                f"one, its first state_size) says {_output_shape(cell)}. Set its output_size."
            )


def _output_shape(cell: Any) -> tuple[int, ...]:
    size = getattr(cell, "output_size", None)
    return tuple(listed(listed(cell.state_size)[0] if size is None else size))
