"""Labels to one-hot rows, and rows to length one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnkit.errors import ArgumentError, DataError

__all__ = ["normalize", "to_categorical"]


def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """Turn class numbers into one-hot rows.

    Args:
        x: whole numbers from 0, any shape; a last axis of size 1 is dropped.
        num_classes: classes in all; the largest label + 1 when None.

    Shape: (...) or (..., 1) -> (..., num_classes), a float64 array; for a tensor, a float one.
    Raises: DataError for labels that are negative, too large or not whole; ArgumentError for
        num_classes below 1.
    """
    if num_classes is not None and num_classes < 1:
        raise ArgumentError(f"to_categorical expects num_classes >= 1, got {num_classes}.")
    if isinstance(x, Tensor):
        labels = to_categorical(x.detach().cpu().numpy(), num_classes)
        return torch.from_numpy(labels).to(x.device, torch.get_default_dtype())
    labels = _whole_numbers(x)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if labels.size and labels.min() < 0:
        raise DataError(f"to_categorical expects labels from 0 up, got {labels.min()}.")
    if num_classes is None:
        if not labels.size:
            raise DataError("to_categorical got no labels. Give num_classes, or some labels.")
        num_classes = int(labels.max()) + 1
    if labels.size and labels.max() >= num_classes:
        raise DataError(
            f"to_categorical with num_classes={num_classes} expects labels 0 to "
            f"{num_classes - 1}, got {labels.max()}. Labels that start at 1 need a `- 1`."
        )
    rows = np.zeros((labels.size, num_classes))
    rows[np.arange(labels.size), labels.reshape(-1)] = 1
    return rows.reshape(*labels.shape, num_classes)


def _whole_numbers(x: Any) -> np.ndarray:
    try:
        given = np.asarray(x)
    except ValueError as exc:
        raise DataError("to_categorical got rows of different lengths.") from exc
    if given.size == 0:
        return given.astype(np.int64)
    if given.dtype.kind not in "biuf":
        raise DataError(
            f"to_categorical expects whole numbers, got dtype {given.dtype}. "
            f"Turn names into numbers with StringLookup or np.unique(..., return_inverse=True)."
        )
    if given.dtype.kind == "f" and not (np.isfinite(given).all() and (given % 1 == 0).all()):
        raise DataError("to_categorical expects whole numbers, got some with fractions or NaN.")
    return given.astype(np.int64)


def normalize(x: Any, axis: int | None = -1, order: float = 2) -> Any:
    """Scale an array so that its norm along an axis is 1; zeros stay zeros.

    Args:
        x: array or tensor; a tensor gives a tensor. An array of one axis becomes one row, as in
            Keras.
        axis: the axis whose values make up one vector; None for the array as a whole.
        order: which norm, such as 1, 2 or np.inf.

    Raises: ArgumentError for an axis the array does not have.
    """
    array = x if isinstance(x, Tensor) else np.asarray(x)
    if axis is not None and not -array.ndim <= axis < array.ndim:
        raise ArgumentError(
            f"normalize has no axis {axis} in an array of shape {tuple(array.shape)}."
        )
    if isinstance(array, Tensor):
        values = array if array.is_floating_point() else array.to(torch.get_default_dtype())
        length = torch.linalg.vector_norm(values, ord=order, dim=axis, keepdim=True)
        return values / torch.where(length == 0, torch.ones_like(length), length)
    rows = np.atleast_2d(array)
    if axis is None:
        return normalize(array.reshape(-1), -1, order).reshape(rows.shape)
    length = np.linalg.norm(array, ord=order, axis=axis, keepdims=True)
    return rows / np.where(length == 0, 1, length).astype(length.dtype)
