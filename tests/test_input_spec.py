"""InputSpec on layers of one's own, beside Keras's."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import nnkit
from nnkit import layers
from nnkit.errors import ShapeError

CASES: list[tuple[dict[str, Any], tuple[int, ...], bool]] = [
    ({"ndim": 3}, (2, 3, 4), True),
    ({"ndim": 3}, (2, 3), False),
    ({"min_ndim": 3}, (2, 3), False),
    ({"min_ndim": 2}, (2, 3), True),
    ({"max_ndim": 2}, (2, 3, 4), False),
    ({"axes": {-1: 4}}, (2, 4), True),
    ({"axes": {-1: 4}}, (2, 3), False),
    ({"shape": (None, 3)}, (5, 3), True),
    ({"shape": (None, 3)}, (5, 4), False),
    ({"shape": (None, 3, 1), "allow_last_axis_squeeze": True}, (5, 3), True),
    ({"shape": (None, 3), "allow_last_axis_squeeze": True}, (5, 3, 1), True),
]


def make(module: Any, options: dict[str, Any]) -> Any:
    class Own(module.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.input_spec = module.layers.InputSpec(**options)

        def call(self, inputs: Any) -> Any:
            return inputs * 2

    return Own()


@pytest.mark.parametrize("module", [nnkit, keras], ids=["nnkit", "keras"])
@pytest.mark.parametrize(("options", "shape", "fits"), CASES)
def test_shapes(module: Any, options: Any, shape: Any, fits: bool) -> None:
    layer = make(module, options)
    if fits:
        assert tuple(layer(np.ones(shape, "float32")).shape) == shape
    else:
        with pytest.raises(ValueError, match=r"expect|incompatible"):
            layer(np.ones(shape, "float32"))


def test_a_symbolic_input_is_checked_too() -> None:
    layer = make(nnkit, {"ndim": 4, "axes": {-1: 3}})
    layer(nnkit.Input((8, 8, 3)))
    with pytest.raises(ShapeError, match=r"Own 'own\w*' expects size 3 at axis -1 but received"):
        layer(nnkit.Input((8, 8, 1)))


def test_several_inputs() -> None:
    class Two(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.input_spec = [layers.InputSpec(ndim=2), layers.InputSpec(ndim=3)]

        def call(self, inputs: Any) -> Any:
            return inputs[0]

    Two()([np.ones((2, 3)), np.ones((2, 3, 4))])
    with pytest.raises(ShapeError, match=r"expects 3 axes but received \(2, 3\)"):
        Two()([np.ones((2, 3)), np.ones((2, 3))])
    with pytest.raises(ValueError, match="has 2 input_spec but received 1 inputs"):
        Two()([np.ones((2, 3))])
