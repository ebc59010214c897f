# ruff: noqa
"""tf.keras 2: a table in pandas, Normalization adapted to it, history put in a frame."""

import numpy as np
import pandas as pd
import tensorflow as tf
from fakes import houses
from tensorflow import keras
from tensorflow.keras import layers

(x, y), _ = houses(columns=4)
dataset = pd.DataFrame(x, columns=["a", "b", "c", "d"])
dataset["price"] = y
train = dataset.sample(frac=0.8, random_state=0)
test = dataset.drop(train.index)
train_features, test_features = train.copy(), test.copy()
train_labels = train_features.pop("price")
test_labels = test_features.pop("price")
normalizer = layers.Normalization(axis=-1)
normalizer.adapt(np.array(train_features))
model = keras.Sequential(
    [
        normalizer,
        layers.Dense(16, activation="relu"),
        layers.Dense(1),
    ]
)
model.compile(loss="mean_absolute_error", optimizer=tf.keras.optimizers.Adam(0.001))
history = model.fit(train_features, train_labels, validation_split=0.2, verbose=0, epochs=2)
hist = pd.DataFrame(history.history)
hist["epoch"] = history.epoch
test_predictions = model.predict(test_features, verbose=0).flatten()
print("Result:", sorted(hist.columns), len(hist), test_predictions.shape)
