"""Spectrograms and their initializer, reversible embeddings, next to Keras's."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch

from nnkit import initializers, ops
from nnkit.layers import MelSpectrogram, ReversibleEmbedding, STFTSpectrogram
from tests.parity.compare import compare_layer

# Keras turns its variables into arrays in a way numpy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FIRST = {"data_format": "channels_first"}


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("scaling", ["density", "spectrum", None])
@pytest.mark.parametrize("window", ["hann", "hamming", "blackman", "bartlett", "cosine", "nuttall",
                                    "boxcar", None, [0.5, 1.0, 2.0, 1.0, 0.25]])  # fmt: skip
def test_kernels(window: Any, scaling: Any, periodic: bool) -> None:
    for side in ("real", "imag"):
        arguments = (side, window, scaling, periodic)
        expected = keras.initializers.STFT(*arguments)((5, 1, 9))
        torch.testing.assert_close(initializers.STFT(*arguments)((5, 1, 9)), expected)
    assert initializers.get("stft").get_config() == keras.initializers.STFT().get_config()


@pytest.mark.parametrize(
    ("arguments", "shape", "symbolic"),
    [
        ({}, (2, 20, 2), (None, 2)),
        ({"mode": "psd", "frame_step": 3, "fft_length": 16}, (2, 20, 2), (20, 2)),
        ({"mode": "real", "padding": "same", "expand_dims": True}, (2, 21, 2), (None, 2)),
        ({"mode": "stft", "scaling": None, **FIRST}, (2, 3, 20), (3, None)),
        ({"mode": "imag", "expand_dims": True, **FIRST}, (2, 3, 19), (3, 19)),
        ({"mode": "magnitude", "window": "hamming", "periodic": True}, (1, 30, 1), None),
    ],
)
def test_spectrogram(arguments: Any, shape: Any, symbolic: Any) -> None:
    arguments = {"frame_length": 7, **arguments}
    compare_layer(STFTSpectrogram, arguments, shape, symbolic=symbolic, gradients=bool(arguments))


def test_angles() -> None:
    arguments = {"mode": "angle", "frame_length": 7}
    compare_layer(STFTSpectrogram, arguments, (2, 20, 1), gradients=False)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"sequence_length": 20, "power_to_db": False, "mag_exp": 1.0}, {"window": "hamming"},
     {"min_freq": 100.0, "max_freq": 900.0, "top_db": 10.0, "ref_power": 0.5}],
)  # fmt: skip
def test_mel(arguments: Any) -> None:
    arguments = {"fft_length": 32, "sequence_stride": 10, "num_mel_bins": 6, **arguments}
    arguments = {"sampling_rate": 4000, **arguments}
    # 105 samples: a length for which Keras's rule for shapes agrees with what it gives.
    compare_layer(MelSpectrogram, arguments, (2, 105), symbolic=(105,), gradients=False)


@pytest.mark.parametrize("tie", [True, False])
@pytest.mark.parametrize("cap", [None, 0.5])
def test_reversible_embedding(tie: bool, cap: Any) -> None:
    arguments = {"input_dim": 6, "output_dim": 3, "tie_weights": tie, "logit_soft_cap": cap}
    compare_layer(ReversibleEmbedding, arguments, (2, 4), dtype="int64", symbolic=(None,))
    compare_layer(ReversibleEmbedding, arguments, (2, 4, 3), call={"reverse": True})


def test_mask_of_a_reversible_embedding() -> None:
    ids = torch.tensor([[1, 0, 2]])
    for library in (keras.layers, None):
        layer = (library.ReversibleEmbedding if library else ReversibleEmbedding)(
            5, 4, mask_zero=True
        )
        vectors = layer(ids)
        assert torch.equal(vectors._keras_mask, ids != 0)
        assert getattr(layer(vectors.detach(), reverse=True), "_keras_mask", None) is None


def test_vectorize() -> None:
    x, y = np.arange(6.0, dtype="float32").reshape(2, 3), np.float32(2)
    pairs: list[tuple[Any, Any, Any]] = [
        (lambda a, b: a * b + 1, {}, (x, y)),
        (lambda a, b: (a * b).sum(), {"signature": "(n),(n)->()"}, (x, x[0])),
        (lambda a, b: a @ b, {"signature": "(m,n),(n)->(m)"}, (np.stack([x, x]), x)),
        (lambda power, a: a**power, {"excluded": {0}}, (3, x)),
    ]
    for function, options, given in pairs:
        expected = np.vectorize(function, **options)(*given)
        np.testing.assert_allclose(ops.vectorize(function, **options)(*given), expected)
    with pytest.raises(ValueError, match="is for 2 arguments, got 1"):
        ops.vectorize(lambda a: a, signature="(n),(n)->()")(x)
    with pytest.raises(ValueError, match="vectorize takes a function, got 3"):
        ops.vectorize(3)
