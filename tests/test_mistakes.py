"""Mistakes people make when they build models, and what each is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnkit.errors import (
    ArgumentError,
    GraphError,
    NotBuiltError,
    NotCompiledError,
    ShapeError,
)
from nnkit.layer import Layer
from nnkit.layers import (
    LSTM,
    Add,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    MaxPooling2D,
    Reshape,
)
from nnkit.models import Model, Sequential
from nnkit.naming import clear

rand = torch.rand


@pytest.fixture(autouse=True)
def _fresh_names() -> None:
    clear()


class NoCall(Model):
    pass


class NoSuper(Layer):
    def __init__(self) -> None:
        self.units = 3


def vec(size: Any = 8) -> Any:
    return Input((size,))


def small() -> Sequential:
    return Sequential([Input((4,), name="x"), Dense(3, name="hidden"), Dense(2, name="out")])


def two() -> Model:
    a, b = Input((4,), name="a"), Input((3,), name="b")
    return Model([a, b], Concatenate()([Dense(2)(a), b]))


def twice(layer: Any, first: Any, second: Any) -> None:
    layer(first)
    layer(second)


def same_name() -> Model:
    x = vec()
    return Model(x, Dense(2, name="d")(Dense(3, name="d")(x)))


def missing_input() -> Model:
    a, b = vec(), Input((8,), name="other")
    return Model(a, Add()([a, b]))


SHAPES = [
    (
        lambda: Conv2D(8, 3)(vec(784)),
        "Conv2D 'conv2d' expects (batch, height, width, channels) but received (batch, 784). "
        "Add Reshape((28, 28, 1)) before it.",
    ),
    (
        lambda: Conv2D(8, 3)(Input((28, 28))),
        "but received (batch, 28, 28). Add the channels axis with Reshape((28, 28, 1)) before it.",
    ),
    (
        lambda: Conv2D(8, 3)(Input((32, 28, 28, 1))),
        "but received (batch, 32, 28, 28, 1). Input(shape=...) leaves out the batch axis",
    ),
    (
        lambda: Sequential([Input((28, 28, 3), name="x"), Conv2D(4, 3)])(rand(2, 3, 28, 28)),
        "expects (batch, 28, 28, 3) at its input 'x' but received (2, 3, 28, 28). "
        "The channels seem to come first: permute them to the end, x.movedim(1, -1).",
    ),
    (
        lambda: Sequential([Input((28, 28), name="x"), Flatten()])(rand(2, 784)),
        "received (2, 784). The data has as many numbers: x.reshape(-1, 28, 28).",
    ),
    (
        lambda: Sequential([Input((28, 28), name="x"), Flatten()])(rand(28, 28)),
        "received (28, 28). The batch axis seems to be missing: give x[None]",
    ),
    (
        lambda: twice(Conv2D(4, 3), rand(2, 28, 28, 3), rand(2, 3, 28, 28)),
        "Conv2D 'conv2d' was built for 3 channels but received (2, 3, 28, 28). "
        "The channels seem to come first",
    ),
    (
        lambda: Dense(3)(vec(None)),
        "Dense 'dense' needs to know the number of features, but received (batch, None). "
        "Give that size in Input(shape=...).",
    ),
    (
        lambda: twice(Dense(3), rand(2, 4), rand(2, 5)),
        "Dense 'dense' was built for 4 features but received (2, 5). "
        "Give it 4 features, or make a new layer for the new size.",
    ),
    (
        lambda: twice(Dense(3), vec(4), vec(5)),
        "Dense 'dense' was built for 4 features but received (batch, 5).",
    ),
    (
        lambda: twice(Dense(3), rand(2, 784), rand(2, 28, 28)),
        "was built for 784 features but received (2, 28, 28). Add Flatten() before it.",
    ),
    (
        lambda: Add()([vec(3), vec(4)]),
        "Add 'add' cannot combine (batch, 3) and (batch, 4): axis 1 is 3 and 4.",
    ),
    (
        lambda: Concatenate()([Input((3, 4)), Input((5, 4))]),
        "Concatenate 'concatenate' cannot join (batch, 3, 4) and (batch, 5, 4) along axis -1: "
        "axis 1 is 3 and 5.",
    ),
    (
        lambda: Concatenate()(vec(3)),
        "expects a list of tensors but received one tensor (batch, 3). "
        "Call it on a list: Concatenate(...)([a, b]).",
    ),
    (lambda: vec(3) + vec(4), "'add' does not fit its inputs (batch, 3), (batch, 4):"),
    (
        lambda: torch.cat([Input((3, 4)), Input((5, 4))], -1),
        "'cat' does not fit its inputs (batch, 3, 4), (batch, 5, 4): Sizes of tensors must match",
    ),
    (
        lambda: MaxPooling2D(5)(Input((3, 3, 1))),
        "MaxPooling2D 'max_pooling2d' has windows of 5 x 5, larger than its input (batch, 3, 3, 1)",
    ),
    (
        lambda: Conv2D(4, 5)(Input((3, 3, 1))),
        "has windows of 5 x 5, larger than its input (batch, 3, 3, 1) of batch, height, width, "
        'channels. Use padding="same", a smaller kernel_size, or a larger image.',
    ),
    (
        lambda: LSTM(3)(vec(4)),
        "LSTM 'lstm' expects (batch, time, features) but received (batch, 4). "
        "Add Reshape((time, features)) before it",
    ),
    (
        lambda: Sequential([Input((5, 3)), LSTM(4), LSTM(4)]),
        "LSTM 'lstm_1' expects (batch, time, features) but received (batch, 4).",
    ),
    (
        lambda: vec().reshape(vec().shape[0], -1),
        "A free size is None here: use -1, or x.size(axis), which is filled in at run time.",
    ),
    (
        lambda: vec().reshape(-1, 3),
        "(batch, 8): shape '[-1, 3]' is invalid for input of size batch * 8.",
    ),
    (
        lambda: Reshape((3,))(vec(8)),
        "Reshape 'reshape' cannot turn (batch, 8) into (batch, 3): the input has 8 elements a "
        "sample, the target 3 elements.",
    ),
    (
        lambda: np.mean(vec()),
        "'mean' does not fit its inputs (batch, 8): mean() got an unexpected keyword argument "
        "'axis'. Check the arguments it takes; they are torch's.",
    ),
    (lambda: two()(rand(2, 4)), "Model 'functional' takes 2 inputs (a, b) but received 1."),
    (lambda: two()([rand(2, 4)] * 3), "takes 2 inputs (a, b) but received 3."),
    (lambda: small()([rand(2, 4)] * 2), "takes 1 input (x) but received 2."),
    (
        lambda: two()([rand(2, 3), rand(2, 4)]),
        "expects (batch, 4) at its input 'a' but received (2, 3).",
    ),
    (
        lambda: small()(rand(4)),
        "expects (batch, 4) at its input 'x' but received (4,). "
        "The batch axis seems to be missing: give x[None], or an array of samples.",
    ),
    (lambda: small()(rand(2, 5)), "but received (2, 5). Reshape the data, or change the Input"),
    (
        lambda: small().set_weights([np.zeros((4, 3))]),
        "'sequential' has 4 weights but 1 were given. It needs: kernel (4, 3), bias (3,), "
        "kernel (3, 2), bias (2,).",
    ),
    (
        lambda: small().layers[0].set_weights([np.zeros((3, 4)), np.zeros(3)]),
        "'hidden' needs (4, 3) for 'kernel' but (3, 4) was given.",
    ),
    (
        lambda: nn.Linear(192, 2)(vec(4)),
        "torch module Linear 'linear' does not fit its inputs (batch, 4): a and b must have same "
        "reduction dim, but got [batch, 4] X [192, 2].",
    ),
    (
        lambda: nn.Conv2d(3, 4, 3)(Input((28, 28, 3))),
        "If the channels come last, wrap it: "
        "TorchModuleWrapper(module, data_format='channels_first').",
    ),
    (
        lambda: torch.einsum("bi,ij->bj", vec(4), rand(3, 2)),
        "'einsum' does not fit its inputs (batch, 4), (3, 2):",
    ),
    (
        lambda: Dense(3)([rand(2, 3), rand(2, 3)]),
        "Dense 'dense' expects one tensor (batch, ..., features), got [(2, 3), (2, 3)].",
    ),
    (
        lambda: Sequential([Input((8, 8, 1)), Conv2D(4, 3), *[MaxPooling2D() for _ in range(3)]]),
        "MaxPooling2D 'max_pooling2d_2' has windows of 2 x 2, larger than its input "
        "(batch, 1, 1, 4)",
    ),
]

GRAPHS = [
    (
        lambda: Model(vec(), Dense(2, name="far")(Input((8,), name="lone"))),
        "The output made by 'far' depends on the input 'lone', which is not among the model's "
        "inputs. Add it to them.",
    ),
    (missing_input, "'add' depends on the input 'other', which is not among the model's inputs."),
    (
        lambda: Model(vec(), Dense(2)),
        "The outputs of a model must be symbolic tensors, made by Input() and by calling layers "
        "on it; got Dense.",
    ),
    (lambda: Model(rand(2, 3), vec()), "The inputs of a model must be symbolic tensors"),
    (lambda: Model(vec()), "Model 'functional' needs both inputs and outputs, or neither."),
    (lambda: Model([], []), "A model needs at least one tensor among its inputs."),
    (
        lambda: Sequential([Dense(2, name="d"), Dense(2, name="d")]),
        "Two layers of 'sequential' are called 'd'. Give one another name=",
    ),
    (same_name, "Two layers of 'functional' are called 'd'. Give one of them another name=."),
    (lambda: 1 if vec() > 0 else 2, "cannot steer an if, a loop or an index here. Put this step"),
    (lambda: float(vec()), "has no value before data runs"),
    (lambda: int(vec().sum()), "<SymbolicTensor () torch.float32, made by 'sum'> has no value"),
    (lambda: list(vec()), "has no value before data runs"),
    (lambda: len(vec()), "has no value before data runs"),
    (lambda: 3 in vec(), "has no value before data runs"),
    (lambda: [1, 2][vec().sum()], "has no value before data runs"),
    (lambda: range(vec().size(0)), "<SymbolicTensor size, made by 'size'> has no value"),
    (lambda: np.asarray(vec()), "has no value before data runs"),
    (lambda: vec().numpy(), ".numpy needs values, but <SymbolicTensor (batch, 8)"),
    (lambda: vec().sum().item(), ".item needs values"),
    (lambda: vec().__setitem__(0, 1), "cannot be changed in place. Use torch.where or torch.cat."),
    (lambda: vec().add_(1), "add_ changes <SymbolicTensor"),
    (lambda: torch.relu_(vec()), "relu_ changes its input in place; use relu instead."),
]


class Unborn(Model):
    def __init__(self) -> None:
        self.dense = Dense(3)


ARGUMENTS = [
    (Unborn, "Unborn.__init__ must call super().__init__() first."),
    (
        lambda: Dense(2)(Dense(3)),
        "Dense 'dense' was called on a Dense, which is a layer and no tensor. Call that one first",
    ),
    (lambda: Sequential([Input((4,)), Flatten]), "Flatten is a class: write Flatten(...)."),
    (lambda: Sequential([F.relu]), "Wrap a function in Lambda(...)."),
    (lambda: Sequential(["relu"]), "Sequential cannot add 'relu'. Write Activation('relu')."),
    (lambda: Sequential([[Dense(2)]]), "Sequential cannot add [Dense(name='dense')]. Give a layer"),
    (
        lambda: Sequential(Dense(2)),
        "Sequential takes a list of layers: [Dense(name='dense')].",
    ),
    (
        lambda: Sequential([Dense(2)(vec())]),
        "Give the layer itself, not its output, or use Model(inputs, outputs).",
    ),
    (
        lambda: Sequential([Input((4,)), Input((4,))]),
        "Sequential 'sequential' can have one Input, as its first layer.",
    ),
    (lambda: Sequential([Dense(3), Input((4,))]), "can have one Input, as its first layer."),
    (
        lambda: two()({"a": rand(2, 4), "c": rand(2, 3)}),
        "Model 'functional' takes inputs named a, b, but received a, c: 'b' is missing.",
    ),
    (
        lambda: small()(None),
        "Sequential 'sequential' needs an array or tensor of numbers at its input 'x', "
        "got NoneType.",
    ),
    (lambda: small()("text"), "needs an array or tensor of numbers at its input 'x', got str."),
    (lambda: small()(np.array(["a"])), "needs an array or tensor of numbers at its input 'x'"),
    (
        lambda: Dense(3, activation="rleu"),
        "Unknown activation 'rleu'. Did you mean 'relu' or 'relu6'?",
    ),
    (
        lambda: Dense(3, kernel_initializer="glorot_unifrom"),
        "Unknown initializer 'glorot_unifrom'. Did you mean 'glorot_uniform'",
    ),
    (lambda: Dense(3, kernel_regularizer="l3"), "Unknown regularizer 'l3'."),
    (
        lambda: Dense(3, activaton="relu"),
        "Unknown argument of Dense 'activaton'. Did you mean 'activation'?",
    ),
    (lambda: Sequential([], nme="x"), "Unknown argument of Sequential 'nme'. Did you mean 'name'?"),
    (
        lambda: Dense(-3),
        "Dense 'dense': units must be a whole number of at least 1, got -3.",
    ),
    (lambda: Dense(3.5), "units must be a whole number of at least 1, got 3.5."),
    (lambda: Dense("relu"), "units must be a whole number of at least 1, got 'relu'."),
    (lambda: Dropout(1.5), "Dropout 'dropout': rate must be a number from 0 to 1, got 1.5."),
    (lambda: Dense(2, name=3), "A layer's name must be a string, got 3."),
    (lambda: small().set_weights(3), "'sequential' takes a list of arrays, got int."),
    (
        lambda: small().get_layer("hiden"),
        "Unknown layer of 'sequential' 'hiden'. Did you mean 'hidden'?",
    ),
    (lambda: small().get_layer(index=7), "Unknown layer index of 'sequential' 7. Known: 0, 1."),
    (lambda: small().get_layer(), "get_layer needs a name or an index."),
    (lambda: Sequential().pop(), "Sequential 'sequential' has no layer to pop."),
    (lambda: Input(), "Input needs a shape, such as Input(shape=(784,))."),
    (lambda: Input((-1, 3)), "a size must be a whole number or None, got -1."),
    (lambda: Input((28.5,)), "a size must be a whole number or None, got 28.5."),
    (lambda: Input(rand(3, 4)), "a size must be a whole number or None, got tensor("),
    (lambda: Input((3,), dtype="float31"), "Unknown dtype 'float31'. Use a name such as 'float32'"),
    (
        lambda: NoSuper()(rand(2, 3)),
        "NoSuper.__init__ must call super().__init__() first.",
    ),
    (
        lambda: small().summary(layer_range=("hidde", "out")),
        "Unknown layer in layer_range 'hidde'. Did you mean 'hidden'?",
    ),
    (
        lambda: setattr(small(), "layers", [Dense(2)]),
        "Sequential.layers is taken: every layer has it to be read. Use another name",
    ),
    (lambda: setattr(Dense(2), "output", Dense(2)), "Dense.output is taken"),
]

UNBUILT = [
    (
        lambda: NoCall()(rand(2, 3)),
        "NoCall 'no_call' does not know what to compute. Write a call(self, inputs) method, or "
        "make it with Model(inputs, outputs).",
    ),
    (lambda: Sequential()(rand(2, 3)), "Sequential 'sequential' has no layers. Add some with .add"),
    (
        lambda: Sequential([Dense(2)]).output_shape,
        "Sequential 'sequential' has no output_shape: it has not seen an input shape. "
        "Start it with Input(shape=...)",
    ),
    (
        lambda: Dense(2).output,
        "Dense 'dense' has no output: it was never called on a symbolic tensor.",
    ),
    (
        lambda: Dense(3).set_weights([np.zeros((3, 4)), np.zeros(3)]),
        "'dense' has no weights yet: build it, or call it on data first.",
    ),
]


@pytest.mark.parametrize(("mistake", "message"), SHAPES)
def test_shapes(mistake: Callable[[], Any], message: str) -> None:
    with pytest.raises(ShapeError, match=re.escape(message)):
        mistake()


@pytest.mark.parametrize(("mistake", "message"), GRAPHS)
def test_graphs(mistake: Callable[[], Any], message: str) -> None:
    with pytest.raises(GraphError, match=re.escape(message)):
        mistake()


@pytest.mark.parametrize(("mistake", "message"), ARGUMENTS)
def test_arguments(mistake: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=re.escape(message)):
        mistake()


@pytest.mark.parametrize(("mistake", "message"), UNBUILT)
def test_unbuilt(mistake: Callable[[], Any], message: str) -> None:
    with pytest.raises(NotBuiltError, match=re.escape(message)):
        mistake()


@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_training_before_compile(method: str) -> None:
    with pytest.raises(NotCompiledError, match=r"was not compiled.*Call compile\(optimizer="):
        getattr(small(), method)(rand(4, 4), rand(4, 2))


@pytest.mark.parametrize(
    ("mistake", "kind", "message"),
    [
        (lambda: vec().foo, AttributeError, "A symbolic tensor has no attribute 'foo'."),
        (lambda: Layer()(rand(2, 3)), NotImplementedError, "has no call(self, inputs) to compute"),
        (lambda: Dense(), TypeError, "missing 1 required positional argument: 'units'"),
        (lambda: small()(rand(2, 4), traning=True), TypeError, "keyword argument 'traning'"),
    ],
)
def test_pythons_own_errors(
    mistake: Callable[[], Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=re.escape(message)):
        mistake()


def test_probing_leaves_no_trace_in_a_message() -> None:
    """Sizes used to find shapes never show; real sizes that happen to equal them do."""
    with pytest.raises(ShapeError) as caught:
        torch.matmul(Input((None, 4)), rand(5, 2))
    assert not re.search(r"\b(67|101|192|320)\b", str(caught.value))
    with pytest.raises(ShapeError, match=r"\[batch, 320\] X \[192, 2\]"):
        nn.Linear(192, 2)(vec(320))
