# ruff: noqa
"""Keras 2: own losses and metrics made of K functions, closures among them."""

import numpy as np
from keras import backend as K
from keras.layers import Dense
from keras.models import Sequential


def root_mean_squared_error(y_true, y_pred):
    return K.sqrt(K.mean(K.square(y_pred - y_true), axis=-1))


def r_squared(y_true, y_pred):
    residual = K.sum(K.square(y_true - y_pred))
    total = K.sum(K.square(y_true - K.mean(y_true)))
    return 1 - residual / (total + K.epsilon())


def precision(y_true, y_pred):
    true_positives = K.sum(K.round(K.clip(y_true * y_pred, 0, 1)))
    predicted_positives = K.sum(K.round(K.clip(y_pred, 0, 1)))
    return true_positives / (predicted_positives + K.epsilon())


def dice_coef(y_true, y_pred, smooth=1.0):
    y_true_f = K.flatten(y_true)
    y_pred_f = K.flatten(y_pred)
    intersection = K.sum(y_true_f * y_pred_f)
    return (2.0 * intersection + smooth) / (K.sum(y_true_f) + K.sum(y_pred_f) + smooth)


def dice_loss(y_true, y_pred):
    return 1 - dice_coef(y_true, y_pred)


def focal(gamma=2.0, alpha=0.25):
    def loss(y_true, y_pred):
        y_pred = K.clip(y_pred, K.epsilon(), 1 - K.epsilon())
        y_true = K.cast(y_true, K.floatx())
        pt = y_true * y_pred + (1 - y_true) * (1 - y_pred)
        weight = y_true * alpha + (1 - y_true) * (1 - alpha)
        return -K.mean(weight * K.pow(1 - pt, gamma) * K.log(pt), axis=-1)

    return loss


x = np.random.normal(size=(64, 6)).astype("float32")
target = x.sum(axis=1, keepdims=True)
label = (target > 0).astype("float32")

model = Sequential()
model.add(Dense(8, input_dim=6, kernel_initializer="normal", activation="relu"))
model.add(Dense(1, kernel_initializer="normal"))
model.compile(loss=root_mean_squared_error, optimizer="adam", metrics=[r_squared, "mae"])
first = model.fit(x, target, epochs=2, batch_size=16, verbose=0)

model = Sequential([Dense(1, input_dim=6, activation="sigmoid")])
seen = []
for loss in (dice_loss, focal()):
    model.compile(loss=loss, optimizer="sgd", metrics=[precision, dice_coef, "binary_accuracy"])
    seen.append(sorted(model.fit(x, label, epochs=1, verbose=0).history))
print("Result:", sorted(first.history), seen)
