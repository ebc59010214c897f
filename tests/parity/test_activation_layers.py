"""Activation layers against Keras."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import torch

from nnkit.layers.activation import ELU, LeakyReLU, PReLU, ReLU, Softmax
from nnkit.layers.identity import Masking
from nnkit.layers.input import Input
from tests.parity.compare import compare_layer

# Keras's own get_weights() warns about NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

IMAGE = (2, 3, 4, 5)


@pytest.mark.parametrize(
    ("kind", "arguments", "shape"),
    [
        (ReLU, {}, (4, 7)),
        (ReLU, {"max_value": 0.5}, IMAGE),
        (ReLU, {"negative_slope": 0.2}, (4, 7)),
        (ReLU, {"threshold": 0.3}, (4, 7)),
        (ReLU, {"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.4}, IMAGE),
        (ReLU, {"max_value": 0}, (4, 7)),
        (LeakyReLU, {}, (4, 7)),
        (LeakyReLU, {"negative_slope": 0.05}, IMAGE),
        (LeakyReLU, {"negative_slope": 0}, (3,)),
        (ELU, {}, (4, 7)),
        (ELU, {"alpha": 0.4}, IMAGE),
        (PReLU, {}, (4, 7)),
        (PReLU, {"alpha_initializer": "ones"}, (3, 4, 5)),
        (PReLU, {"shared_axes": [1, 2]}, IMAGE),
        (PReLU, {"shared_axes": [2]}, IMAGE),
        (PReLU, {"shared_axes": 1}, (3, 4, 5)),
        (PReLU, {"shared_axes": [1, 2, 3], "alpha_initializer": "glorot_uniform"}, IMAGE),
        (Softmax, {}, (4, 7)),
        (Softmax, {"axis": 1}, IMAGE),
        (Softmax, {"axis": [1, 2]}, IMAGE),
        (Softmax, {"axis": (-1,)}, IMAGE),
        (Softmax, {"axis": (3, 1)}, IMAGE),
    ],
)
@pytest.mark.parametrize("training", [False, True])
def test_activation(kind: type, arguments: dict, shape: tuple, training: bool) -> None:
    compare_layer(kind, arguments, shape, training=training)


def test_prelu_gradient_at_zero_and_nan_are_kerass() -> None:
    data = np.array([[-1.0, 0.0, 2.0, np.nan, -np.inf]], "float32")
    compare_layer(PReLU, {"alpha_initializer": "ones"}, (1, 5), data=data)


@pytest.mark.parametrize(
    ("kind", "arguments", "symbolic"),
    [
        (ReLU, {}, (None, None, 3)),
        (PReLU, {"shared_axes": [1, 2]}, (None, None, 5)),
        (Softmax, {"axis": 1}, (None, 5)),
    ],
)
def test_free_sizes(kind: type, arguments: dict, symbolic: tuple) -> None:
    shape = (2, *(5 if size is None else size for size in symbolic))
    compare_layer(kind, arguments, shape, symbolic=symbolic)


@pytest.mark.parametrize("axis", [-1, 1, (1, 2)])
@pytest.mark.parametrize("mask_shape", [(2, 4, 5), (4, 5), (2, 1, 5), (5,), (1,)])
@pytest.mark.parametrize("dtype", ["bool", "float32"])
def test_softmax_mask(axis: object, mask_shape: tuple, dtype: str) -> None:
    mask = np.random.default_rng(1).integers(0, 2, mask_shape)
    mask.reshape(-1)[0] = 0
    compare_layer(Softmax, {"axis": axis}, (2, 4, 5), call={"mask": mask.astype(dtype)})


def test_softmax_of_a_fully_masked_row_is_zero() -> None:
    x, mask = torch.randn(2, 3), torch.tensor([[False] * 3, [True] * 3])
    ours = Softmax()(x, mask=mask)
    np.testing.assert_allclose(ours, keras.layers.Softmax()(x, mask=mask), rtol=1e-6)
    assert ours[0].tolist() == [0, 0, 0]


def test_both_refuse_the_mask_of_time_steps() -> None:
    with pytest.raises(ValueError, match="broadcastable"):
        keras.layers.Softmax()(keras.layers.Masking()(torch.ones(2, 4, 3)))
    with pytest.raises(ValueError, match=r"mask \(batch, 4\) that does not fit \(batch, 4, 3\)"):
        Softmax()(Masking()(Input((4, 3))))
