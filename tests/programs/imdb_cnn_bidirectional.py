# ruff: noqa
"""tf.keras 2: two text models, convolutional and bidirectional, with early stopping."""

import numpy as np
import tensorflow as tf
from fakes import reviews
from tensorflow.keras import Sequential, layers
from tensorflow.keras.callbacks import EarlyStopping, ReduceLROnPlateau
from tensorflow.keras.preprocessing.sequence import pad_sequences

tf.random.set_seed(1)
(x_train, y_train), _ = reviews(100)
x_train = pad_sequences(x_train, maxlen=16, padding="post", truncating="post")

conv = Sequential(
    [
        layers.Embedding(100, 8, input_length=16),
        layers.Dropout(0.2),
        layers.Conv1D(12, 3, padding="valid", activation="relu", strides=1),
        layers.GlobalMaxPooling1D(),
        layers.Dense(8),
        layers.Activation("relu"),
        layers.Dense(1),
        layers.Activation("sigmoid"),
    ]
)
rnn = Sequential(
    [
        layers.Embedding(100, 8, mask_zero=True),
        layers.Bidirectional(layers.LSTM(6, return_sequences=True)),
        layers.Bidirectional(layers.GRU(4)),
        layers.Dense(1, activation="sigmoid"),
    ]
)
stop = EarlyStopping(monitor="val_loss", patience=1, restore_best_weights=True)
slow = ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=1, verbose=0)
for model in (conv, rnn):
    model.compile("adam", "binary_crossentropy", metrics=["acc"])
    history = model.fit(
        x_train, y_train, validation_split=0.25, epochs=2, callbacks=[stop, slow], verbose=0
    )
    assert {"acc", "val_acc", "loss", "val_loss"} <= set(history.history)
print("Result:", conv.predict(x_train[:3], verbose=0).shape, np.shape(rnn.predict(x_train[:2])))
