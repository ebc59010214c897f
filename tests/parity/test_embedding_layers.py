"""Embedding next to Keras's."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch

from nnkit.layers.embedding import Embedding
from tests.parity.compare import compare_layer

# Keras turns its variables into arrays in a way numpy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
@pytest.mark.parametrize("shape", [(3, 5), (3,), (2, 3, 4)])
@pytest.mark.parametrize("arguments", [{}, {"mask_zero": True}, {"embeddings_initializer": "ones"}])
def test_embedding(arguments: dict[str, Any], shape: Any, dtype: str) -> None:
    data = np.random.default_rng(0).integers(0, 6, shape).astype(dtype)
    compare_layer(Embedding, {"input_dim": 6, "output_dim": 3, **arguments}, shape, dtype=dtype,
                  data=data, gradients=False)  # fmt: skip


def test_free_sizes() -> None:
    compare_layer(
        Embedding, {"input_dim": 6, "output_dim": 3}, (2, 4), dtype="int64", symbolic=(None,)
    )


def test_gradient_and_mask() -> None:
    data = np.array([[1, 0, 1], [5, 2, 0]])
    layers = [keras.layers.Embedding(6, 3, mask_zero=True), Embedding(6, 3, mask_zero=True)]
    outputs = [layer(torch.tensor(data)) for layer in layers]
    factors = torch.randn(2, 3, 3)
    for output in outputs:
        (output * factors).sum().backward()
    theirs = layers[0].trainable_variables[0].value.grad
    torch.testing.assert_close(layers[1].weight.grad, theirs)
    assert torch.equal(outputs[0]._keras_mask, outputs[1]._keras_mask)


def test_starts_in_the_same_range_and_describes_itself_alike() -> None:
    layers = [keras.layers.Embedding(500, 30), Embedding(500, 30)]
    for layer in layers:
        layer.build((None, 4))
    spread = [layer.get_weights()[0] for layer in layers]
    for values in spread:
        assert 0.0499 < np.abs(values).max() <= 0.05
        assert abs(values.std() - 0.1 / np.sqrt(12)) < 5e-4
    assert set(layers[1].get_config()) == set(layers[0].get_config())
