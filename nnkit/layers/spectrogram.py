"""Sound as pictures of its frequencies over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from nnkit.arguments import image_format, number, one_of, positive
from nnkit.errors import ArgumentError, DataError, ShapeError
from nnkit.initializers import STFT
from nnkit.layer import Layer
from nnkit.layouts import CONV
from nnkit.ops.spectral import stft
from nnkit.probing import like
from nnkit.shapes import describe, same_padding, window_output

__all__ = ["MelSpectrogram", "STFTSpectrogram"]

_MODES = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")
_SMALLEST = 1e-7


class STFTSpectrogram(Layer):
    """Short-time Fourier transforms of a signal, by a convolution whose kernels can be trained.

    Args:
        mode: what to give: "log" or "magnitude" of the amplitudes, "psd" (power), "angle",
            "real", "imag", or "stft" (real and imaginary parts side by side).
        frame_length: steps in a window.
        frame_step: steps from one window to the next; half a window when None.
        fft_length: length of the transform; the next power of two when None.
        window, scaling, periodic: see `initializers.STFT`.
        padding: "valid" (none) or "same" (as many windows as steps / frame_step).
        expand_dims: whether frequencies get an axis of their own beside the channels.
        data_format: "channels_last" (also None), or "channels_first" for (batch, channels, time).

    Shape: (batch, time, channels) -> (batch, windows, channels * frequencies), with expand_dims
        (batch, windows, frequencies, channels); fft_length // 2 + 1 frequencies
    Raises: ShapeError if the signal is shorter than a window.
    """

    accepts = "(batch, time, channels)"

    def __init__(
        self,
        mode: str = "log",
        frame_length: int = 256,
        frame_step: int | None = None,
        fft_length: int | None = None,
        window: Any = "hann",
        periodic: bool = False,
        scaling: str | None = "density",
        padding: str = "valid",
        expand_dims: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mode = one_of(self.label, "mode", mode, _MODES)
        self.padding = one_of(self.label, "padding", padding, ("valid", "same"))
        self.frame_length = positive(self.label, "frame_length", frame_length)
        self.frame_step, self.fft_length = frame_step, fft_length
        step = max(frame_length // 2, 1) if frame_step is None else frame_step
        size = 1 << (frame_length - 1).bit_length() if fft_length is None else fft_length
        self._step = positive(self.label, "frame_step", step)
        self._size = positive(self.label, "fft_length", size)
        if self._step > frame_length or self._size < frame_length:
            raise ArgumentError(
                f"{self.label}: frame_step may be at most frame_length and fft_length not less, "
                f"got frame_length={frame_length}, frame_step={frame_step}, "
                f"fft_length={fft_length}."
            )
        self.expand_dims = bool(expand_dims)
        self.data_format = image_format(self.label, data_format)
        self._last = self.data_format == "channels_last"
        self._kernels = {side: STFT(side, window, scaling, periodic) for side in ("real", "imag")}
        self.register_parameter("real_kernel", None)
        self.register_parameter("imag_kernel", None)

    def check_input(self, shape: Any) -> None:
        super().check_input(shape)
        time = shape[1 if self._last else 2]
        if self.padding == "valid" and time is not None and time < self.frame_length:
            raise ShapeError(
                f"{self.label} has windows of {self.frame_length} steps, longer than its input "
                f'{describe(shape)}. Use padding="same", or a smaller frame_length.'
            )

    def build(self, input_shape: Any) -> None:
        shape = (self.frame_length, 1, self._size // 2 + 1)
        for side, maker in self._kernels.items():
            if self.mode != {"real": "imag", "imag": "real"}[side]:
                name = f"{side}_kernel"
                kernel = self.add_weight(shape, maker, dtype=self.dtype, name=name, layout=CONV[1])
                setattr(self, name, kernel)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        if not inputs.is_floating_point():
            raise DataError(f"{self.label} needs decimal numbers but received {inputs.dtype}.")
        signals = inputs.transpose(1, 2) if self._last else inputs
        if self.mode in ("real", "imag"):
            return self._arranged(self._side(signals, getattr(self, f"{self.mode}_kernel")))
        sides = ("real_kernel", "imag_kernel")
        real, imag = (self._side(signals, getattr(self, side)) for side in sides)
        if self.mode == "stft":
            return self._arranged(torch.cat([real, imag], 2))
        if self.mode == "angle":
            return self._arranged(torch.atan2(imag, real))
        power = real.square() + imag.square()
        if self.mode == "psd":
            # All but the first and the last frequency stand for a negative one too.
            return self._arranged(power + F.pad(power[:, :, 1:-1], (0, 0, 1, 1)))
        size = power.clamp(min=_SMALLEST).sqrt()
        return self._arranged(size.log() if self.mode == "log" else size)

    def _side(self, signals: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        """Real or imaginary parts, (batch, channels, frequencies, windows)."""
        x = signals.reshape(-1, 1, signals.shape[2])
        if self.padding == "same":
            x = F.pad(x, same_padding(x.shape[2], self.frame_length, self._step))
        parts = F.conv1d(x, kernel.to(x.dtype), stride=self._step)
        return torch.unflatten(parts, 0, tuple(signals.shape[:2]))

    def _arranged(self, parts: torch.Tensor) -> torch.Tensor:
        if self.expand_dims:
            return parts.permute(0, 3, 2, 1) if self._last else parts.transpose(2, 3)
        flat = parts.flatten(1, 2)
        return flat.transpose(1, 2) if self._last else flat

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        batch, one, other = inputs.shape
        time, channels = (one, other) if self._last else (other, one)
        windows = -(-time // self._step)
        if self.padding == "valid":
            windows = window_output(time, self.frame_length, self._step)
        frequencies = (self._size // 2 + 1) * (2 if self.mode == "stft" else 1)
        ends: Sequence[int] = (channels, windows, frequencies)
        if not self.expand_dims:
            ends = (channels * frequencies, windows)
        if self._last:
            ends = ends[::-1] if not self.expand_dims else (windows, frequencies, channels)
        return like(inputs, (batch, *ends))


class MelSpectrogram(Layer):
    """Loudness over time in bands that are as wide as the ear hears them.

    Args:
        fft_length: length of each Fourier transform.
        sequence_stride: samples from one window to the next.
        sequence_length: samples in a window; fft_length when None.
        window: "hann" or "hamming", its values, or None.
        sampling_rate: samples in a second.
        num_mel_bins: number of bands.
        min_freq, max_freq: where the bands begin and end, in Hz; to half the sampling rate if None.
        power_to_db: whether to give decibels.
        top_db: how many of them the quietest may be below the loudest.
        mag_exp: exponent of the amplitudes, 1 for them and 2 for power.
        min_power, ref_power: least power, and the power that is 0 decibels.

    Shape: (batch, samples) -> (batch, num_mel_bins, windows); also one signal without batch
    Source: Stevens, Volkmann and Newman, 1937, in the form of the Hidden Markov Model Toolkit.
    """

    def __init__(
        self,
        fft_length: int = 2048,
        sequence_stride: int = 512,
        sequence_length: int | None = None,
        window: Any = "hann",
        sampling_rate: int = 16000,
        num_mel_bins: int = 128,
        min_freq: float = 20.0,
        max_freq: float | None = None,
        power_to_db: bool = True,
        top_db: float = 80.0,
        mag_exp: float = 2.0,
        min_power: float = 1e-10,
        ref_power: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.fft_length = positive(self.label, "fft_length", fft_length)
        self.sequence_stride = positive(self.label, "sequence_stride", sequence_stride)
        self.sequence_length = positive(
            self.label, "sequence_length", sequence_length or fft_length
        )
        if self.fft_length < self.sequence_length:
            raise ArgumentError(
                f"{self.label}: fft_length={fft_length} must not be below "
                f"sequence_length={sequence_length}."
            )
        self.window = STFT(window=window).window
        self.sampling_rate = number(self, "sampling_rate", sampling_rate, above=0)
        self.num_mel_bins = positive(self.label, "num_mel_bins", num_mel_bins)
        self.min_freq = number(self, "min_freq", min_freq, 0)
        self.max_freq = number(self, "max_freq", max_freq or int(sampling_rate / 2), above=0)
        self.power_to_db = bool(power_to_db)
        self.top_db = number(self, "top_db", top_db)
        self.mag_exp = number(self, "mag_exp", mag_exp)
        self.min_power = number(self, "min_power", min_power, above=0)
        self.ref_power = number(self, "ref_power", ref_power)

    def check_input(self, shape: Any) -> None:
        if not isinstance(shape, tuple) or len(shape) not in (1, 2):
            came = describe(shape) if isinstance(shape, tuple) else type(shape).__name__
            raise ShapeError(f"{self.label} expects (batch, samples) but received {came}.")
        if shape[-1] is not None and shape[-1] <= self.fft_length // 2:
            raise ShapeError(
                f"{self.label} needs more than {self.fft_length // 2} samples, half of fft_length, "
                f"but received {describe(shape)}."
            )

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        kind = inputs.dtype if inputs.dtype in (torch.float32, torch.float64) else torch.float32
        real, imag = stft(
            inputs.to(kind), self.sequence_length, self.sequence_stride, self.fft_length,
            self.window,
        )  # fmt: skip
        powers = (real.square() + imag.square()).sqrt() ** self.mag_exp
        bands = powers @ self._bands(powers)
        if self.power_to_db:
            least = bands.new_tensor(self.min_power)
            zero = bands.new_tensor(self.ref_power).abs().maximum(least)
            bands = 10 * bands.maximum(least).log10() - 10 * zero.log10()
            bands = bands.maximum(bands.max() - self.top_db)
        return bands.mT

    def _bands(self, powers: torch.Tensor) -> torch.Tensor:
        """How much each frequency counts in each band: triangles on the scale of mel."""

        def mel(hertz: torch.Tensor) -> torch.Tensor:
            return 1127.0 * (1 + hertz / 700).log()

        about: Any = {"dtype": powers.dtype, "device": powers.device}
        half = self.sampling_rate / 2
        places = mel(torch.linspace(0, half, powers.shape[-1], **about)[1:, None])
        first, last = (1127.0 * math.log(1 + end / 700) for end in (self.min_freq, self.max_freq))
        edges = torch.linspace(first, last, self.num_mel_bins + 2, **about)
        low, middle, high = edges[:-2], edges[1:-1], edges[2:]
        rising, falling = (places - low) / (middle - low), (high - places) / (high - middle)
        return F.pad(rising.minimum(falling).clamp(min=0), (0, 0, 1, 0))

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        windows = inputs.shape[-1] // self.sequence_stride + 1
        return like(inputs, (*inputs.shape[:-1], self.num_mel_bins, windows))
