"""Plain data: what a file can hold without being able to execute anything.

Numbers, texts, tensors, and lists, tuples and dicts of them. Arrays, sets and deques are written as
dicts with a telling key.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

__all__ = [
    "NotPlainError",
    "attributes",
    "from_plain",
    "plain_part",
    "same",
    "set_attributes",
    "to_plain",
]

_ATOMS = (bool, int, float, str, bytes, type(None))
_ARRAY, _SET, _DEQUE = "nnkit array", "nnkit set", "nnkit deque"


class NotPlainError(Exception):
    """A value is no plain data."""


def to_plain(value: Any) -> Any:
    """A copy of a value as plain data.

    Raises: NotPlainError for functions, models, files and other objects.
    """
    if type(value) in _ATOMS:
        return value
    if isinstance(value, torch.nn.Parameter):
        raise NotPlainError  # somebody's weight or state: its owner keeps it
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, np.generic):
        return to_plain(value.item())
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {_ARRAY: torch.from_numpy(value.copy())}
    if type(value) in (list, tuple):
        return type(value)(to_plain(item) for item in value)
    if type(value) in (dict, OrderedDict):
        return {to_plain(key): to_plain(item) for key, item in value.items()}
    if type(value) in (set, frozenset):
        return {_SET: [to_plain(item) for item in value]}
    if type(value) is deque:
        return {_DEQUE: [to_plain(item) for item in value], "longest": value.maxlen}
    raise NotPlainError


def from_plain(value: Any) -> Any:
    """The value that `to_plain` was given."""
    if isinstance(value, (list, tuple)):
        return type(value)(from_plain(item) for item in value)
    if not isinstance(value, dict):
        return value
    if _ARRAY in value:
        return value[_ARRAY].numpy()
    if _SET in value:
        return {from_plain(item) for item in value[_SET]}
    if _DEQUE in value:
        return deque(map(from_plain, value[_DEQUE]), value["longest"])
    return {key: from_plain(item) for key, item in value.items()}


def same(one: Any, other: Any) -> bool:
    """Whether two pieces of plain data are equal; NaN equals NaN."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) or (one != one and other != other)


def plain_part(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those entries that are plain data, copied."""
    found = {}
    for name, value in values.items():
        try:
            found[name] = to_plain(value)
        except NotPlainError:
            continue
    return found


def attributes(owner: Any, skip: tuple[str, ...] = ()) -> dict[str, Any]:
    """The attributes of an object that are plain data, without those whose names are in `skip`."""
    return plain_part({name: value for name, value in vars(owner).items() if name not in skip})


def set_attributes(owner: Any, values: dict[str, Any]) -> None:
    """Put back what `attributes` gave; tensors go to the device of those they replace."""
    for name, value in values.items():
        value, old = from_plain(value), getattr(owner, name, None)
        if isinstance(value, torch.Tensor) and isinstance(old, torch.Tensor):
            value = value.to(old.device)
        setattr(owner, name, value)
