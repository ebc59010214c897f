# ruff: noqa
"""Keras 2 and 3: weights, whole models and JSON, saved and loaded again."""

import numpy as np
from keras.layers import Dense
from keras.models import Sequential, load_model, model_from_json

x = np.random.normal(size=(8, 4))
model = Sequential()
model.add(Dense(6, input_dim=4, activation="relu"))
model.add(Dense(1, activation="sigmoid"))
model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
model.fit(x, np.ones(8), epochs=1, verbose=0)
with open("model.json", "w") as json_file:
    json_file.write(model.to_json())
model.save_weights("model.weights.h5")
with open("model.json") as json_file:
    loaded_model = model_from_json(json_file.read())
loaded_model.load_weights("model.weights.h5")
model.save("whole.keras")
again = load_model("whole.keras")
expected = model.predict(x, verbose=0)
print(
    "Result:",
    np.allclose(loaded_model.predict(x, verbose=0), expected, atol=1e-6),
    np.allclose(again.predict(x, verbose=0), expected, atol=1e-6),
)
