"""Where `nnkit.ops` and `nnkit.random` make new tensors: beside the data a model is computing on.

`ops.zeros((n, 1))` in a `call` or `train_step` must lie on the model's device. Torch's own device
context would intercept every function of torch; this is one variable that only makers of tensors
look at, and on a CPU it is never set.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from nnkit.tree import flatten

__all__ = ["beside", "creating_on", "creation_device", "placed"]


class _Current(threading.local):
    device: torch.device | None = None


_current = _Current()


def creation_device() -> torch.device | None:
    """Where to make a tensor; None for torch's default device."""
    return _current.device


@contextmanager
def creating_on(device: torch.device | None) -> Iterator[None]:
    """Inside, new tensors of ops and random lie on this device; None is torch's default."""
    before = _current.device
    _current.device = None if device is None or device.type == "cpu" else device
    try:
        yield
    finally:
        _current.device = before


def beside(data: Any, run: Callable[..., Any]) -> Callable[..., Any]:
    """`run`, making tensors where the data is; `run` itself for data on a CPU."""
    if isinstance(data, torch.Tensor) and data.is_cpu:
        return run  # asked at every call of a model
    device = getattr(data, "device", None)
    if device is None and isinstance(data, (list, tuple, dict)):
        found = (getattr(leaf, "device", None) for leaf in flatten(data))
        device = next((each for each in found if each is not None), None)
    return placed(device, run) if isinstance(device, torch.device) else run


def placed(device: torch.device, run: Callable[..., Any]) -> Callable[..., Any]:
    """`run`, making tensors on this device; `run` itself for a CPU."""
    return run if device.type in ("cpu", "meta") else functools.partial(_run_on, device, run)


def _run_on(device: torch.device, run: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    with creating_on(device):
        return run(*args, **kwargs)
