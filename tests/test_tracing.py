"""torch.fx.symbolic_trace of models: the same outputs, with layers as the leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnkit.errors import NotBuiltError
from nnkit.layers import (
    LSTM,
    BatchNormalization,
    Conv2D,
    Dense,
    Discretization,
    Dropout,
    Embedding,
    Flatten,
    Input,
    LayerNormalization,
    MaxPooling2D,
    MultiHeadAttention,
    Rescaling,
)
from nnkit.models import Model, Sequential


def mlp() -> tuple[Model, Any]:
    stack = [Dense(8, "relu"), Dropout(0.5), BatchNormalization(), Dense(3, "softmax")]
    return Sequential([Input((4,)), *stack]), torch.randn(5, 4)


def cnn() -> tuple[Model, Any]:
    stack = [
        Rescaling(1 / 255),
        Conv2D(4, 3, strides=2, padding="same", activation="relu"),
        MaxPooling2D(),
        Flatten(),
        nn.Linear(16, 3),
    ]
    return Sequential([Input((8, 8, 3)), *stack]), torch.rand(2, 8, 8, 3) * 255


def two_inputs() -> tuple[Model, Any]:
    left, right = Input((4,)), Input((6,))
    joined = torch.cat([Dense(4)(left) + nn.Linear(6, 4)(right), left], dim=1)
    model = Model([left, right], Dense(2)(F.relu(joined) + torch.ones(8)))
    return model, [torch.randn(3, 4), torch.randn(3, 6)]


def named_inputs() -> tuple[Model, Any]:
    inputs = {"b": Input((4,)), "a": Input((4,))}
    outputs = {"sum": inputs["a"] + inputs["b"], "left": Dense(1)(inputs["a"])}
    return Model(inputs, outputs), {"a": torch.randn(3, 4), "b": torch.randn(3, 4)}


def masked() -> tuple[Model, Any]:
    stack = [Embedding(9, 4, mask_zero=True), LSTM(5), Dense(2)]
    return Sequential([Input((7,)), *stack]), torch.randint(0, 9, (3, 7)).float()


def attention() -> tuple[Model, Any]:
    x = Input((6, 8))
    return Model(x, LayerNormalization()(MultiHeadAttention(2, 4)(x, x) + x)), torch.randn(3, 6, 8)


def nested() -> tuple[Model, Any]:
    x, inner = Input((4,)), mlp()[0]
    return Model(x, inner(x) * 2 + inner(x, training=False)), torch.randn(3, 4)


def raw_data() -> tuple[Model, Any]:
    stack = [Discretization(bin_boundaries=[0.0, 1.0]), Embedding(3, 2)]
    return Sequential([Input((4,)), *stack]), torch.randn(3, 4)


class Own(Model):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Dense(4), Dense(2)

    def call(self, inputs: Any) -> Any:
        return self.second(torch.relu(self.first(inputs)), training=False)


def own() -> tuple[Model, Any]:
    model, x = Own(), torch.randn(4, 3)
    model(x)
    return model, x


EVERY = [mlp, cnn, two_inputs, named_inputs, masked, attention, nested, raw_data, own]


@pytest.mark.parametrize("make", EVERY)
def test_the_program_gives_the_same(make: Callable[[], tuple[Model, Any]]) -> None:
    torch.manual_seed(0)
    model, x = make()
    program = torch.fx.symbolic_trace(model)
    wanted = model(x)
    torch.testing.assert_close(program(x), wanted)
    program.graph.lint()


def leaves(program: Any) -> list[str]:
    return [str(node.target) for node in program.graph.nodes if node.op == "call_module"]


def test_layers_and_torch_modules_are_the_leaves() -> None:
    program = torch.fx.symbolic_trace(cnn()[0])
    kinds = [type(program.get_submodule(name)) for name in leaves(program)]
    assert kinds == [Rescaling, Conv2D, MaxPooling2D, Flatten, nn.Linear]


def test_a_mode_that_a_call_asks_for_stays_in_the_program() -> None:
    model, x = nested()
    program = torch.fx.symbolic_trace(model).train()
    calls = [node for node in program.graph.nodes if node.kwargs.get("training") is False]
    assert len(calls) == 1
    torch.manual_seed(1)
    first = program(x)
    assert not torch.equal(first, program(x))  # of the two, one drops out


def test_gradients_reach_the_weights() -> None:
    model, x = mlp()
    torch.fx.symbolic_trace(model)(x)[:, 0].sum().backward()
    assert all(isinstance(p.grad, Tensor) for p in model.parameters())


def test_a_model_without_weights_is_refused() -> None:
    with pytest.raises(NotBuiltError, match=r"Dense 'dense.*' has no weights yet: call the model"):
        torch.fx.symbolic_trace(Own())
