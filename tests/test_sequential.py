"""Sequential: stacking, popping, building late."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from nnkit.errors import ArgumentError, ShapeError
from nnkit.layer import Layer
from nnkit.layers import (
    LSTM,
    Activation,
    Dense,
    Embedding,
    Flatten,
    Input,
    InputLayer,
    StringLookup,
    TextVectorization,
)
from nnkit.models import Model, Sequential

STARTS = [
    [Input((4,)), Dense(3)],
    [InputLayer((4,)), Dense(3)],
    [InputLayer(input_shape=(4,)), Dense(3)],
    [Dense(3, input_shape=(4,))],
    [Dense(3, input_dim=4)],
    [Sequential([Input((4,)), Dense(3)])],
]


@pytest.mark.parametrize("start", range(len(STARTS)))
def test_ways_to_give_the_shape(start: int) -> None:
    model = Sequential(STARTS[start])
    assert model.built
    assert model.input_shape == (None, 4)
    assert model.output_shape == (None, 3)
    assert len(model.weights) == 2
    assert len(model.layers) == 1
    assert model(torch.rand(2, 4)).shape == (2, 3)


@pytest.mark.parametrize("way", ["data", "build", "symbolic"])
def test_built_late(way: str) -> None:
    model = Sequential([Dense(3), nn.ReLU(), Dense(2)])
    assert not model.built
    assert model.weights == []
    if way == "build":
        model.build((None, 4))
    else:
        shape = model(torch.rand(5, 4) if way == "data" else Input((4,))).shape
        assert tuple(shape)[1:] == (2,)
    assert model.built
    assert model.count_params() == 15 + 8
    assert model.input_shape == (None, 4)
    assert model.output_shape == (None, 2)
    with pytest.raises(ShapeError, match=r"expects \(batch, 4\)"):
        model(torch.rand(5, 3))


def test_add_and_pop() -> None:
    model = Sequential(name="stack")
    model.add(Input((4,)))
    shapes: list[Any] = []
    for layer in (Dense(3, name="one"), nn.ReLU(), Dense(2, name="two")):
        model.add(layer)
        shapes.append(model.output_shape)
    assert shapes == [(None, 3), (None, 3), (None, 2)]
    gone = model.pop()
    assert gone.name == "two"
    assert list(model.state_dict()) == ["one.weight", "one.bias"]
    assert model.output_shape == (None, 3)
    model.add(Dense(7, name="two"))
    value = torch.rand(2, 4)
    assert model(value).shape == (2, 7)
    assert [layer.name for layer in model.layers][::2] == ["one", "two"]
    while model.layers:
        model.pop()
    model.add(Dense(5))
    assert model(value).shape == (2, 5)


def test_add_after_data() -> None:
    model, value = Sequential([Dense(3)]), torch.rand(2, 4)
    model(value)
    model.add(Dense(1))
    assert model(value).shape == (2, 1)
    model.pop()
    assert model(value).shape == (2, 3)


def test_a_misfit_shows_when_it_is_added() -> None:
    model = Sequential([Input((4,)), Dense(3)])
    with pytest.raises(ShapeError, match=r"torch module Linear 'linear\w*' does not fit its"):
        model.add(nn.Linear(5, 2))
    assert len(model.layers) == 1
    assert model(torch.rand(2, 4)).shape == (2, 3)


@pytest.mark.parametrize("kind", [StringLookup, TextVectorization])
def test_words_are_refused_before_there_is_data(kind: type[Layer]) -> None:
    with pytest.raises(ArgumentError, match="Call it on the data instead, x = layer"):
        Sequential([kind(vocabulary=["a", "b"]), Embedding(4, 2)])


def test_torch_modules_keep_torchs_keys() -> None:
    model = Sequential(
        [Input((3, 8, 8)), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2)]
    )
    model.train()
    normal = next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    assert normal.num_batches_tracked == 0
    model(torch.rand(2, 3, 8, 8))
    assert normal.num_batches_tracked == 1
    assert [key.split(".")[-1] for key in model.state_dict()][2:7] == [
        "weight", "bias", "running_mean", "running_var", "num_batches_tracked",
    ]  # fmt: skip
    assert model.count_params() == 112 + 16 + 290
    assert len(model.trainable_weights) == 6


def test_same_values_as_torch() -> None:
    parts = [nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)]
    ours, theirs, value = Sequential([Input((4,)), *parts]), nn.Sequential(*parts), torch.rand(5, 4)
    assert torch.equal(ours(value), theirs(value))
    ours.layers[0].trainable = False
    assert not parts[0].weight.requires_grad


def test_nested_stacks() -> None:
    inner = Sequential([Dense(3), Activation("relu")])
    model = Sequential([inner, Sequential([Dense(2)])])
    value = torch.rand(2, 4)
    assert model(value).shape == (2, 2)
    assert len(model.weights) == 4
    torch.testing.assert_close(model(value), model.layers[1](inner(value)))


def test_tokens() -> None:
    model = Sequential([Input((5,), dtype="int64"), nn.Embedding(10, 3), nn.Flatten()])
    assert model.output_shape == (None, 15)
    assert model(torch.zeros(2, 5)).shape == (2, 15)


def test_one_built_on_data_fixes_only_what_its_layers_need() -> None:
    model = Sequential([Dense(4), LSTM(3)])
    assert model(torch.rand(2, 5, 8)).shape == (2, 3)
    longer = torch.rand(2, 7, 8)
    kept = model.get_weights()
    assert model(longer).shape == (2, 3)
    torch.testing.assert_close(model(longer), model.layers[1](model.layers[0](longer)))
    assert model.input_shape == (None, None, 8)
    assert model.layers[0].output.shape == (None, None, 4)
    assert all((a == b).all() for a, b in zip(kept, model.get_weights(), strict=True))
    with pytest.raises(ShapeError, match=r"expects \(batch, None, 8\).*received \(2, 7, 9\)"):
        model(torch.rand(2, 7, 9))
    flat = Sequential([Flatten(), Dense(4)])
    flat(torch.rand(2, 5, 8))
    with pytest.raises(ShapeError, match=r"expects \(batch, 5, 8\).*received \(2, 6, 8\)"):
        flat(torch.rand(2, 6, 8))
    assert flat.input_shape == (None, 5, 8)
    declared = Sequential([Input((5, 8)), Dense(4)])
    with pytest.raises(ShapeError, match=r"expects \(batch, 5, 8\)"):
        declared(torch.rand(2, 6, 8))


class _Block(Layer):
    """A part of a network as people write it, with a stack that builds itself."""

    def __init__(self, *stack: Any) -> None:
        super().__init__()
        self.stack = Sequential(list(stack))

    def call(self, inputs: torch.Tensor) -> Any:
        return self.stack(inputs)


def test_one_inside_a_layer_sees_free_sizes() -> None:
    inputs = Input((None, 8))
    block = _Block(Dense(16, activation="relu"), Dense(4))
    model = Model(inputs, block(inputs))
    assert model.output_shape == (None, None, 4)
    assert block.stack.input_shape == (None, None, 8)
    assert model(torch.rand(2, 6, 8)).shape == (2, 6, 4)
    with pytest.raises(ShapeError, match="size that is free here"):
        _Block(Flatten(), Dense(4))(Input((None, 8)))
