"""Regularization layers against Keras: what is not random exactly, what is by its statistics."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch

from nnkit.layers import regularization
from nnkit.layers.regularization import (
    ActivityRegularization,
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from tests.parity.compare import compare_layer

IMAGE = (2, 4, 5, 3)


@pytest.mark.parametrize(
    ("kind", "arguments", "shape"),
    [
        (Dropout, {"rate": 0.5}, IMAGE),
        (Dropout, {"rate": 0.5, "noise_shape": (None, 1, 1, 3), "seed": 3}, IMAGE),
        (AlphaDropout, {"rate": 0.5}, (4, 7)),
        (SpatialDropout1D, {"rate": 0.5, "seed": 1}, (2, 4, 3)),
        (SpatialDropout2D, {"rate": 0.5, "data_format": "channels_first"}, IMAGE),
        (SpatialDropout3D, {"rate": 0.5}, (2, 3, 4, 5, 1)),
        (GaussianNoise, {"stddev": 0.5}, IMAGE),
        (GaussianDropout, {"rate": 0.5, "seed": 7}, (4, 7)),
        (ActivityRegularization, {"l1": 0.1, "l2": 0.2}, IMAGE),
    ],
)
def test_inference(kind: type, arguments: dict, shape: tuple) -> None:
    compare_layer(kind, arguments, shape)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (Dropout, {"rate": 0}),
        (Dropout, {"rate": 1}),
        (AlphaDropout, {"rate": 0}),
        (SpatialDropout1D, {"rate": 0}),
        (GaussianNoise, {"stddev": 0}),
        (GaussianDropout, {"rate": 0.0}),
    ],
)
def test_rates_without_chance_in_training(kind: type, arguments: dict) -> None:
    # Keras's result for rate 1 has no gradient at all.
    compare_layer(kind, arguments, (2, 4, 3), training=True, gradients=arguments != {"rate": 1})


@pytest.mark.parametrize("factors", [(0.0, 0.0), (0.3, 0.0), (0.0, 0.2), (0.1, 0.2)])
@pytest.mark.parametrize("training", [False, True])
def test_activity_losses(factors: tuple, training: bool) -> None:
    x = torch.randn(5, 3, 2)
    theirs, ours = keras.layers.ActivityRegularization(*factors), ActivityRegularization(*factors)
    theirs(x, training=training)
    ours(x, training=training)
    assert len(ours.losses) == len(theirs.losses) == 1
    torch.testing.assert_close(ours.losses[0], theirs.losses[0])


@pytest.mark.parametrize(
    ("name", "arguments", "shape"),
    [
        ("Dropout", {"rate": 0.3}, (40, 50, 20)),
        ("Dropout", {"rate": 0.3, "seed": 5}, (40, 50, 20)),
        ("Dropout", {"rate": 0.3, "noise_shape": (None, 1, None)}, (200, 3, 100)),
        ("AlphaDropout", {"rate": 0.3}, (40, 50, 20)),
        ("AlphaDropout", {"rate": 0.3, "noise_shape": (None, 1, None), "seed": 2}, (200, 3, 100)),
        ("SpatialDropout1D", {"rate": 0.3}, (200, 3, 100)),
        ("SpatialDropout2D", {"rate": 0.3}, (200, 2, 2, 100)),
        ("SpatialDropout2D", {"rate": 0.3, "data_format": "channels_first"}, (200, 100, 2, 2)),
        ("SpatialDropout3D", {"rate": 0.3}, (200, 2, 1, 2, 100)),
        ("GaussianNoise", {"stddev": 0.4}, (40, 50, 20)),
        ("GaussianDropout", {"rate": 0.3, "seed": 1}, (40, 50, 20)),
    ],
)
def test_statistics_in_training(name: str, arguments: dict, shape: tuple) -> None:
    x = torch.full(shape, 2.0)
    results: list[Any] = [
        layer(x, training=True)
        for layer in (
            getattr(keras.layers, name)(**arguments),
            getattr(regularization, name)(**arguments),
        )
    ]
    # 40,000 or 20,000 independent draws: the tolerances are four standard errors or more.
    np.testing.assert_allclose(results[1].mean(), results[0].mean(), atol=0.06)
    np.testing.assert_allclose(results[1].std(), results[0].std(), atol=0.06)
    same_axes = [
        [bool((r == r.select(axis, 0).unsqueeze(axis)).all()) for axis in range(r.ndim)]
        for r in results
    ]
    assert same_axes[0] == same_axes[1]
    if "Gaussian" not in name:
        values = [sorted(set(r.flatten().tolist())) for r in results]
        np.testing.assert_allclose(values[1], values[0], rtol=1e-5)
