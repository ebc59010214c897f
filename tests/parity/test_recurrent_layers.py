"""SimpleRNN, LSTM and GRU next to Keras's: options, masks, states, dropout, whole models."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np
import pytest
import torch

from nnkit.layers.core import Dense
from nnkit.layers.embedding import Embedding
from nnkit.layers.input import Input
from nnkit.layers.recurrent import GRU, LSTM, SimpleRNN
from nnkit.layers.wrappers import Bidirectional
from nnkit.models import Sequential
from tests.parity.compare import compare_layer

# Keras turns its variables into arrays in a way numpy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

KINDS = [SimpleRNN, LSTM, GRU]
MASK = np.array([[1, 1, 1, 1, 1], [1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 1, 1, 1, 1]], bool)
SHAPE = (4, 5, 6)

OPTIONS: list[dict[str, Any]] = [
    {},
    {"activation": "relu"},
    {"activation": "elu"},
    {"activation": None},
    {"use_bias": False},
    {"go_backwards": True},
    {"dropout": 0.3, "recurrent_dropout": 0.3},
]
ONLY = [
    (LSTM, {"recurrent_activation": "hard_sigmoid"}),
    (LSTM, {"recurrent_activation": "relu", "activation": "softsign", "use_bias": False}),
    (LSTM, {"unit_forget_bias": False, "unroll": True}),
    (LSTM, {"use_cudnn": False}),
    (LSTM, {"implementation": 1}),
    (GRU, {"recurrent_activation": "hard_sigmoid"}),
    (GRU, {"reset_after": False}),
    (GRU, {"reset_after": False, "use_bias": False, "activation": "relu"}),
    (GRU, {"use_bias": False, "use_cudnn": False}),
]
RETURNS: list[dict[str, Any]] = [{}, {"return_sequences": True, "return_state": True}]


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
@pytest.mark.parametrize("returns", RETURNS, ids=lambda r: "-".join(r) or "last")
@pytest.mark.parametrize(
    ("kind", "options"), [(kind, options) for kind in KINDS for options in OPTIONS] + ONLY
)
def test_options(kind: Any, options: Any, returns: Any, mask: Any) -> None:
    call = {} if mask is None or options.get("unroll") else {"mask": mask}
    compare_layer(
        kind, {"units": 3, **options, **returns}, SHAPE, call=call, symbolic=(None, 6)
        if not options.get("unroll") else (5, 6),
    )  # fmt: skip


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("options", [{}, {"go_backwards": True}, {"activation": "elu"}])
@pytest.mark.parametrize("kind", KINDS)
def test_initial_state(kind: Any, options: Any, sequences: bool, zeros: bool, mask: Any) -> None:
    states = [torch.randn(4, 3) for _ in range(2 if kind is LSTM else 1)]
    arguments = {
        "units": 3,
        "return_sequences": sequences,
        "return_state": True,
        "zero_output_for_mask": zeros,
        **options,
    }
    call = {"initial_state": states, **({} if mask is None else {"mask": mask})}
    compare_layer(kind, arguments, SHAPE, call=call)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 2), (1, 7, 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_small_sizes(kind: Any, shape: Any) -> None:
    compare_layer(kind, {"units": 1, "return_sequences": True}, shape, training=True)


def _pair(kind: Any, **arguments: Any) -> tuple[Any, Any, torch.Tensor]:
    theirs, ours = getattr(keras.layers, kind.__name__)(3, **arguments), kind(3, **arguments)
    x = torch.randn(SHAPE)
    theirs(x)
    ours(x)
    ours.set_weights(theirs.get_weights())
    return theirs, ours, x


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
@pytest.mark.parametrize("kind", KINDS)
def test_stateful(kind: Any, mask: Any) -> None:
    theirs, ours, x = _pair(kind, stateful=True, return_sequences=True)
    mask = None if mask is None else torch.tensor(mask)
    for layer in (theirs, ours):
        layer.reset_state()
    for _ in range(3):
        torch.testing.assert_close(ours(x, mask=mask), theirs(x, mask=mask))
    for one, other in zip(ours.states, theirs.states, strict=True):
        torch.testing.assert_close(one, other.value)


DROPS = [
    (SimpleRNN, {"dropout": 0.5}),
    (LSTM, {"dropout": 0.5}),
    (GRU, {"dropout": 0.5}),
    (GRU, {"dropout": 0.5, "reset_after": False}),
    (SimpleRNN, {"recurrent_dropout": 0.5}),
    (LSTM, {"recurrent_dropout": 0.5}),
    (GRU, {"recurrent_dropout": 0.5}),
    (GRU, {"recurrent_dropout": 0.5, "reset_after": False}),
]


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
@pytest.mark.parametrize(("kind", "arguments"), DROPS)
def test_the_same_elements_dropped_give_the_same_numbers(
    kind: Any, arguments: Any, mask: Any, monkeypatch: Any
) -> None:
    theirs, ours, x = _pair(kind, **arguments)
    inputs = torch.nn.functional.dropout(torch.ones(4, 6))
    drops = torch.nn.functional.dropout(torch.ones(ours.gates, 4, 3))
    # Keras keeps masks that are there already. A GRU's come as update, reset, new.
    theirs.cell._dropout_mask = inputs if ours.dropout else None
    keras_drops = [drops[1], drops[0], drops[2]] if kind is GRU else list(drops)
    if ours.recurrent_dropout:
        theirs.cell._recurrent_dropout_mask = drops[0] if kind is SimpleRNN else keras_drops
    monkeypatch.setattr(ours, "_draw_inputs", lambda step: inputs if ours.dropout else None)
    wanted = drops if ours.recurrent_dropout else None
    monkeypatch.setattr(ours, "_draw_states", lambda state: wanted)
    mask = None if mask is None else torch.tensor(mask)
    expected = theirs(x, mask=mask, training=True)
    torch.testing.assert_close(ours(x, mask=mask, training=True), expected)
    assert not torch.allclose(expected, ours(x, mask=mask), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_and_config(kind: Any) -> None:
    theirs = getattr(keras.layers, kind.__name__)
    wanted = inspect.signature(theirs.__init__).parameters
    own = inspect.signature(kind.__init__).parameters
    assert [name for name in own if name != "zero_output_for_mask"] == list(wanted)
    for name, parameter in wanted.items():
        assert own[name].default == parameter.default, name
    assert set(theirs(3).get_config()) <= set(kind(3).get_config())


@pytest.mark.parametrize("kind", KINDS)
def test_first_weights_have_the_same_spread(kind: Any) -> None:
    theirs, ours = getattr(keras.layers, kind.__name__)(64), kind(64)
    for layer in (theirs, ours):
        layer.build((None, 3, 48))
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one.std(), other.std(), rtol=0.05)
    np.testing.assert_array_equal(ours.get_weights()[2], theirs.get_weights()[2])


def test_a_model_with_masks_all_the_way() -> None:
    layers = keras.layers
    theirs = keras.Sequential(
        [
            layers.Input((7,), dtype="int32"),
            layers.Embedding(9, 4, mask_zero=True),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
            layers.GRU(5, return_sequences=True, go_backwards=True),
            layers.SimpleRNN(3),
            layers.Dense(2),
        ]
    )
    ours = Sequential(
        [
            Input((7,), dtype="int32"),
            Embedding(9, 4, mask_zero=True),
            Bidirectional(LSTM(3, return_sequences=True)),
            GRU(5, return_sequences=True, go_backwards=True),
            SimpleRNN(3),
            Dense(2),
        ]
    )
    ours.set_weights(theirs.get_weights())
    tokens = torch.tensor([[4, 0, 3, 0, 0, 1, 2], [0, 0, 1, 8, 5, 0, 0], [3, 2, 0, 0, 0, 0, 0]])
    torch.testing.assert_close(ours(tokens), theirs(tokens))
    assert ours.count_params() == theirs.count_params()
