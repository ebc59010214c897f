# ruff: noqa
"""Keras 2: a window over a series, scaled, a stacked and a stateful LSTM, rows of predictions."""

import math

import numpy as np
from keras.layers import LSTM, Dense, Dropout
from keras.models import Sequential
from sklearn.metrics import mean_squared_error
from sklearn.preprocessing import MinMaxScaler


def create_dataset(dataset, look_back=1):
    data_x, data_y = [], []
    for i in range(len(dataset) - look_back - 1):
        data_x.append(dataset[i : (i + look_back), 0])
        data_y.append(dataset[i + look_back, 0])
    return np.array(data_x), np.array(data_y)


series = np.sin(np.arange(80) / 4.0).reshape(-1, 1)
scaler = MinMaxScaler(feature_range=(0, 1))
series = scaler.fit_transform(series)
look_back = 5
train_x, train_y = create_dataset(series, look_back)
train_x = np.reshape(train_x, (train_x.shape[0], train_x.shape[1], 1))

model = Sequential()
model.add(LSTM(units=8, return_sequences=True, input_shape=(train_x.shape[1], 1)))
model.add(Dropout(0.2))
model.add(LSTM(units=4))
model.add(Dense(1))
model.compile(loss="mean_squared_error", optimizer="adam")
model.fit(train_x, train_y, epochs=1, batch_size=1, verbose=2)
predicted = scaler.inverse_transform(model.predict(train_x))
rmse = math.sqrt(mean_squared_error(scaler.inverse_transform([train_y])[0], predicted[:, 0]))

batch_size = 2
stateful = Sequential()
stateful.add(LSTM(4, batch_input_shape=(batch_size, look_back, 1), stateful=True))
stateful.add(Dense(1))
stateful.compile(loss="mean_squared_error", optimizer="adam")
for i in range(2):
    stateful.fit(train_x, train_y, epochs=1, batch_size=batch_size, verbose=0, shuffle=False)
    for layer in stateful.layers:
        if hasattr(layer, "reset_states"):
            layer.reset_states()
print("Result:", predicted.shape, stateful.predict(train_x, batch_size=batch_size).shape, rmse < 2)
