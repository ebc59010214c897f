"""RNN and cells: against the layers of the same name, loops by hand, and cells of users."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn

from nnkit import random
from nnkit.custom_objects import CustomObjectScope
from nnkit.errors import ArgumentError, ShapeError
from nnkit.layer import Layer
from nnkit.layers.cells import GRUCell, LSTMCell, SimpleRNNCell, StackedRNNCells
from nnkit.layers.core import Dense
from nnkit.layers.embedding import Embedding
from nnkit.layers.input import Input
from nnkit.layers.recurrent import GRU, LSTM, SimpleRNN
from nnkit.layers.rnn import RNN
from nnkit.layers.wrappers import Bidirectional
from nnkit.models import Model, Sequential

X = torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(1))
MASK = torch.tensor([[1, 1, 1, 1, 1], [0, 1, 0, 0, 1], [0, 0, 0, 0, 0], [1, 1, 0, 0, 0]]) > 0
PAIRS: list[tuple[Any, Any]] = [(SimpleRNNCell, SimpleRNN), (LSTMCell, LSTM), (GRUCell, GRU)]


class Minimal(Layer):
    """The cell of Keras's guides: one state, which is the output."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
        self.again = self.add_weight(shape=(self.units, self.units), name="recurrent_kernel")

    def call(self, inputs: torch.Tensor, states: Any) -> Any:
        new = torch.tanh(inputs @ self.kernel + states[0] @ self.again)
        return new, [new]


class Counting(Layer):
    """Two states of other shapes than the output; starts at ones; knows training."""

    state_size = (2, 1)

    def __init__(self) -> None:
        super().__init__()
        self.mix = Dense(2)

    def get_initial_state(self, batch_size: int | None = None) -> Any:
        return [torch.ones(batch_size, 2), torch.ones(batch_size, 1)]

    def call(self, inputs: torch.Tensor, states: Any, training: bool | None = None) -> Any:
        total, steps = states
        total, steps = total + self.mix(inputs), steps + (10 if training else 1)
        return torch.cat([total, total, steps], -1), (total, steps)


class Watched(LSTMCell):
    """A user's subclass, whose own code must run."""

    def call(self, inputs: torch.Tensor, states: Any, training: bool | None = None) -> Any:
        output, new = super().forward(inputs, states)
        return output * 2, new


class Grid(nn.Module):
    """A torch module as a cell, with a state of two axes."""

    state_size = [(2, 3)]

    def forward(self, inputs: torch.Tensor, states: Any) -> Any:
        new = states[0] + inputs.view(-1, 2, 3)
        return new.flip(1), [new]


class Plain:
    """A cell that is no module, with a bare tensor for its state."""

    state_size = 6

    def call(self, inputs: torch.Tensor, states: Any) -> Any:
        return inputs, inputs + states[0]


def shaken(layer: Any, x: torch.Tensor = X) -> Any:
    layer(x)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    if layer.stateful:
        layer.reset_state()
    return layer


def flat(value: Any) -> list[torch.Tensor]:
    several = isinstance(value, (list, tuple))
    return [leaf for item in value for leaf in flat(item)] if several else [value]


def by_hand(cell: Any, x: torch.Tensor, mask: Any = None, zeros: bool = False) -> list[Any]:
    """All outputs and the last states of a cell that has lists of tensors as states."""
    outputs, ends = [], []
    for i in range(len(x)):
        states = [state[:1] for state in RNN(cell).get_initial_state(1)]
        held: Any = None
        row = []
        for t in range(x.shape[1]):
            output, new = cell(x[i : i + 1, t], states)
            held = torch.zeros_like(output) if held is None else held
            if mask is None or mask[i, t]:
                states, held = list(new), output
            row.append(torch.zeros_like(output) if zeros and not mask[i, t] else held)
        outputs.append(torch.stack(row, 1))
        ends.append(states)
    return [torch.cat(outputs), *(torch.cat(parts) for parts in zip(*ends, strict=True))]


# -- the cells here ----------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"use_bias": False}, {"activation": "relu"}], ids=str)
@pytest.mark.parametrize(("cell", "kind"), PAIRS)
def test_cells_step_by_step_give_the_numbers_of_the_layer(
    cell: Any, kind: Any, options: Any
) -> None:
    layer = shaken(kind(3, return_sequences=True, return_state=True, **options))
    one = cell(3, **options)
    one.build((None, 6))
    one.set_weights(layer.get_weights())
    expected = by_hand(one, X)
    for wanted, actual in zip(expected, layer(X), strict=True):
        torch.testing.assert_close(actual, wanted)
    run = RNN(one, return_sequences=True, return_state=True)
    for wanted, actual in zip(layer(X, mask=MASK), run(X, mask=MASK), strict=True):
        torch.testing.assert_close(actual, wanted)


def test_reset_before_in_a_cell() -> None:
    cell = GRUCell(3, reset_after=False)
    layer = shaken(RNN(cell, return_sequences=True, return_state=True))
    for wanted, actual in zip(by_hand(cell, X, MASK), layer(X, mask=MASK), strict=True):
        torch.testing.assert_close(actual, wanted)


def test_what_cells_are() -> None:
    cells = [cell(3) for cell, _ in PAIRS]
    assert [cell.state_size for cell in cells] == [3, [3, 3], 3]
    assert [cell.output_size for cell in cells] == [3, 3, 3]
    state = torch.zeros(2, 3)
    output, new = GRUCell(3)(torch.ones(2, 6), state)
    assert output is new
    assert new.shape == (2, 3)
    layer = LSTM(3)
    assert layer.cell.units == 3
    assert layer.state_size == [3, 3]
    for cell, _ in PAIRS:
        symbol = Input((3,))
        states = [symbol] * (2 if cell is LSTMCell else 1)
        output, new = cell(3)(Input((6,)), states)
        assert [t.shape for t in (output, *new)] == [(None, 3)] * (1 + len(states))


def _count_kernels(monkeypatch: Any) -> list[str]:
    calls: list[str] = []
    for name in ("lstm", "gru", "rnn_tanh"):
        original = getattr(torch._VF, name)

        def counted(*args: Any, name: str = name, original: Any = original) -> Any:
            calls.append(name)
            return original(*args)

        monkeypatch.setattr(torch._VF, name, counted, raising=False)
    return calls


def test_cells_run_on_the_fused_kernels(monkeypatch: Any) -> None:
    calls = _count_kernels(monkeypatch)
    stack = shaken(RNN([LSTMCell(3), Minimal(4), GRUCell(2)], return_sequences=True))
    calls.clear()
    stack(X, mask=MASK)
    assert calls == ["lstm", "gru"]
    shaken(RNN(SimpleRNNCell(3, "elu")))
    assert calls == ["lstm", "gru"]


def test_hooks_and_subclasses_of_cells_are_not_passed_over(monkeypatch: Any) -> None:
    fast = shaken(RNN(LSTMCell(3), return_sequences=True, return_state=True))
    calls = _count_kernels(monkeypatch)
    own = RNN(Watched(3), return_sequences=True, return_state=True)
    own(X)
    own.set_weights(fast.get_weights())
    slow, expected = own(X, mask=MASK), fast(X, mask=MASK)
    assert calls == ["lstm"]
    torch.testing.assert_close(slow[0], expected[0] * 2)
    for one, other in zip(slow[1:], expected[1:], strict=True):
        torch.testing.assert_close(one, other)
    seen = []
    fast.cell.register_forward_hook(lambda module, args, output: seen.append(output[0]))
    torch.testing.assert_close(fast(X)[0], torch.stack(seen, 1))
    regular = RNN(LSTMCell(3, activity_regularizer="l2"))
    regular(X)
    assert len(regular.losses) == 15  # the output and two states of each step


@pytest.mark.parametrize(("cell", "kind"), PAIRS)
def test_dropout_in_a_cell_drops_the_same_elements_in_all_steps(cell: Any, kind: Any) -> None:
    options = {"dropout": 0.5, "recurrent_dropout": 0.4, "seed": 3}
    layer, run = shaken(kind(3, **options)), RNN(cell(3, **options))
    run(X)
    run.set_weights(layer.get_weights())
    for one in (layer, run.cell):
        one.seed_generator = random.SeedGenerator(3)
    torch.testing.assert_close(run(X, training=True), layer(X, training=True))
    assert not torch.allclose(run(X, training=True), run(X))
    state = run.get_initial_state(4)
    cell_alone = run.cell(X[:, 0], state)[0]
    assert not torch.allclose(run.cell(X[:, 0], state, training=True)[0], cell_alone)


@pytest.mark.parametrize(("cell", "kind"), PAIRS)
@pytest.mark.parametrize("options", [{"dropout": 0.5}, {"dropout": 0.5, "recurrent_dropout": 0.5}])
def test_a_loop_by_hand_holds_its_masks_until_they_are_reset(
    cell: Any, kind: Any, options: Any
) -> None:
    def loop() -> torch.Tensor:
        state = one.get_initial_state(4)
        for x in X.unbind(1):
            output, state = one(x, state, training=True)
        return output

    one, run = cell(3, seed=3, **options), RNN(cell(3, seed=3, **options))
    run(X)
    one(X[:, 0], one.get_initial_state(4))
    one.set_weights(run.get_weights())
    torch.testing.assert_close(loop(), run(X, training=True))
    torch.testing.assert_close(loop(), loop())  # still held
    held = loop()
    assert one.get_dropout_mask(X[:, 0]) is one.get_dropout_mask(X[:, 0])
    copied = copy.deepcopy(one), pickle.loads(pickle.dumps(one))
    assert all(other._dropout_mask is None for other in copied)
    with pytest.raises(ShapeError, match=r"(?s)mask of .* \(4, 6\) .*reset_dropout_mask\(\)"):
        one(X[:2, 0], one.get_initial_state(2), training=True)
    torch.testing.assert_close(RNN(one)(X, training=True), held)  # RNN takes what is held
    assert not torch.allclose(loop(), held)  # and leaves nothing behind
    one.reset_dropout_mask()
    one.reset_recurrent_dropout_mask()
    assert not torch.allclose(loop(), held)


def test_rnn_resets_the_masks_of_cells_inside_a_cell() -> None:
    class Twice(Layer):
        state_size = (3, 3)

        def __init__(self) -> None:
            super().__init__()
            self.inner = LSTMCell(3, dropout=0.5)

        def call(self, inputs: torch.Tensor, states: Any, training: bool | None = None) -> Any:
            return self.inner(inputs, states, training=training)

    run = RNN(Twice(), return_sequences=True)
    x = torch.ones(4, 5, 64)
    first = run(x, training=True)
    assert run.cell.inner._dropout_mask is None
    assert run(x[:2], training=True).shape == (2, 5, 3)
    assert not torch.allclose(run(x, training=True), first)


# -- cells of users ----------------------------------------------------------------------------


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
@pytest.mark.parametrize("make", [lambda: Minimal(3), Counting, Grid], ids=["one", "two", "torch"])
def test_cell_of_a_user(make: Any, mask: Any, backwards: bool, zeros: bool) -> None:
    options = {"go_backwards": backwards, "zero_output_for_mask": zeros, "return_state": True}
    layer = RNN(make(), return_sequences=True, **options)
    x = X.clone().requires_grad_()
    actual = layer(x, mask=mask)
    flipped = mask.flip(1) if mask is not None and backwards else mask
    wanted_x = X.clone().requires_grad_()
    start = wanted_x.flip(1) if backwards else wanted_x
    expected = by_hand(layer.cell, start, flipped, zeros and mask is not None)
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other)
    last = RNN(layer.cell, **options)(X, mask=mask)
    torch.testing.assert_close(last[0], expected[0][:, -1])
    sum(t.square().sum() for t in actual).backward()
    sum(t.square().sum() for t in expected).backward()
    torch.testing.assert_close(x.grad, wanted_x.grad)


def test_what_a_users_cell_gives_is_known_before_it_runs() -> None:
    outputs = RNN(Counting(), return_sequences=True, return_state=True)(Input((None, 6)))
    assert [t.shape for t in outputs] == [(None, None, 5), (None, 2), (None, 1)]
    layer = RNN(Minimal(3))
    assert layer(Input((None, 6))).shape == (None, 3)
    assert layer.count_params() == 27
    assert layer.state_size == [3]
    assert RNN(Grid(), return_sequences=True)(Input((4, 6))).shape == (None, 4, 2, 3)
    assert layer.compute_output_shape((None, None, 6)) == (None, 3)


def test_a_cell_that_is_no_module_and_has_a_bare_state() -> None:
    output, state = RNN(Plain(), return_state=True)(X)
    torch.testing.assert_close(output, X[:, -1])
    torch.testing.assert_close(state, X.sum(1))


def test_training_reaches_the_cell() -> None:
    layer = RNN(Counting())
    layer(X)
    assert layer(X)[:, -1].tolist() == [6] * 4
    assert layer(X, training=True)[:, -1].tolist() == [51] * 4
    assert layer.train()(X)[:, -1].tolist() == [51] * 4


def test_layers_in_a_list_inside_a_cell_are_seen() -> None:
    class Deep(Minimal):
        def __init__(self) -> None:
            super().__init__(3)
            self.stack: list[Any] = []
            for _ in range(2):
                self.stack.append(Dense(3))

        def build(self, input_shape: Any) -> None:
            pass

        def call(self, inputs: torch.Tensor, states: Any) -> Any:
            new = self.stack[1](self.stack[0](inputs)) + states[0]
            return new, [new]

    model = Sequential([Input((None, 6)), RNN(Deep())])
    assert len(model.weights) == 4


# -- stacks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
def test_a_list_of_cells_is_a_stack_of_layers(mask: Any) -> None:
    cells = [LSTMCell(3), Minimal(4), GRUCell(2)]
    layer = shaken(RNN(cells, return_sequences=True, return_state=True))
    assert isinstance(layer.cell, StackedRNNCells)
    assert layer.cell.output_size == 2
    assert layer.state_size == [[3, 3], 4, 2]
    options = {"return_sequences": True, "return_state": True}
    x, expected = X, []
    for cell in cells:
        x, *states = RNN(cell, **options)(x, mask=mask)
        expected.append(states)
    output, *states = layer(X, mask=mask)
    torch.testing.assert_close(output, x)
    assert [len(own) if isinstance(own, list) else own.shape for own in states] == [
        2, (4, 4), (4, 2)
    ]  # fmt: skip
    for one, other in zip(flat(states), flat(expected), strict=True):
        torch.testing.assert_close(one, other)
    # Step by step, all cells in each: the same.
    stack = layer.cell
    stack.register_forward_hook(lambda module, args, output: None)
    for one, other in zip(flat(layer(X, mask=mask)), flat([output, states]), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("nested", [False, True])
def test_states_of_a_stack_go_in_and_out(nested: bool) -> None:
    layer = shaken(RNN([LSTMCell(3), GRUCell(2)], return_state=True))
    whole = layer(X)
    _, *states = layer(X[:, :2])
    rest = layer(X[:, 2:], initial_state=states if nested else flat(states))
    for one, other in zip(flat(rest), flat(whole), strict=True):
        torch.testing.assert_close(one, other)
    assert [t.shape for t in flat(layer(Input((None, 6))))] == [
        (None, 2), (None, 3), (None, 3), (None, 2)
    ]  # fmt: skip


def test_encoder_and_decoder_of_stacks() -> None:
    make = lambda **more: RNN([LSTMCell(3), GRUCell(2)], **more)  # noqa: E731
    words, target = Input((5, 6)), Input((None, 6))
    encoder, decoder = make(return_state=True), make(return_sequences=True)
    _, *states = encoder(words)
    model = Model([words, target], decoder(target, initial_state=states))
    expected = decoder(X[:, :3], initial_state=list(encoder(X)[1:]))
    torch.testing.assert_close(model([X, X[:, :3]]), expected)


def test_stateful() -> None:
    layer = shaken(RNN([LSTMCell(3), Counting()], stateful=True, return_sequences=True))
    assert list(layer.state_dict()) == list(layer.cell.state_dict(prefix="cell."))
    fresh = RNN(layer.cell, return_sequences=True)
    whole = fresh(X, initial_state=layer.states, mask=MASK)
    parts = [layer(X[:, at : at + 1], mask=MASK[:, at : at + 1]) for at in range(5)]
    ends = whole[:, -1][MASK[:, -1]]
    torch.testing.assert_close(parts[-1][:, 0][MASK[:, -1]], ends)
    assert [t.shape for t in flat(layer.states)] == [(4, 3), (4, 3), (4, 2), (4, 1)]
    parts[-1].sum().backward()
    layer.reset_state()
    assert not any(state.any() for state in flat(layer.states))
    with pytest.raises(ShapeError, match=r"was built for 4 samples at a time, but received 2"):
        layer(X[:2])
    with pytest.raises(ShapeError, match=r"Give Input\(batch_size=...\)"):
        RNN(Minimal(3), stateful=True)(Input((5, 6)))
    assert RNN(Minimal(3), stateful=True)(Input((5, 6), batch_size=2)).shape == (2, 3)


# -- around it ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make", [lambda: Minimal(3), lambda: [Minimal(4), LSTMCell(3)], lambda: Counting()]
)
def test_bidirectional_makes_cells_for_both_directions(make: Any) -> None:
    layer = Bidirectional(RNN(make(), return_sequences=True, name="r"), merge_mode=None)
    ahead, back = layer(X, mask=MASK)
    assert layer.forward_layer.name == "forward_r"
    weights = [{id(p) for p in one.parameters()} for one in layer.children()]
    assert len(weights[0]) == len(weights[1]) > 0
    assert not weights[0] & weights[1]
    one, other = (
        RNN(inner.cell, return_sequences=True, zero_output_for_mask=True)
        for inner in (layer.forward_layer, layer.backward_layer)
    )
    torch.testing.assert_close(ahead, one(X, mask=MASK))
    torch.testing.assert_close(back, other(X.flip(1), mask=MASK.flip(1)).flip(1))


def test_mask_of_an_embedding() -> None:
    tokens = Input((None,), dtype="int64")
    inner = RNN(Minimal(3), return_sequences=True)(Embedding(9, 4, mask_zero=True)(tokens))
    assert inner._keras_mask.shape == (None, None)
    model = Model(tokens, RNN([LSTMCell(3), Minimal(2)])(inner))
    short, long = torch.tensor([[4, 2, 7]]), torch.tensor([[0, 4, 0, 2, 7, 0]])
    torch.testing.assert_close(model(short), model(long))
    assert RNN([LSTMCell(2)] * 2, return_state=True).compute_mask(X, MASK) == [None] * 3


@pytest.mark.parametrize(
    "make",
    [
        lambda: RNN(LSTMCell(3, recurrent_activation="relu", unit_forget_bias=False)),
        lambda: RNN([GRUCell(3, reset_after=False), Minimal(2, name="m")], return_state=True),
        lambda: StackedRNNCells([SimpleRNNCell(2, activation="elu"), LSTMCell(3)]),
        lambda: Bidirectional(RNN([Minimal(4), LSTMCell(3)])),
    ],
)
def test_configs_and_copies(make: Any) -> None:
    layer = make()
    with CustomObjectScope({"Minimal": Minimal}):
        again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    if isinstance(layer, StackedRNNCells):
        layer.build((None, 6))
        again.build((None, 6))
    else:
        expected = flat(layer(X))
        for copied in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
            for one, other in zip(flat(copied(X)), expected, strict=True):
                assert torch.equal(one, other)
        again(X)
    assert [w.shape for w in again.get_weights()] == [w.shape for w in layer.get_weights()]


def test_double_precision() -> None:
    layer = RNN([LSTMCell(3), Minimal(2)])
    layer(X)
    assert layer.double()(X.double()).dtype is torch.float64


COMPILED: list[Any] = [
    (lambda: RNN(LSTMCell(3), return_sequences=True, return_state=True), None),
    (lambda: RNN([GRUCell(3), Minimal(2)], return_state=True, stateful=True), MASK[:, 1:3]),
]


@pytest.mark.parametrize(("make", "mask"), COMPILED, ids=["cell", "several"])
def test_compiles(make: Any, mask: Any) -> None:
    torch._dynamo.reset()
    x = X[:, :2]
    layer = shaken(make(), x)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    expected = flat(layer(x, mask=mask))
    layer.reset_state()
    actual = flat(compiled(x, mask=mask))
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other)
    sum(t.sum() for t in actual).backward()
    assert all(p.grad is not None and p.grad.abs().any() for p in layer.parameters())


# -- errors ------------------------------------------------------------------------------------


class Forgetful(Minimal):
    """Gives no states."""

    def call(self, inputs: torch.Tensor, states: Any) -> Any:
        return inputs


class Greedy(Minimal):
    """Gives more states than it has."""

    def call(self, inputs: torch.Tensor, states: Any) -> Any:
        return inputs, [*states, *states]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RNN(LSTM(3, name="l")), r"RNN 'rnn.*' needs a cell.* LSTM 'l' runs along time"),
        (lambda: RNN(Dense(3)), r"object with call\(inputs, states\) and state_size"),
        (lambda: RNN(LSTMCell), r"such as LSTMCell\(32\). Got <class"),
        (lambda: RNN([]), r"needs a list of cells, got \[\]"),
        (lambda: RNN([LSTMCell(3), 4]), r"StackedRNNCells 'stack.*' needs a cell: .* Got 4"),
        (lambda: RNN(LSTMCell(3), return_sequence=True), r"Did you mean 'return_sequences'"),
        (lambda: LSTMCell(0), r"LSTMCell 'lstm_cell.*': units must be a whole number"),
        (lambda: GRUCell(3, dropout=-0.1), r"dropout must be a number from 0 to 1, got -0.1"),
        (lambda: RNN(Forgetful(6))(X), r"Forgetful 'f.*' must give \(output, new_states\).* Tens"),
        (lambda: StackedRNNCells(LSTMCell(3)), r"needs a list of cells, got LSTMCell"),
    ],
)
def test_refuses_arguments(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: RNN(Minimal(3))(X[0]), r"\(batch, time, features, ...\) but received \(5, 6\)"),
        (lambda: RNN(LSTMCell(3))(X[..., None]), r"\(batch, time, features\) but .*\(4, 5, 6, 1\)"),
        (lambda: RNN([GRUCell(3)])(Input((5, None))), r"needs to know the number of features"),
        (lambda: RNN(Minimal(3))(X[:, :0]), r"needs at least one time step, got \(4, 0, 6\)"),
        (
            lambda: RNN(Minimal(3))(X, initial_state=torch.zeros(4, 2)),
            r"needs 1 states of shape \(4, 3\) as initial_state, but received 1: \(4, 2\)",
        ),
        (
            lambda: RNN([LSTMCell(3), GRUCell(2)])(X, initial_state=[torch.zeros(4, 3)]),
            r"needs 3 states of shape \(4, 3\), \(4, 3\), \(4, 2\) as initial_state",
        ),
        (lambda: RNN(Minimal(3))(X, mask=MASK[:, 1:]), r"mask of shape \(batch, time\), \(4, 5\)"),
        (lambda: RNN(Greedy(6))(X), r"Greedy '.*' was given 1 states but gave 2 new ones"),
        (lambda: RNN(Greedy(6))(Input((5, 6))), r"Return as many as state_size has"),
        (
            lambda: LSTMCell(3)(X[:, 0], [torch.zeros(4, 3)]),
            r"needs 2 states of shape \(4, 3\) as states, but received 1: \(4, 3\)",
        ),
        (
            lambda: StackedRNNCells([LSTMCell(3), GRUCell(2)])(X[:, 0], [torch.zeros(4, 3)]),
            r"the states of each of its 2 cells, got 1",
        ),
        (
            lambda: RNN([Counting(), LSTMCell(3)])(X),
            r"Counting '.*' gives outputs of shape \(5,\), but .* says \(2,\). Set its output_size",
        ),
        (lambda: LSTMCell(3)(X, [torch.zeros(4, 3)] * 2), r"expects \(batch, features\) but"),
    ],
)
def test_refuses_shapes(call: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        call()
