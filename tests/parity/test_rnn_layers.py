"""RNN, cells and ConvLSTM next to Keras's: options, masks, states, cells of users, files."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import torch

from nnkit.layer import Layer
from nnkit.layers.cells import GRUCell, LSTMCell, SimpleRNNCell, StackedRNNCells
from nnkit.layers.conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from nnkit.layers.input import Input
from nnkit.layers.reshaping import Reshape
from nnkit.layers.rnn import RNN
from nnkit.layers.wrappers import Bidirectional
from nnkit.models import Sequential
from tests.parity.compare import compare_layer

# Keras turns its variables into arrays in a way numpy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

MASK = np.array([[1, 1, 1, 1, 1], [1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 1, 1, 1, 1]], bool)
SHAPE = (4, 5, 6)
OURS = SimpleNamespace(
    Layer=Layer, GRUCell=GRUCell, LSTMCell=LSTMCell, SimpleRNNCell=SimpleRNNCell, Input=Input,
    StackedRNNCells=StackedRNNCells, RNN=RNN, Bidirectional=Bidirectional, Reshape=Reshape,
    ConvLSTM2D=ConvLSTM2D, Sequential=Sequential,
)  # fmt: skip
THEIRS = SimpleNamespace(**{**vars(keras.layers), "Sequential": keras.Sequential})


def own_cell(library: Any, units: int) -> Any:
    """A cell as users write it: two states, and an output of another length than they have."""

    class Own(library.Layer):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.state_size = [units, 2]
            self.output_size = units + 2

        def build(self, input_shape: Any) -> None:
            shapes = [(input_shape[-1], units), (units, units), (units, 2)]
            self.mix, self.again, self.down = (
                self.add_weight(shape=shape, name=f"w{i}") for i, shape in enumerate(shapes)
            )

        def call(self, inputs: torch.Tensor, states: Any) -> Any:
            high, low = states
            high = torch.tanh(inputs @ self.mix + high @ self.again)
            low = low * 0.5 + high @ self.down
            return torch.concatenate([low, high], -1), [high, low]

    return Own()


CELLS: dict[str, Any] = {
    "simple": lambda of: of.SimpleRNNCell(3),
    "lstm": lambda of: of.LSTMCell(3),
    "lstm-odd": lambda of: of.LSTMCell(3, "elu", "hard_sigmoid", use_bias=False),
    "gru": lambda of: of.GRUCell(3),
    "gru-before": lambda of: of.GRUCell(3, reset_after=False),
    "own": lambda of: own_cell(of, 3),
    "list": lambda of: [of.LSTMCell(4), of.GRUCell(3), own_cell(of, 2)],
    "stack": lambda of: of.StackedRNNCells([of.SimpleRNNCell(4), of.SimpleRNNCell(3)]),
}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"return_sequences": True, "return_state": True},
    {"go_backwards": True, "return_sequences": True, "zero_output_for_mask": True},
]


def compare(make: Any, options: Any, **more: Any) -> None:
    compare_layer(
        lambda **arguments: RNN(make(OURS), **arguments),
        options,
        SHAPE,
        theirs=lambda **arguments: keras.layers.RNN(make(THEIRS), **arguments),
        symbolic=(None, 6),
        **more,
    )


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
@pytest.mark.parametrize("options", OPTIONS, ids=["last", "all", "backwards"])
@pytest.mark.parametrize("cell", CELLS)
def test_options(cell: str, options: Any, mask: Any) -> None:
    compare(CELLS[cell], options, call={} if mask is None else {"mask": mask})


def test_unroll_and_training() -> None:
    for cell in ("lstm", "own"):
        compare_layer(
            lambda cell=cell, **a: RNN(CELLS[cell](OURS), **a),
            {"unroll": True, "return_state": True},
            SHAPE,
            theirs=lambda cell=cell, **a: keras.layers.RNN(CELLS[cell](THEIRS), **a),
            training=True,
        )


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
@pytest.mark.parametrize("cell", ["own", "lstm"])
def test_initial_state(cell: str, mask: Any) -> None:
    sizes = (3, 2) if cell == "own" else (3, 3)
    call: dict[str, Any] = {"initial_state": [torch.randn(4, n) for n in sizes]}
    call |= {} if mask is None else {"mask": mask}
    compare(CELLS[cell], {"return_sequences": True, "return_state": True}, call=call)


def _pair(make: Any, shape: tuple[int, ...] = SHAPE, **options: Any) -> Any:
    theirs = make(THEIRS, **options)
    ours = make(OURS, **options)
    x = torch.randn(shape)
    theirs(x)
    ours(x)
    ours.set_weights(theirs.get_weights())
    return theirs, ours, x


def _flat(value: Any) -> list[Any]:
    several = isinstance(value, (list, tuple))
    return [leaf for item in value for leaf in _flat(item)] if several else [value]


def _close(ours: Any, theirs: Any) -> None:
    for one, other in zip(_flat(ours), _flat(theirs), strict=True):
        torch.testing.assert_close(one, getattr(other, "value", other))


def test_states_of_stacks_are_nested_alike() -> None:
    make = lambda of, **more: of.RNN([of.LSTMCell(4), of.GRUCell(3)], **more)  # noqa: E731
    theirs, ours, x = _pair(make, return_state=True)
    expected, actual = theirs(x), ours(x)
    assert [len(_flat(part)) for part in actual] == [len(_flat(part)) for part in expected]
    # In models. Called on arrays Keras sometimes leaves a single state in its list.
    for of in (THEIRS, OURS):
        told = make(of, return_state=True)(of.Input(SHAPE[1:]))
        assert [isinstance(part, list) for part in told] == [False, True, False]
    assert [isinstance(part, list) for part in actual] == [False, True, False]
    _close(ours(x, initial_state=list(actual[1:])), theirs(x, initial_state=list(expected[1:])))


def test_stateful() -> None:
    make = lambda of, **more: of.RNN([own_cell(of, 3), of.GRUCell(2)], **more)  # noqa: E731
    theirs, ours = (make(of, stateful=True, return_sequences=True) for of in (THEIRS, OURS))
    for layer in (theirs, ours):
        layer.build(SHAPE)
    ours.set_weights(theirs.get_weights())
    x = torch.randn(SHAPE)
    for _ in range(3):
        _close(ours(x, mask=torch.tensor(MASK)), theirs(x, mask=torch.tensor(MASK)))
    _close(ours.states, theirs.states)


@pytest.mark.parametrize("merge", ["concat", None])
def test_bidirectional(merge: Any) -> None:
    make = lambda of, **more: of.Bidirectional(  # noqa: E731
        of.RNN([of.LSTMCell(4), of.GRUCell(3)], return_state=True, return_sequences=True), **more
    )
    theirs, ours, x = _pair(make, merge_mode=merge)
    _close(ours(x, mask=torch.tensor(MASK)), theirs(x, mask=torch.tensor(MASK)))


@pytest.mark.parametrize("make", [CELLS[c] for c in ("simple", "lstm", "gru")])
def test_a_cell_alone(make: Any) -> None:
    theirs, ours = make(THEIRS), make(OURS)
    x, states = torch.randn(4, 6), [torch.randn(4, 3) for _ in _flat(ours.state_size)]
    theirs.build((None, 6))
    ours.build((None, 6))
    ours.set_weights(theirs.get_weights())
    _close(ours(x, states), theirs(x, states))
    assert theirs.state_size == ours.state_size


@pytest.mark.parametrize(
    "name",
    ["RNN", "SimpleRNNCell", "LSTMCell", "GRUCell", "StackedRNNCells"]
    + ["ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"],
)
def test_arguments(name: str) -> None:
    kind: Any = {"ConvLSTM1D": ConvLSTM1D, "ConvLSTM3D": ConvLSTM3D}.get(name) or vars(OURS)[name]
    theirs = inspect.signature(getattr(keras.layers, name).__init__).parameters
    own = inspect.signature(kind.__init__).parameters
    extra = {"unroll", "zero_output_for_mask"} - set(theirs)
    assert [argument for argument in own if argument not in extra] == list(theirs)
    for argument, parameter in theirs.items():
        assert own[argument].default == parameter.default, argument


CONVOLUTIONS: list[tuple[Any, tuple[int, ...], dict[str, Any]]] = [
    (ConvLSTM1D, (4, 5, 6, 2), {"kernel_size": 3}),
    (ConvLSTM1D, (4, 5, 6, 2), {"kernel_size": 2, "padding": "same", "go_backwards": True}),
    (ConvLSTM2D, (4, 5, 6, 5, 2), {"kernel_size": (2, 3), "activation": "relu"}),
    (ConvLSTM2D, (4, 5, 6, 5, 2), {"kernel_size": 4, "strides": 2, "padding": "same"}),
    (ConvLSTM2D, (4, 5, 6, 5, 2), {"kernel_size": 2, "dilation_rate": 2, "use_bias": False}),
    (ConvLSTM2D, (4, 5, 2, 6, 5), {"kernel_size": 3, "data_format": "channels_first"}),
    (ConvLSTM3D, (4, 5, 3, 4, 3, 2), {"kernel_size": (1, 2, 3), "unit_forget_bias": False}),
]


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
@pytest.mark.parametrize(("kind", "shape", "options"), CONVOLUTIONS)
def test_convolutions(kind: Any, shape: Any, options: Any, mask: Any) -> None:
    returns = {"return_sequences": True, "return_state": True} if mask is None else {}
    call = {} if mask is None else {"mask": mask}
    compare_layer(
        kind, {"filters": 3, **options, **returns}, shape, call=call, symbolic=(None, *shape[2:])
    )


def test_convolutions_that_drop_the_same_elements() -> None:
    make = lambda of: of.ConvLSTM2D(3, 2, dropout=0.5, recurrent_dropout=0.5)  # noqa: E731
    theirs, ours, x = _pair(make, (4, 5, 4, 4, 2))
    inputs = [torch.nn.functional.dropout(torch.ones(4, 4, 4, 2)) for _ in range(4)]
    drops = torch.nn.functional.dropout(torch.ones(4, 4, 3, 3, 3))
    # Keras keeps masks that are there already.
    theirs.cell._dropout_mask, theirs.cell._recurrent_dropout_mask = inputs, list(drops)
    ours._dropout_mask, ours._recurrent_dropout_mask = torch.stack(inputs), drops  # as here
    expected = theirs(x, training=True)
    _close(ours(x, training=True), expected)
    assert not torch.allclose(expected, ours(x), atol=1e-4)


def test_weight_files_go_both_ways(tmp_path: Path) -> None:
    def make(of: Any) -> Any:
        return of.Sequential(
            [
                of.Input((5, 6, 6, 2)),
                of.ConvLSTM2D(3, 3, return_sequences=True),
                of.Reshape((5, 48)),
                of.RNN(of.LSTMCell(4), return_sequences=True),
                of.Bidirectional(of.RNN([of.GRUCell(3), of.LSTMCell(2)], return_sequences=True)),
                of.RNN(of.SimpleRNNCell(3)),
            ]
        )

    theirs, ours, x = make(THEIRS), make(OURS), torch.randn(2, 5, 6, 6, 2)
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    ours.load_weights(tmp_path / "theirs.weights.h5")
    _close(ours(x), theirs(x))
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.mul_(1.5)
    ours.save_weights(tmp_path / "ours.weights.h5")
    theirs.load_weights(tmp_path / "ours.weights.h5")
    _close(ours(x), theirs(x))
