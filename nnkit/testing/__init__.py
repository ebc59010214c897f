"""Checks for layers, models and callbacks of your own: do they do what all of their kind do?

    from nnkit.testing import check_layer

    def test_my_layer():
        check_layer(lambda: MyLayer(16), input_shape=(None, 8))

The first property that fails raises a ConformanceError; `skip={"export": "why"}` leaves one out.
"""

from __future__ import annotations

from nnkit.testing.callbacks import CALLBACK_PROPERTIES, check_callback
from nnkit.testing.conformance import ConformanceError
from nnkit.testing.layers import LAYER_PROPERTIES, check_layer
from nnkit.testing.models import MODEL_PROPERTIES, check_model

__all__ = [
    "CALLBACK_PROPERTIES",
    "LAYER_PROPERTIES",
    "MODEL_PROPERTIES",
    "ConformanceError",
    "check_callback",
    "check_layer",
    "check_model",
]
