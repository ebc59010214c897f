# ruff: noqa
"""Keras 3: blocks in lists of lists, a dict of outputs, and a checkpoint whose weights come back."""

import keras
import numpy as np
from fakes import fixed_weights
from keras import layers, ops


@keras.saving.register_keras_serializable("nested")
class MyLoss(keras.losses.Loss):
    def __init__(self, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, y_true, y_pred):
        return self.scale * ops.mean(ops.square(ops.subtract(y_true, y_pred)), axis=-1)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


@keras.saving.register_keras_serializable("nested")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, start=0.01):
        self.start = start

    def __call__(self, step):
        return self.start / (1.0 + ops.cast(step, "float32"))

    def get_config(self):
        return {"start": self.start}


@keras.saving.register_keras_serializable("nested")
class Net(keras.Model):
    def __init__(self, depth=2, **kwargs):
        super().__init__(**kwargs)
        self.depth = depth
        self.stages = [
            [layers.Dense(4, activation="tanh"), layers.LayerNormalization()] for _ in range(depth)
        ]
        self.optional = [layers.Dense(4), None, {"deep": (layers.Dense(4),)}]
        self.by_size = {1: layers.Dense(1), 2: layers.Dense(2)}
        self._private = []
        self._private.append(keras.Sequential([layers.Dense(4), layers.Dropout(0.0)]))

    def call(self, inputs, training=False):
        x = inputs
        for dense, norm in self.stages:
            x = norm(dense(x))
        x = self.optional[0](x) + self.optional[2]["deep"][0](x)
        x = self._private[0](x, training=training)
        return {"one": self.by_size[1](x), "two": self.by_size[2](x)}

    def get_config(self):
        return {**super().get_config(), "depth": self.depth}


random = np.random.RandomState(0)
x = random.normal(size=(12, 3)).astype("float32")
y = {"one": random.normal(size=(12, 1)), "two": random.normal(size=(12, 2))}


def compiled():
    net = Net()
    net(x)
    net.compile(
        keras.optimizers.Adam(Schedule(0.02)),
        loss={"one": "mse", "two": MyLoss(2.0)},
        loss_weights={"one": 1.0, "two": 0.5},
        metrics={"one": ["mae"]},
    )
    return net


model = compiled()
fixed_weights(model)
checkpoint = keras.callbacks.ModelCheckpoint("best.keras", monitor="loss", save_best_only=True)
history = model.fit(x, y, epochs=2, batch_size=6, shuffle=False, verbose=0, callbacks=[checkpoint])

again = compiled()
again.load_weights("best.keras")  # the weights of a whole model
whole = keras.models.load_model("best.keras")
expected = model.predict(x, verbose=0)
model.train_on_batch(x, y)
whole.train_on_batch(x, y)
after = [each.predict(x, verbose=0)["two"] for each in (model, whole)]
print(
    "Result:",
    [type(layer).__name__ for layer in model.layers],
    model.count_params(),
    len(model.trainable_weights),
    ["%.4f" % loss for loss in history.history["loss"]],
    np.allclose(again.predict(x, verbose=0)["one"], expected["one"], atol=1e-6),
    np.allclose(after[0], after[1], atol=1e-6),
    "%.4f" % np.abs(after[0]).mean(),
)
