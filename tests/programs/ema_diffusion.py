# ruff: noqa
"""Keras 3 on torch: a diffusion model whose averaged copy is used to generate."""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch
from fakes import fixed_weights
from keras import layers, ops


def residual_block(width):
    def apply(x):
        residual = x if x.shape[3] == width else layers.Conv2D(width, kernel_size=1)(x)
        x = layers.BatchNormalization(center=False, scale=False)(x)
        x = layers.Conv2D(width, kernel_size=3, padding="same", activation="swish")(x)
        return layers.Add()([x, residual])

    return apply


@keras.saving.register_keras_serializable()
def sinusoidal_embedding(x):
    frequencies = ops.exp(ops.linspace(ops.log(1.0), ops.log(1000.0), 2))
    angles = ops.cast(2.0 * np.pi * frequencies, "float32")
    return ops.concatenate([ops.sin(angles * x), ops.cos(angles * x)], axis=3)


def get_network(size):
    noisy_images, noise_variances = keras.Input((size, size, 1)), keras.Input((1, 1, 1))
    e = layers.Lambda(sinusoidal_embedding, output_shape=(1, 1, 4))(noise_variances)
    e = layers.UpSampling2D(size=size, interpolation="nearest")(e)
    x = layers.Concatenate()([layers.Conv2D(4, kernel_size=1)(noisy_images), e])
    skip = x = residual_block(8)(x)
    x = layers.AveragePooling2D(pool_size=2)(x)
    x = residual_block(8)(x)
    x = layers.UpSampling2D(size=2, interpolation="bilinear")(x)
    x = residual_block(4)(layers.Concatenate()([x, skip]))
    return keras.Model([noisy_images, noise_variances], layers.Conv2D(1, kernel_size=1)(x))


class DiffusionModel(keras.Model):
    def __init__(self, size):
        super().__init__()
        self.normalizer = layers.Normalization()
        self.network = get_network(size)
        self.ema_network = keras.models.clone_model(self.network)

    def compile(self, **kwargs):
        super().compile(**kwargs)
        self.noise_loss_tracker = keras.metrics.Mean(name="n_loss")

    @property
    def metrics(self):
        return [self.noise_loss_tracker]

    def call(self, images):
        return self.denoise(self.normalizer(images), 0.6, 0.8, training=False)[1]

    def denoise(self, noisy_images, noise_rate, signal_rate, training):
        network = self.network if training else self.ema_network
        variances = ops.ones((ops.shape(noisy_images)[0], 1, 1, 1)) * noise_rate**2
        noises = network([noisy_images, variances], training=training)
        return noises, (noisy_images - noise_rate * noises) / signal_rate

    def train_step(self, images):
        images = self.normalizer(images[0] if isinstance(images, (tuple, list)) else images)
        noises = ops.ones_like(images) * 0.1
        self.zero_grad()
        predicted, _ = self.denoise(0.8 * images + 0.6 * noises, 0.6, 0.8, training=True)
        loss = ops.mean(keras.losses.mean_absolute_error(noises, predicted))
        loss.backward()
        gradients = [weight.value.grad for weight in self.network.trainable_weights]
        with torch.no_grad():
            self.optimizer.apply(gradients, self.network.trainable_weights)
        self.noise_loss_tracker.update_state(loss)
        for weight, ema_weight in zip(self.network.weights, self.ema_network.weights):
            ema_weight.assign(0.9 * ema_weight + 0.1 * weight)
        return {m.name: m.result() for m in self.metrics}


images = np.random.RandomState(0).uniform(size=(8, 8, 8, 1)).astype("float32")
model = DiffusionModel(8)
model.normalizer.adapt(images)
fixed_weights(model.network)
fixed_weights(model.ema_network)
model.compile(optimizer=keras.optimizers.SGD(learning_rate=1e-3, momentum=0.9))
history = model.fit(images, epochs=2, batch_size=4, shuffle=False, verbose=0)
generated = ops.convert_to_numpy(model(images[:2]))
print(
    "Result:",
    ["%.3f" % loss for loss in history.history["n_loss"]],
    generated.shape,
    "%.1f" % generated.mean(),
    len(model.ema_network.weights),
)
