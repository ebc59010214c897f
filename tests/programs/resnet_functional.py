# ruff: noqa
"""Keras 2: residual blocks as functions, a schedule, l2 regularizers, He initial values."""

import numpy as np
from fakes import colours
from keras.callbacks import LearningRateScheduler, ReduceLROnPlateau
from keras.layers import (
    Activation, AveragePooling2D, BatchNormalization, Conv2D, Dense, Flatten, Input, add,
)  # fmt: skip
from keras.models import Model
from keras.optimizers import Adam
from keras.regularizers import l2
from keras.utils import to_categorical


def lr_schedule(epoch):
    return 1e-3 if epoch < 1 else 1e-4


def resnet_layer(inputs, num_filters=4, kernel_size=3, strides=1, activation="relu"):
    conv = Conv2D(
        num_filters,
        kernel_size=kernel_size,
        strides=strides,
        padding="same",
        kernel_initializer="he_normal",
        kernel_regularizer=l2(1e-4),
    )
    x = BatchNormalization()(conv(inputs))
    return x if activation is None else Activation(activation)(x)


inputs = Input(shape=(16, 16, 3))
x = resnet_layer(inputs)
filters = 4
for stack in range(2):
    strides = 1 if stack == 0 else 2
    y = resnet_layer(x, filters, strides=strides)
    y = resnet_layer(y, filters, activation=None)
    if stack > 0:
        x = resnet_layer(x, filters, kernel_size=1, strides=strides, activation=None)
    x = Activation("relu")(add([x, y]))
    filters *= 2
    y = Conv2D(filters, 1)(x)
    x = y
x = AveragePooling2D(pool_size=8)(x)
outputs = Dense(10, activation="softmax", kernel_initializer="he_normal")(Flatten()(x))
model = Model(inputs=inputs, outputs=outputs)
model.compile(
    loss="categorical_crossentropy",
    optimizer=Adam(learning_rate=lr_schedule(0)),
    metrics=["accuracy"],
)
model.summary()
(images, labels), _ = colours(32, size=16)
model.fit(
    images / 255.0,
    to_categorical(labels, 10),
    epochs=2,
    batch_size=16,
    verbose=0,
    validation_split=0.25,
    callbacks=[LearningRateScheduler(lr_schedule), ReduceLROnPlateau(factor=0.3, patience=5)],
)
print(
    "Result:",
    model.count_params(),
    len(model.losses),
    round(float(model.optimizer.learning_rate), 6),
)
