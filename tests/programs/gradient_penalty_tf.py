# ruff: noqa
"""tf.keras 2: a Wasserstein GAN whose gradient penalty needs a tape inside another."""

import numpy as np
import tensorflow as tf
from fakes import fixed_weights
from tensorflow import keras
from tensorflow.keras import layers

discriminator = keras.Sequential(
    [
        layers.Conv2D(4, 3, strides=2, padding="same", input_shape=(8, 8, 1)),
        layers.LeakyReLU(0.2),
        layers.Flatten(),
        layers.Dense(1),
    ]
)
generator = keras.Sequential(
    [
        layers.Dense(4 * 4 * 2, use_bias=False, input_shape=(4,)),
        layers.Reshape((4, 4, 2)),
        layers.UpSampling2D((2, 2)),
        layers.Conv2D(1, 3, padding="same", activation="tanh"),
    ]
)
fixed_weights(discriminator)
fixed_weights(generator)


class WGAN(keras.Model):
    def __init__(self, discriminator, generator, d_steps=2, gp_weight=10.0):
        super(WGAN, self).__init__()
        self.discriminator, self.generator = discriminator, generator
        self.d_steps, self.gp_weight = d_steps, gp_weight

    def compile(self, d_optimizer, g_optimizer):
        super(WGAN, self).compile()
        self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer

    def gradient_penalty(self, real_images, fake_images):
        interpolated = real_images + 0.3 * (fake_images - real_images)
        with tf.GradientTape() as gp_tape:
            gp_tape.watch(interpolated)
            prediction = self.discriminator(interpolated, training=True)
        gradients = gp_tape.gradient(prediction, [interpolated])[0]
        norm = tf.sqrt(tf.reduce_sum(tf.square(gradients), axis=[1, 2, 3]))
        return tf.reduce_mean((norm - 1.0) ** 2)

    def train_step(self, real_images):
        if isinstance(real_images, tuple):
            real_images = real_images[0]
        noise = tf.ones((tf.shape(real_images)[0], 4))
        for _ in range(self.d_steps):
            with tf.GradientTape() as tape:
                fake_images = self.generator(noise, training=True)
                fake_logits = self.discriminator(fake_images, training=True)
                real_logits = self.discriminator(real_images, training=True)
                penalty = self.gradient_penalty(real_images, fake_images)
                d_loss = tf.reduce_mean(fake_logits) - tf.reduce_mean(real_logits)
                d_loss = d_loss + penalty * self.gp_weight
            gradients = tape.gradient(d_loss, self.discriminator.trainable_variables)
            self.d_optimizer.apply_gradients(zip(gradients, self.discriminator.trainable_variables))
        with tf.GradientTape() as tape:
            g_loss = -tf.reduce_mean(self.discriminator(self.generator(noise), training=True))
        gradients = tape.gradient(g_loss, self.generator.trainable_variables)
        self.g_optimizer.apply_gradients(zip(gradients, self.generator.trainable_variables))
        return {"d_loss": d_loss, "g_loss": g_loss, "penalty": penalty}


images = np.random.RandomState(6).uniform(-1, 1, size=(8, 8, 8, 1)).astype("float32")
wgan = WGAN(discriminator, generator)
wgan.compile(
    keras.optimizers.Adam(learning_rate=0.01, beta_1=0.5, beta_2=0.9),
    keras.optimizers.Adam(learning_rate=0.01, beta_1=0.5, beta_2=0.9),
)
history = wgan.fit(images, epochs=4, batch_size=8, verbose=0, shuffle=False).history
print("Result:", sorted(history), history["penalty"][-1] < history["penalty"][0])
