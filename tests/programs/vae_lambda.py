# ruff: noqa
"""Keras 2: a variational autoencoder with Lambda, K.random_normal and a layer that adds losses."""

import numpy as np
from fakes import digits
from keras import backend as K
from keras.layers import Dense, Input, Lambda, Layer
from keras.losses import binary_crossentropy
from keras.models import Model

original_dim, intermediate_dim, latent_dim = 784, 32, 2


def sampling(args):
    z_mean, z_log_var = args
    batch = K.shape(z_mean)[0]
    dim = K.int_shape(z_mean)[1]
    epsilon = K.random_normal(shape=(batch, dim))
    return z_mean + K.exp(0.5 * z_log_var) * epsilon


inputs = Input(shape=(original_dim,), name="encoder_input")
x = Dense(intermediate_dim, activation="relu")(inputs)
z_mean = Dense(latent_dim, name="z_mean")(x)
z_log_var = Dense(latent_dim, name="z_log_var")(x)
z = Lambda(sampling, output_shape=(latent_dim,), name="z")([z_mean, z_log_var])
encoder = Model(inputs, [z_mean, z_log_var, z], name="encoder")

latent_inputs = Input(shape=(latent_dim,), name="z_sampling")
x = Dense(intermediate_dim, activation="relu")(latent_inputs)
outputs = Dense(original_dim, activation="sigmoid")(x)
decoder = Model(latent_inputs, outputs, name="decoder")


class VariationalLoss(Layer):
    def call(self, tensors):
        x, decoded, mean, log_var = tensors
        reconstruction = original_dim * binary_crossentropy(x, decoded)
        kl = -0.5 * K.sum(1 + log_var - K.square(mean) - K.exp(log_var), axis=-1)
        self.add_loss(K.mean(reconstruction + kl))
        return decoded


outputs = decoder(encoder(inputs)[2])
outputs = VariationalLoss()([inputs, outputs, z_mean, z_log_var])
vae = Model(inputs, outputs, name="vae_mlp")
vae.compile(optimizer="adam")
vae.summary()

(x_train, _), (x_test, _) = digits(64)
x_train = x_train.reshape(-1, original_dim) / 255.0
history = vae.fit(x_train, epochs=2, batch_size=16, verbose=0)
means, _, _ = encoder.predict(x_train, batch_size=16)
print("Result:", means.shape, decoder.predict(np.zeros((3, 2))).shape, len(history.history["loss"]))
