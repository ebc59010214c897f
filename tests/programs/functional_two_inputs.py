# ruff: noqa
"""Keras 2: two inputs, two outputs, loss weights, a dict of targets."""

import os

import keras
import numpy as np
from keras.layers import LSTM, Dense, Embedding, Input
from keras.models import Model
from keras.utils import plot_model

main_input = Input(shape=(10,), dtype="int32", name="main_input")
x = Embedding(output_dim=8, input_dim=50, input_length=10)(main_input)
lstm_out = LSTM(6)(x)
auxiliary_output = Dense(1, activation="sigmoid", name="aux_output")(lstm_out)
auxiliary_input = Input(shape=(5,), name="aux_input")
x = keras.layers.concatenate([lstm_out, auxiliary_input])
x = Dense(8, activation="relu")(x)
main_output = Dense(1, activation="sigmoid", name="main_output")(x)
model = Model(inputs=[main_input, auxiliary_input], outputs=[main_output, auxiliary_output])
model.compile(
    optimizer="rmsprop",
    loss={"main_output": "binary_crossentropy", "aux_output": "binary_crossentropy"},
    loss_weights={"main_output": 1.0, "aux_output": 0.2},
)
headlines = np.random.randint(1, 50, size=(32, 10))
extra = np.random.normal(size=(32, 5))
labels = np.random.randint(0, 2, size=(32, 1))
history = model.fit(
    {"main_input": headlines, "aux_input": extra},
    {"main_output": labels, "aux_output": labels},
    epochs=2,
    batch_size=16,
    verbose=0,
)
plot_model(model, to_file="model.png", show_shapes=True, show_layer_names=True)
main, aux = model.predict([headlines[:3], extra[:3]])
print(
    "Result:", main.shape, aux.shape, sorted(history.history), os.path.getsize("model.png") > 5000
)
