"""Weights: made, listed, frozen and exchanged."""

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
from nnkit.layers import BatchNormalization, Dense, Input
from nnkit.layouts import CONV, DENSE, SAME
from nnkit.models import Model, Sequential, clone_model


class Two(Layer):
    def build(self, input_shape: Any) -> None:
        self.state = self.add_weight((2,), "zeros", trainable=False, name="state")
        self.add_weight((input_shape[-1],), "ones", name="unset")
        self.inner = Dense(2)
        self.scale = self.add_weight((1,), "ones", name="scale", regularizer="l2")

    def call(self, inputs: Any) -> Any:
        return self.inner(inputs * self.unset) * self.scale


def test_trainable_ones_come_first_then_children() -> None:
    layer = Two()
    layer(torch.ones(1, 3))
    assert [w.name for w in layer.collect()] == ["unset", "scale", "state", "kernel", "bias"]
    assert sorted(layer.state_dict()) == [
        "inner.bias", "inner.weight", "scale", "state", "unset",
    ]  # fmt: skip
    assert [v.item() for v in layer.losses] == [pytest.approx(0.01)]


def test_keras_layout_at_the_door() -> None:
    layer = Dense(2)
    layer.build((None, 3))
    assert layer.weight.shape == (2, 3)
    assert layer.kernel.shape == (3, 2)
    kernel = np.arange(6, dtype="float32").reshape(3, 2)
    layer.set_weights([kernel, np.zeros(2)])
    np.testing.assert_array_equal(layer.get_weights()[0], kernel)
    assert layer(torch.eye(3)).tolist() == kernel.tolist()
    layer.get_weights()[0][:] = 9
    np.testing.assert_array_equal(layer.get_weights()[0], kernel)


def test_weights_of_bfloat16_come_as_float32() -> None:
    layer = Dense(2, dtype="bfloat16")
    layer(torch.ones(1, 3))
    kernel, bias = layer.get_weights()
    assert kernel.dtype == bias.dtype == np.float32
    layer.set_weights([kernel, bias])
    assert torch.equal(layer.kernel, torch.from_numpy(kernel).bfloat16())


@pytest.mark.parametrize("layout", [SAME, DENSE, CONV[1], CONV[2], CONV[3]])
def test_layouts_go_both_ways(layout: Any) -> None:
    value = torch.rand(*range(2, 2 + (len(layout.axes) or 3)))
    stored = layout.to_torch(value)
    torch.testing.assert_close(layout.to_keras(stored), value, rtol=0, atol=0)
    assert layout.to_keras(stored).untyped_storage().data_ptr() == stored.data_ptr()
    if layout.channels_last:
        kind = torch.channels_last if value.ndim == 4 else torch.channels_last_3d
        assert stored.is_contiguous(memory_format=kind)


def test_shared_weights_count_once() -> None:
    x, shared = Input((3,)), Dense(3)
    model = Model(x, shared(shared(x)))
    assert model.count_params() == 12
    assert len(model.weights) == 2


def test_moving_statistics_are_weights() -> None:
    model = Sequential([Input((3,)), BatchNormalization(), nn.BatchNorm1d(3)])
    assert len(model.weights) == 8
    assert len(model.trainable_weights) == 4
    assert model.count_params() == 24


def test_nothing_changes_when_one_shape_is_wrong() -> None:
    model = Sequential([Input((3,)), Dense(2), Dense(1)])
    before = model.get_weights()
    with pytest.raises(ShapeError, match=r"needs \(1,\) for 'bias' but \(2,\) was given"):
        model.set_weights([np.ones_like(w) for w in before[:3]] + [np.ones(2)])
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_state_dict_round_trip() -> None:
    model = Sequential([Input((3,)), Dense(2, name="one"), nn.Linear(2, 1)], name="m")
    twin = Sequential([Input((3,)), Dense(2, name="one"), nn.Linear(2, 1)])
    assert list(model.state_dict())[:2] == ["one.weight", "one.bias"]
    state = dict(zip(twin.state_dict(), model.state_dict().values(), strict=True))
    assert str(twin.load_state_dict(state)) == "<All keys matched successfully>"
    x = torch.rand(4, 3)
    torch.testing.assert_close(model(x), twin(x))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Layer().add_weight((None, 3)), ShapeError, "A weight needs known sizes, got"),
        (lambda: Layer().add_weight((2,), foo=1), ArgumentError, "has no argument 'foo'"),
        (lambda: Layer().add_weight((2,), "zeroes"), ArgumentError, "Did you mean 'zeros'"),
    ],
)
def test_errors(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_views_of_weights_have_keras_methods() -> None:
    """Kernels in Keras's layout and moving statistics, which torch keeps as something else."""
    model = Sequential([Input((4,)), Dense(3, name="first"), BatchNormalization()])
    first, normal = model.layers
    first.kernel.assign(np.arange(12).reshape(4, 3))
    first.kernel.assign_sub(np.ones((4, 3)))
    np.testing.assert_array_equal(first.get_weights()[0], np.arange(12).reshape(4, 3) - 1)
    assert (first.kernel.name, first.kernel.path) == ("kernel", "first/kernel")
    assert first.kernel.trainable
    assert not normal.moving_mean.trainable
    normal.moving_mean.assign([1.0, 2.0, 3.0])
    assert normal.running_mean.tolist() == normal.moving_mean.numpy().tolist() == [1, 2, 3]
    assert type(first.kernel * 2) is torch.Tensor
    first.kernel.square().sum().backward()
    torch.testing.assert_close(first.weight.grad, 2 * first.weight.detach())
    with pytest.raises(ShapeError, match=r"layer.kernel.assign\), take Keras's order"):
        first.weight.assign(np.ones((4, 3)))
    kept = copy.deepcopy(first.kernel)
    first.kernel.assign(np.zeros((4, 3)))
    assert kept.sum() == 54
    assert pickle.loads(pickle.dumps(kept.detach())).sum() == 54


def test_a_buffer_is_always_the_same_weight() -> None:
    model = Sequential([Input((3,)), BatchNormalization(name="b")])
    normal = model.layers[0]
    mean, variance = model.non_trainable_weights
    assert mean is normal.moving_mean is model.weights[2]
    assert mean is not variance
    twin = copy.deepcopy(model)
    twin.layers[0].moving_mean.assign([1.0, 2.0, 3.0])
    assert twin.layers[0].running_mean.tolist() == [1, 2, 3]
    assert mean.tolist() == [0, 0, 0]
    model.double()  # makes new buffers
    model.non_trainable_weights[0].assign([4.0, 5.0, 6.0])
    assert normal.running_mean.tolist() == [4, 5, 6]
    loaded = pickle.loads(pickle.dumps(model))
    assert loaded.non_trainable_weights[0].tolist() == [4, 5, 6]


def test_a_moving_average_of_all_weights() -> None:
    """The loop over two models that programs keep an average with, BatchNormalization too."""
    model = Sequential([Input((4,)), Dense(3), BatchNormalization()])
    average = clone_model(model)
    average.set_weights([np.ones_like(w) for w in average.get_weights()])
    for weight, kept in zip(model.weights, average.weights, strict=True):
        kept.assign(0.75 * kept + 0.25 * weight)
    for now, weight in zip(average.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(now, 0.75 + 0.25 * weight, rtol=1e-6)


def test_paths() -> None:
    class Inner(Model):
        def __init__(self) -> None:
            super().__init__(name="inner")
            self.parts = [Dense(2, name="a"), BatchNormalization(name="b")]

        def call(self, x: Any) -> Any:
            return self.parts[1](self.parts[0](x))

    model = Inner()
    model.build((None, 3))
    names = ["a/kernel", "a/bias", "b/gamma", "b/beta", "b/moving_mean", "b/moving_variance"]
    assert [w.path for w in model.weights] == [f"inner/{name}" for name in names]
    assert [w.name for w in model.non_trainable_weights] == ["moving_mean", "moving_variance"]
    inputs = Input((3,))
    outer = Model(inputs, Dense(1, name="c")(model(inputs)))
    assert [w.path for w in outer.weights][-3:] == ["inner/b/moving_variance", "c/kernel", "c/bias"]
