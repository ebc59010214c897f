"""Identity and Masking against Keras."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import torch

from nnkit.layers.identity import Identity, Masking
from tests.parity.compare import compare_layer


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4, 5)])
def test_identity(shape: tuple) -> None:
    compare_layer(Identity, {}, shape)


def test_identity_of_several() -> None:
    compare_layer(Identity, {}, [(2, 3), (4, 5)])


@pytest.mark.parametrize("value", [0.0, 0, -1.0, 0.1, float("inf")])
@pytest.mark.parametrize("shape", [(4, 5, 3), (6, 2), (2, 3, 4, 5)])
def test_masking(value: float, shape: tuple) -> None:
    random = np.random.default_rng(0)
    data = random.normal(size=shape).astype("float32")
    data[random.random(shape[:-1]) < 0.5] = value
    data[0, 0] = np.nan
    data.reshape(-1)[-1] = value
    compare_layer(Masking, {"mask_value": value}, shape, data=data)
    x = torch.tensor(data)
    theirs = keras.layers.Masking(value)(x)._keras_mask
    ours = Masking(value)(x)._keras_mask
    assert ours.dtype == torch.bool
    np.testing.assert_array_equal(ours, theirs)
    assert 0 < int(ours.sum()) < ours.numel()


def test_masking_free_sizes_and_integers() -> None:
    compare_layer(Masking, {}, (2, 4, 3), symbolic=(None, 3))
    compare_layer(Masking, {"mask_value": 2}, (2, 9, 1), dtype="int32")
