# ruff: noqa
"""tf.keras 2: the lines about devices and seeds that many programs begin with."""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
import numpy as np
import tensorflow as tf

print("TensorFlow", tf.__version__, "GPUs:", len(tf.config.list_physical_devices("GPU")))
for gpu in tf.config.experimental.list_physical_devices("GPU"):
    tf.config.experimental.set_memory_growth(gpu, True)
assert tf.__version__ >= "2.0"
tf.random.set_seed(42)
np.random.seed(42)
model = tf.keras.models.Sequential(
    [
        tf.keras.layers.Flatten(input_shape=(4, 4)),
        tf.keras.layers.Dense(8, activation=tf.nn.relu),
        tf.keras.layers.Dense(3, activation=tf.nn.softmax),
    ]
)
model.compile(
    optimizer="adam", loss=tf.keras.losses.sparse_categorical_crossentropy, metrics=["accuracy"]
)
x = np.random.normal(size=(20, 4, 4))
model.fit(x, np.arange(20) % 3, epochs=1, verbose=0)
probabilities = tf.keras.Sequential([model, tf.keras.layers.Softmax()])(
    tf.constant(x[:2].astype("float32"))
)
print("Result:", probabilities.shape, len(model.evaluate(x, np.arange(20) % 3, verbose=2)))
