# ruff: noqa
"""tf.keras 2: a training loop written out, with tf.function and metrics reset by hand."""

import numpy as np
import tensorflow as tf
from fakes import digits
from tensorflow.keras import Model
from tensorflow.keras.layers import Conv2D, Dense, Flatten


class MyModel(Model):
    def __init__(self):
        super(MyModel, self).__init__()
        self.conv1 = Conv2D(4, 3, activation="relu")
        self.flatten = Flatten()
        self.d1 = Dense(8, activation="relu")
        self.d2 = Dense(10)

    def call(self, x):
        return self.d2(self.d1(self.flatten(self.conv1(x))))


(x_train, y_train), _ = digits(32)
x_train = x_train[..., np.newaxis].astype("float32") / 255.0
model = MyModel()
loss_object = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
optimizer = tf.keras.optimizers.Adam()
train_loss = tf.keras.metrics.Mean(name="train_loss")
train_accuracy = tf.keras.metrics.SparseCategoricalAccuracy(name="train_accuracy")


@tf.function
def train_step(images, labels):
    with tf.GradientTape() as tape:
        predictions = model(images, training=True)
        loss = loss_object(labels, predictions)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    train_loss(loss)
    train_accuracy(labels, predictions)


for epoch in range(2):
    train_loss.reset_states()
    train_accuracy.reset_states()
    for i in range(0, 32, 16):
        train_step(tf.constant(x_train[i : i + 16]), tf.constant(y_train[i : i + 16]))
    print(
        f"Epoch {epoch + 1}, Loss: {train_loss.result():.3f}, Acc: {train_accuracy.result() * 100}"
    )
print("Result:", len(model.trainable_variables), float(train_loss.result()) > 0)
