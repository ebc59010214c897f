"""What is common to all formats: the places of a model's values, and the values in a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from nnkit.layer import Layer
from nnkit.layouts import SAME, Layout

__all__ = ["Contents", "Place", "Stored", "compare", "fill", "group_of"]


class Place(NamedTuple):
    """Where one value of a file goes in the model.

    Args:
        group: what is loaded together or not at all: the weights of one layer.
        label: how messages call it, "kernel of 'dense'".
        value: the model's tensor; anything else that a torch module keeps has the shape ().
        layout: how the tensor lies in the file.
    """

    group: str
    label: str
    value: Any
    layout: Layout = SAME

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape in the file."""
        return _shape(self.layout.to_keras(self.value)) if _is_tensor(self.value) else ()


class Stored:
    """One value of a file: its shape, its size in bytes, and itself, which may not be read yet."""

    def __init__(self, value: Any) -> None:
        self._value = value
        self.shape, self.size = _shape(value), value.nbytes if _is_tensor(value) else 0

    def check(self) -> None:
        """See that `read` will not fail."""

    def read(self, target: torch.Tensor | None = None) -> Any:
        """The value; or fill a tensor of its shape with it, which is given back."""
        return self._value if target is None else target.copy_(self._value)


class Contents(NamedTuple):
    """The values of a file by their keys: the weights, and what belongs to the optimizer."""

    weights: Mapping[str, Stored]
    optimizer: Mapping[str, Stored]


def fill(model: Layer, places: Mapping[str, Place], found: Mapping[str, Stored]) -> None:
    """Bring the values of a file to the places of the same keys."""
    other = {}
    with torch.no_grad():
        for key, place in places.items():
            if _is_tensor(place.value):
                place.layout.fill(place.value, found[key].read)
            else:
                other[key] = found[key].read()
    if other:
        model.load_state_dict(other, strict=False)


def compare(places: Mapping[str, Place], found: Mapping[str, Stored]) -> tuple[str, set[str]]:
    """What does not fit, in words, and the groups it concerns."""
    missing, extra, other, groups = [], [], [], set()
    for key, place in places.items():
        if key not in found:
            missing.append(f"{key} ({place.label}) {place.shape}")
        elif found[key].shape != place.shape:
            other.append(
                f"{key} ({place.label}): {place.shape} in the model, {found[key].shape} in the file"
            )
        else:
            continue
        groups.add(place.group)
    for key in found:
        if key not in places:
            extra.append(f"{key} {found[key].shape}")
            groups.add(group_of(key))
    kinds = {
        "missing in the file": missing,
        "not in the model": extra,
        "of another shape": other,
    }
    lines = [
        line
        for title, items in kinds.items()
        if items
        for line in (f"  {title} ({len(items)}):", *(f"    {item}" for item in items))
    ]
    return "\n".join(lines), groups


def group_of(key: str) -> str:
    """The layer of a key: of "layers/dense/vars/0", "3/0" or "dense.weight"."""
    if "vars/" in key:
        return key.rpartition("/vars/")[0]
    return key.rpartition("/" if "/" in key else ".")[0]


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(value.shape) if _is_tensor(value) else ()
