"""Losses of single elements, and of sequences of labels."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nnkit.errors import ArgumentError, ShapeError
from nnkit.losses import crossentropy
from nnkit.losses.tensors import paired
from nnkit.ops.recording import as_tensor, floats, recorded, tensors

__all__ = [
    "binary_crossentropy", "categorical_crossentropy", "ctc_decode", "ctc_loss", "psnr",
    "sparse_categorical_crossentropy",
]  # fmt: skip


@recorded
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Tensor:
    """The crossentropy of each probability (or logit) with its target from 0 to 1."""
    output = floats(output)
    target, output = paired("binary_crossentropy", as_tensor(target, device=output.device), output)
    target = target.to(output.dtype)
    if output.is_meta:
        return torch.empty_like(output)  # the clipped loss asks for autocast, which meta lacks
    logits = output if from_logits else crossentropy.folded_logits(output, "sigmoid")
    if logits is None:
        return crossentropy.clipped_binary(target, output)
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none")


@recorded
def categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """The crossentropy of one-hot targets with the probabilities (or logits) along `axis`."""
    return crossentropy.categorical_crossentropy(target, output, from_logits, axis=axis)


@recorded
def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """The crossentropy of class numbers with the probabilities (or logits) along `axis`."""
    return crossentropy.sparse_categorical_crossentropy(target, output, from_logits, axis=axis)


@recorded
def ctc_loss(
    target: Any, output: Any, target_length: Any, output_length: Any, mask_index: int = 0
) -> Tensor:
    """The loss of a sequence of labels that is shorter than the sequence of outputs.

    Args:
        target: (batch, labels) class numbers.
        output: (batch, time, classes) logits.
        target_length, output_length: (batch,) how much of each counts.
        mask_index: the class that stands for no label.
    """
    target, output, short, long = tensors(target, output, target_length, output_length)
    wide = output.to(torch.promote_types(output.dtype, torch.float32))
    if wide.is_meta:
        return wide.new_empty(wide.shape[0])  # torch cannot infer this one
    log = F.log_softmax(wide.transpose(0, 1), -1)
    return F.ctc_loss(log, target, long, short, mask_index, "none")


@recorded
def ctc_decode(
    inputs: Any,
    sequence_lengths: Any,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int | None = 0,
) -> tuple[Tensor, Tensor]:
    """The most likely class at each step, repeats and blanks left out.

    Args:
        inputs: (batch, time, classes) logits.
        sequence_lengths: (batch,) how many steps count.
        strategy: "greedy"; beam search is not there.
        beam_width, top_paths: of beam search; not used.
        merge_repeated: whether equal neighbours are one label.
        mask_index: the class that stands for no label; the last one when None.

    Shape: -> (1, batch, time) labels, filled with -1 at the end, and (batch, 1) scores
    """
    if strategy != "greedy":
        raise ArgumentError(f"ctc_decode: strategy must be 'greedy', got {strategy!r}.")
    inputs, lengths = tensors(inputs, sequence_lengths)
    scores, labels = inputs.max(-1)
    blank = inputs.shape[-1] - 1 if mask_index is None else mask_index
    steps = torch.arange(inputs.shape[1], device=inputs.device)
    over = steps >= lengths.unsqueeze(-1)
    dropped = over | (labels == blank)
    if merge_repeated:
        labels = labels.masked_fill(over, blank)
        dropped[:, 1:] |= labels[:, 1:] == labels[:, :-1]
    order = torch.argsort(dropped.to(torch.uint8), dim=-1, stable=True)
    kept = labels.masked_fill(dropped, -1).gather(-1, order).to(torch.int32)
    return kept.unsqueeze(0), -scores.masked_fill(over, 0).sum(-1, keepdim=True)


@recorded
def psnr(x1: Any, x2: Any, max_val: float) -> Tensor:
    """The peak signal-to-noise ratio of two images in decibels; `max_val` is the brightest."""
    x1, x2 = (floats(each) for each in tensors(x1, x2))
    if x1.shape != x2.shape:
        raise ShapeError(
            f"psnr compares images of one shape, got {tuple(x1.shape)} and {tuple(x2.shape)}."
        )
    peak = torch.as_tensor(max_val, dtype=x1.dtype, device=x1.device)
    return 20 * torch.log10(peak) - 10 * torch.log10((x1 - x2).square().mean())
