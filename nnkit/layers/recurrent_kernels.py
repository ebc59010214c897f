"""Running along time: torch's fused kernels, a loop in plain torch, and masks for both.

Everything here works on tensors alone. `states` are tuples of (batch, units), the hidden state
first; the output of a step is its hidden state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["Kernel", "States", "Step", "fused", "fused_masked", "step_by_step"]

States = tuple[Tensor, ...]
Kernel = Callable[..., Any]
Step = Callable[[Tensor, States], States]

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
    *,
    sequences: bool,
    zeros: bool,
    final: bool,
) -> tuple[Tensor, States]:
    """Run one of torch's kernels with a mask of any pattern, exactly and without a loop.

    The steps that count are moved to the front, so that the kernel meets them in a row; what it
    computes after them is never read.

    Args:
        kernel, x, states, weights: see `fused`; x has the batch axis first.
        mask: (batch, time), True where a step counts.
        sequences: return every output instead of the last.
        zeros: masked steps give zeros instead of repeating the output before.
        final: whether the states at the end are needed; else they are the ones from the start.
    """
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
    step: Step,
    x: Tensor,
    states: States,
    mask: Tensor | None,
    *,
    sequences: bool,
    zeros: bool,
) -> tuple[Tensor, States]:
    """Run a step function along time.

    Args:
        step: from the input of one step and the states to the new states.
        x: (batch, time, ...).
        mask, sequences, zeros: see `fused_masked`.
    """
    outputs = []
    for at, now in enumerate(x.unbind(1)):
        new = step(now, states)
        if mask is not None:
            keep = mask[:, at : at + 1]
            new = tuple(torch.where(keep, n, s) for n, s in zip(new, states, strict=True))
        states = new
        if sequences:
            outputs.append(states[0])
    output = torch.stack(outputs, 1) if sequences else states[0]
    if mask is None:
        return output, states
    # A given first state is no output: until a step counts, the output is zero.
    keep = mask if zeros else mask.cumsum(1) > 0
    keep = keep.unsqueeze(2) if sequences else keep[:, -1:]
    return output.masked_fill(~keep, 0), states
