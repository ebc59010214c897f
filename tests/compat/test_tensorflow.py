"""The few functions of tensorflow itself, against NumPy."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import torch

import nnkit
from nnkit.compat import uninstall_as_keras
from nnkit.compat.names import Gone
from nnkit.compat.tensorflow import members

X = np.array([[1.0, -2.0, 3.0], [0.5, 4.0, -1.5]], dtype="float32")
Y = np.array([[2.0, 2.0, -1.0], [1.0, 0.25, 3.0]], dtype="float32")
E = np.exp(X)
SIGMOID = 1 / (1 + np.exp(-X))

# A call as programs write it, and its value.
CALLS: list[tuple[str, Any]] = [
    ("tf.linalg.band_part(tf.ones((2, 3)), -1, 0)", [[1, 0, 0], [1, 1, 0]]),
    ("tf.linalg.band_part(tf.ones((2, 3)), 0, 1)", [[1, 1, 0], [0, 1, 1]]),
    ("tf.logical_and(X > 0, Y > 0)", (X > 0) & (Y > 0)),
    ("tf.logical_or(X > 0, Y > 0)", (X > 0) | (Y > 0)),
    ("tf.math.logical_not(tf.logical_not(X > 0))", X > 0),
    ("tf.math.not_equal(tf.constant([1, 2]), tf.constant([1, 3]))", [False, True]),
    ("tf.not_equal(X, 3.0)", X != 3),
    ("tf.math.rsqrt(tf.constant([4.0]))", [0.5]),
    ("tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.ones(1), logits=tf.zeros(1))", [np.log(2)]),
    (
        "tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.constant([1]), "
        "logits=tf.zeros((1, 4)))",
        [np.log(4)],
    ),
    ("tf.abs(X)", np.abs(X)),
    ("tf.argsort(values=X, axis=-1)", X.argsort(-1)),
    ("tf.constant(X)[..., tf.newaxis]", X[..., None]),
    ("tf.cond(tf.constant(True), lambda: tf.ones(1), lambda: tf.zeros(1))", [1]),
    ("tf.cumsum(X, axis=1)", X.cumsum(1)),
    ("tf.eye(2, num_columns=3)", np.eye(2, 3)),
    ("tf.fill((2, 2), 7.0)", np.full((2, 2), 7.0)),
    ("tf.floor(X)", np.floor(X)),
    ("tf.greater_equal(X, Y)", X >= Y),
    ("tf.less_equal(x=X, y=Y)", X <= Y),
    ("tf.linspace(0.0, 1.0, 3)", [0, 0.5, 1]),
    ("tf.image.flip_left_right(X[..., None])", X[:, ::-1, None]),
    (
        "tf.image.resize(images=X[..., None], size=(4, 6), method='nearest')",
        X.repeat(2, 0).repeat(2, 1)[..., None],
    ),
    ("tf.math.divide_no_nan(x=X, y=0.0)", 0 * X),
    ("tf.math.is_nan(X)", np.isnan(X)),
    ("tf.math.top_k(X, k=2)[0]", np.sort(X)[:, :0:-1]),
    ("tf.meshgrid([1, 2], [3, 4])[1]", [[3, 3], [4, 4]]),
    ("tf.norm(X, axis=1)", np.linalg.norm(X, axis=1)),
    ("tf.nn.elu(X)", np.where(X > 0, X, E - 1)),
    ("tf.reduce_all(X > 0, axis=1)", (X > 0).all(1)),
    ("tf.reduce_any(X > 0, axis=0)", (X > 0).any(0)),
    ("tf.reverse(X, axis=[1])", X[:, ::-1]),
    ("tf.size(X)", 6),
    ("tf.sort(X, axis=1)", np.sort(X)),
    ("tf.tensordot(a=X, b=Y.T, axes=1)", X @ Y.T),
    ("tf.add(X, Y)", X + Y),
    ("tf.argmax(X)", X.argmax(0)),
    ("tf.argmax(X, axis=-1)", X.argmax(-1)),
    ("tf.math.argmax(X, 1, output_type=tf.int32)", X.argmax(1)),
    ("tf.broadcast_to(tf.constant([1.0, 2.0]), shape=(2, 2))", [[1, 2], [1, 2]]),
    ("tf.cast(X, tf.int32)", X.astype("int32")),
    ("tf.clip_by_value(X, -1, 2)", X.clip(-1, 2)),
    ("tf.clip_by_value(X, clip_value_min=-1, clip_value_max=2)", X.clip(-1, 2)),
    ("tf.concat([X, Y], axis=-1)", np.concatenate([X, Y], -1)),
    ("tf.concat(values=[X, Y], axis=0)", np.concatenate([X, Y])),
    ("tf.constant([1, 2])", [1, 2]),
    ("tf.constant(2.0, shape=(2, 3))", np.full((2, 3), 2)),
    ("tf.convert_to_tensor(X, dtype=tf.float32)", X),
    ("tf.divide(X, Y)", X / Y),
    ("tf.einsum('ij,kj->ik', X, Y)", X @ Y.T),
    ("tf.equal(X, 3.0)", X == 3),
    ("tf.exp(X)", E),
    ("tf.expand_dims(X, axis=-1)", X[..., None]),
    ("tf.gather(X, [1, 0])", X[[1, 0]]),
    ("tf.gather(X, [2], axis=1)", X[:, [2]]),
    ("tf.greater(X, Y)", X > Y),
    ("tf.identity(tf.constant(X))", X),
    ("tf.less(X, Y)", X < Y),
    ("tf.math.log(tf.abs(X))", np.log(np.abs(X))),
    ("tf.math.reduce_std(X, axis=0)", X.std(0)),
    ("tf.math.reduce_variance(X)", X.var()),
    ("tf.matmul(X, Y, transpose_b=True)", X @ Y.T),
    ("tf.linalg.matmul(X, Y, transpose_a=True)", X.T @ Y),
    ("tf.maximum(X, Y)", np.maximum(X, Y)),
    ("tf.minimum(x=X, y=Y)", np.minimum(X, Y)),
    ("tf.multiply(X, Y)", X * Y),
    ("tf.nn.l2_normalize(X, axis=1)", X / np.linalg.norm(X, axis=1, keepdims=True)),
    ("tf.nn.leaky_relu(X)", np.where(X > 0, X, 0.2 * X)),
    ("tf.nn.leaky_relu(X, alpha=0.1)", np.where(X > 0, X, 0.1 * X)),
    ("tf.nn.log_softmax(X)", X - np.log(E.sum(-1, keepdims=True))),
    ("tf.nn.relu(X)", X.clip(0)),
    ("tf.nn.sigmoid(X)", SIGMOID),
    ("tf.nn.softmax(logits=X)", E / E.sum(-1, keepdims=True)),
    ("tf.nn.softplus(X)", np.log1p(E)),
    ("tf.nn.swish(X)", X * SIGMOID),
    ("tf.one_hot([0, 2], depth=3)", [[1, 0, 0], [0, 0, 1]]),
    ("tf.ones((2, 2))", np.ones((2, 2))),
    ("tf.ones_like(X)", np.ones_like(X)),
    ("tf.pow(X, 2)", X**2),
    ("tf.range(5)", np.arange(5)),
    ("tf.range(start=1, limit=7, delta=2)", [1, 3, 5]),
    ("tf.reduce_max(X, axis=1)", X.max(1)),
    ("tf.reduce_mean(X)", X.mean()),
    ("tf.reduce_mean(input_tensor=X, axis=0, keepdims=True)", X.mean(0, keepdims=True)),
    ("tf.reduce_min(X, 0)", X.min(0)),
    ("tf.reduce_prod(X, 0)", X.prod(0)),
    ("tf.reduce_sum(X, axis=(0, 1), name='total')", X.sum()),
    ("tf.repeat(X, repeats=2, axis=0)", X.repeat(2, 0)),
    ("tf.reshape(X, [-1, 2])", X.reshape(-1, 2)),
    ("tf.reshape(tensor=X, shape=(6,))", X.reshape(6)),
    ("tf.round(X)", X.round()),
    ("tf.shape(X)[0]", 2),
    ("tf.sigmoid(X)", SIGMOID),
    ("tf.sign(X)", np.sign(X)),
    ("tf.split(X, num_or_size_splits=[1, 2], axis=1)[1]", X[:, 1:]),
    ("tf.split(X, 3, axis=1)[2]", X[:, 2:]),
    ("tf.sqrt(tf.abs(X))", np.sqrt(np.abs(X))),
    ("tf.square(X)", X**2),
    ("tf.squeeze(X[None], axis=0)", X),
    ("tf.stack([X, Y], axis=1)", np.stack([X, Y], 1)),
    ("tf.stop_gradient(tf.constant(X))", X),
    ("tf.subtract(X, Y)", X - Y),
    ("tf.tanh(X)", np.tanh(X)),
    ("tf.tile(X, multiples=[1, 2])", np.tile(X, (1, 2))),
    ("tf.transpose(X)", X.T),
    ("tf.transpose(X, perm=[1, 0])", X.T),
    ("tf.where(X > 0, x=X, y=Y)", np.where(X > 0, X, Y)),
    ("tf.zeros([2, 2])", np.zeros((2, 2))),
    ("tf.zeros_like(X)", np.zeros_like(X)),
    ("tf.nn.gelu(tf.constant([1.0]))", [0.8413447]),
    ("tf.function(lambda x: 2 * x)(X)", 2 * X),
    ("tf.function(reduce_retracing=True)(lambda x: 2 * x)(X)", 2 * X),
]


@pytest.fixture
def tf(as_keras: None) -> Any:
    return importlib.import_module("tensorflow")


@pytest.mark.parametrize(("code", "value"), CALLS, ids=[code for code, _ in CALLS])
def test_a_function(tf: Any, code: str, value: Any) -> None:
    got = np.asarray(eval(code, {"tf": tf, "X": X, "Y": Y}))
    np.testing.assert_allclose(got, value, rtol=1e-5, atol=1e-6)


def test_every_function_has_a_row() -> None:
    written = " ".join(code for code, _ in CALLS)
    functions = {name for name, value in members("").items() if not isinstance(value, Gone)}
    others = {
        "DType", "GradientTape", "Tensor", "TensorShape", "Variable", "executing_eagerly",
        "is_tensor", "print", "set_random_seed", "bfloat16", "bool", "float16", "float64", "int8",
        "int16", "int64", "uint8", "device", "get_logger", "name_scope",
    }  # fmt: skip
    assert not {name for name in functions - others if f"tf.{name}" not in written}


def test_types_are_tensorflows(tf: Any) -> None:
    assert tf.constant([1, 2]).dtype == tf.int32
    assert tf.constant([1.0]).dtype == tf.float32
    assert tf.constant(np.zeros(2)).dtype == tf.float64
    assert tf.argmax(X).dtype == tf.int64
    assert tf.argmax(X, output_type="int32").dtype == tf.int32
    assert tf.is_tensor(tf.zeros(2))
    assert tf.executing_eagerly()


def test_what_only_surrounds_a_computation(tf: Any) -> None:
    tf.get_logger().setLevel("ERROR")
    with tf.device("/GPU:0"), tf.name_scope("block"):
        assert tf.ones(2).device.type == "cpu"


def test_random_numbers(tf: Any) -> None:
    tf.random.set_seed(3)
    first = tf.random.normal((1000,), mean=2.0, stddev=0.5)
    tf.random.set_seed(3)
    assert torch.equal(first, tf.random.normal(shape=(1000,), mean=2.0, stddev=0.5))
    assert abs(float(first.mean()) - 2) < 0.1
    whole = tf.random.uniform((1000,), minval=2, maxval=5, dtype=tf.int32)
    assert set(whole.tolist()) == {2, 3, 4}
    assert float(tf.random.uniform([9]).min()) >= 0
    assert sorted(tf.random.shuffle(tf.range(9)).tolist()) == list(range(9))


def test_functions_join_a_functional_model(tf: Any) -> None:
    inputs = tf.keras.Input((3,))
    outputs = tf.reduce_sum(tf.square(inputs), axis=-1, keepdims=True)
    model = tf.keras.Model(inputs, outputs)
    np.testing.assert_allclose(model.predict(X, verbose=0)[:, 0], (X**2).sum(-1), rtol=1e-6)


def test_settings_of_devices(tf: Any) -> None:
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    assert len(gpus) == torch.cuda.device_count()
    assert len(tf.config.list_physical_devices()) == len(gpus) + 1
    assert tf.test.is_gpu_available() == bool(gpus)


# -- the tape --------------------------------------------------------------------------------------


def test_the_tape_gives_torchs_gradients(tf: Any) -> None:
    dense = nnkit.layers.Dense(1)
    inputs = torch.tensor(X)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(dense(inputs)))
    kernel, bias = tape.gradient(loss, dense.trainable_weights)
    expected = 2 * X * dense(inputs).detach().numpy() / 2
    np.testing.assert_allclose(kernel.reshape(-1).numpy(), expected.sum(0), rtol=1e-5)
    np.testing.assert_allclose(bias.numpy(), dense(inputs).detach().numpy().mean(0) * 2, rtol=1e-5)


def test_a_persistent_tape_watches_inputs(tf: Any) -> None:
    x = tf.constant([3.0])
    with torch.no_grad(), tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
        z = y * y
    assert tape.gradient(z, x).tolist() == [108.0]
    assert tape.gradient(y, [x])[0].tolist() == [6.0]
    assert tape.gradient(y, tf.Variable(1.0)) is None


def test_the_tape_knows_no_way_through_what_is_frozen(tf: Any) -> None:
    dense, x = nnkit.layers.Dense(1), torch.tensor(X)
    dense(x)
    dense.trainable = False
    with tf.GradientTape(persistent=True) as tape:
        maps = dense(x)
        loss = tf.reduce_mean(maps)
    assert tape.gradient(loss, maps) is None
    assert tape.gradient(loss, [maps, x]) == [None, None]
    dense.trainable = True
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(dense(x))
    gradients = tape.gradient(loss, [x, dense.trainable_weights[0]])
    assert gradients[0] is None
    np.testing.assert_allclose(gradients[1].numpy(), X.mean(0)[None], rtol=1e-5)


def test_values_that_have_a_gradient_are_read_as_arrays(tf: Any) -> None:
    dense, x = nnkit.layers.Dense(2), torch.tensor(X)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(dense(x)))
    assert loss.requires_grad
    assert loss.numpy() == loss.item()
    assert tape.gradient(loss, dense.trainable_weights[1]).numpy().shape == (2,)
    np.testing.assert_array_equal(dense(x).numpy(), dense(x).detach().tolist())
    uninstall_as_keras()
    with pytest.raises(RuntimeError, match="requires grad"):
        dense(x).numpy()


def test_a_tape_inside_another(tf: Any) -> None:
    time = tf.Variable(2.0)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            position = 4.9 * time**2
        speed = inner.gradient(position, time)
    assert float(outer.gradient(speed, time)) == pytest.approx(9.8)
    x = tf.constant([3.0])
    with tf.GradientTape() as outer:  # as a gradient penalty is written
        with tf.GradientTape() as inner:
            inner.watch(x)
            loss = tf.reduce_sum(time * x**2)
        penalty = tf.square(inner.gradient(loss, [x])[0] - 1.0)
    assert float(outer.gradient(penalty, time)) == pytest.approx(2 * (2 * 2 * 3 - 1) * 2 * 3)


def test_two_tapes_over_the_same_computation(tf: Any) -> None:
    first, second = tf.Variable(2.0), tf.Variable(3.0)
    with tf.GradientTape() as one, tf.GradientTape() as two:
        between = tf.square(first)
        loss, other = tf.square(between * second), between * second
    assert float(one.gradient(loss, first)) == 4 * 2.0**3 * 9
    assert float(two.gradient(other, second)) == 4.0


def test_a_variable(tf: Any) -> None:
    variable = tf.Variable([1.0, 2.0], name="v")
    variable.assign_add([1.0, 1.0])
    assert variable.numpy().tolist() == [2.0, 3.0]
    assert variable.trainable
    assert not tf.Variable(3, trainable=False).trainable


def test_a_training_step_with_a_tape(tf: Any) -> None:
    keras = tf.keras

    class Own(keras.Model):
        def train_step(self, data: Any) -> dict[str, Any]:
            x, y = data
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(self(x, training=True) - y))
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            return {"loss": loss}

    inputs = keras.Input((3,))
    outputs = keras.layers.Dense(1)(inputs)
    own, plain = Own(inputs, outputs), keras.Model(inputs, outputs)
    start = own.get_weights()
    own.compile("sgd")
    own.fit(X, Y[:, :1], epochs=3, shuffle=False, verbose=0)
    taped = own.get_weights()
    plain.set_weights(start)
    plain.compile("sgd", "mse")
    plain.fit(X, Y[:, :1], epochs=3, shuffle=False, verbose=0)
    for one, other in zip(taped, plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.usefixtures("as_keras")
def test_a_program_with_tf_data() -> None:
    names: dict[str, Any] = {"X": X, "Y": Y}
    exec(
        "import tensorflow as tf\n"
        "from tensorflow import keras\n"
        "AUTOTUNE = tf.data.AUTOTUNE\n"
        "data = tf.data.Dataset.from_tensor_slices((X, Y))\n"
        "data = data.shuffle(buffer_size=8).map(lambda x, y: (x * 2, y), AUTOTUNE)\n"
        "data = data.batch(1).prefetch(buffer_size=tf.data.AUTOTUNE)\n"
        "model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])\n"
        "model.compile('sgd', 'mse')\n"
        "history = model.fit(data, validation_data=data, epochs=2, verbose=0)\n",
        names,
    )
    assert len(names["history"].history["val_loss"]) == 2
    assert sorted(x[0, 0].item() for x, _ in names["data"]) == [1, 2]
