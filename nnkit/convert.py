"""What a layer is called with, as tensors of the right type in the right place."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import nn

from nnkit.errors import ArgumentError

__all__ = ["as_array", "as_tensor", "free_batch", "in_range"]


def as_array(value: Any) -> np.ndarray:
    """A tensor, or nested lists, as a NumPy array."""
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def as_tensor(value: Any, layer: nn.Module) -> Any:
    """NumPy arrays and numbers as tensors on the layer's device; anything else as it is."""
    if isinstance(value, torch.Tensor) or value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "OSU":
        return value  # words, for a layer that looks them up
    if isinstance(value, (np.ndarray, np.generic, int, float)):
        first = next(chain(layer.parameters(), layer.buffers()), None)
        tensor = torch.as_tensor(value, device=None if first is None else first.device)
        return tensor.to(torch.get_default_dtype()) if tensor.is_floating_point() else tensor
    if isinstance(value, nn.Module):
        raise ArgumentError(
            f"{getattr(layer, 'label', type(layer).__name__)} was called on a "
            f"{type(value).__name__}, which is a layer and no tensor. Call that one first, on a "
            f"tensor or on Input(shape=...)."
        )
    return value


def free_batch(value: Any) -> Any:
    """The shape of a tensor with a free batch axis; None for anything else."""
    return (None, *value.shape[1:]) if isinstance(value, torch.Tensor) and value.ndim else None


def in_range(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Values in another dtype; for whole numbers rounded, and cut off where a cast would wrap."""
    if dtype.is_floating_point or dtype == torch.bool:
        return values.to(dtype)
    limits = torch.iinfo(dtype)
    return values.round().clamp(limits.min, limits.max).to(dtype)
