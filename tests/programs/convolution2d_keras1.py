# ruff: noqa
"""Keras 1: rows and columns of a kernel apart, border_mode, subsample, SGD with decay."""

import numpy as np
from keras.layers.convolutional import Convolution2D, MaxPooling2D, ZeroPadding2D
from keras.layers.core import Activation, Dense, Dropout, Flatten
from keras.models import Sequential
from keras.optimizers import SGD

model = Sequential()
model.add(ZeroPadding2D((1, 1), input_shape=(16, 16, 3)))
model.add(Convolution2D(8, 3, 3, activation="relu", border_mode="valid"))
model.add(Convolution2D(8, 3, 3, border_mode="same", subsample=(2, 2)))
model.add(Activation("relu"))
model.add(MaxPooling2D((2, 2), strides=(2, 2)))
model.add(Flatten())
model.add(Dense(16, activation="relu"))
model.add(Dropout(0.5))
model.add(Dense(2, activation="softmax"))

sgd = SGD(lr=0.01, decay=1e-6, momentum=0.9, nesterov=True)
model.compile(loss="categorical_crossentropy", optimizer=sgd)

X = np.random.random((32, 16, 16, 3))
Y = np.eye(2)[np.random.randint(0, 2, 32)]
hist = model.fit(X, Y, batch_size=16, nb_epoch=1, shuffle=True, verbose=2)
proba = model.predict_proba(X[:4], batch_size=4)
print("Result:", model.output_shape, proba.shape, np.allclose(proba.sum(axis=1), 1, atol=1e-5))
