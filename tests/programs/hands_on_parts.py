# ruff: noqa
"""Keras 3 as textbooks teach it: every part written by hand, saved, and used in training."""

import keras
import numpy as np
from fakes import fixed_weights, houses
from keras import layers, ops


class HuberLoss(keras.losses.Loss):
    def __init__(self, threshold=1.0, **kwargs):
        self.threshold = threshold
        super().__init__(**kwargs)

    def call(self, y_true, y_pred):
        error = y_true - y_pred
        squared, linear = error**2 / 2, self.threshold * ops.abs(error) - self.threshold**2 / 2
        return ops.where(ops.abs(error) < self.threshold, squared, linear)

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}


class HuberMetric(keras.metrics.Metric):
    def __init__(self, threshold=1.0, **kwargs):
        super().__init__(**kwargs)
        self.threshold = threshold
        self.total = self.add_weight(name="total", initializer="zeros")
        self.count = self.add_weight(name="count", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        values = HuberLoss(self.threshold).call(y_true, y_pred)
        self.total.assign_add(ops.sum(values))
        self.count.assign_add(ops.cast(ops.size(y_true), "float32"))

    def result(self):
        return self.total / self.count

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}


class MyL1Regularizer(keras.regularizers.Regularizer):
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, weights):
        return ops.sum(ops.abs(self.factor * weights))

    def get_config(self):
        return {"factor": self.factor}


def my_softplus(z):
    return ops.log(1.0 + ops.exp(z))


def my_glorot_initializer(shape, dtype=None):
    return keras.random.normal(shape, stddev=(2.0 / (shape[0] + shape[1])) ** 0.5, dtype=dtype)


def my_positive_weights(weights):
    return ops.where(weights < 0.0, ops.zeros_like(weights), weights)


class MyDense(layers.Layer):
    def __init__(self, units, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)

    def build(self, batch_input_shape):
        self.kernel = self.add_weight(
            name="kernel", shape=[batch_input_shape[-1], self.units], initializer="he_normal"
        )
        self.bias = self.add_weight(name="bias", shape=[self.units], initializer="zeros")

    def call(self, X):
        return self.activation(X @ self.kernel + self.bias)

    def get_config(self):
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), "units": self.units, "activation": activation}


class MCDropout(layers.Dropout):
    def call(self, inputs, training=None):
        return super().call(inputs, training=True)


class OneCycleScheduler(keras.callbacks.Callback):
    def __init__(self, iterations, max_lr):
        super().__init__()
        self.half, self.iteration, self.max_lr, self.rates = iterations // 2, 0, max_lr, []

    def on_batch_begin(self, batch, logs=None):
        distance = abs(self.iteration - self.half) / self.half
        self.iteration += 1
        self.model.optimizer.learning_rate = self.max_lr * (1.05 - distance)

    def on_batch_end(self, batch, logs=None):
        self.rates.append(float(np.array(self.model.optimizer.learning_rate)))


class DenseTranspose(layers.Layer):
    def __init__(self, dense, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.dense = dense
        self.activation = keras.activations.get(activation)

    def build(self, batch_input_shape):
        self.biases = self.add_weight(
            name="bias", shape=(self.dense.kernel.shape[0],), initializer="zeros"
        )

    def call(self, inputs):
        return self.activation(ops.matmul(inputs, ops.transpose(self.dense.kernel)) + self.biases)


(X, y), _ = houses()
X, y = X.astype("float32"), (y[:, None] / 20).astype("float32")
model = keras.Sequential(
    [
        keras.Input((13,)),
        layers.Dense(
            8,
            activation=my_softplus,
            kernel_initializer=my_glorot_initializer,
            kernel_regularizer=MyL1Regularizer(0.01),
            kernel_constraint=my_positive_weights,
        ),
        MyDense(8, activation="relu"),
        MCDropout(0.0),
        layers.Dense(1),
    ]
)
fixed_weights(model)
model.compile(loss=HuberLoss(2.0), optimizer="nadam", metrics=[HuberMetric(2.0, name="huber")])
schedule = OneCycleScheduler(8, max_lr=0.01)
history = model.fit(
    X, y, epochs=2, batch_size=16, validation_split=0.25, shuffle=False, verbose=0,
    callbacks=[schedule],
)  # fmt: skip
model.save("parts.keras")
parts = [HuberLoss, HuberMetric, MyL1Regularizer, MyDense, MCDropout]
parts += [my_softplus, my_glorot_initializer, my_positive_weights]
again = keras.models.load_model(
    "parts.keras", custom_objects={part.__name__: part for part in parts}
)
again.fit(X, y, epochs=1, verbose=0)

dense_1, dense_2 = layers.Dense(6, activation="selu"), layers.Dense(3, activation="selu")
encoder = keras.Sequential([keras.Input((13,)), dense_1, dense_2])
decoder = keras.Sequential(
    [keras.Input((3,)), DenseTranspose(dense_2, activation="selu"), DenseTranspose(dense_1)]
)
autoencoder = keras.Sequential([encoder, decoder])
autoencoder.compile(loss="mse", optimizer="nadam")
autoencoder.fit(X, X, epochs=1, verbose=0)
print(
    "Result:",
    sorted(history.history),
    ["%.3f" % loss for loss in history.history["huber"]],
    ["%.4f" % rate for rate in schedule.rates],
    again.loss.threshold,
    bool((model.get_weights()[0] >= 0).all()),
    autoencoder.count_params(),
)
