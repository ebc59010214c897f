"""Dtypes by name, as Keras has them, and torch's."""

from __future__ import annotations

from typing import Any

import torch

from nnkit.errors import ArgumentError

__all__ = ["given_dtype", "to_dtype"]


def to_dtype(dtype: Any) -> torch.dtype:
    """A torch dtype from itself, a name such as "float32", NumPy's, or None (torch's default).

    Raises: ArgumentError when there is no such type.
    """
    if dtype is None:
        return torch.get_default_dtype()
    if isinstance(dtype, torch.dtype):
        return dtype
    name = getattr(dtype, "__name__", None) or getattr(dtype, "name", None) or str(dtype)
    found = getattr(torch, str(name).removeprefix("torch."), None)
    if not isinstance(found, torch.dtype):
        raise ArgumentError(f"Unknown dtype {dtype!r}. Use a name such as 'float32' or 'int64'.")
    return found


def given_dtype(dtype: Any) -> torch.dtype | None:
    """As `to_dtype`, but None stays None."""
    return None if dtype is None else to_dtype(dtype)
