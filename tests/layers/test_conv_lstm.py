"""ConvLSTM1D, 2D and 3D against a loop over torch's convolutions."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from nnkit import random
from nnkit.errors import ArgumentError, NotBuiltError, ShapeError
from nnkit.layers.conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from nnkit.layers.input import Input
from nnkit.layers.wrappers import Bidirectional

X = torch.randn(3, 4, 6, 7, 2, generator=torch.Generator().manual_seed(1))
MASK = torch.tensor([[1, 1, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0]]) > 0
RETURNS: dict[str, Any] = {"return_sequences": True, "return_state": True}


def built(kind: Any = ConvLSTM2D, *args: Any, x: torch.Tensor = X, **kwargs: Any) -> Any:
    layer = kind(*args, **kwargs)
    layer(x)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    if layer.stateful:
        layer.reset_state()
    return layer


def by_hand(layer: Any, x: torch.Tensor, drops: Any = None) -> list[torch.Tensor]:
    """All outputs and both states, for a recurrent window of 3 x 3 and images channels first."""
    outputs, hidden, cell = [], torch.zeros(()), torch.zeros(())
    drops = drops or [torch.ones(())] * 4
    for now in x.unbind(1):
        from_x = F.conv2d(now, layer.weight_ih, layer.bias, layer.strides).chunk(4, 1)
        hidden = hidden.expand_as(from_x[0])
        from_h = [
            F.conv2d(hidden * drop, weight, padding=1)
            for drop, weight in zip(drops, layer.weight_hh.chunk(4), strict=True)
        ]
        enter, forget, new, leave = (a + b for a, b in zip(from_x, from_h, strict=True))
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(new)
        hidden = torch.sigmoid(leave) * torch.tanh(cell)
        outputs.append(hidden)
    return [torch.stack(outputs, 1), hidden, cell]


@pytest.mark.parametrize("strides", [1, 2])
def test_equals_torch_by_hand(strides: int) -> None:
    layer = built(ConvLSTM2D, 5, 3, strides, **RETURNS)
    x = X.clone().requires_grad_()
    actual = layer(x)
    expected = by_hand(layer, x.movedim(-1, 2))
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one.movedim(-1, -3), other)
    (mine,) = torch.autograd.grad(actual[0].square().sum(), x)
    torch.testing.assert_close(mine, torch.autograd.grad(expected[0].square().sum(), x)[0])


def test_channels_first_gives_the_same() -> None:
    last = built(ConvLSTM2D, 5, 3, **RETURNS)
    first = ConvLSTM2D(5, 3, data_format="channels_first", **RETURNS)
    first.build((None, 4, 2, 6, 7))
    first.set_weights(last.get_weights())
    outputs, *states = first(X.movedim(-1, 2), mask=MASK)
    expected, *ends = last(X, mask=MASK)
    torch.testing.assert_close(outputs.movedim(2, -1), expected)
    for one, other in zip(states, ends, strict=True):
        torch.testing.assert_close(one.movedim(1, -1), other)
    assert first(Input((None, 2, 6, 7)))[0].shape == (None, None, 5, 4, 5)


@pytest.mark.parametrize("zeros", [False, True])
def test_masked_steps_are_left_out(zeros: bool) -> None:
    layer = built(ConvLSTM2D, 5, 3, zero_output_for_mask=zeros, **RETURNS)
    outputs, hidden, cell = layer(X, mask=MASK)
    kept = layer(X[1:2, [1, 3]])
    for one, other in zip((hidden, cell), kept[1:], strict=True):
        torch.testing.assert_close(one[1:2], other)
        assert not one[2].any()
    nothing = torch.zeros_like(outputs[1, 0])
    held = [nothing, kept[0][0, 0], nothing if zeros else kept[0][0, 0], kept[0][0, 1]]
    torch.testing.assert_close(outputs[1], torch.stack(held))


def test_one_axis_and_three_are_like_two() -> None:
    flat = torch.randn(2, 3, 1, 6, 2)
    two = built(ConvLSTM2D, 4, (1, 3), x=flat, **RETURNS)
    kernel, recurrent, bias = two.get_weights()
    one, three = ConvLSTM1D(4, 3, **RETURNS), ConvLSTM3D(4, (1, 1, 3), **RETURNS)
    one.build((None, None, 6, 2))
    one.set_weights([kernel[0], recurrent[0], bias])
    three.build((None, None, 1, 1, 6, 2))
    three.set_weights([kernel[None], recurrent[None], bias])
    expected = two(flat)
    for a, b, c in zip(expected, one(flat[:, :, 0]), three(flat[:, :, None]), strict=True):
        torch.testing.assert_close(b, a.squeeze(-3))
        torch.testing.assert_close(c.squeeze(-4), a)
    assert three(Input((None, 1, 1, 6, 2)))[0].shape == (None, None, 1, 1, 4, 4)


def test_weights() -> None:
    layer = ConvLSTM2D(5, (2, 3), unit_forget_bias=True)
    layer.build((None, None, 6, 7, 2))
    assert [w.keras_shape for w in layer.collect()] == [(2, 3, 2, 20), (2, 3, 5, 20), (20,)]
    assert layer.weight_ih.shape == (20, 2, 2, 3)
    assert layer.bias.tolist() == [0] * 5 + [1] * 5 + [0] * 10
    assert list(layer.state_dict()) == ["weight_ih", "weight_hh", "bias"]
    assert ConvLSTM2D(5, 3, use_bias=False)(X).shape == (3, 4, 5, 5)
    assert (layer.filters, layer.kernel_size, layer.strides) == (5, (2, 3), (1, 1))


def test_the_same_elements_are_dropped_in_all_steps() -> None:
    layer = built(ConvLSTM2D, 5, 3, recurrent_dropout=0.5, seed=1, **RETURNS)
    actual = layer(X, training=True)
    drops = random.dropout(torch.ones(4, 3, 4, 5, 5), 0.5, seed=random.SeedGenerator(1))
    expected = by_hand(layer, X.movedim(-1, 2), list(drops.movedim(-1, 2)))
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one.movedim(-1, -3), other)
    inputs = built(ConvLSTM2D, 5, 3, dropout=1.0)
    torch.testing.assert_close(inputs(X, training=True), inputs(X * 0))
    assert not torch.allclose(inputs(X), inputs(X * 0))


def test_states_go_in_and_are_kept() -> None:
    layer = built(ConvLSTM2D, 5, 3, stateful=True, padding="same", return_state=True)
    whole = layer(X)
    layer.reset_state()
    first = layer(X[:, :1])
    for one, other in zip(layer(X[:, 1:]), whole, strict=True):
        torch.testing.assert_close(one, other)
    assert [state.shape for state in layer.states] == [(3, 6, 7, 5)] * 2
    fresh = ConvLSTM2D(5, 3, padding="same")
    fresh.build((None, None, 6, 7, 2))
    fresh.set_weights(layer.get_weights())
    torch.testing.assert_close(fresh(X[:, 1:], initial_state=first[1:]), whole[0])
    assert [state.shape for state in fresh.get_initial_state(2)] == [(2, 6, 7, 5)] * 2


def test_both_directions() -> None:
    layer = Bidirectional(ConvLSTM2D(3, 3, return_sequences=True), merge_mode="concat")
    outputs = layer(X)
    assert outputs.shape == (3, 4, 4, 5, 6)
    torch.testing.assert_close(outputs[..., :3], layer.forward_layer(X))


@pytest.mark.parametrize("options", [{}, {"padding": "same", "strides": 2, "seed": 3}])
def test_configs_and_copies(options: Any) -> None:
    layer = built(ConvLSTM2D, 5, (2, 3), **options)
    again = ConvLSTM2D.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    again(X)
    again.set_weights(layer.get_weights())
    for other in (again, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.testing.assert_close(other(X), layer(X))


@pytest.mark.parametrize(
    ("kind", "options", "mask"),
    [
        (ConvLSTM2D, RETURNS, MASK[:, :2]),
        (ConvLSTM1D, {"padding": "same", "stateful": True}, None),
    ],
)
def test_compiles(kind: Any, options: Any, mask: Any) -> None:
    torch._dynamo.reset()
    x = torch.randn(3, 2, *[4] * kind.rank, 2)
    layer = built(kind, 3, 2, x=x, **options)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    expected = layer(x, mask=mask)
    if layer.stateful:
        layer.reset_state()
    torch.testing.assert_close(compiled(x, mask=mask), expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConvLSTM2D(0, 3), r"ConvLSTM2D 'conv_.*': filters must be a whole number"),
        (lambda: ConvLSTM2D(4, (3, 3, 3)), r"kernel_size must be an int or 2 ints"),
        (lambda: ConvLSTM2D(4, 3, 2, dilation_rate=2), r"cannot both be above 1"),
        (lambda: ConvLSTM1D(4, 3, padding="causal"), r"padding must be one of 'valid', 'same'"),
        (lambda: ConvLSTM3D(4, 3, data_format="first"), r"data_format must be one of"),
        (lambda: ConvLSTM2D(4, 3, dropout=2), r"dropout must be a number from 0 to 1, got 2"),
    ],
)
def test_refuses_arguments(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ConvLSTM2D(4, 3)(X[0]), r"expects \(batch, time, height, width, channels\) but"),
        (lambda: ConvLSTM2D(4, 7)(X), r'than the images .* \(3, 4, 6, 7, 2\). Use padding="same"'),
        (lambda: ConvLSTM2D(4, 3)(Input((4, None, 7, 2))), r"Give all sizes in Input\(shape=...\)"),
        (lambda: ConvLSTM2D(4, 3)(Input((4, 6, 7, None))), r"know the number of channels"),
        (lambda: built(ConvLSTM2D, 4, 3)(X[:, :, 1:]), r"for images of size \(6, 7\), which its"),
        (lambda: built(ConvLSTM2D, 4, 3)(X[..., :1]), r"was built for 2 channels but"),
        (lambda: ConvLSTM2D(4, 3)(X[:, :0]), r"needs at least one time step"),
        (
            lambda: ConvLSTM2D(4, 3)(X, initial_state=[torch.zeros(3, 6, 7, 4)] * 2),
            r"needs 2 states of shape \(3, 4, 5, 4\) as initial_state",
        ),
    ],
)
def test_refuses_shapes(call: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        call()


def test_no_states_before_the_size_is_known() -> None:
    with pytest.raises(NotBuiltError, match=r"does not know the size of its images yet"):
        ConvLSTM2D(4, 3).get_initial_state(2)
