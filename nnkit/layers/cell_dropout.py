"""Dropout in recurrent cells: one draw for all steps of a sequence."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn

from nnkit import random
from nnkit.arguments import number
from nnkit.errors import ShapeError
from nnkit.layer import Layer

__all__ = ["CellDropout", "forget_masks"]


class CellDropout(Layer):
    """What drops inputs and fed-back states of a cell.

    In a loop by hand the first call in training draws the masks and all further calls use them,
    until they are reset; do that after each sequence. RNN draws new ones for each batch by itself.

    Attributes:
        dropout, recurrent_dropout: the fraction of inputs, of states, that is dropped.
        drops_by_gate: each gate sees other inputs; always so with recurrent dropout.
    """

    gates: ClassVar[int] = 1
    drops_by_gate: ClassVar[bool] = False
    _dropout_mask: torch.Tensor | None = None
    _recurrent_dropout_mask: torch.Tensor | None = None

    def set_dropout(self, dropout: Any, recurrent_dropout: Any, seed: Any) -> None:
        """Keep the fractions and what draws."""
        self.dropout = float(number(self, "dropout", dropout, 0, 1))
        self.recurrent_dropout = float(number(self, "recurrent_dropout", recurrent_dropout, 0, 1))
        self.seed_generator = random.SeedGenerator(seed)

    def get_dropout_mask(self, step_input: torch.Tensor) -> torch.Tensor | None:
        """The factors of the inputs, (batch, features), or with the gates in front; held."""
        if self._dropout_mask is None:
            self._dropout_mask = self._draw_inputs(step_input)
        return self._fitting(self._dropout_mask, step_input, "dropout")

    def get_recurrent_dropout_mask(self, step_input: torch.Tensor) -> torch.Tensor | None:
        """The factors of the state for each gate, (gates, batch, units); held."""
        if self._recurrent_dropout_mask is None:
            self._recurrent_dropout_mask = self._draw_states(step_input)
        return self._fitting(self._recurrent_dropout_mask, step_input, "recurrent_dropout")

    def reset_dropout_mask(self) -> None:
        """Let the next call draw which inputs it drops."""
        self._dropout_mask = None

    def reset_recurrent_dropout_mask(self) -> None:
        """Let the next call draw which parts of the state it drops."""
        self._recurrent_dropout_mask = None

    def take_masks(
        self, step: torch.Tensor, state: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """The masks for a whole sequence; a new sequence will have others."""
        if self._dropout_mask is None and self._recurrent_dropout_mask is None:
            return self._draw_inputs(step), self._draw_states(state)
        masks = self.get_dropout_mask(step), self.get_recurrent_dropout_mask(state)
        forget_masks(self)
        return masks

    def _draw_inputs(self, step: torch.Tensor) -> torch.Tensor | None:
        by_gate = self.drops_by_gate or self.recurrent_dropout > 0
        return self._draw(step, self.dropout, self.gates if by_gate else None)

    def _draw_states(self, state: torch.Tensor) -> torch.Tensor | None:
        return self._draw(state, self.recurrent_dropout, self.gates)

    def _draw(self, like: torch.Tensor, rate: float, times: int | None) -> torch.Tensor | None:
        if rate == 0:
            return None
        ones = like.new_ones(like.shape if times is None else (times, *like.shape))
        return random.dropout(ones, rate, seed=self.seed_generator)

    def _fitting(
        self, mask: torch.Tensor | None, like: torch.Tensor, name: str
    ) -> torch.Tensor | None:
        if mask is not None and mask.shape[-like.ndim :] != like.shape:
            raise ShapeError(
                f"{self.label} still holds the {name} mask of a sequence of shape "
                f"{tuple(mask.shape[-like.ndim :])} a step, but received {tuple(like.shape)}. "
                f"Call reset_{name}_mask() after each sequence."
            )
        return mask

    def __getstate__(self) -> dict[str, Any]:
        held = ("_dropout_mask", "_recurrent_dropout_mask")
        return {k: v for k, v in super().__getstate__().items() if k not in held}


def forget_masks(cell: Any) -> None:
    """Reset the masks of a cell and of all cells in it."""
    for part in cell.modules() if isinstance(cell, nn.Module) else ():
        if isinstance(part, CellDropout):
            part.reset_dropout_mask()
            part.reset_recurrent_dropout_mask()
