"""Spectrograms: values from NumPy's transform, what is refused, training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nnkit.errors import ArgumentError, DataError, ShapeError
from nnkit.initializers import STFT
from nnkit.layers.spectrogram import MelSpectrogram, STFTSpectrogram


def test_magnitudes_are_those_of_a_fourier_transform() -> None:
    signal = np.random.default_rng(0).normal(size=24)
    layer = STFTSpectrogram("magnitude", frame_length=8, frame_step=4, window=None)
    made = layer(torch.tensor(signal, dtype=torch.float32).view(1, -1, 1))
    frames = np.lib.stride_tricks.sliding_window_view(signal, 8)[::4]
    np.testing.assert_allclose(made[0].detach(), np.abs(np.fft.rfft(frames)), atol=1e-3)


def test_a_pure_tone_is_loudest_in_its_band() -> None:
    times = torch.arange(4000) / 8000
    layer = MelSpectrogram(512, 256, sampling_rate=8000, num_mel_bins=40, power_to_db=False)
    loudest = layer(torch.stack([torch.sin(2 * torch.pi * f * times) for f in (200, 2000)]))
    low, high = loudest.mean(2).argmax(1).tolist()
    assert low < high
    # 2000 Hz lies at 1521 of 2146 mel.
    assert high == pytest.approx(40 * 1521 / 2146, abs=1.5)


def test_kernels_can_be_trained() -> None:
    layer = STFTSpectrogram(frame_length=8)
    layer(torch.randn(2, 20, 1)).sum().backward()
    assert all(weight.grad.abs().sum() > 0 for weight in layer.trainable_weights)
    assert [w.name for w in layer.collect()] == ["real_kernel", "imag_kernel"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: STFTSpectrogram("power"), "mode must be one of 'log'"),
        (lambda: STFTSpectrogram(frame_length=0), "frame_length must be a whole number"),
        (lambda: STFTSpectrogram(frame_step=0), "frame_step must be a whole number"),
        (lambda: STFTSpectrogram(frame_length=8, frame_step=9), "frame_step may be at most"),
        (lambda: STFTSpectrogram(frame_length=8, fft_length=4), "fft_length not less"),
        (lambda: STFTSpectrogram(window="hanning"), "window must be one of"),
        (lambda: MelSpectrogram(16, sequence_length=20), "fft_length=16 must not be below"),
        (lambda: STFT("left"), "side must be one of 'real', 'imag'"),
        (lambda: STFT(scaling="power"), "scaling must be one of"),
        (lambda: STFT(window=[1.0, 2.0])((3, 1, 3)), r"window must have 3 values.* got \(2,\)"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (STFTSpectrogram(frame_length=8), (2, 7, 1), "windows of 8 steps, longer than its input"),
        (STFTSpectrogram(), (2, 7), r"expects \(batch, time, channels\)"),
        (MelSpectrogram(16), (2, 8), "needs more than 8 samples"),
        (MelSpectrogram(), (2, 3, 4), r"expects \(batch, samples\) but received \(2, 3, 4\)"),
    ],
)
def test_wrong_shapes(layer: Any, shape: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        layer(torch.randn(shape))


def test_whole_numbers_are_refused() -> None:
    with pytest.raises(DataError, match="needs decimal numbers but received"):
        STFTSpectrogram(frame_length=4)(torch.ones(1, 8, 1, dtype=torch.int64))
