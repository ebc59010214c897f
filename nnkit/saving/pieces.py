"""Going through tensors of any size in pieces of a megabyte or so."""

from __future__ import annotations

import torch

__all__ = ["as_rows", "in_pieces"]

_PIECE = 2**20  # bytes, which stay in the processor's cache when they are turned


def as_rows(value: torch.Tensor) -> torch.Tensor:
    """A view with two axes, where that is one; else the tensor, with an axis at least."""
    if value.ndim > 2 and value.numel():
        try:
            return value.view(-1, value.shape[-1])
        except RuntimeError:  # its axes cannot be joined
            return value
    return value if value.ndim else value.reshape(1)


def in_pieces(rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Views of some entries of the first axis at a time."""
    return torch.split(rows, max(_PIECE * len(rows) // max(rows.nbytes, 1), 1))
