"""TimeDistributed and Bidirectional next to Keras's."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch

from nnkit.layers.core import Dense
from nnkit.layers.recurrent import GRU, LSTM, SimpleRNN
from nnkit.layers.wrappers import Bidirectional, TimeDistributed
from tests.parity.compare import compare_layer

# Keras turns its variables into arrays in a way numpy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

MASK = np.array([[1, 1, 1, 1, 1], [1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 1, 1, 1, 1]], bool)
SHAPE = (4, 5, 6)


def compare_wrapper(
    wrapper: Any, kind: Any, inner: dict[str, Any], shape: Any, more: Any = None, **kwargs: Any
) -> None:
    """compare_layer for a wrapper, with an inner layer made anew on each side."""
    outer = getattr(keras.layers, wrapper.__name__)

    def theirs(**arguments: Any) -> Any:
        return outer(getattr(keras.layers, kind.__name__)(**inner), **arguments)

    def ours(**arguments: Any) -> Any:
        return wrapper(kind(**inner), **arguments)

    compare_layer(ours, more or {}, shape, theirs=theirs, **kwargs)


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
@pytest.mark.parametrize("state", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        (SimpleRNN, None),
        (GRU, "concat"),
        *((LSTM, m) for m in ("concat", "sum", "mul", "ave", None)),
    ],
)
def test_bidirectional(kind: Any, mode: Any, sequences: bool, state: bool, mask: Any) -> None:
    inner = {"units": 3, "return_sequences": sequences, "return_state": state}
    call = {} if mask is None else {"mask": mask}
    compare_wrapper(Bidirectional, kind, inner, SHAPE, {"merge_mode": mode}, call=call)


@pytest.mark.parametrize("kind", [SimpleRNN, LSTM, GRU])
def test_bidirectional_initial_state(kind: Any) -> None:
    states = [torch.randn(4, 3) for _ in range(4 if kind is LSTM else 2)]
    call = {"initial_state": states, "mask": MASK}
    compare_wrapper(Bidirectional, kind, {"units": 3, "return_state": True}, SHAPE, call=call)


@pytest.mark.parametrize("arguments", [{"zero_output_for_mask": True}, {"activation": "elu"}])
def test_bidirectional_options(arguments: Any) -> None:
    inner = {"units": 3, "return_sequences": True, **arguments}
    compare_wrapper(Bidirectional, GRU, inner, SHAPE, call={"mask": MASK}, symbolic=(None, 6))


def test_bidirectional_stateful_and_names() -> None:
    theirs = keras.layers.Bidirectional(keras.layers.GRU(3, stateful=True, name="gru"))
    ours = Bidirectional(GRU(3, stateful=True, name="gru"))
    x = torch.randn(SHAPE)
    theirs(x)
    ours(x)
    ours.set_weights(theirs.get_weights())
    for layer in (theirs, ours):
        layer.reset_state()
    for _ in range(3):
        torch.testing.assert_close(ours(x), theirs(x))
    assert ours.forward_layer.name == theirs.forward_layer.name == "forward_gru"
    assert ours.backward_layer.name == theirs.backward_layer.name == "backward_gru"


def test_bidirectional_with_a_backward_layer() -> None:
    theirs = keras.layers.Bidirectional(
        keras.layers.LSTM(3), backward_layer=keras.layers.GRU(2, go_backwards=True)
    )
    ours = Bidirectional(LSTM(3), backward_layer=GRU(2, go_backwards=True))
    x = torch.randn(SHAPE)
    theirs(x)
    ours(x)
    ours.set_weights(theirs.get_weights())
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(
    ("kind", "inner", "shape", "symbolic"),
    [
        (Dense, {"units": 3}, (4, 5, 6), (None, 6)),
        (Dense, {"units": 3, "activation": "softmax"}, (4, 5, 2, 6), (5, None, 6)),
        (LSTM, {"units": 3}, (2, 3, 5, 6), (3, None, 6)),
        (GRU, {"units": 3, "return_sequences": True}, (2, 3, 5, 6), (3, 5, 6)),
    ],
)
def test_time_distributed(kind: Any, inner: Any, shape: Any, symbolic: Any) -> None:
    compare_wrapper(TimeDistributed, kind, inner, shape, symbolic=symbolic)


def test_time_distributed_mask() -> None:
    x = torch.randn(SHAPE)
    for layers in (keras.layers, None):
        layer = layers.TimeDistributed(layers.Dense(3)) if layers else TimeDistributed(Dense(3))
        inputs = x.clone()
        inputs._keras_mask = torch.tensor(MASK)
        assert torch.equal(layer(inputs)._keras_mask, torch.tensor(MASK))
