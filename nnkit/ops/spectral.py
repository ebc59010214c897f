"""Fourier transforms. A complex tensor goes in and out as a pair (real part, imaginary part)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nnkit.errors import ArgumentError, ShapeError
from nnkit.ops.recording import as_tensor, floats, recorded, tensors

__all__ = [
    "extract_sequences", "fft", "fft2", "ifft2", "irfft", "istft", "polar", "rfft", "stft",
    "view_as_complex", "view_as_real",
]  # fmt: skip

_WINDOWS = {"hann": torch.hann_window, "hamming": torch.hamming_window}
Pair = tuple[Tensor, Tensor]


def _complex(x: Any) -> Tensor:
    if not isinstance(x, (tuple, list)) or len(x) != 2:
        raise ArgumentError(
            f"A Fourier transform takes a pair (real, imaginary), got {type(x).__name__}. "
            f"Give (x, ops.zeros_like(x)) for real numbers."
        )
    real, imaginary = (floats(each) for each in tensors(*x))
    if real.shape != imaginary.shape:
        raise ShapeError(
            f"The real and the imaginary part have one shape, got {tuple(real.shape)} and "
            f"{tuple(imaginary.shape)}."
        )
    return torch.complex(real, imaginary)


def _parts(x: Tensor) -> Pair:
    return x.real, x.imag


@recorded
def fft(x: Any) -> Pair:
    """The Fourier transform over the last axis."""
    return _parts(torch.fft.fft(_complex(x)))


@recorded
def fft2(x: Any) -> Pair:
    """The Fourier transform over the last two axes."""
    return _parts(torch.fft.fft2(_complex(x)))


@recorded
def ifft2(x: Any) -> Pair:
    """The inverse of `fft2`."""
    return _parts(torch.fft.ifft2(_complex(x)))


@recorded
def rfft(x: Any, fft_length: int | None = None) -> Pair:
    """The Fourier transform of real numbers over the last axis: its first half and one.

    Args:
        x: real numbers.
        fft_length: cut or fill x with zeros to this many; all of x when None.
    """
    return _parts(torch.fft.rfft(floats(x), fft_length))


@recorded
def irfft(x: Any, fft_length: int | None = None) -> Tensor:
    """The inverse of `rfft`; fft_length is needed for an odd length."""
    return torch.fft.irfft(_complex(x), fft_length)


@recorded
def view_as_complex(x: Any) -> Tensor:
    """A complex tensor from real and imaginary parts on the last axis, of size 2."""
    x = as_tensor(x)
    if x.ndim < 1 or x.shape[-1] != 2:
        raise ShapeError(f"view_as_complex needs a last axis of size 2, got {tuple(x.shape)}.")
    return torch.complex(*floats(x).unbind(-1))


@recorded
def view_as_real(x: Any) -> Tensor:
    """The real and the imaginary part on a new last axis."""
    return torch.view_as_real(as_tensor(x).resolve_conj())


@recorded
def polar(abs_: Any, angle: Any) -> Tensor:
    """Complex numbers from their size and their angle in radians."""
    return torch.polar(*(floats(each) for each in tensors(abs_, angle)))


@recorded
def extract_sequences(x: Any, sequence_length: int, sequence_stride: int) -> Tensor:
    """Windows of the last axis: (..., samples) -> (..., windows, sequence_length)."""
    return as_tensor(x).unfold(-1, sequence_length, sequence_stride)


def _window(window: Any, length: int, like: Tensor) -> Tensor:
    if window is None:
        return like.new_ones(length)
    if isinstance(window, str):
        if window not in _WINDOWS:
            raise ArgumentError(f"window must be 'hann', 'hamming' or a tensor, got {window!r}.")
        return _WINDOWS[window](length, dtype=like.dtype, device=like.device)
    window = as_tensor(window, like.dtype, like.device)
    if window.shape != (length,):
        raise ShapeError(
            f"window must have sequence_length={length} numbers, got {tuple(window.shape)}."
        )
    return window


@recorded
def stft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    window: Any = "hann",
    center: bool = True,
) -> Pair:
    """Fourier transforms of the windows of a signal.

    Args:
        x: real numbers, samples on the last axis.
        sequence_length: samples in a window.
        sequence_stride: samples from one window to the next.
        fft_length: length of each transform, at least sequence_length.
        window: "hann", "hamming", a vector of sequence_length, or None for ones.
        center: whether windows are centred on their sample, the ends mirrored.

    Shape: (..., samples) -> (..., windows, fft_length // 2 + 1), twice
    """
    x = floats(x)
    if fft_length < sequence_length:
        raise ArgumentError(
            f"stft: fft_length={fft_length} must not be below sequence_length={sequence_length}."
        )
    result = torch.stft(
        x.reshape(-1, x.shape[-1]),
        fft_length,
        sequence_stride,
        sequence_length,
        _window(window, sequence_length, x),
        center,
        return_complex=True,
    )
    return _parts(result.mT.reshape(*x.shape[:-1], *result.mT.shape[-2:]))


@recorded
def istft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: Any = "hann",
    center: bool = True,
) -> Tensor:
    """The signal behind the transforms of its windows; arguments as for `stft`.

    Args:
        length: samples of the signal; as many as the windows cover when None.

    Shape: (..., windows, fft_length // 2 + 1), twice -> (..., samples)
    """
    whole = _complex(x)
    frames = torch.fft.irfft(whole.reshape(-1, *whole.shape[-2:]), fft_length)
    total = fft_length + sequence_stride * (frames.shape[-2] - 1)

    def overlapped(x: Tensor) -> Tensor:
        return F.fold(x.mT, (1, total), (1, fft_length), stride=(1, sequence_stride))

    if window is None:
        signal = overlapped(frames)
    else:
        shape = _window(window, sequence_length, frames)
        if sequence_length == fft_length and center:
            covered = overlapped(shape.square().expand_as(frames))
            signal = overlapped(frames * shape) / covered.where(covered > 1e-11, 1)
        else:
            signal = overlapped(frames * _fitted(shape, sequence_stride, fft_length))
    start = fft_length // 2 if center else 0
    end = total - start if length is None else start + length
    return signal.reshape(*whole.shape[:-2], total)[..., start:end]


def _fitted(window: Tensor, stride: int, length: int) -> Tensor:
    """The window as long as a transform, divided so that what overlaps adds up to the signal."""
    before = (length - window.shape[0]) // 2
    window = F.pad(window, (before, length - window.shape[0] - before))
    shifts = -(-length // stride)
    power = F.pad(window.square(), (0, shifts * stride - length)).reshape(shifts, stride).sum(0)
    return window / power.repeat(shifts)[:length]
