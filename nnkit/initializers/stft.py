"""The kernels of a short-time Fourier transform, as weights of a convolution."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnkit.arguments import one_of
from nnkit.dtypes import to_dtype
from nnkit.errors import ArgumentError
from nnkit.initializers.base import REGISTRY, Initializer, Shape

__all__ = ["STFT"]

_WINDOWS = torch.signal.windows
# The windows that SciPy and torch know by one name and without a number.
_KNOWN = ("bartlett", "blackman", "cosine", "hamming", "hann", "nuttall")


@REGISTRY.add("stft", "STFTInitializer")
class STFT(Initializer):
    """Cosines or sines under a window: one frequency for each output channel.

    Args:
        side: "real" for the cosines or "imag" for the sines.
        window: "hann", "hamming", "blackman", "bartlett", "cosine", "nuttall", "boxcar", the
            window's values, or None for none.
        scaling: "density" divides by the window's root of squares, "spectrum" by its sum, None by
            nothing.
        periodic: whether the window is one period of a longer one.

    Shape: called with (window, 1, frequencies); the transform has length 2 * (frequencies - 1).
    Raises: ArgumentError for a window that is not known, or of another length.
    """

    def __init__(
        self,
        side: str = "real",
        window: Any = "hann",
        scaling: str | None = "density",
        periodic: bool = False,
    ) -> None:
        self.side = one_of("STFT", "side", side, ("real", "imag"))
        known = (*_KNOWN, "boxcar")
        if isinstance(window, str):
            window = one_of("STFT", "window", window, known)
        elif window is not None and np.asarray(window).dtype.kind not in "biuf":
            raise ArgumentError(f"STFT: window must be a name or numbers, got {window!r}.")
        self.window = window
        self.scaling = one_of("STFT", "scaling", scaling, ("density", "spectrum", None))
        self.periodic = bool(periodic)

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        if len(shape := self.sizes(shape)) != 3 or shape[2] < 2:
            raise ArgumentError(
                f"STFT expects a shape (window, 1, frequencies) with 2 frequencies or more, "
                f"got {shape}."
            )
        length, _, frequencies = shape
        kind = to_dtype(dtype)
        places = torch.arange(frequencies, dtype=kind) / (2 * (frequencies - 1))
        times = torch.arange(length, dtype=kind)
        angles = (-2 * times[:, None, None]) * places * torch.tensor(torch.pi, dtype=kind)
        kernel = angles.cos() if self.side == "real" else angles.sin()
        if self.window is None:
            return kernel
        window = self._values(length, kernel)
        scale = {"density": window.square().sum().sqrt(), "spectrum": window.abs().sum()}
        return kernel * window[:, None, None] / scale.get(str(self.scaling), 1)

    def get_config(self) -> dict[str, Any]:
        window = self.window.tolist() if hasattr(self.window, "tolist") else self.window
        side, scaling = self.side, self.scaling
        return {"side": side, "window": window, "periodic": self.periodic, "scaling": scaling}

    def _values(self, length: int, like: Tensor) -> Tensor:
        if not isinstance(self.window, str):
            window = torch.as_tensor(self.window, dtype=like.dtype, device=like.device)
        elif self.window == "boxcar":
            window = torch.ones(length, dtype=like.dtype)
        else:
            made = getattr(_WINDOWS, self.window)
            window = made(length, sym=not self.periodic, dtype=torch.float64).to(like)
        if window.shape != (length,):
            raise ArgumentError(
                f"STFT: window must have {length} values, one for each step of a frame, got "
                f"{tuple(window.shape)}."
            )
        return window
