# ruff: noqa
"""Keras 2: what old programs do with K outside of models: variables, values, shapes."""

import numpy as np
from keras import backend as K
from keras.layers import Dense, Input
from keras.models import Model

kvar = K.variable(np.array([[1, 2], [3, 4]]), dtype="float32", name="example")
K.set_value(kvar, K.get_value(kvar) * 2)
total = K.get_value(K.sum(kvar))
inputs = Input((3,))
hidden = Dense(4, activation="relu", name="hidden")(inputs)
outputs = Dense(2, name="out")(hidden)
model = Model(inputs, outputs)
model.compile(optimizer="sgd", loss="mse")
K.set_value(model.optimizer.learning_rate, 0.05)
print("rate", K.get_value(model.optimizer.learning_rate))
print("shapes", K.int_shape(hidden), K.ndim(outputs), K.is_keras_tensor(hidden))
get_hidden = K.function([model.input], [model.get_layer("hidden").output])
activations = get_hidden([np.ones((2, 3))])[0]
a = K.concatenate([K.ones((2, 2)), K.zeros((2, 2))], axis=-1)
b = K.batch_dot(K.constant(np.ones((2, 3, 4))), K.constant(np.ones((2, 4, 5))), axes=[2, 1])
c = K.switch(K.greater(a, 0.5), a * 2, a)
print(
    "Result:",
    float(total),
    activations.shape,
    K.eval(c)[0].tolist(),
    K.int_shape(b),
    K.backend() in ("torch", "tensorflow"),
    K.epsilon(),
)
