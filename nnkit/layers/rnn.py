"""RNN: any cell, or list of cells, along time."""

from __future__ import annotations

from typing import Any

import torch

from nnkit.layers.cells import StackedRNNCells
from nnkit.layers.recurrent_base import TimeLayer
from nnkit.layers.recurrent_kernels import Options, build_inner, check_cell, first_states, listed
from nnkit.shapes import axes

__all__ = ["RNN"]


class RNN(TimeLayer):
    """Run a cell along time; cells such as LSTMCell run as fast as the layer LSTM.

    A cell of your own is a layer with `call(inputs, states)`, which gives the output and the new
    states for the inputs of one step, and `state_size`, the length of its state or a list of
    them. It may have `get_initial_state(batch_size)`; otherwise it starts with zeros.

    Args:
        cell: a cell, or a list of cells of which each gets the output of the one before.
        return_state: give the states too: (output, state, ...), for a list those of each cell.
        return_sequences, go_backwards, stateful, unroll, zero_output_for_mask: see SimpleRNN.

    Shape: (batch, time, ...) -> (batch, units) or (batch, time, units)
    Raises: ArgumentError for what is not a cell.
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        several = isinstance(cell, (list, tuple))
        self.cell = StackedRNNCells(cell) if several else check_cell(self.label, cell)
        along = (return_sequences, return_state, go_backwards, stateful, unroll)
        self.set_time(Options(*along, zero_output_for_mask))
        names = axes(getattr(self.cell, "accepts", None) or "(batch, features, ...)")
        vars(self)["accepts"] = f"({', '.join([names[0], 'time', *names[1:]])})"
        vars(self)["fixes"] = getattr(self.cell, "fixes", None)

    @property
    def state_size(self) -> list[Any]:
        """The size of each state; for several cells, those of each cell."""
        return listed(self.cell.state_size)

    def get_initial_state(self, batch_size: int | None = None) -> list[torch.Tensor]:
        """The states that the cell starts with."""
        return first_states(self.cell, batch_size)

    def build(self, input_shape: Any) -> None:
        build_inner(self.cell, (input_shape[0], *input_shape[2:]))
        super().build(input_shape)
