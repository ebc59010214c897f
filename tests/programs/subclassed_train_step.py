# ruff: noqa
"""tf.keras 2: a subclassed model with its own train_step, a tape and metric objects."""

import numpy as np
import tensorflow as tf
from fakes import houses
from tensorflow import keras

loss_tracker = keras.metrics.Mean(name="loss")
mae_metric = keras.metrics.MeanAbsoluteError(name="mae")


class CustomModel(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = tf.reduce_mean(keras.losses.mean_squared_error(y, y_pred))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        loss_tracker.update_state(loss)
        mae_metric.update_state(y, y_pred)
        return {"loss": loss_tracker.result(), "mae": mae_metric.result()}

    @property
    def metrics(self):
        return [loss_tracker, mae_metric]


(x, y), _ = houses()
inputs = keras.Input(shape=(13,))
outputs = keras.layers.Dense(1)(inputs)
model = CustomModel(inputs, outputs)
model.compile(optimizer=keras.optimizers.SGD(0.01))
history = model.fit(x, y.reshape(-1, 1), epochs=3, verbose=0)
falls = history.history["loss"][-1] < history.history["loss"][0]
print("Result:", sorted(history.history), falls)
