# ruff: noqa
"""Keras 3 on torch: a training loop with torch's optimizer, loss and DataLoader."""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch
from fakes import digits

(x_train, y_train), _ = digits(32)
x_train = np.expand_dims(x_train, -1).astype("float32") / 255
model = keras.Sequential(
    [
        keras.Input(shape=(28, 28, 1)),
        keras.layers.Conv2D(4, 3, activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(10),
    ]
)
optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
loss_fn = torch.nn.CrossEntropyLoss()
dataset = torch.utils.data.TensorDataset(
    torch.from_numpy(x_train), torch.from_numpy(y_train.astype("int64"))
)
loader = torch.utils.data.DataLoader(dataset, batch_size=16, shuffle=False)
device = "cpu"
model.to(device)
for epoch in range(2):
    running = 0.0
    for inputs, targets in loader:
        optimizer.zero_grad()
        outputs = model(inputs)
        loss = loss_fn(outputs, targets)
        loss.backward()
        optimizer.step()
        running += loss.item()
model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), optimizer="adam")
model.fit(loader, epochs=1, verbose=0)
print("Result:", model.count_params(), epoch, running > 0)
