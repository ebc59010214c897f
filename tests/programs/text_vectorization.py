# ruff: noqa
"""Keras 3: text in strings, vectorized and trained on."""

import keras
import numpy as np
from keras import layers

texts = np.array(["the cat sat on the mat", "the dog ate my homework", "a cat and a dog"] * 8)
labels = np.array([1, 0, 1] * 8)
vectorize = layers.TextVectorization(max_tokens=30, output_mode="int", output_sequence_length=6)
vectorize.adapt(texts)
vocabulary = vectorize.get_vocabulary()
x = np.asarray(vectorize(texts))

inputs = keras.Input(shape=(6,), dtype="int64")
h = layers.Embedding(len(vocabulary), 8)(inputs)
h = layers.GlobalAveragePooling1D()(h)
outputs = layers.Dense(1, activation="sigmoid")(h)
model = keras.Model(inputs, outputs)
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(x, labels, epochs=2, verbose=0)
lookup = layers.StringLookup(vocabulary=["a", "b"])
print("Result:", vocabulary[:3], x.shape, x[0].tolist(), np.asarray(lookup(["b", "z"])).tolist())
