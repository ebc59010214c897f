# ruff: noqa
"""Keras 2: a shared network over pairs, Lambda distance, contrastive loss."""

import numpy as np
from keras import backend as K
from keras.layers import Dense, Dropout, Flatten, Input, Lambda
from keras.models import Model
from keras.optimizers import RMSprop


def euclidean_distance(vects):
    x, y = vects
    sum_square = K.sum(K.square(x - y), axis=1, keepdims=True)
    return K.sqrt(K.maximum(sum_square, K.epsilon()))


def eucl_dist_output_shape(shapes):
    shape1, shape2 = shapes
    return (shape1[0], 1)


def contrastive_loss(y_true, y_pred):
    margin = 1
    square_pred = K.square(y_pred)
    margin_square = K.square(K.maximum(margin - y_pred, 0))
    return K.mean(y_true * square_pred + (1 - y_true) * margin_square)


def accuracy(y_true, y_pred):
    return K.mean(K.equal(y_true, K.cast(y_pred < 0.5, y_true.dtype)))


def create_base_network(input_shape):
    input = Input(shape=input_shape)
    x = Flatten()(input)
    x = Dense(16, activation="relu")(x)
    x = Dropout(0.1)(x)
    x = Dense(8, activation="relu")(x)
    return Model(input, x)


base_network = create_base_network((6, 6))
input_a, input_b = Input(shape=(6, 6)), Input(shape=(6, 6))
distance = Lambda(euclidean_distance, output_shape=eucl_dist_output_shape)(
    [base_network(input_a), base_network(input_b)]
)
model = Model([input_a, input_b], distance)
model.compile(loss=contrastive_loss, optimizer=RMSprop(), metrics=[accuracy])
pairs = np.random.normal(size=(32, 2, 6, 6))
labels = np.random.randint(0, 2, 32).astype("float32")
history = model.fit([pairs[:, 0], pairs[:, 1]], labels, batch_size=8, epochs=2, verbose=0)
print(
    "Result:",
    model.predict([pairs[:, 0], pairs[:, 1]]).shape,
    sorted(history.history),
    model.count_params(),
)
