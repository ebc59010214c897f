"""Numbers in any container -> torch tensors, by Keras's rules for dtypes."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnkit.errors import DataError

__all__ = ["as_array", "check_dtype", "final_dtype", "is_rows", "map_data", "to_tensor"]

_WIDER = {torch.uint16: torch.int32, torch.uint32: torch.int64, torch.uint64: torch.int64}


def is_rows(value: Any) -> bool:
    """Whether a list or tuple holds plain numbers (data), and not arrays (several inputs)."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, (numbers.Number, np.generic, str, bytes))


def map_data(fn: Callable[[Any, str], Any], value: Any, path: str) -> Any:
    """Apply `fn(leaf, path)` to each array in a nest, keeping the nest and any None.

    Args:
        path: the name of the whole, such as "x"; leaves become "x[0]" or "x['image']".

    Raises: DataError for an empty list, tuple or dict.
    """
    if value is None:
        return None
    if isinstance(value, (list, tuple, dict)) and not value:
        raise DataError(f"{path} is empty. Give at least one sample.")
    if isinstance(value, dict):
        return {key: map_data(fn, item, f"{path}[{key!r}]") for key, item in value.items()}
    if isinstance(value, (list, tuple)) and not is_rows(value):
        parts = [map_data(fn, item, f"{path}[{i}]") for i, item in enumerate(value)]
        if hasattr(value, "_fields"):
            return type(value)(*parts)
        return tuple(parts) if isinstance(value, tuple) else parts
    return fn(value, path)


def check_dtype(dtype: np.dtype, path: str) -> None:
    """Raise DataError unless an array of this NumPy dtype can become a tensor."""
    if dtype.kind in "biufc":
        return
    if dtype.kind in "SUT":
        advice = "Turn text into numbers first, with TextVectorization or StringLookup."
    elif dtype.kind in "mM":
        advice = "Turn times into numbers first, such as seconds."
    else:
        advice = (
            "Only numbers and bools can be used. For a list of equal arrays use np.stack, for "
            "numbers kept as objects .astype('float32'), for rows of different lengths "
            "pad_sequences, for text TextVectorization or StringLookup."
        )
    raise DataError(f"{path} has dtype {dtype}. {advice}")


def final_dtype(dtype: torch.dtype, role: str) -> torch.dtype:
    """The dtype a tensor has in a batch.

    Args:
        dtype: what the user gave.
        role: "x", "y" or "sample_weight"; labels become int64, weights floats.
    """
    if dtype.is_floating_point or (role == "sample_weight" and not dtype.is_complex):
        return torch.get_default_dtype()
    if role == "y" and not dtype.is_complex and dtype != torch.bool:
        return torch.int64
    return _WIDER.get(dtype, dtype)


def as_array(value: Any, path: str) -> np.ndarray:
    """A NumPy array of what is not a tensor: rows of numbers, a pandas object, any `__array__`.

    A pandas Series becomes (samples, 1), as in Keras; one of sample weights stays (samples,).
    """
    if hasattr(value, "to_numpy"):
        return _from_pandas(value, path)
    try:
        array = np.asarray(value)
    except ValueError as exc:
        raise DataError(
            f"{path} has rows of different lengths. Pad them to one length, "
            f"with pad_sequences for example."
        ) from exc
    check_dtype(array.dtype, path)
    return array


def _from_pandas(value: Any, path: str) -> np.ndarray:
    array = np.asarray(value.to_numpy())
    if array.dtype == object:
        # Columns of mixed types arrive as objects even when each of them is numbers or bools.
        frame = value if hasattr(value, "columns") else value.to_frame()
        for column, dtype in frame.dtypes.items():
            values = getattr(dtype, "categories", frame[column]).dtype
            if getattr(values, "kind", "O") not in "biuf":
                raise DataError(
                    f"{path} has a column {column!r} of dtype {dtype}. Drop it or turn it into "
                    f"numbers first, with StringLookup, pandas.get_dummies or .cat.codes."
                )
        array = value.to_numpy(dtype=np.float64, na_value=np.nan)
    check_dtype(array.dtype, path)
    # A frame keeps its columns together; batches are cut along rows.
    array = np.ascontiguousarray(array)
    if array.ndim == 1 and not path.startswith("sample_weight"):
        return array[:, None]
    return array


def to_tensor(value: Any, path: str, role: str) -> Tensor:
    """One array of a batch as a tensor in its final dtype, sharing memory where that is safe.

    Raises: DataError for text, objects, ragged rows and single numbers.
    """
    if isinstance(value, Tensor):
        tensor = value.detach()
    else:
        if hasattr(value, "tocsr"):
            value = value.toarray()
        array = as_array(value, path)
        if not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        # Torch can neither share read-only memory nor walk backwards.
        if not array.flags.writeable or any(step < 0 for step in array.strides):
            array = array.copy()
        tensor = torch.from_numpy(array)
    if tensor.ndim == 0:
        raise DataError(f"{path} is a single number; expected one row per sample.")
    return tensor.to(final_dtype(tensor.dtype, role))
