# ruff: noqa
"""Keras 2: ImageDataGenerator.flow with augmentation, fit_generator, evaluate_generator."""

import numpy as np
from fakes import colours
from keras.layers import Activation, Conv2D, Dense, Flatten, MaxPooling2D
from keras.models import Sequential
from keras.preprocessing.image import ImageDataGenerator, array_to_img, img_to_array
from keras.utils import to_categorical

(x_train, y_train), (x_test, y_test) = colours(32)
datagen = ImageDataGenerator(
    rotation_range=10,
    width_shift_range=0.1,
    height_shift_range=0.1,
    horizontal_flip=True,
    zoom_range=0.1,
    rescale=1.0 / 255,
)
datagen.fit(x_train)
model = Sequential()
model.add(Conv2D(4, (3, 3), input_shape=x_train.shape[1:]))
model.add(Activation("relu"))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Flatten())
model.add(Dense(10))
model.add(Activation("softmax"))
model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
history = model.fit_generator(
    datagen.flow(x_train, to_categorical(y_train, 10), batch_size=16),
    steps_per_epoch=len(x_train) // 16,
    epochs=1,
    validation_data=(x_test / 255.0, to_categorical(y_test, 10)),
    workers=1,
    verbose=0,
)
back = img_to_array(array_to_img(x_train[0]))
print("Result:", sorted(history.history), back.shape)
