"""Running along time: torch's fused kernels, a loop in plain torch, masks for both, any cell.

`states` are tuples of (batch, units), in the loop also of (batch, ...); the first of them is the
output of a step. Cells take and give them nested, in lists.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nnkit.conventions import adopt_lists
from nnkit.errors import ArgumentError, ShapeError
from nnkit.layer import Layer
from nnkit.layers.cell_dropout import forget_masks
from nnkit.tree import flatten, map_structure

__all__ = [
    "Cell", "Kernel", "Options", "States", "Step", "Wanted", "build_inner", "check_cell",
    "first_states", "fused", "fused_masked", "listed", "nested", "one_step", "run_cell",
    "step_by_step",
]  # fmt: skip

States = tuple[Tensor, ...]
Kernel = Callable[..., Any]
Step = Callable[[Tensor, States], States]


class Options(NamedTuple):
    """How a recurrent layer runs along time, and what it gives."""

    return_sequences: bool
    return_state: bool
    go_backwards: bool
    stateful: bool
    unroll: bool
    zero_output_for_mask: bool


class Wanted(NamedTuple):
    """What a run along time has to give.

    Args:
        sequences: every output instead of the last.
        zeros: masked steps give zeros instead of repeating the output before.
        final: whether the states at the end are needed; else they may be the ones from the start.
    """

    sequences: bool
    zeros: bool
    final: bool


# Added to a gate before its sigmoid, closes or opens it completely; still finite in float16.
_SHUT = 1e4


def fused(
    kernel: Kernel, x: Tensor, states: States, weights: Sequence[Tensor], time_first: bool = False
) -> tuple[Tensor, States]:
    """Run one of torch's kernels without a mask.

    Args:
        kernel: `torch._VF.lstm`, `gru`, `rnn_tanh` or `rnn_relu`.
        x: (batch, time, features), or (time, batch, features).
        states: at the start.
        weights: weight_ih, weight_hh and, both or none, bias_ih and bias_hh.
        time_first: whether x, and so the result, has the time axis first.

    Returns: all outputs, and the states at the end.
    """
    first = tuple(state.unsqueeze(0) for state in states)
    start: Any = first if len(first) > 1 else first[0]
    # Without gradients cuDNN keeps nothing for a backward pass; nothing else depends on it here.
    training = torch.is_grad_enabled()
    output, *last = kernel(
        x, start, _one_block(weights), len(weights) > 2, 1, 0.0, training, False, not time_first
    )
    return output, tuple(state.squeeze(0) for state in last)


def _one_block(weights: Sequence[Tensor]) -> list[Tensor]:
    """The weights as the kernel wants them: cuDNN's lie one after the other in memory."""
    if not weights[0].is_cuda:
        return list(weights)
    block = torch.cat([weight.reshape(-1) for weight in weights])
    parts = torch.split_with_sizes(block, [weight.numel() for weight in weights])
    return [part.view(weight.shape) for part, weight in zip(parts, weights, strict=True)]


def fused_masked(
    kernel: Kernel,
    x: Tensor,
    states: States,
    weights: Sequence[Tensor],
    mask: Tensor,
    wanted: Wanted,
) -> tuple[Tensor, States]:
    """Run one of torch's kernels with a mask of any pattern, exactly and without a loop.

    The steps that count are moved to the front, so that the kernel meets them in a row; what it
    computes after them is never read.

    Args:
        kernel, x, states, weights: see `fused`; x has the batch axis first.
        mask: (batch, time), True where a step counts.
        wanted: what to give.
    """
    sequences, zeros, final = wanted
    order = torch.argsort((~mask).to(torch.uint8), dim=1, stable=True)
    count = mask.sum(1, keepdim=True)
    x = _rows(x, order).view(x.shape[1], x.shape[0], x.shape[2])
    if final and len(states) > 1:
        x, weights = _stop_after(x, weights, count)
    outputs, last = fused(kernel, x, states, weights, time_first=True)

    at = (mask.cumsum(1) if sequences else count) - 1
    keep = at >= 0
    if zeros:
        keep = mask if sequences else mask[:, -1:]
    batch = x.shape[1]
    rows = at.clamp(min=0) * batch + torch.arange(batch, device=x.device).unsqueeze(1)
    flat = outputs.reshape(-1, outputs.shape[2])
    picked = flat.index_select(0, rows.reshape(-1)).view(*rows.shape, outputs.shape[2])
    output = picked.masked_fill(~keep.unsqueeze(2), 0)
    if final:
        hidden = torch.where(count > 0, picked[:, -1], states[0])
        last = (hidden, *last[1:])
    return (output if sequences else output[:, 0]), (last if final else states)


def _rows(x: Tensor, order: Tensor) -> Tensor:
    """Steps of (batch, time, features) in another order, as rows (time * batch, features)."""
    batch, time, features = x.shape
    start = torch.arange(batch, device=x.device).unsqueeze(1) * time
    # index_select goes back by whole rows, six times faster than gather.
    return x.reshape(batch * time, features).index_select(0, (order + start).t().reshape(-1))


def _stop_after(
    x: Tensor, weights: Sequence[Tensor], count: Tensor
) -> tuple[Tensor, Sequence[Tensor]]:
    """Let an LSTM keep its cell state after `count` steps.

    A further feature, 1 after the last step that counts, shuts the input gate and opens the forget
    gate: the cell state is then multiplied by 1 and nothing is added.
    """
    units = weights[1].shape[1]
    after = torch.arange(x.shape[0], device=x.device).unsqueeze(1) >= count.squeeze(1)
    x = torch.cat([x, after.unsqueeze(2).to(x.dtype)], 2)
    column = torch.zeros(4 * units, 1, dtype=x.dtype, device=x.device)
    column[:units] = -_SHUT
    column[units : 2 * units] = _SHUT
    return x, [torch.cat([weights[0], column], 1), *weights[1:]]


def step_by_step(
    step: Step, x: Tensor, states: States, mask: Tensor | None, wanted: Wanted
) -> tuple[Tensor, States]:
    """Run a step function along time.

    Args:
        step: from the input of one step and the states to the new states.
        x: (batch, time, ...).
        mask, wanted: see `fused_masked`; the states at the end are always given.
    """
    outputs = []
    for at, now in enumerate(x.unbind(1)):
        new = step(now, states)
        if mask is not None:
            keep = mask[:, at : at + 1]
            new = tuple(
                torch.where(keep if n.ndim == 2 else _spread(keep, n, 1), n, s)
                for n, s in zip(new, states, strict=True)
            )
        states = new
        if wanted.sequences:
            outputs.append(states[0])
    output = torch.stack(outputs, 1) if wanted.sequences else states[0]
    if mask is None:
        return output, states
    # A given first state is no output: until a step counts, the output is zero.
    keep = mask if wanted.zeros else mask.cumsum(1) > 0
    keep = _spread(keep, output, 2) if wanted.sequences else _spread(keep[:, -1], output, 1)
    return output.masked_fill(~keep, 0), states


def _spread(mask: Tensor, x: Tensor, axes: int) -> Tensor:
    """The mask for the first axes of x, with axes of size 1 for the others."""
    return mask.view(*x.shape[:axes], *[1] * (x.ndim - axes))


# -- cells -----------------------------------------------------------------------------------------


class Cell(Layer):
    """Base of the cells here, which run along time faster than with one call for each step."""

    def run(
        self, x: Tensor, states: Any, mask: Any, training: bool, wanted: Wanted
    ) -> tuple[Tensor, States]:
        """The output(s), and the states at the end in a flat tuple."""
        raise NotImplementedError(f"{type(self).__name__} has no run().")


def listed(value: Any) -> list[Any]:
    """A list of one thing or of several."""
    return list(value) if isinstance(value, (list, tuple)) else [value]


def first_states(cell: Any, batch_size: int | None) -> list[Any]:
    """The states a cell starts with, nested as it takes them: zeros unless it says otherwise."""
    if hasattr(cell, "get_initial_state"):
        return listed(cell.get_initial_state(batch_size=batch_size))
    return [torch.zeros(batch_size or 0, *listed(size)) for size in listed(cell.state_size)]


def check_cell(who: str, cell: Any) -> Any:
    """The cell, if it is one.

    Raises: ArgumentError for anything else.
    """
    if isinstance(cell, Layer) and hasattr(cell, "go_backwards"):
        raise ArgumentError(
            f"{who} needs a cell, which makes one step, but {cell.label} runs along time itself. "
            f"Use it alone, or give its cell, such as LSTMCell(32)."
        )
    made = not inspect.isclass(cell) and (callable(cell) or hasattr(cell, "call"))
    if not made or not isinstance(getattr(cell, "state_size", None), (int, list, tuple)):
        raise ArgumentError(
            f"{who} needs a cell: an object with call(inputs, states) and state_size, an int or a "
            f"list of them, such as LSTMCell(32). Got {cell!r}."
        )
    return cell


def build_inner(cell: Any, shape: Any) -> None:
    """Let a cell that is a layer make its weights for inputs of one step."""
    if isinstance(cell, Layer) and not cell.built:
        cell.check_input(shape)
        adopt_lists(cell)
        cell.build(shape)
        cell.built = True


def run_cell(
    cell: Any, x: Tensor, states: Any, mask: Any, training: bool, wanted: Wanted
) -> tuple[Tensor, States]:
    """Run any cell along time: in its own fast way, or one call after the other.

    Args:
        cell: called with the input of a step and the states; gives the output and new states.
        x: (batch, time, ...).
        states: at the start, nested as the cell takes them; the ones at the end come flat.
        mask: (batch, time), True where a step counts, or None.
    """
    if isinstance(cell, Cell) and _only_ours(cell):
        return cell.run(x, states, mask, training, wanted)
    if x.is_meta:
        output, new = one_step(cell, x.select(1, 0), states)
        times = x.shape[1:2] if wanted.sequences else ()
        return output.new_empty((output.shape[0], *times, *output.shape[1:])), new

    def step(now: Tensor, flat: States) -> States:
        output, new = one_step(cell, now, nested(states, flat[1:]))
        return (output, *new)

    # The output goes along as a state; before the first step that counts it is zero.
    start = (torch.zeros((), device=x.device), *flatten(states))
    output, last = step_by_step(step, x, start, mask, wanted)
    forget_masks(cell)
    return output, last[1:]


def _only_ours(cell: Cell) -> bool:
    """Whether a call does nothing that `run` leaves out, such as a user's code or hooks."""
    hooks = (cell._forward_hooks, cell._forward_pre_hooks)
    backward = (cell._backward_hooks, cell._backward_pre_hooks)
    return type(cell).forward.__module__.startswith("nnkit.") and not any((*hooks, *backward))


def one_step(cell: Any, x: Tensor, states: Any) -> tuple[Tensor, States]:
    """The output of a cell, and its new states in a flat tuple."""
    result = (cell if callable(cell) else cell.call)(x, states)
    who = getattr(cell, "label", type(cell).__name__)
    if not isinstance(result, (list, tuple)) or len(result) != 2:
        raise ArgumentError(
            f"{who} must give (output, new_states), but its call gave {type(result).__name__}."
        )
    new, old = flatten(result[1]), flatten(states)
    if len(new) != len(old):
        raise ShapeError(
            f"{who} was given {len(old)} states but gave {len(new)} new ones. "
            f"Return as many as state_size has."
        )
    return result[0], tuple(new)


def nested(like: Any, leaves: Any) -> Any:
    """The leaves in the nesting of another structure."""
    left = iter(leaves)
    return map_structure(lambda _: next(left), like)
