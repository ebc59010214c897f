"""Recurrent layers against torch's own modules, and the loop against the fused kernels."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nnkit import random
from nnkit.errors import ArgumentError, ShapeError
from nnkit.layers.embedding import Embedding
from nnkit.layers.input import Input
from nnkit.layers.recurrent import GRU, LSTM, SimpleRNN
from nnkit.models import Model, Sequential

KINDS = [(SimpleRNN, nn.RNN), (LSTM, nn.LSTM), (GRU, nn.GRU)]
OURS = [kind for kind, _ in KINDS]
MASK = torch.tensor([[1, 1, 1, 1, 1], [0, 1, 0, 0, 1], [0, 0, 0, 0, 0], [1, 1, 0, 0, 0]]) > 0


@pytest.fixture
def _fresh_compiler() -> None:
    # The compiler counts versions of Layer.__call__ over all layers, and refuses too many.
    torch._dynamo.reset()


def slow_tanh(x: torch.Tensor) -> torch.Tensor:
    """Tanh as a function of the user's, which no fused kernel knows."""
    return torch.tanh(x)


def built(kind: Any, *args: Any, **kwargs: Any) -> Any:
    layer = kind(*args, **kwargs)
    layer(torch.zeros(4, 5, 6))
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    if layer.stateful:
        layer.reset_state()
    return layer


def same_in_torch(layer: Any, kind: Any) -> Any:
    module = kind(6, layer.units, batch_first=True)
    input_bias, recurrent_bias = layer.biases()
    module.load_state_dict(
        {
            "weight_ih_l0": layer.weight_ih,
            "weight_hh_l0": layer.weight_hh,
            "bias_ih_l0": input_bias,
            "bias_hh_l0": recurrent_bias,
        }
    )
    return module


def states_of(module_states: Any) -> list[torch.Tensor]:
    states = module_states if isinstance(module_states, tuple) else (module_states,)
    return [state[0] for state in states]


@pytest.mark.parametrize(("kind", "torch_kind"), KINDS)
def test_equals_torch(kind: Any, torch_kind: Any) -> None:
    layer = built(kind, 3, return_sequences=True, return_state=True)
    x = torch.randn(4, 5, 6)
    outputs, states = same_in_torch(layer, torch_kind)(x)
    for actual, wanted in zip(layer(x), [outputs, *states_of(states)], strict=True):
        torch.testing.assert_close(actual, wanted)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize(("kind", "torch_kind"), KINDS)
def test_mask_equals_torch_on_the_steps_that_count(
    kind: Any, torch_kind: Any, zeros: bool, backwards: bool
) -> None:
    layer = built(
        kind,
        3,
        return_sequences=True,
        return_state=True,
        zero_output_for_mask=zeros,
        go_backwards=backwards,
    )
    module, x = same_in_torch(layer, torch_kind), torch.randn(4, 5, 6)
    outputs, *states = layer(x, mask=MASK)
    for i in range(4):
        steps, mask = (x[i].flip(0), MASK[i].flip(0)) if backwards else (x[i], MASK[i])
        held = torch.zeros(3)
        if mask.any():
            alone, last = module(steps[mask][None])
            for actual, wanted in zip(states, states_of(last), strict=True):
                torch.testing.assert_close(actual[i], wanted[0])
        else:
            assert not any(state[i].any() for state in states)
        for t in range(5):
            if mask[t]:
                held = alone[0, int(mask[: t + 1].sum()) - 1]
            wanted = torch.zeros(3) if zeros and not mask[t] else held
            torch.testing.assert_close(outputs[i, t], wanted)


LOOPS = [
    (SimpleRNN, {"activation": "tanh"}, {"activation": slow_tanh}),
    (SimpleRNN, {"activation": "relu"}, {"activation": lambda x: x.clamp(min=0)}),
    (LSTM, {}, {"use_cudnn": False}),
    (LSTM, {"activation": torch.tanh}, {"activation": slow_tanh}),
    (LSTM, {"use_bias": False}, {"use_bias": False, "use_cudnn": False}),
    (GRU, {}, {"use_cudnn": False}),
    (GRU, {"use_bias": False}, {"use_bias": False, "recurrent_activation": lambda x: x.sigmoid()}),
]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"return_sequences": True},
    {"return_state": True},
    {"return_sequences": True, "zero_output_for_mask": True},
    {"zero_output_for_mask": True, "return_state": True},
    {"go_backwards": True, "return_sequences": True, "return_state": True},
    {"dropout": 0.5, "seed": 3, "return_sequences": True},
    {"stateful": True, "return_sequences": True},
]


@pytest.mark.parametrize(
    ("mask", "start"), [(None, False), (MASK, False), (MASK, True)], ids=["whole", "mask", "start"]
)
@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(o) or "plain")
@pytest.mark.parametrize(("kind", "fast", "slow"), LOOPS)
def test_loop_gives_the_numbers_of_the_kernel(
    kind: Any, fast: Any, slow: Any, options: Any, mask: Any, start: bool
) -> None:
    layer = built(kind, 3, **fast, **options)
    loop = built(kind, 3, **slow, **options)
    loop.load_state_dict(layer.state_dict())
    assert layer.fused_kernel() is not None
    x = torch.randn(4, 5, 6)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    given = [torch.randn(4, 3) for _ in layer.state_names] if start else None
    results = []
    for one, made in zip((layer, loop), inputs, strict=True):
        one.seed_generator = random.SeedGenerator(3)
        first = one(made, initial_state=given, mask=mask, training=True)
        second = one(made, mask=mask, training=True)
        results.append([*first, *second] if one.return_state else [first, second])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)
    for tensors in results:
        sum((t * t).sum() for t in tensors).backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    for one, other in zip(layer.parameters(), loop.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("kind", "count"), [(SimpleRNN, 30), (LSTM, 120), (GRU, 99)], ids=lambda v: str(v)
)
def test_weights_are_keras_and_storage_is_torch(kind: Any, count: int) -> None:
    layer = built(kind, 3)
    assert layer.count_params() == count
    assert [w.name for w in layer.collect()] == ["kernel", "recurrent_kernel", "bias"]
    assert list(layer.state_dict()) == ["weight_ih", "weight_hh", "bias"]
    assert layer.weight_ih.is_contiguous()
    assert layer.weight_ih.shape == (layer.gates * 3, 6)
    assert layer.kernel.shape == (6, layer.gates * 3)
    assert layer.recurrent_kernel.shape == (3, layer.gates * 3)


def test_gru_gates_are_swapped_between_keras_and_torch() -> None:
    layer = built(GRU, 1)
    layer.set_weights([np.tile([10.0, 20, 30], (6, 1)), [[1, 2, 3]], [[4, 5, 6], [7, 8, 9]]])
    assert layer.weight_ih[:, 0].tolist() == [20, 10, 30]
    assert layer.weight_hh[:, 0].tolist() == [2, 1, 3]
    assert layer.bias.tolist() == [[5, 4, 6], [8, 7, 9]]
    assert layer.kernel[0].tolist() == [10, 20, 30]
    assert layer.get_weights()[2].tolist() == [[4, 5, 6], [7, 8, 9]]


@pytest.mark.parametrize("unit_forget_bias", [True, False])
def test_lstm_first_bias(unit_forget_bias: bool) -> None:
    layer = LSTM(2, bias_initializer="ones", unit_forget_bias=unit_forget_bias)
    assert layer(torch.zeros(1, 1, 3)).shape == (1, 2)
    assert layer.bias.tolist() == [1] * 8
    layer = LSTM(2, unit_forget_bias=unit_forget_bias)
    layer.build((None, 4, 3))
    assert layer.bias.tolist() == [0, 0, *([1, 1] if unit_forget_bias else [0, 0]), 0, 0, 0, 0]


def test_recurrent_kernel_starts_orthogonal() -> None:
    layer = LSTM(4)
    layer.build((None, 5, 6))
    rows = layer.recurrent_kernel.detach()
    torch.testing.assert_close(rows @ rows.T, torch.eye(4), atol=1e-5, rtol=1e-5)


def test_regularizers_and_constraints_see_keras_layout() -> None:
    layer = GRU(
        2,
        recurrent_regularizer=lambda kernel: kernel[:, :2].sum(),
        bias_regularizer="l1",
        kernel_constraint="non_neg",
    )
    layer.build((None, 5, 6))
    with torch.no_grad():
        layer.bias += 0.5
    expected = [float(layer.get_weights()[1][:, :2].sum()), 0.01 * 6]
    assert [float(loss.detach()) for loss in layer.losses] == pytest.approx(expected, rel=1e-5)
    assert layer.collect()[0].constraint is not None


def test_activity_regularizer_counts_in_simple_rnn() -> None:
    layer = built(SimpleRNN, 3, activity_regularizer="l2")
    output = layer(torch.randn(4, 5, 6))
    torch.testing.assert_close(layer.losses[0], 0.01 * output.square().sum() / 4)


RIGHT_PADDED = torch.arange(5) < torch.tensor([5, 3, 1, 4]).unsqueeze(1)


@pytest.mark.parametrize("options", [{}, {"return_sequences": True}, {"return_state": True}])
@pytest.mark.parametrize(("kind", "kernel"), [(LSTM, "aten::lstm"), (GRU, "aten::gru")])
def test_right_padded_sequences_run_in_one_fused_kernel(
    kind: Any, kernel: str, options: Any, monkeypatch: Any
) -> None:
    layer, x = built(kind, 3, **options), torch.randn(4, 5, 6, requires_grad=True)
    loop = built(kind, 3, use_cudnn=False, **options)
    loop.set_weights(layer.get_weights())
    expected = loop(x, mask=RIGHT_PADDED, training=True)
    monkeypatch.setattr(layer, "step", None)  # what the loop over the steps would call
    with torch.profiler.profile() as profile:
        actual = layer(x, mask=RIGHT_PADDED, training=True)
    calls = {event.key: event.count for event in profile.key_averages()}
    assert calls[kernel] == 1
    torch.testing.assert_close(actual, expected)


# -- dropout -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", OURS)
def test_dropout_drops_the_same_inputs_in_all_steps(kind: Any) -> None:
    layer = built(kind, 3, dropout=0.5, seed=1)
    x = torch.randn(4, 5, 6)
    torch.testing.assert_close(layer(x), layer(x, training=False))
    layer.seed_generator = random.SeedGenerator(1)
    actual = layer(x, training=True)
    mask = random.dropout(torch.ones(4, 1, 6), 0.5, (None, 1, None), random.SeedGenerator(1))
    assert 0 < mask.count_nonzero() < mask.numel()
    torch.testing.assert_close(actual, layer(x * mask))
    assert not torch.equal(layer(x, training=True), actual)


@pytest.mark.parametrize("reset_after", [True, False])
def test_recurrent_dropout_of_gru_by_hand(reset_after: bool) -> None:
    layer = built(GRU, 2, recurrent_dropout=0.5, seed=1, reset_after=reset_after)
    x = torch.randn(4, 5, 6)
    actual = layer(x, training=True)
    mask = random.dropout(torch.ones(3, 4, 2), 0.5, seed=random.SeedGenerator(1))
    w_ih, w_hh = layer.weight_ih.chunk(3), layer.weight_hh.chunk(3)
    b_ih = (layer.bias[0] if reset_after else layer.bias).chunk(3)
    b_hh = layer.bias[1].chunk(3) if reset_after else [0, 0, 0]
    h = torch.zeros(4, 2)
    for t in range(5):
        from_x = [x[:, t] @ w.T + b for w, b in zip(w_ih, b_ih, strict=True)]
        kept = [h * mask[i] for i in range(3)]
        reset = torch.sigmoid(from_x[0] + kept[0] @ w_hh[0].T + b_hh[0])
        update = torch.sigmoid(from_x[1] + kept[1] @ w_hh[1].T + b_hh[1])
        if reset_after:
            new = torch.tanh(from_x[2] + reset * (kept[2] @ w_hh[2].T + b_hh[2]))
        else:
            new = torch.tanh(from_x[2] + (reset * kept[2]) @ w_hh[2].T)
        h = update * h + (1 - update) * new
    torch.testing.assert_close(actual, h)


@pytest.mark.parametrize("kind", OURS)
def test_all_dropped(kind: Any) -> None:
    layer = built(kind, 3, dropout=1.0, recurrent_dropout=1.0)
    x = torch.randn(4, 5, 6)
    torch.testing.assert_close(layer(x, training=True), layer(x * 0, training=True))
    assert not torch.equal(layer(x), layer(x * 0))


# -- states ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [None, torch.ones(4, 6) > 0], ids=["whole", "masked"])
@pytest.mark.parametrize("kind", OURS)
def test_stateful_goes_on_where_it_ended(kind: Any, mask: Any) -> None:
    layer = built(kind, 3, stateful=True)
    x = torch.randn(4, 6, 6)
    whole = layer(x, mask=mask)
    layer.reset_state()
    parts = [layer(part, mask=None if mask is None else mask[:, :3]) for part in x.split(3, 1)]
    torch.testing.assert_close(parts[1], whole)
    torch.testing.assert_close(layer.states[0], whole)
    parts[1].sum().backward()
    layer.reset_states()
    assert not any(state.any() for state in layer.states)
    assert list(layer.state_dict()) == ["weight_ih", "weight_hh", "bias"]
    assert len(layer.weights) == 3


def test_stateful_in_a_model_needs_a_batch_size() -> None:
    with pytest.raises(ShapeError, match=r"'memory' is stateful .* Give Input\(batch_size=...\)"):
        LSTM(3, stateful=True, name="memory")(Input((5, 6)))
    layer = LSTM(3, stateful=True, name="memory")
    assert layer(Input((5, 6), batch_size=4)).shape == (4, 3)
    assert not any(state.any() for state in layer.states)
    with pytest.raises(ShapeError, match=r"'memory' .* built for 4 samples at a time, but .* 2"):
        layer(torch.zeros(2, 5, 6))


def test_initial_state_through_a_model() -> None:
    words, target = Input((5, 6)), Input((None, 6))
    _, *states = LSTM(3, return_state=True, name="encoder")(words)
    decoder = LSTM(3, return_sequences=True, name="decoder")
    model = Model([words, target], decoder(target, initial_state=states))
    x, y = torch.randn(4, 5, 6), torch.randn(4, 7, 6)
    encoder = next(layer for layer in model.layers if layer.name == "encoder")
    expected = decoder(y, initial_state=list(encoder(x)[1:]))
    torch.testing.assert_close(model([x, y]), expected)
    assert not torch.allclose(expected, decoder(y))


def test_arrays_serve_as_mask_and_state() -> None:
    layer, x = built(GRU, 3), torch.randn(4, 5, 6)
    state = np.ones((4, 3), "float64")
    expected = layer(x, initial_state=torch.ones(4, 3), mask=MASK)
    torch.testing.assert_close(layer(x, initial_state=state, mask=MASK.int().numpy()), expected)
    assert torch.equal(expected[2], torch.zeros(3))


def test_initial_state_helpers() -> None:
    layer = LSTM(3)
    assert [tuple(state.shape) for state in layer.get_initial_state(2)] == [(2, 3), (2, 3)]
    assert layer.state_size == [3, 3]
    assert layer.states is None
    layer.reset_state()


# -- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LSTM(0), r"LSTM 'lstm.*': units must be a whole number of at least 1, got 0"),
        (lambda: GRU(3, dropout=1.5), r"dropout must be a number from 0 to 1, got 1.5"),
        (
            lambda: GRU(3, recurrent_dropout="a"),
            r"recurrent_dropout must be a number from 0 to 1, got 'a'",
        ),
        (lambda: LSTM(3, use_cudnn="yes"), r"use_cudnn must be one of 'auto', True, False"),
        (lambda: LSTM(3, activation="relu", use_cudnn=True), r"needs activation='tanh'"),
        (lambda: LSTM(3, recurrent_dropout=0.1, use_cudnn=True), r"no recurrent_dropout"),
        (lambda: GRU(3, reset_after=False, use_cudnn=True), r"Use use_cudnn='auto'"),
        (lambda: LSTM(3, implementation=7), r"implementation must be one of 0, 1, 2"),
        (lambda: SimpleRNN(3, return_sequence=True), r"Did you mean 'return_sequences'"),
        (lambda: SimpleRNN(3, "tahn"), r"Unknown activation 'tahn'. Did you mean 'tanh'"),
    ],
)
def test_refuses_arguments(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: r(torch.zeros(4, 6)), r"expects \(batch, time, features\) but .*\(4, 6\)"),
        (lambda r: r(torch.zeros(4, 5, 7)), r"was built for 6 features"),
        (lambda r: r(torch.zeros(4, 0, 6)), r"needs at least one time step, got \(4, 0, 6\)"),
        (
            lambda r: r(torch.zeros(4, 5, 6), mask=torch.ones(4, 3)),
            r"mask of shape \(batch, time\), \(4, 5\), but received \(4, 3\)",
        ),
        (
            lambda r: r(torch.zeros(4, 5, 6), initial_state=torch.zeros(4, 3)),
            r"needs 2 states of shape \(4, 3\) as initial_state, but received 1: \(4, 3\)",
        ),
        (
            lambda r: r(torch.zeros(4, 5, 6), initial_state=[torch.zeros(4, 3), torch.zeros(1, 3)]),
            r"but received 2: \(4, 3\), \(1, 3\)",
        ),
        (lambda r: LSTM(3)(Input((5, None))), r"needs to know the number of features"),
        (
            lambda r: r(Input((5, 6)), initial_state=[Input((4,)), Input((4,))]),
            r"states of shape \(batch, 3\)",
        ),
    ],
)
def test_refuses_shapes(call: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        call(built(LSTM, 3))


# -- symbols, compiling, copies ----------------------------------------------------------------


@pytest.mark.parametrize("kind", OURS)
def test_shapes_are_known_without_running_the_kernel(kind: Any, monkeypatch: Any) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError("a kernel ran")

    for name in ("lstm", "gru", "rnn_tanh"):
        monkeypatch.setattr(torch._VF, name, refuse, raising=False)
    layer = kind(3, return_sequences=True, return_state=True)
    output, *states = layer(Input((None, 6)))
    assert output.shape == (None, None, 3)
    assert [state.shape for state in states] == [(None, 3)] * len(layer.state_names)
    assert kind(3)(Input((None, 6))).shape == (None, 3)


def test_masks_travel() -> None:
    tokens = Input((None,), dtype="int64")
    embedded = Embedding(9, 4, mask_zero=True)(tokens)
    inner = GRU(3, return_sequences=True)(embedded)
    assert inner._keras_mask.shape == (None, None)
    model = Model(tokens, LSTM(3)(inner))
    short, long = torch.tensor([[4, 2, 7]]), torch.tensor([[0, 4, 0, 2, 7, 0]])
    torch.testing.assert_close(model(short), model(long))


CASES: list[tuple[Any, dict[str, Any]]] = [
    (SimpleRNN, {"return_sequences": True}),
    (LSTM, {"return_state": True, "return_sequences": True}),
    (LSTM, {"dropout": 0.5, "recurrent_dropout": 0.5}),
    (GRU, {"stateful": True}),
    (GRU, {"reset_after": False, "go_backwards": True}),
]


@pytest.mark.usefixtures("_fresh_compiler")
@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
@pytest.mark.parametrize(("kind", "options"), CASES)
def test_compiles(kind: Any, options: Any, mask: Any) -> None:
    layer, x = built(kind, 3, **options), torch.randn(4, 5, 6)
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    expected = layer(x, mask=mask)
    if layer.stateful:
        layer.reset_state()
    torch.testing.assert_close(compiled(x, mask=mask), expected)
    assert layer.train()(x, mask=mask) is not None
    assert compiled(x, mask=mask) is not None


@pytest.mark.usefixtures("_fresh_compiler")
@pytest.mark.parametrize("kind", OURS)
def test_compiles_with_gradients_through_aot_autograd(kind: Any) -> None:
    layer, x = built(kind, 3), torch.randn(4, 5, 6)
    torch.compile(layer, fullgraph=True, backend="aot_eager")(x).sum().backward()
    compiled = [parameter.grad.clone() for parameter in layer.parameters()]
    layer.zero_grad()
    layer(x).sum().backward()
    for one, parameter in zip(compiled, layer.parameters(), strict=True):
        torch.testing.assert_close(one, parameter.grad)


def test_exports_with_a_free_batch_and_keeps_the_kernel() -> None:
    model = Sequential(
        [Input((5,), dtype="int64"), Embedding(9, 4, mask_zero=True), LSTM(3), nn.Linear(3, 1)]
    )
    batch = torch.export.Dim("batch", min=2, max=100)
    tokens = torch.randint(0, 9, (4, 5))
    exported = torch.export.export(model, (tokens,), dynamic_shapes=({0: batch},))
    assert any("lstm" in str(node.target) for node in exported.graph.nodes)
    more = torch.randint(0, 9, (11, 5))
    torch.testing.assert_close(exported.module()(more), model(more))


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_copies(kind: Any, options: Any) -> None:
    layer, x = built(kind, 3, **options), torch.randn(4, 5, 6)
    copies = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]
    again = kind.from_config(layer.get_config())
    again.build((4, 5, 6))
    again.set_weights(layer.get_weights())
    expected = layer(x)
    for one in [*copies, again]:
        torch.testing.assert_close(one(x), expected)


def test_float64_and_whole_numbers() -> None:
    layer = GRU(3, dtype="float64")
    assert layer(torch.randint(0, 9, (2, 5, 6))).dtype == torch.float64
    assert layer(torch.randn(2, 5, 6)).dtype == torch.float64
