# ruff: noqa
"""Keras 3: a loss made by a layer that is given the labels, and the model without it afterwards."""

import keras
import numpy as np
from fakes import fixed_weights
from keras import layers, ops


class CTCLayer(layers.Layer):
    def __init__(self, name=None):
        super().__init__(name=name)
        self.loss_fn = keras.losses.CTC()

    def call(self, y_true, y_pred):
        self.add_loss(ops.mean(self.loss_fn(y_true, y_pred)))
        return y_pred


image = layers.Input(shape=(16, 6), name="image")
labels = layers.Input(shape=(4,), dtype="int32", name="label")
x = layers.Bidirectional(layers.LSTM(6, return_sequences=True))(image)
x = layers.Dense(8, name="dense2")(x)
output = CTCLayer(name="ctc_loss")(labels, x)
model = keras.Model(inputs=[image, labels], outputs=output, name="ocr_model_v1")
fixed_weights(model)
model.compile(optimizer=keras.optimizers.Adam(0.01))

random = np.random.RandomState(9)
data = {
    "image": random.normal(size=(12, 16, 6)).astype("float32"),
    "label": random.randint(1, 7, (12, 4)),
}
history = model.fit(data, epochs=2, batch_size=4, shuffle=False, verbose=0)
prediction_model = keras.models.Model(model.input[0], model.get_layer(name="dense2").output)
predictions = prediction_model.predict(data["image"][:3], verbose=0)
decoded, _ = ops.nn.ctc_decode(
    predictions, sequence_lengths=np.full(3, predictions.shape[1]), strategy="greedy"
)
print(
    "Result:",
    ["%.3f" % loss for loss in history.history["loss"]],
    predictions.shape,
    tuple(ops.shape(decoded))[:2],
    [layer.name for layer in model.layers],
)
