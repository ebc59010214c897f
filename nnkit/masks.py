"""Masks: which time steps of a tensor count, carried as the attribute `_keras_mask`."""

from __future__ import annotations

import warnings
from typing import Any

from nnkit.symbolic import SymbolicTensor

__all__ = ["attach_mask", "mask_of", "warn_of_lost"]


def mask_of(value: Any) -> Any:
    """The mask of a tensor, or a list of masks for a list of tensors; None when there is none."""
    if isinstance(value, (list, tuple)):
        masks = [mask_of(item) for item in value]
        return masks if any(mask is not None for mask in masks) else None
    return getattr(value, "_keras_mask", None) if value is not None else None


def attach_mask(outputs: Any, mask: Any) -> None:
    """Put a mask on a tensor, or a list of masks on a list of tensors."""
    if mask is None:
        return
    tensors = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    masks = mask if isinstance(mask, (list, tuple)) else [mask]
    for tensor, one in zip(tensors, masks, strict=False):
        if one is not None:
            tensor._keras_mask = one
            if isinstance(one, SymbolicTensor):
                one.node.hidden = True


def warn_of_lost(layer: Any, mask: Any) -> None:
    """Say so when a mask comes to a layer that neither uses nor passes it on."""
    if mask is None or layer.supports_masking or layer._makes_mask or "mask" in layer._takes:
        return
    warnings.warn(
        f"{layer.label} was given a masked input but does not carry masks on, so masked steps "
        f"count from here on. Set supports_masking = True on a layer of your own.",
        stacklevel=4,
    )
