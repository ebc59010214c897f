# ruff: noqa
"""Keras 1: a dense network on flattened digits, with np_utils and nb_epoch."""

from __future__ import print_function

import numpy as np
from fakes import digits
from keras.layers.core import Activation, Dense, Dropout
from keras.models import Sequential
from keras.optimizers import RMSprop
from keras.utils import np_utils

batch_size = 32
nb_classes = 10
nb_epoch = 2

(X_train, y_train), (X_test, y_test) = digits(96)
X_train = X_train.reshape(96, 784).astype("float32") / 255
X_test = X_test.reshape(-1, 784).astype("float32") / 255
Y_train = np_utils.to_categorical(y_train, nb_classes)
Y_test = np_utils.to_categorical(y_test, nb_classes)

model = Sequential()
model.add(Dense(64, input_shape=(784,), init="uniform"))
model.add(Activation("relu"))
model.add(Dropout(0.2))
model.add(Dense(output_dim=nb_classes))
model.add(Activation("softmax"))
model.summary()

model.compile(loss="categorical_crossentropy", optimizer=RMSprop(lr=0.001), metrics=["accuracy"])
history = model.fit(
    X_train,
    Y_train,
    batch_size=batch_size,
    nb_epoch=nb_epoch,
    verbose=1,
    validation_data=(X_test, Y_test),
)
score = model.evaluate(X_test, Y_test, verbose=0)
print("Test score:", score[0])
print("Test accuracy:", score[1])
classes = model.predict_classes(X_test, verbose=0)
print("Result:", len(history.history["val_loss"]), classes.shape, 0 <= score[1] <= 1)
