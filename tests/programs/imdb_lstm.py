# ruff: noqa
"""Keras 2: an LSTM on padded reviews, as in the examples folder."""

from __future__ import print_function

from fakes import reviews
from keras.layers import LSTM, Dense, Embedding
from keras.models import Sequential
from keras.preprocessing import sequence

max_features = 200
maxlen = 20
batch_size = 16

(x_train, y_train), (x_test, y_test) = reviews(max_features)
x_train = sequence.pad_sequences(x_train, maxlen=maxlen)
x_test = sequence.pad_sequences(x_test, maxlen=maxlen)
print("x_train shape:", x_train.shape)

model = Sequential()
model.add(Embedding(max_features, 16))
model.add(LSTM(8, dropout=0.2, recurrent_dropout=0.2))
model.add(Dense(1, activation="sigmoid"))
model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=batch_size, epochs=1, validation_data=(x_test, y_test))
score, acc = model.evaluate(x_test, y_test, batch_size=batch_size)
print("Test score:", score)
print("Result:", x_train.shape, model.count_params(), 0 <= acc <= 1)
