"""Rescaling against Keras."""

from __future__ import annotations

import numpy as np
import pytest

from nnkit.layers.preprocessing import Rescaling
from tests.parity.compare import compare_layer

IMAGE = (2, 4, 5, 3)


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8"])
@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({"scale": 1 / 255}, IMAGE),
        ({"scale": 1 / 127.5, "offset": -1}, IMAGE),
        ({"scale": 2, "offset": 3}, (4,)),
        ({"scale": [1.0, 0.5, 2.0]}, IMAGE),
        ({"scale": [1.0, 0.5, 2.0], "offset": [0.0, -1.0, 1.0]}, IMAGE),
        ({"scale": 2.0, "offset": np.array([0.0, -1.0, 1.0])}, (6, 3)),
        ({"scale": np.float32(0.1), "offset": (1, 2, 3)}, (2, 7, 3)),
        ({"scale": np.full((5, 1), 0.25)}, IMAGE),
    ],
)
def test_rescaling(arguments: dict, shape: tuple, dtype: str) -> None:
    data = np.random.default_rng(0).integers(0, 255, shape).astype(dtype)
    gradients = dtype == "float32"
    compare_layer(Rescaling, arguments, shape, data=data, dtype=dtype, gradients=gradients)


def test_free_sizes() -> None:
    compare_layer(Rescaling, {"scale": [1.0, 2.0, 3.0]}, IMAGE, symbolic=(None, None, 3))
