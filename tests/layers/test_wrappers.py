"""TimeDistributed and Bidirectional against running the layers inside by hand."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nnkit.errors import ArgumentError, ShapeError
from nnkit.layer import Layer
from nnkit.layers.core import Activation, Dense
from nnkit.layers.embedding import Embedding
from nnkit.layers.input import Input
from nnkit.layers.recurrent import GRU, LSTM, SimpleRNN
from nnkit.layers.wrappers import Bidirectional, TimeDistributed, Wrapper
from nnkit.models import Model, Sequential

X = torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(1))
MASK = torch.tensor([[1, 1, 1, 1, 1], [0, 1, 0, 0, 1], [0, 0, 0, 0, 0], [1, 1, 0, 0, 0]]) > 0


# -- TimeDistributed ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: Dense(3, "tanh"),
        lambda: nn.Linear(6, 3),
        lambda: Sequential([Dense(4), nn.ReLU(), Dense(3)]),
        lambda: Sequential([Input((6,)), Dense(3)]),
    ],
    ids=["layer", "torch", "sequential", "built"],
)
def test_equals_a_call_for_each_step(make: Any) -> None:
    inner = make()
    layer = TimeDistributed(inner)
    outputs = layer(X)
    assert outputs.shape == (4, 5, 3)
    torch.testing.assert_close(outputs, torch.stack([inner(X[:, t]) for t in range(5)], 1))
    assert len(layer.get_weights()) == len(list(inner.parameters())) > 0


def test_steps_with_more_axes() -> None:
    layer = TimeDistributed(LSTM(2))
    x = torch.randn(3, 4, 5, 6)
    torch.testing.assert_close(layer(x)[:, 1], layer.layer(x[:, 1]))
    assert layer(Input((None, None, 6))).shape == (None, None, 2)
    assert TimeDistributed(LSTM(2))(Input((None, 7, 6))).shape == (None, None, 2)


def test_free_sizes_inside_a_step_are_not_taken_for_fixed_ones() -> None:
    with pytest.raises(ShapeError, match=r"LSTM 'l' needs to know the number of features"):
        TimeDistributed(LSTM(2, name="l"))(Input((4, 5, None)))


def test_several_inputs_and_outputs() -> None:
    first, second = Input((2,)), Input((3,))
    joined = torch.cat([first, second], -1)
    model = Model([first, second], {"same": joined, "sum": Dense(4)(joined)})
    x, y = torch.randn(3, 5, 2), torch.randn(3, 5, 3)
    outputs = TimeDistributed(model)([x, y])
    torch.testing.assert_close(outputs["same"], torch.cat([x, y], -1))
    torch.testing.assert_close(outputs["sum"][:, 2], model([x[:, 2], y[:, 2]])["sum"])


class Seen(Layer):
    """Doubles its input and keeps the mask it was given."""

    supports_masking = True

    def call(self, inputs: torch.Tensor, mask: Any = None) -> torch.Tensor:
        self.given = mask
        return inputs * 2


def test_mask_of_steps() -> None:
    layer = TimeDistributed(Seen())
    x = X.clone()
    x._keras_mask = MASK
    assert torch.equal(layer(x)._keras_mask, MASK)
    assert torch.equal(layer.layer.given, MASK.flatten())
    deep = TimeDistributed(Seen())
    assert torch.equal(deep(X[..., None], mask=MASK)._keras_mask, MASK)
    assert deep.layer.given is None


@pytest.mark.parametrize("symbolic", [False, True])
def test_mask_that_reaches_into_the_steps(symbolic: bool) -> None:
    tokens = torch.tensor([[[4, 2, 0], [0, 0, 0]], [[0, 5, 0], [3, 0, 0]]])
    words, sentence, text = Embedding(9, 4, mask_zero=True), LSTM(3), GRU(2)
    if symbolic:
        entrance = Input((None, None), dtype="int64")
        middle = TimeDistributed(sentence)(words(entrance))
        assert middle._keras_mask.shape == (None, None)
        outputs = Model(entrance, text(middle))(tokens)
    else:
        middle = TimeDistributed(sentence)(words(tokens))
        assert middle._keras_mask.tolist() == [[True, False], [True, True]]
        outputs = text(middle)
    alone = [sentence(words(torch.tensor([kept]))) for kept in ([4, 2], [5], [3])]
    torch.testing.assert_close(outputs[:1], text(alone[0][None]))
    torch.testing.assert_close(outputs[1:], text(torch.stack(alone[1:], 1)))
    kept = TimeDistributed(LSTM(3, return_sequences=True))(words(tokens))
    assert torch.equal(kept._keras_mask, tokens != 0)


def test_losses_and_modes_inside_are_seen() -> None:
    layer = TimeDistributed(Dense(3, kernel_regularizer="l2"))
    layer(X)
    assert len(layer.losses) == 1
    layer.train()
    assert layer.layer.training


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: TimeDistributed(3), ArgumentError, r"needs a layer or torch module, got 3"),
        (
            lambda: TimeDistributed(Dense(3, name="d"), name="td")(torch.zeros(4, 5)),
            ShapeError,
            r"'td' expects \(batch, time, ...\) .* received \(4, 5\). Use Dense 'd' alone",
        ),
        (
            lambda: TimeDistributed(Dense(3))(X, mask=MASK[:, :3]),
            ShapeError,
            r"beginning with \(4, 5\), but received \(4, 3\)",
        ),
        (lambda: Wrapper("dense"), ArgumentError, r"needs a layer or torch module, got 'dense'"),
    ],
)
def test_refuses(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


# -- Bidirectional -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("sequences", [False, True])
def test_merges(mode: str | None, sequences: bool) -> None:
    layer = Bidirectional(LSTM(3, return_sequences=sequences), merge_mode=mode)
    actual = layer(X)
    forward, backward = layer.forward_layer(X), layer.backward_layer(X)
    backward = backward.flip(1) if sequences else backward
    wanted = {
        "concat": lambda: torch.cat([forward, backward], -1),
        "sum": lambda: forward + backward,
        "mul": lambda: forward * backward,
        "ave": lambda: (forward + backward) / 2,
        None: lambda: (forward, backward),
    }[mode]()
    torch.testing.assert_close(actual, wanted)


@pytest.mark.parametrize(("kind", "torch_kind"), [(SimpleRNN, nn.RNN), (LSTM, nn.LSTM)])
def test_equals_torch(kind: Any, torch_kind: Any) -> None:
    layer = Bidirectional(kind(3, return_sequences=True))
    layer(X)
    module = torch_kind(6, 3, batch_first=True, bidirectional=True)
    state = {name: torch.zeros_like(value) for name, value in module.state_dict().items()}
    for end, inner in (("", layer.forward_layer), ("_reverse", layer.backward_layer)):
        state[f"weight_ih_l0{end}"] = inner.weight_ih
        state[f"weight_hh_l0{end}"] = inner.weight_hh
        state[f"bias_ih_l0{end}"] = inner.bias
    module.load_state_dict(state)
    torch.testing.assert_close(layer(X), module(X)[0])


def test_masked_steps_are_zero_in_sequences_and_left_out() -> None:
    layer = Bidirectional(GRU(3, return_sequences=True, zero_output_for_mask=False))
    outputs = layer(X, mask=MASK)
    assert not outputs[~MASK].any()
    kept = X[1][MASK[1]][None]
    torch.testing.assert_close(outputs[1][MASK[1]][None], layer(kept))


def test_names_order_and_first_weights() -> None:
    values = [np.random.normal(size=s).astype("float32") for s in [(6, 3), (3, 3), (3,)] * 2]
    layer = Bidirectional(SimpleRNN(3, name="rnn"), weights=values)
    layer(X)
    assert (layer.forward_layer.name, layer.backward_layer.name) == ("forward_rnn", "backward_rnn")
    for actual, wanted in zip(layer.get_weights(), values, strict=True):
        np.testing.assert_array_equal(actual, wanted)
    np.testing.assert_array_equal(layer.forward_layer.get_weights()[0], values[0])
    assert "weights" not in layer.get_config()


def test_states_in_and_out() -> None:
    layer = Bidirectional(LSTM(3, return_state=True))
    given = [torch.randn(4, 3) for _ in range(4)]
    output, *states = layer(X, initial_state=given)
    assert len(states) == 4
    forward = layer.forward_layer(X, initial_state=given[:2])
    backward = layer.backward_layer(X, initial_state=given[2:])
    torch.testing.assert_close((output, *states), (torch.cat([forward[0], backward[0]], -1),
                                                   *forward[1:], *backward[1:]))  # fmt: skip
    symbols = layer(Input((5, 6)), initial_state=[Input((3,)) for _ in range(4)])
    assert [symbol.shape for symbol in symbols] == [(None, 6), *[(None, 3)] * 4]


def test_stateful() -> None:
    layer = Bidirectional(GRU(3, stateful=True))
    first = layer(X)
    assert len(layer.states) == 2
    assert not torch.allclose(layer(X), first)
    layer.reset_state()
    torch.testing.assert_close(layer(X), first)


def test_clones_keep_what_a_config_would_lose() -> None:
    def twos(shape: Any, dtype: Any = None) -> torch.Tensor:
        return torch.full(shape, 2.0, dtype=dtype)

    bend = lambda x: x / (1 + x.abs())  # noqa: E731
    given = LSTM(
        3, bend, kernel_initializer=twos, dropout=0.25, go_backwards=False, dtype="float64"
    )
    given.trainable = False
    layer = Bidirectional(given)
    layer.build((None, 5, 6))
    for inner in (layer.forward_layer, layer.backward_layer):
        assert inner.activation is bend
        assert inner.dropout == 0.25
        assert inner.weight_ih.dtype == torch.float64
        assert inner.kernel.unique().tolist() == [2]
    assert layer.backward_layer.go_backwards
    assert not layer.trainable_weights
    assert not given.built


class Reversed(Layer):
    """A layer of the user's with what Bidirectional needs, and a config of its own."""

    return_sequences, return_state, stateful = True, False, False

    def __init__(self, go_backwards: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.go_backwards = go_backwards

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.flip(1) if self.go_backwards else inputs

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "go_backwards": self.go_backwards}


def test_layers_of_the_users() -> None:
    outputs = Bidirectional(Reversed(), merge_mode="ave")(X, mask=MASK)
    torch.testing.assert_close(outputs, X)


def test_a_backward_layer_of_another_kind() -> None:
    layer = Bidirectional(LSTM(3), backward_layer=GRU(2, go_backwards=True, name="back"))
    assert layer(X).shape == (4, 5)
    assert layer.backward_layer.name == "back"
    again = Bidirectional.from_config(layer.get_config())
    assert isinstance(again.backward_layer, GRU)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Bidirectional(Dense(3)), r"needs a recurrent layer such as LSTM\(32\), got Dense"),
        (lambda: Bidirectional("lstm"), r"needs a recurrent layer .* got 'lstm'"),
        (lambda: Bidirectional(LSTM(3), "cat"), r"merge_mode must be one of 'concat', 'sum'"),
        (lambda: Bidirectional(LSTM(3, go_backwards=True)), r"both have go_backwards=True"),
        (
            lambda: Bidirectional(
                LSTM(3), backward_layer=LSTM(3, go_backwards=True, return_state=True)
            ),
            r"the same return_state in both layers, got False forwards and True backwards",
        ),
        (
            lambda: Bidirectional(GRU(3))(X, initial_state=torch.zeros(4, 3)),
            r"needs a list as initial_state: .* Got one Tensor",
        ),
        (
            lambda: TimeDistributed.from_config(
                {"layer": {"class_name": "Dens", "config": {}}}
            ),
            r"no class 'Dens' here. Did you mean 'Dense'",
        ),
    ],
)  # fmt: skip
def test_refuses_pairs(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


def test_wrong_shapes_name_the_layer_inside() -> None:
    layer = Bidirectional(LSTM(3, name="rnn"))
    with pytest.raises(ShapeError, match=r"'forward_rnn' expects \(batch, time, features\)"):
        layer(torch.zeros(4, 6))
    layer(X)
    with pytest.raises(ShapeError, match=r"'forward_rnn' was built for 6 features"):
        layer(torch.zeros(4, 5, 7))


# -- both --------------------------------------------------------------------------------------

MAKERS = [
    lambda: Bidirectional(LSTM(3, return_sequences=True)),
    lambda: Bidirectional(GRU(3, return_state=True), merge_mode=None),
    lambda: TimeDistributed(Dense(3)),
    lambda: TimeDistributed(Sequential([Dense(3), Activation("relu")])),
]


@pytest.mark.parametrize("make", MAKERS)
def test_compiles(make: Any) -> None:
    layer = make()
    torch._dynamo.reset()
    expected = layer(X)
    torch.testing.assert_close(torch.compile(layer, fullgraph=True, backend="eager")(X), expected)


@pytest.mark.parametrize("make", MAKERS[:3])
def test_copies(make: Any) -> None:
    layer = make()
    expected = layer(X)
    again = type(layer).from_config(layer.get_config())
    again(X)
    again.set_weights(layer.get_weights())
    for one in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), again):
        torch.testing.assert_close(one(X), expected)
    assert again.name == layer.name
