# ruff: noqa
"""tf.keras 2: every common callback, a checkpoint that is loaded again, own and lambda ones."""

import csv
import os

import numpy as np
from fakes import houses
from tensorflow import keras
from tensorflow.keras import layers
from tensorflow.keras.callbacks import (
    Callback, CSVLogger, EarlyStopping, LambdaCallback, LearningRateScheduler, ModelCheckpoint,
    TerminateOnNaN,
)  # fmt: skip


class LossHistory(Callback):
    def on_train_begin(self, logs={}):
        self.losses = []

    def on_batch_end(self, batch, logs={}):
        self.losses.append(logs.get("loss"))

    def on_epoch_end(self, epoch, logs=None):
        rate = float(self.model.optimizer.learning_rate)
        print("epoch", epoch, "rate %.4f" % rate, sorted(logs))
        if logs["loss"] < 1e-9:
            self.model.stop_training = True


def schedule(epoch, lr):
    return lr if epoch < 1 else lr * 0.5


(x, y), _ = houses()
model = keras.Sequential([layers.Dense(8, activation="relu", input_shape=(13,)), layers.Dense(1)])
model.compile(loss="mse", optimizer=keras.optimizers.Adam(learning_rate=0.01), metrics=["mae"])
losses = LossHistory()
ends = []
model.fit(
    x, y, epochs=3, batch_size=16, validation_split=0.2, verbose=0,
    callbacks=[
        losses,
        ModelCheckpoint("best.weights.h5", monitor="val_loss", save_best_only=True,
                        save_weights_only=True, mode="min", verbose=1),
        EarlyStopping(monitor="val_mae", patience=5, mode="min"),
        LearningRateScheduler(schedule),
        CSVLogger("log.csv"),
        TerminateOnNaN(),
        LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(epoch)),
    ],
)  # fmt: skip
model.load_weights("best.weights.h5")
with open("log.csv") as file:
    rows = list(csv.DictReader(file))
print(
    "Result:",
    len(losses.losses),
    ends,
    len(rows),
    sorted(rows[0]),
    os.path.exists("best.weights.h5"),
)
