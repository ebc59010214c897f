# ruff: noqa
"""tf.keras 2: a search over settings in the manner of a tuner, models cleared in between."""

import itertools
import random

import numpy as np
import tensorflow as tf
from fakes import houses
from tensorflow import keras


class HyperParameters:
    def __init__(self, values):
        self.values = values

    def Int(self, name, min_value, max_value, step=1):
        return self.values.setdefault(name, random.randrange(min_value, max_value + 1, step))

    def Choice(self, name, values):
        return self.values.setdefault(name, random.choice(values))


def build_model(hp):
    model = keras.Sequential()
    model.add(keras.layers.Input(shape=(13,)))
    for i in range(hp.Int("layers", 1, 2)):
        model.add(
            keras.layers.Dense(
                units=hp.Int(f"units_{i}", 4, 12, step=4),
                activation=hp.Choice("activation", ["relu", "tanh"]),
                kernel_regularizer=keras.regularizers.l2(1e-4),
            )
        )
        model.add(keras.layers.BatchNormalization())
    model.add(keras.layers.Dense(1, activation="linear"))
    model.compile(
        optimizer=keras.optimizers.Adam(hp.Choice("learning_rate", [1e-2, 1e-3])),
        loss=keras.losses.MeanSquaredError(),
        metrics=[keras.metrics.RootMeanSquaredError(name="rmse")],
    )
    return model


keras.utils.set_random_seed(7)
(x, y), (x_test, y_test) = houses()
best = None
for rate, activation in itertools.product([1e-2, 1e-3], ["relu", "tanh"]):
    keras.backend.clear_session()
    hp = HyperParameters({"learning_rate": rate, "activation": activation})
    model = build_model(hp)
    history = model.fit(x, y, epochs=1, validation_data=(x_test, y_test), verbose=0)
    rmse = history.history["val_rmse"][-1]
    if best is None or rmse < best[0]:
        best = (rmse, keras.models.clone_model(model), dict(hp.values))
    names = [layer.name for layer in model.layers]
print("Result:", names[0], sorted(best[2])[:3], best[1].output_shape, np.isfinite(best[0]))
