# ruff: noqa
"""Keras 2: own layers with build, add_weight and compute_output_shape, old super() calls."""

import numpy as np
from keras import backend as K
from keras import initializers
from keras.layers import Dense, Input, Layer
from keras.models import Model


class MyLayer(Layer):
    def __init__(self, output_dim, **kwargs):
        self.output_dim = output_dim
        super(MyLayer, self).__init__(**kwargs)

    def build(self, input_shape):
        self.kernel = self.add_weight(
            name="kernel",
            shape=(input_shape[1], self.output_dim),
            initializer="uniform",
            trainable=True,
        )
        super(MyLayer, self).build(input_shape)

    def call(self, x):
        return K.dot(x, self.kernel)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.output_dim)


class Attention(Layer):
    """Weights the steps of a sequence."""

    def __init__(self, **kwargs):
        self.init = initializers.get("glorot_uniform")
        super().__init__(**kwargs)

    def build(self, input_shape):
        self.W = self.add_weight(shape=(input_shape[-1], 1), initializer=self.init, name="W")
        self.b = self.add_weight(shape=(input_shape[1], 1), initializer="zeros", name="b")
        self.built = True

    def call(self, x, mask=None):
        e = K.squeeze(K.tanh(K.dot(x, self.W) + self.b), axis=-1)
        a = K.exp(e)
        a = a / K.cast(K.sum(a, axis=1, keepdims=True) + K.epsilon(), K.floatx())
        return K.sum(x * K.expand_dims(a), axis=1)

    def get_config(self):
        return super().get_config()


inputs = Input(shape=(5, 8))
x = Attention(name="attention")(inputs)
outputs = Dense(1)(MyLayer(4)(x))
model = Model(inputs, outputs)
model.compile(optimizer="adam", loss="mse")
model.summary()
model.fit(np.random.normal(size=(16, 5, 8)), np.random.normal(size=(16, 1)), epochs=1, verbose=0)
shapes = [w.shape for w in model.get_weights()]
print("Result:", [layer.name for layer in model.layers], shapes)
