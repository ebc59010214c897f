"""Predictions of many batches, put together on the host."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from nnkit.tree import flatten, map_structure

__all__ = ["Collector", "one_batch"]


def one_batch(x: Any, batch_size: int | None, device: torch.device) -> torch.Tensor | None:
    """A few samples as the one batch they are; None when they need the whole machinery."""
    if not x.ndim or not 0 < x.shape[0] <= (batch_size or 32):
        return None
    if isinstance(x, np.ndarray):
        if x.dtype not in (np.float32, np.uint8) or not x.flags.writeable:
            return None
        x = torch.from_numpy(x)
    elif x.dtype is not torch.float32:
        return None
    # A sum is the fastest look for NaN; the long way says where they are.
    if not x.is_cuda and x.is_floating_point() and not math.isfinite(x.sum().item()):
        return None
    return x if x.device == device else x.to(device)


class Collector:
    """Moves each batch of outputs to the host and joins them at the end.

    Args:
        steps: batches to come; None when unknown.
    """

    def __init__(self, steps: int | None) -> None:
        self.steps = steps
        self._nesting: Any = None
        self._parts: list[list[np.ndarray]] = []

    def add(self, outputs: Any) -> None:
        """Take the outputs of one batch, nested as the model nests them."""
        arrays = [_on_host(leaf) for leaf in flatten(outputs)]
        if not self._parts:
            self._nesting = outputs
            self._parts = [[] for _ in arrays]
        for part, array in zip(self._parts, arrays, strict=True):
            part.append(array)

    @classmethod
    def of(cls, outputs: Any) -> Any:
        """The arrays of one batch, nested as the outputs were."""
        one = cls(1)
        one.add(outputs)
        return one.result()

    def result(self) -> Any:
        """The arrays of all batches, nested as the outputs were."""
        # A copy even of one part: it may share its memory with the input or a weight.
        joined = [
            part[0].copy() if len(part) == 1 else np.concatenate(part) for part in self._parts
        ]
        if isinstance(self._nesting, torch.Tensor):
            return joined[0]
        whole = dict(zip(map(id, flatten(self._nesting)), joined, strict=True))
        return map_structure(lambda leaf: whole[id(leaf)], self._nesting)


def _on_host(tensor: torch.Tensor) -> np.ndarray:
    tensor = tensor.detach().cpu()
    # NumPy has no bfloat16.
    return tensor.float().numpy() if tensor.dtype is torch.bfloat16 else tensor.numpy()
