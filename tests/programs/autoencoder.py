# ruff: noqa
"""Keras 2: a denoising convolutional autoencoder whose encoder is taken out afterwards."""

import numpy as np
from fakes import digits
from keras.layers import Conv2D, Input, MaxPooling2D, UpSampling2D
from keras.models import Model

(x_train, _), (x_test, _) = digits(48)
x_train = np.reshape(x_train.astype("float32") / 255.0, (len(x_train), 28, 28, 1))
noisy = np.clip(x_train + 0.3 * np.random.normal(size=x_train.shape), 0.0, 1.0)

input_img = Input(shape=(28, 28, 1))
x = Conv2D(8, (3, 3), activation="relu", padding="same")(input_img)
x = MaxPooling2D((2, 2), padding="same")(x)
x = Conv2D(4, (3, 3), activation="relu", padding="same")(x)
encoded = MaxPooling2D((2, 2), padding="same", name="encoder")(x)
x = Conv2D(4, (3, 3), activation="relu", padding="same")(encoded)
x = UpSampling2D((2, 2))(x)
x = Conv2D(8, (3, 3), activation="relu", padding="same")(x)
x = UpSampling2D((2, 2))(x)
decoded = Conv2D(1, (3, 3), activation="sigmoid", padding="same")(x)

autoencoder = Model(input_img, decoded)
autoencoder.compile(optimizer="adam", loss="binary_crossentropy")
autoencoder.fit(noisy, x_train, epochs=2, batch_size=16, shuffle=True, verbose=0)
encoder = Model(autoencoder.input, autoencoder.get_layer("encoder").output)
codes = encoder.predict(x_train)
print("Result:", codes.shape, autoencoder.predict(noisy[:2]).shape, autoencoder.count_params())
