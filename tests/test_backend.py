"""The functions of old scripts' K, by hand and by bare torch."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import nnkit
from nnkit import backend as K
from nnkit import layers, optimizers
from nnkit.errors import ArgumentError, ShapeError
from nnkit.layers import Dense, Input
from nnkit.models import Model

X = torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.0, -4.0]])
IMAGE = torch.arange(8.0).reshape(1, 2, 2, 2)


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (K.mean(X, axis=-1), [2 / 3, -3.5 / 3]),
        (K.mean([1, 2]), 1.5),
        (K.sum(X, axis=0, keepdims=True), [[1.5, -2, -1]]),
        (K.max(X, axis=1), [3, 0.5]),
        (K.min(X), -4),
        (K.std(X, axis=0), [0.25, 1, 3.5]),
        (K.prod(X, axis=1), [-6, 0]),
        (K.square(X)[0], [1, 4, 9]),
        (K.abs(X)[0], [1, 2, 3]),
        (K.pow(X, 2)[1], [0.25, 0, 16]),
        (K.clip(X, -1, None)[1], [0.5, 0, -1]),
        (K.clip(X, None, 1)[0], [1, -2, 1]),
        (K.maximum(X, 0)[0], [1, 0, 3]),
        (K.argmax(X), [2, 0]),
        (K.argmin(X, axis=0), [1, 0, 1]),
        (K.cumsum(X)[1], [1.5, -2, -1]),
        (K.cumprod(X, axis=1)[0], [1, -2, -6]),
        (K.any(X > 2, axis=1), [True, False]),
        (K.all(X > -9), True),
        (K.not_equal(X, 0)[1], [True, False, True]),
        (K.round(X * 0.25)[0], [0, 0, 1]),
        (K.sign(X)[1], [1, 0, -1]),
        (K.l2_normalize([3.0, 4.0]), [0.6, 0.8]),
        (K.dot(X, X.T), X @ X.T),
        (K.dot(torch.ones(2, 3, 4), torch.ones(5, 4, 2)).shape, (2, 3, 5, 2)),
        (K.expand_dims(X).shape, (2, 3, 1)),
        (K.squeeze(X[:1], 0), X[0]),
        (K.flatten(X).shape, (6,)),
        (K.batch_flatten(IMAGE).shape, (1, 8)),
        (K.permute_dimensions(X, pattern=(1, 0)), X.T),
        (K.transpose(X), X.T),
        (K.reverse(X, 1)[0], [3, -2, 1]),
        (K.concatenate([X, X]).shape, (2, 6)),
        (K.stack([X, X]).shape, (2, 2, 3)),
        (K.tile(X, [1, 2]).shape, (2, 6)),
        (K.repeat(X, 4).shape, (2, 4, 3)),
        (K.repeat_elements(X, 2, axis=1)[0], [1, 1, -2, -2, 3, 3]),
        (K.gather(X, [1, 0]), X.flip(0)),
        (K.temporal_padding(torch.ones(1, 2, 1))[0, :, 0], [0, 1, 1, 0]),
        (K.spatial_2d_padding(IMAGE, ((1, 0), (0, 2))).shape, (1, 3, 4, 2)),
        (K.spatial_2d_padding(IMAGE, data_format="channels_first").shape, (1, 2, 4, 4)),
        (K.resize_images(IMAGE, 2, 3, "channels_last").shape, (1, 4, 6, 2)),
        (K.resize_images(IMAGE, 2, 3, "channels_first").shape, (1, 2, 4, 6)),
        (K.one_hot([0, 2], 3), [[1, 0, 0], [0, 0, 1]]),
        (K.in_top_k(X, [2, 2], 1), [True, False]),
        (K.bias_add(X, [1.0, 2.0, 3.0])[0], [2, 0, 6]),
        (K.bias_add(IMAGE, [1.0, 2.0], "channels_first")[0, :, 0, 0], [1, 6]),
        (K.map_fn(lambda row: row * 2, X), X * 2),
        (K.relu(X, alpha=0.5)[0], [1, -1, 3]),
        (K.relu(X, max_value=2)[0], [1, 0, 2]),
        (K.elu(torch.tensor([-1.0, 2.0])), [np.expm1(-1), 2]),
        (K.hard_sigmoid(torch.tensor([-5.0, 1.0, 5.0])), [0, 0.7, 1]),
        (K.softmax(X).sum(-1), [1, 1]),
        (K.sigmoid(0.0), 0.5),
        (K.switch(torch.tensor(True), X, -X), X),
        (K.switch(torch.tensor(False), lambda: X, lambda: -X), -X),
        (K.switch(torch.tensor([True, False]), X, -X)[:, 0], [1, -0.5]),
        (K.in_train_phase(1, lambda: 2, training=False), 2),
        (K.zeros((2,), "int32"), [0, 0]),
        (K.ones((1, 2)), [[1, 1]]),
        (K.eye(2), [[1, 0], [0, 1]]),
        (K.eye((1, 2)), [[1, 0]]),
        (K.constant([1, 2]), [1.0, 2.0]),
        (K.constant(3, shape=(2,)), [3, 3]),
        (K.arange(3), [0, 1, 2]),
        (K.random_bernoulli((3,), p=1.0), [1, 1, 1]),
        (K.dropout(X, 0.0), X),
        (K.eval(X), X),
        (K.get_value(3.5), 3.5),
        (K.int_shape(Input((4,))), (None, 4)),
        (K.ndim(X), 2),
        (K.count_params(X), 6),
        (K.dtype(X), "float32"),
        (K.shape(X), (2, 3)),
        (K.cast(X, "int32")[0], [1, -2, 3]),
        (K.standardize_dtype(None), "float32"),
        (K.backend(), "torch"),
        (K.image_data_format(), "channels_last"),
    ],
)
def test_values(got: Any, expected: Any) -> None:
    got = np.asarray(got)
    assert got.shape == np.shape(expected)
    if got.dtype.kind == "U":
        assert got == expected
    else:
        np.testing.assert_allclose(
            got.astype("float64"), np.asarray(expected, "float64"), rtol=1e-6
        )


@pytest.mark.parametrize(
    ("left", "right", "axes", "rule"),
    [
        ((2, 3), (2, 3), 1, "bi,bi->b"),
        ((2, 3), (2, 3), None, "bi,bi->b"),
        ((2, 3, 4), (2, 4, 5), None, "bij,bjk->bik"),
        ((2, 3, 4), (2, 5, 4), 2, "bij,bkj->bik"),
        ((2, 3, 4), (2, 3, 5), (1, 1), "bij,bik->bjk"),
        ((2, 4), (2, 4, 5), None, "bj,bjk->bk"),
        ((2, 3, 4), (2, 4), (-1, -1), "bij,bj->bi"),
        ((2, 3, 4, 5), (2, 4, 6), (2, 1), "bijk,bjl->bikl"),
    ],
)
def test_batch_dot(left: Any, right: Any, axes: Any, rule: str) -> None:
    x, y = torch.rand(left), torch.rand(right)
    expected = torch.einsum(rule, x, y)
    expected = expected.unsqueeze(-1) if expected.ndim == 1 else expected
    torch.testing.assert_close(K.batch_dot(x, y, axes), expected)
    symbolic = K.batch_dot(Input(left[1:]), Input(right[1:]), axes)
    assert symbolic.shape == (None, *expected.shape[1:])


def test_losses() -> None:
    p = torch.tensor([[0.2, 0.8], [0.6, 0.4]])
    one = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    expected = -torch.log(torch.tensor([0.8, 0.6]))
    torch.testing.assert_close(K.categorical_crossentropy(one, p), expected)
    torch.testing.assert_close(K.sparse_categorical_crossentropy([1, 0], p), expected)
    ignored = K.sparse_categorical_crossentropy(torch.tensor([1, 0]), p, ignore_class=0)
    torch.testing.assert_close(ignored, expected * torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(
        K.binary_crossentropy(one, p)[:, 1], -torch.log(p.new_tensor([0.8, 0.6]))
    )


def test_values_are_read_and_set() -> None:
    layer = Dense(2, kernel_initializer="ones")
    layer.build((None, 3))
    assert K.get_value(layer.kernel).tolist() == [[1, 1]] * 3
    K.set_value(layer.kernel, np.zeros((3, 2)))
    K.batch_set_value([(layer.bias, [5, 6])])
    assert [value.tolist() for value in K.batch_get_value(layer.weights)] == [
        [[0] * 3] * 2,
        [5, 6],
    ]
    total = K.variable(2.0, name="total")
    assert total.requires_grad
    K.update_add(total, 3)
    K.update_sub(total, 1)
    assert K.moving_average_update(total, 0.0, 0.5) is total
    assert K.get_value(total) == 2
    with pytest.raises(ShapeError, match=r"shape \(\), the value \(2,\)"):
        K.set_value(total, [1, 2])


def test_draws_repeat_with_a_seed() -> None:
    for draw in (K.random_normal, K.random_uniform, K.truncated_normal):
        first = draw((3,), seed=1)
        torch.testing.assert_close(draw((3,), seed=1), first, rtol=0, atol=0)
        assert len(first.unique()) == 3
    assert not K.dropout(torch.ones(99), 0.5).all()


def test_the_sampling_of_an_old_autoencoder() -> None:
    mean, spread = Input((2,)), Input((2,))
    noise = K.random_normal(shape=(K.shape(mean)[0], 2), stddev=0.0)
    z = mean + K.exp(0.5 * spread) * noise
    loss = -0.5 * K.sum(1 + spread - K.square(mean) - K.exp(spread), axis=-1)
    model = Model([mean, spread], [z, loss])
    data = torch.rand(5, 2)
    got, total = model([data, torch.zeros(5, 2)])
    torch.testing.assert_close(got, data)
    torch.testing.assert_close(total, 0.5 * data.square().sum(-1))


def test_settings() -> None:
    assert K.epsilon() == 1e-7
    K.set_epsilon(1e-3)
    assert (K.epsilon(), nnkit.config.epsilon()) == (1e-3, 1e-3)
    K.set_epsilon(1e-7)
    assert K.floatx() == "float32"
    assert K.cast_to_floatx(np.ones(2)).dtype == np.float32
    assert K.cast_to_floatx(torch.ones(2, dtype=torch.float64)).dtype is torch.float32
    assert K.is_keras_tensor(Input((1,)))
    assert not K.is_keras_tensor(X)
    assert [K.is_float_dtype("bfloat16"), K.is_float_dtype("int8"), K.is_int_dtype("uint8")] == [
        True, False, True,
    ]  # fmt: skip
    assert (K.get_uid("test_settings"), K.get_uid("test_settings")) == (1, 2)
    K.set_image_data_format("channels_last")
    K.clear_session()
    with K.name_scope("anything"):
        assert Dense(1).name == "dense"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (K.learning_phase, "training=None"),
        (lambda: K.set_learning_phase(1), "model.train"),
        (lambda: K.function([X], [X], updates=[1]), "Write a train_step"),
        (lambda: K.gradients(X, X), "torch.autograd.grad"),
        (lambda: K.placeholder((2,)), "nnkit.Input"),
        (lambda: K.in_train_phase(1, 2), "in_train_phase without training="),
        (lambda: K.set_value(0.001, 0.1), "changes weights and variables, not float 0.001"),
        (lambda: K.set_image_data_format("channels_first"), "channels last"),
        (lambda: K.variable(1.0, constraint=abs), "has no constraint"),
        (lambda: K.repeat(IMAGE, 2), r"takes \(batch, features\)"),
        (lambda: K.batch_dot(X, X[:1]), "one batch size"),
        (lambda: K.batch_dot(X, X, (0, 1)), "not the batch"),
        (lambda: K.resize_images(Input((None, None, 3)), 2, 2), "UpSampling2D"),
    ],
)
def test_mistakes(call: Callable[[], Any], said: str) -> None:
    with pytest.raises((ArgumentError, ShapeError), match=said):
        call()


def test_an_optimizers_rate_is_read_and_set() -> None:
    optimizer = optimizers.Adam(0.01)
    assert K.get_value(optimizer.lr) == 0.01
    K.set_value(optimizer.lr, 0.5)
    optimizer.learning_rate.assign(optimizer.learning_rate * 0.5)
    assert optimizer.learning_rate.numpy() == 0.25
    assert type(pickle.loads(pickle.dumps(optimizer.learning_rate))) is float


def test_a_function_computes_outputs_from_inputs() -> None:
    inputs = Input((3,))
    hidden = layers.Dense(4, activation="relu")(inputs)
    model = Model(inputs, layers.Dropout(0.5)(hidden))
    both = K.function([inputs], [hidden, model.output])
    one, other = both([np.ones((2, 3))])
    expected = np.maximum(np.ones((2, 3)) @ model.get_weights()[0], 0)
    np.testing.assert_allclose(one, expected, rtol=1e-6)
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(K.function([inputs], hidden)([np.ones((2, 3))]), one)


def test_windows_are_those_of_the_layers() -> None:
    images = torch.randn(2, 6, 5, 3)
    conv = layers.Conv2D(4, (3, 2), strides=(2, 1), padding="same", use_bias=False)
    expected = conv(images)
    got = K.conv2d(images, conv.kernel, (2, 1), "same")
    np.testing.assert_allclose(got.detach(), expected.detach(), rtol=1e-5)
    for mode, layer in (("max", layers.MaxPooling2D), ("avg", layers.AveragePooling2D)):
        got = K.pool2d(images, (2, 2), padding="same", pool_mode=mode)
        np.testing.assert_allclose(got, layer((2, 2), (1, 1), padding="same")(images), rtol=1e-6)
    with pytest.raises(ArgumentError, match="pool_mode 'min'"):
        K.pool2d(images, (2, 2), pool_mode="min")
    assert K.conv1d(torch.randn(2, 7, 3), torch.randn(3, 3, 4), dilation_rate=2).shape == (2, 3, 4)
    assert K.conv3d(torch.randn(1, 4, 4, 4, 2), torch.randn(2, 2, 2, 2, 3)).shape == (1, 3, 3, 3, 3)
    assert K.pool3d(torch.randn(1, 4, 4, 4, 2), (2, 2, 2), (2, 2, 2)).shape == (1, 2, 2, 2, 2)
