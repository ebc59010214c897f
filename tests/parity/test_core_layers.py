"""Dense, Activation and Lambda against Keras."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch

from nnkit import activations, regularizers
from nnkit.layers.core import Activation, Dense, Lambda
from nnkit.layers.identity import Masking
from tests.parity.compare import compare_layer

# Keras's own get_weights() warns about NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({"units": 4}, (3, 5)),
        ({"units": 1, "use_bias": False}, (3, 5)),
        ({"units": 4, "activation": "relu"}, (2, 3, 5)),
        ({"units": 3, "activation": "softmax"}, (2, 3, 4, 5)),
        ({"units": 2, "kernel_initializer": "he_normal", "bias_initializer": "ones"}, (1, 1)),
    ],
)
@pytest.mark.parametrize("training", [False, True])
def test_dense(arguments: dict, shape: tuple, training: bool) -> None:
    compare_layer(Dense, arguments, shape, training=training)


def test_dense_free_sizes() -> None:
    compare_layer(Dense, {"units": 4}, (2, 3, 5), symbolic=(None, 5))


@pytest.mark.parametrize(
    "name",
    sorted(
        name
        for name in activations.REGISTRY.names()
        # Keras gives glu's output its input's shape; its sparsemax does not always sum to 1.
        if hasattr(keras.activations, name) and name not in ("threshold", "glu", "sparsemax")
    ),
)
def test_activations(name: str) -> None:
    compare_layer(Activation, {"activation": name}, (3, 4, 6))


def test_losses() -> None:
    options: dict[str, Any] = {
        "kernel_regularizer": "l1",
        "activity_regularizer": "l2",
        "bias_initializer": "ones",
    }
    theirs = keras.layers.Dense(3, bias_regularizer=keras.regularizers.L2(0.3), **options)
    ours = Dense(3, bias_regularizer=regularizers.L2(0.3), **options)
    x = torch.randn(4, 5)
    theirs(x)
    ours(x)
    ours.set_weights(theirs.get_weights())
    theirs(x)
    ours(x)
    losses = [sorted(loss.item() for loss in layer.losses) for layer in (theirs, ours)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


@pytest.mark.parametrize(("kind", "argument"), [(Dense, 5), (Activation, "relu")])
def test_masks_pass(kind: type, argument: Any) -> None:
    x = torch.randn(2, 4, 3)
    x[0, 1] = 0
    theirs = getattr(keras.layers, kind.__name__)(argument)(keras.layers.Masking()(x))
    np.testing.assert_array_equal(kind(argument)(Masking()(x))._keras_mask, theirs._keras_mask)


def test_lambda() -> None:
    compare_layer(Lambda, {"function": lambda x: x[:, ::2] * 2}, (3, 4, 6))
    compare_layer(Lambda, {"function": lambda x, by: x**by, "arguments": {"by": 2}}, (3, 4))
