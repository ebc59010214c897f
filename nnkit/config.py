"""Settings of the process: numbers and the device."""

from __future__ import annotations

import functools
from typing import Any

import torch

from nnkit import naming
from nnkit.dtype_policies import dtype_policy, set_dtype_policy
from nnkit.errors import ArgumentError

__all__ = [
    "backend",
    "clear_session",
    "device",
    "disable_flash_attention",
    "disable_interactive_logging",
    "disable_traceback_filtering",
    "dtype_policy",
    "enable_flash_attention",
    "enable_interactive_logging",
    "enable_traceback_filtering",
    "epsilon",
    "floatx",
    "get_device",
    "image_data_format",
    "is_flash_attention_enabled",
    "is_interactive_logging_enabled",
    "is_traceback_filtering_enabled",
    "set_backend",
    "set_device",
    "set_dtype_policy",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "training_device",
]

_chosen: list[torch.device] = []
_epsilon = [1e-7]
_interactive = [True]


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


def set_image_data_format(data_format: str) -> None:
    """Accepts "channels_last" only, which is how images are kept.

    Raises: ArgumentError for "channels_first".
    """
    if data_format != "channels_last":
        raise ArgumentError(
            f"Images are channels last, not {data_format!r}. Give the layers that need it "
            f"data_format='channels_first', or permute the data: x.transpose(0, 2, 3, 1)."
        )


def backend() -> str:
    """Always "torch"."""
    return "torch"


def set_backend(backend: str) -> None:
    """Accepts "torch" only.

    Raises: ArgumentError for another backend.
    """
    if backend != "torch":
        raise ArgumentError(f"The backend is torch and cannot become {backend!r}.")


def device(device_name: str) -> torch.device:
    """A device to make tensors and weights on inside a `with`: "cpu", "gpu:0", "cuda:1"."""
    return torch.device(device_name.lower().replace("gpu", "cuda").removeprefix("/device:"))


def enable_interactive_logging() -> None:
    """Show progress as a bar where there is a terminal or notebook; the default."""
    _interactive[0] = True


def disable_interactive_logging() -> None:
    """Show progress in plain lines everywhere, as in a file."""
    _interactive[0] = False


def is_interactive_logging_enabled() -> bool:
    """Whether progress may be shown as a bar."""
    return _interactive[0]


def enable_traceback_filtering() -> None:
    """Accepted: nothing is hidden in tracebacks, so there is nothing to switch."""


def disable_traceback_filtering() -> None:
    """Accepted: nothing is hidden in tracebacks, so there is nothing to switch."""


def is_traceback_filtering_enabled() -> bool:
    """Always False: tracebacks are whole."""
    return False


def enable_flash_attention() -> None:
    """Let torch use flash attention where it can; the default."""
    torch.backends.cuda.enable_flash_sdp(True)


def disable_flash_attention() -> None:
    """Keep torch from using flash attention."""
    torch.backends.cuda.enable_flash_sdp(False)


def is_flash_attention_enabled() -> bool:
    """Whether torch may use flash attention."""
    return bool(torch.backends.cuda.flash_sdp_enabled())  # type: ignore[no-untyped-call]


def clear_session(free_memory: bool = True) -> None:
    """Count layer names from the beginning again, and forget the global dtype policy."""
    naming.clear()
    set_dtype_policy(None)
