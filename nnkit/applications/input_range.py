"""One look at the first batch: are these the numbers that the weights were trained on?"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn

from nnkit.errors import ArgumentError

__all__ = ["watch_range"]

# Lowest and highest value of a batch that went through preprocess_input.
_USUAL = {"caffe": (-124, 152), "tf": (-1, 1), "torch": (-2.2, 2.7), "pixels": (0, 255)}


def watch_range(model: nn.Module) -> None:
    """Warn once if the first real batch that comes in cannot be what `model.preprocessing` gives.

    The check takes itself away after that batch, so that later calls cost nothing.
    """
    if model.preprocessing not in _USUAL:
        raise ArgumentError(f"There is no preprocessing {model.preprocessing!r}.")
    hook = model.register_forward_pre_hook(_look)
    model.__dict__["_range_hook"] = hook.id


def _look(model: nn.Module, args: tuple[Any, ...]) -> None:
    x = args[0] if args else None
    if torch.compiler.is_compiling() or not isinstance(x, torch.Tensor) or x.is_meta:
        return
    model._forward_pre_hooks.pop(model.__dict__.pop("_range_hook", -1), None)
    low, high = (float(value) for value in x.detach().float().aminmax())
    problem = _problem(str(model.preprocessing), low, high)
    if problem:
        warnings.warn(
            f"{model.label} has weights for {_words(model.preprocessing)}, but its first batch "
            f"has values from {low:.3g} to {high:.3g}: {problem}",
            stacklevel=2,
        )


def _words(mode: Any) -> str:
    low, high = _USUAL[mode]
    made = "pixels as they are" if mode == "pixels" else f"preprocessing {mode!r}"
    return f"{made}, values from about {low:g} to {high:g}"


def _problem(mode: str, low: float, high: float) -> str:
    """What seems to be wrong with a batch of these values, or nothing."""
    if low == high:  # one value everywhere tells nothing
        return ""
    prepare = f"give pixels from 0 to 255 to preprocess_input(x, mode={mode!r})."
    if mode in ("caffe", "pixels"):
        if low >= -3 and high <= 3:
            scaled = "they look scaled to a small range already"
            what = "leave them from 0 to 255." if mode == "pixels" else prepare
            return f"{scaled}; {what}"
        if mode == "pixels":
            return "pixels are never negative; do not preprocess them." if low < -0.5 else ""
        return f"they look like raw pixels; {prepare}" if low >= 0 and high > 160 else ""
    if high > 10 or low < -10:
        return f"they look like raw pixels; {prepare}"
    return f"they look like pixels divided by 255; {prepare}" if low >= 0 and high <= 1 else ""
