"""What a layer goes through in its life: compiling, copies, a config."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import torch

from nnkit.layer import Layer

__all__ = ["goes_through_life"]


def goes_through_life(layer: Layer, x: Any, config: bool = True) -> None:
    """Check that a layer computes the same compiled, copied, unpickled and from its config.

    Args:
        layer: to be built or not.
        x: its input.
        config: whether one can be made of it.
    """
    expected = layer(x)
    torch.compiler.reset()  # all layers share one __call__, and its recompilations are limited
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), expected)
    torch.testing.assert_close(copy.deepcopy(layer)(x), expected)
    torch.testing.assert_close(pickle.loads(pickle.dumps(layer))(x), expected)
    if not config:
        return
    json.dumps(layer.get_config())
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    again(x)
    again.set_weights(layer.get_weights())
    torch.testing.assert_close(again(x), expected)
