# ruff: noqa
"""Keras 3 on torch: a quantizer that passes gradients straight through, trained by a wrapper."""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch
from fakes import fixed_weights
from keras import layers, ops


class VectorQuantizer(layers.Layer):
    def __init__(self, num_embeddings, embedding_dim, beta=0.25, **kwargs):
        super().__init__(**kwargs)
        self.num_embeddings, self.embedding_dim, self.beta = num_embeddings, embedding_dim, beta
        self.embeddings = self.add_weight(
            shape=(embedding_dim, num_embeddings), initializer="uniform", name="embeddings_vqvae"
        )

    def call(self, x):
        flat = ops.reshape(x, (-1, self.embedding_dim))
        encodings = ops.one_hot(self.get_code_indices(flat), self.num_embeddings)
        quantized = ops.matmul(encodings, ops.transpose(self.embeddings))
        quantized = ops.reshape(quantized, ops.shape(x))
        commitment = ops.mean((ops.stop_gradient(quantized) - x) ** 2)
        codebook = ops.mean((quantized - ops.stop_gradient(x)) ** 2)
        self.add_loss(self.beta * commitment + codebook)
        return x + ops.stop_gradient(quantized - x)

    def get_code_indices(self, flat):
        similarity = ops.matmul(flat, self.embeddings)
        distances = ops.sum(flat**2, axis=1, keepdims=True) - 2 * similarity
        distances = distances + ops.sum(self.embeddings**2, axis=0)
        return ops.argmin(distances, axis=1)


def get_encoder():
    inputs = keras.Input(shape=(8, 8, 1))
    x = layers.Conv2D(8, 3, activation="relu", strides=2, padding="same")(inputs)
    return keras.Model(inputs, layers.Conv2D(4, 1, padding="same")(x), name="encoder")


def get_decoder():
    latent_inputs = keras.Input(shape=get_encoder().output.shape[1:])
    x = layers.Conv2DTranspose(8, 3, activation="relu", strides=2, padding="same")(latent_inputs)
    outputs = layers.Conv2DTranspose(1, 3, padding="same")(x)
    return keras.Model(latent_inputs, outputs, name="decoder")


class VQVAETrainer(keras.models.Model):
    def __init__(self, train_variance, vqvae, **kwargs):
        super().__init__(**kwargs)
        self.train_variance, self.vqvae = train_variance, vqvae
        self.total_loss_tracker = keras.metrics.Mean(name="total_loss")
        self.vq_loss_tracker = keras.metrics.Mean(name="vqvae_loss")

    @property
    def metrics(self):
        return [self.total_loss_tracker, self.vq_loss_tracker]

    def call(self, x):
        return self.vqvae(x)

    def train_step(self, x):
        x = x[0] if isinstance(x, (tuple, list)) else x
        self.zero_grad()
        reconstructions = self.vqvae(x)
        reconstruction_loss = ops.mean((x - reconstructions) ** 2) / self.train_variance
        total_loss = reconstruction_loss + sum(self.vqvae.losses)
        total_loss.backward()
        weights = self.vqvae.trainable_variables
        with torch.no_grad():
            self.optimizer.apply([w.value.grad for w in weights], weights)
        self.total_loss_tracker.update_state(total_loss)
        self.vq_loss_tracker.update_state(sum(self.vqvae.losses))
        return {
            "loss": self.total_loss_tracker.result(),
            "vqvae_loss": self.vq_loss_tracker.result(),
        }


images = np.random.RandomState(8).uniform(size=(16, 8, 8, 1)).astype("float32")
quantizer = VectorQuantizer(16, 4, name="vector_quantizer")
inputs = keras.Input(shape=(8, 8, 1))
encoder, decoder = get_encoder(), get_decoder()
vqvae = keras.Model(inputs, decoder(quantizer(encoder(inputs))), name="vq_vae")
fixed_weights(vqvae)
trainer = VQVAETrainer(float(np.var(images)), vqvae)
trainer.compile(optimizer=keras.optimizers.Adam())
history = trainer.fit(images, epochs=2, batch_size=8, shuffle=False, verbose=0)
encoded = encoder.predict(images[:2], verbose=0).reshape(-1, 4)
codes = ops.convert_to_numpy(quantizer.get_code_indices(ops.convert_to_tensor(encoded)))
print(
    "Result:",
    sorted(history.history),
    ["%.3f" % loss for loss in history.history["loss"]],
    vqvae.count_params(),
    codes.shape,
)
