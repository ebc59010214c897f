"""Settings of the process: numbers and the device."""

from __future__ import annotations

import functools
from typing import Any

import torch

from nnkit import naming
from nnkit.dtype_policies import dtype_policy, set_dtype_policy
from nnkit.errors import ArgumentError

__all__ = [
    "clear_session",
    "dtype_policy",
    "epsilon",
    "floatx",
    "get_device",
    "image_data_format",
    "set_device",
    "set_dtype_policy",
    "set_epsilon",
    "set_floatx",
    "training_device",
]

_chosen: list[torch.device] = []
_epsilon = [1e-7]


def set_device(device: Any) -> None:
    """Choose where fit, evaluate and predict run: "cpu", "cuda:1", "mps"; None for the best."""
    _chosen.clear()
    if device is not None:
        _chosen.append(torch.device(device))


def get_device() -> torch.device:
    """Where models train: the chosen device, or the first there is of cuda, mps, cpu."""
    return _chosen[0] if _chosen else _best_device()


@functools.cache
def _best_device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def training_device(parameter: torch.Tensor | None) -> torch.device:
    """The device for a model with this parameter: where it is, if it is on an accelerator."""
    if not _chosen and parameter is not None and parameter.device.type != "cpu":
        return parameter.device
    return get_device()


def epsilon() -> float:
    """A small number for divisions."""
    return _epsilon[0]


def set_epsilon(value: float) -> None:
    """Set what `epsilon()` returns."""
    _epsilon[0] = float(value)


def floatx() -> str:
    """The default float type of new weights: torch's default dtype by name."""
    return str(torch.get_default_dtype()).removeprefix("torch.")


def set_floatx(value: str) -> None:
    """Set the default float type: "float16", "bfloat16", "float32" or "float64"."""
    if value not in ("float16", "bfloat16", "float32", "float64"):
        raise ArgumentError(f"floatx must be float16, bfloat16, float32 or float64, got {value!r}.")
    torch.set_default_dtype(getattr(torch, value))


def image_data_format() -> str:
    """Always "channels_last": images are (batch, height, width, channels)."""
    return "channels_last"


def clear_session(free_memory: bool = True) -> None:
    """Count layer names from the beginning again, and forget the global dtype policy."""
    naming.clear()
    set_dtype_policy(None)
