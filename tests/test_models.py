"""Functional and subclassed models."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nnkit.errors import GraphError
from nnkit.layers import GRU, LSTM, Add, BatchNormalization, Concatenate, Dense, Embedding, Input
from nnkit.models import Model, Sequential, load_model

NAMES = [
    "output", "input", "inputs", "loss", "losses", "layers", "weights", "train", "training",
    "built", "trainable", "name", "forward", "call", "add", "metrics", "optimizer", "summary",
    "_graph", "stop_training", "a.b", "a/b", "", "über",
]  # fmt: skip


class Own(Model):
    def __init__(self) -> None:
        super().__init__()
        self.entry = Dense(4, "relu")
        self.middle = [Dense(3), nn.Linear(3, 3)]
        self.heads = {"x": Dense(2), "y": nn.Linear(3, 2)}
        self.late: list[Any] = []
        for _ in range(2):
            self.late.append(Dense(3))

    def call(self, inputs: Any, training: bool = False) -> Any:
        x = self.entry(inputs)
        for layer in [*self.middle, *self.late]:
            x = layer(x)
        return {name: head(x) for name, head in self.heads.items()}


@pytest.mark.parametrize("name", NAMES)
def test_any_name_for_a_layer(name: str) -> None:
    """A layer's name never collides with what a model keeps under its own names."""
    x = Input((3,))
    for model in (
        Model(x, Dense(2, name=name)(x)),
        Sequential([Input((3,)), Dense(2, name=name)]),
    ):
        model.train()
        model.trainable = False
        model.stop_training = True
        assert model.get_layer(name).name == name
        value = torch.rand(1, 3)
        assert torch.equal(copy.deepcopy(model)(value), model(value))
        assert len(model.state_dict()) == len(model.weights) == 2
        assert model.layers[-1] is model.get_layer(name)
        model.trainable = True
        assert len(model.trainable_weights) == 2


def io() -> tuple[Any, Any, Any]:
    a, b = Input((4,), name="a"), Input((3,), name="b")
    return a, b, Concatenate()([a, b])


@pytest.mark.parametrize("kind", ["list", "tuple", "dict", "nested"])
def test_nestings_of_inputs(kind: str) -> None:
    a, b, joined = io()
    inputs = {"list": [a, b], "tuple": (a, b), "dict": {"b": b, "a": a}, "nested": [a, [b]]}[kind]
    model = Model(inputs, joined)
    x, y = torch.rand(2, 4), torch.rand(2, 3)
    expected = torch.cat([x, y], -1)
    given = {"list": [x, y], "tuple": (x, y), "dict": {"b": y, "a": x}, "nested": [x, [y]]}[kind]
    for value in (given, {"a": x, "b": y}, {"b": y.numpy(), "a": x, "more": 1}):
        torch.testing.assert_close(model(value), expected)
    if kind == "list":
        torch.testing.assert_close(model(x, y), expected)


@pytest.mark.parametrize(
    "nest",
    [
        lambda a, b: [a, b],
        lambda a, b: (a, b),
        lambda a, b: {"z": a, "y": b},
        lambda a, b: {"z": [a, (b,)]},
    ],
)
def test_nestings_of_outputs(nest: Any) -> None:
    a, _, joined = io()
    model = Model([a, io()[1]], nest(a, a * 2))
    x = torch.rand(2, 4)
    result, expected = model([x, torch.rand(2, 3)]), nest(x, x * 2)
    assert type(result) is type(expected)
    torch.testing.assert_close(result, expected)
    assert str(model.output_shape) == str(nest((None, 4), (None, 4)))
    assert joined.shape == (None, 7)


@pytest.mark.parametrize("wrap", [lambda t: [t], lambda t: (t,)])
def test_a_list_of_one_gives_a_tensor(wrap: Any) -> None:
    x = Input((3,))
    model = Model(wrap(x), wrap(Dense(2)(x)))
    assert model(torch.rand(5, 3)).shape == (5, 2)
    assert model([torch.rand(5, 3)]).shape == (5, 2)
    assert model.input_shape == (None, 3)
    assert model.output_shape == (None, 2)
    assert len(model.inputs) == len(model.outputs) == 1


def test_shared_nested_and_called_again() -> None:
    x = Input((4,))
    shared = Dense(4, "relu")
    inner = Model(x, shared(shared(x)), name="inner")
    a, b = Input((4,)), Input((4,))
    outer = Model([a, b], [inner(a), inner(b), shared(a), inner(inner(a))])
    value, other = torch.rand(2, 4), torch.rand(2, 4)
    first, second, third, fourth = outer([value, other])
    torch.testing.assert_close(first, shared(shared(value)))
    torch.testing.assert_close(second, inner(other))
    torch.testing.assert_close(third, shared(value))
    torch.testing.assert_close(fourth, inner(inner(value)))
    assert outer.count_params() == 20


def test_models_of_inner_outputs() -> None:
    model = Sequential([Input((4,)), Dense(3, name="x"), nn.ReLU(), Dense(2, name="y")])
    value = torch.rand(2, 4)
    features = Model(model.input, model.get_layer("x").output)
    torch.testing.assert_close(features(value), model.get_layer("x")(value))
    stages = Model(model.inputs, [layer.output for layer in model.layers])(value)
    assert [tuple(s.shape) for s in stages] == [(2, 3), (2, 3), (2, 2)]
    torch.testing.assert_close(stages[-1], model(value))
    rest = Model(model.get_layer("x").output, model.output)
    torch.testing.assert_close(rest(stages[0]), stages[-1])
    assert features.get_layer("x") is model.get_layer("x")
    longer = Model(model.input, Add()([model.output, Dense(2)(model.get_layer("x").output)]))
    assert longer(value).shape == (2, 2)


def test_a_model_that_begins_inside_another(tmp_path: Path) -> None:
    x = Input((4,), name="x")
    inner = Dense(3, name="inner")(x)
    whole = Model(x, Dense(2, name="last")(nn.functional.relu(inner) + inner.size(0)))
    rest = Model(inner, whole.output)
    assert [layer.name for layer in rest.layers] == ["inner_output", "last"]
    assert rest.input_shape == (None, 3)
    assert rest.count_params() == 8
    value = torch.rand(2, 4)
    torch.testing.assert_close(rest(whole.get_layer("inner")(value)), whole(value))
    assert whole.get_layer("last").output is whole.output

    plain = Model(inner, whole.get_layer("last")(inner))
    plain.save(tmp_path / "rest.keras")
    for again in (load_model(tmp_path / "rest.keras"), Model.from_config(plain.get_config())):
        again.set_weights(plain.get_weights())
        torch.testing.assert_close(again(value[:, :3]), plain(value[:, :3]))
    both = Model([inner, x], [whole.output, whole.get_layer("last")(inner)])
    assert [tuple(out.shape) for out in both([value[:, :3], value])] == [(2, 2), (2, 2)]
    with pytest.raises(GraphError, match="depends on the input 'x'"):
        Model(whole.output, inner)


def test_a_model_that_begins_behind_a_mask() -> None:
    words = Input((5,), dtype="int64")
    vectors = Embedding(9, 4, mask_zero=True)(words)
    whole = Model(words, LSTM(3)(vectors))
    rest = Model(vectors, whole.output)
    value = whole.layers[1](torch.tensor([[1, 2, 3, 0, 0]]))
    torch.testing.assert_close(rest(value), whole.layers[-1](torch.clone(value)))  # unmasked


def test_what_is_no_layer_in_a_list_is_left_alone() -> None:
    class Net(Model):
        def __init__(self) -> None:
            super().__init__()
            self.heads = {"x": Dense(2), "y": [Dense(2), 3]}
            self.round: dict[Any, Any] = {0: Dense(2)}
            self.round["itself"] = self.round

        def call(self, inputs: Any) -> Any:
            return {"x": self.heads["x"](inputs), "y": self.heads["y"][0](self.round[0](inputs))}

    net = Net()
    net.compile("sgd", {"x": "mse", "y": nn.MSELoss()})
    net.fit(np.ones((4, 2)), {"x": np.ones((4, 2)), "y": np.ones((4, 2))}, verbose=0)
    assert [type(layer).__name__ for layer in net.layers] == ["Dense"] * 3
    assert isinstance(net.loss, dict)
    assert isinstance(net.heads, dict)
    assert len(net.trainable_weights) == len(net.state_dict()) == 6


@pytest.mark.parametrize("way", ["call", "build", "symbolic"])
def test_subclass_registers_lists_and_dicts(way: str) -> None:
    model, x = Own(), torch.rand(2, 5)
    assert len(model.layers) == 7
    if way == "build":
        model.build((None, 5))
    elif way == "symbolic":
        result = model(Input((5,)))
        assert {k: v.shape for k, v in result.items()} == {"x": (None, 2), "y": (None, 2)}
    result = model(x)
    assert {k: tuple(v.shape) for k, v in result.items()} == {"x": (2, 2), "y": (2, 2)}
    assert model.count_params() == 24 + 15 + 12 + 24 + 16
    assert len(list(model.parameters())) == 14
    assert "middle.0.weight" in model.state_dict()
    twin = copy.deepcopy(model)
    torch.testing.assert_close(twin(x), result)


def test_subclass_inside_a_graph() -> None:
    own, x = Own(), Input((5,))
    result = own(x)
    model = Model(x, result["x"] + result["y"])
    value = torch.rand(3, 5)
    expected = own(value)
    torch.testing.assert_close(model(value), expected["x"] + expected["y"])


def test_subclass_made_of_a_graph() -> None:
    class Functional(Model):
        def __init__(self, units: int) -> None:
            x = Input((3,))
            super().__init__(x, Dense(units)(x), name="own")

        def extra(self) -> int:
            return 7

    model = Functional(2)
    assert model(torch.rand(1, 3)).shape == (1, 2)
    assert copy.deepcopy(model).extra() == 7
    assert model.name == "own"


def test_the_door_casts_and_fits_ranks() -> None:
    a = Input((1,), name="a")
    model = Model(a, a * 2)
    assert model(np.array([1, 2, 3])).tolist() == [[2.0], [4.0], [6.0]]
    assert model(torch.ones(2, 1, dtype=torch.float64)).dtype is torch.float32
    whole = Model(b := Input((), dtype="int64"), b + 1)
    assert whole(torch.ones(2, 1)).tolist() == [2, 2]


def test_fixed_batch_is_checked() -> None:
    x = Input((3,), batch_size=4)
    with pytest.raises(ValueError, match=r"expects \(4, 3\) at its input .* received \(2, 3\)"):
        Model(x, x + 1)(torch.rand(2, 3))


def test_names_and_shapes() -> None:
    a, b, joined = io()
    model = Model([a, b], {"p": Dense(2, name="one")(joined), "q": Dense(1, name="two")(joined)})
    assert model.input_names == ["a", "b"]
    assert model.output_names == ["one", "two"]
    assert model.input_shape == [(None, 4), (None, 3)]
    assert model.output_shape == {"p": (None, 2), "q": (None, 1)}
    assert model.get_layer(index=0).name == "a"


def test_modes_reach_every_layer() -> None:
    x = Input((3,))
    model = Model(x, BatchNormalization()(nn.Dropout(0.5)(x)))
    assert not any(m.training for m in model.modules())
    model.train()
    assert all(m.training for m in model.modules())


def test_same_name_twice() -> None:
    x = Input((3,))
    with pytest.raises(GraphError, match="Two layers of 'm' are called 'd'"):
        Model(x, Dense(1, name="d")(Dense(1, name="d")(x)), name="m")


def test_functions_keep_a_plan_short() -> None:
    """A run is one step a call: nothing is added between the layers."""
    x = Input((3,))
    model = Model(x, torch.relu(Dense(3)(x)) + x)
    assert len(model._graph.steps) == 3


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_model_in_another_float_type_casts_its_input_to_it(dtype: torch.dtype) -> None:
    inner = Sequential([Input((3,)), Dense(2)])
    model = Model(x := Input((3,)), Dense(1)(inner(x))).to(dtype)
    assert model(torch.ones(2, 3)).dtype == dtype
    assert model(torch.ones(2, 3, dtype=dtype)).dtype == dtype
    assert model.float()(torch.ones(2, 3)).dtype == torch.float32
    assert model.predict(np.ones((2, 3)), verbose=0).dtype == np.float32


def test_whole_number_inputs_stay_whole_in_another_float_type() -> None:
    model = Sequential([Input((3,), dtype="int64"), Embedding(5, 2)]).double()
    assert model(torch.tensor([[1, 2, 3]])).dtype == torch.float64


def test_a_call_of_several_arguments() -> None:
    """An encoder with the state it starts from, as programs for translation have."""

    class Encoder(Model):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.gru = Embedding(9, 4), GRU(5, return_state=True)

        def call(self, x: Any, hidden: Any) -> Any:
            return self.gru(self.embedding(x), initial_state=hidden)

    tokens, hidden = torch.randint(0, 9, (3, 6)), torch.ones(3, 5)
    for eager in (True, False):
        model = Encoder()
        if not eager:
            inputs = Input((6,), dtype="int64"), Input((5,))
            assert Model(inputs, model(*inputs))([tokens, hidden])[0].shape == (3, 5)
        output, state = model(tokens, hidden)
        torch.testing.assert_close(output, state)
        assert not torch.equal(output, model(tokens, hidden=torch.zeros(3, 5))[0])
        assert len(model.trainable_weights) == 4


def test_the_first_layers_input_is_the_models() -> None:
    inputs = Input((4,))
    model = Model(inputs, Dense(2)(Dense(3)(inputs)))
    assert model.layers[0].input is inputs
    assert Model(model.layers[0].input, model.layers[1].output).output_shape == (None, 3)
