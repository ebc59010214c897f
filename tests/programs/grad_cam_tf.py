# ruff: noqa
"""TensorFlow 2: Grad-CAM and filters with tapes, as they are published for tf.keras."""

import numpy as np
import tensorflow as tf
from fakes import colours, fixed_weights
from tensorflow import keras
from tensorflow.keras import layers
from tensorflow.keras.models import Model

tf.get_logger().setLevel("ERROR")
(x, y), _ = colours(8, classes=3)
base = keras.Sequential(
    [
        layers.Conv2D(4, 3, strides=2, activation="relu", input_shape=(32, 32, 3), name="conv1"),
        layers.Conv2D(5, 3, strides=2, activation="relu", name="conv2"),
    ],
    name="base",
)
model = keras.Sequential([base, layers.GlobalAveragePooling2D(), layers.Dense(3, name="scores")])
model.build((None, 32, 32, 3))
fixed_weights(model)


def make_gradcam_heatmap(img_array, inner, last_conv_layer_name, pred_index=None):
    grad_model = Model(inner.inputs, [inner.get_layer(last_conv_layer_name).output, inner.output])
    with tf.GradientTape() as tape:
        maps, x = grad_model(img_array)
        for layer in model.layers[1:]:
            x = layer(x)
        if pred_index is None:
            pred_index = tf.argmax(x[0])
        class_channel = x[:, pred_index]
    grads = tape.gradient(class_channel, maps)
    pooled_grads = tf.reduce_mean(grads, axis=(0, 1, 2))
    heatmap = maps[0] @ pooled_grads[..., tf.newaxis]
    heatmap = tf.squeeze(heatmap)
    heatmap = tf.maximum(heatmap, 0) / tf.math.reduce_max(heatmap)
    return heatmap.numpy()


image = (x[:1] / 255.0).astype("float32")
heat = make_gradcam_heatmap(image, base, "conv2")

extractor = Model(base.inputs, base.get_layer("conv1").output)


@tf.function
def gradient_ascent_step(img, filter_index, learning_rate):
    with tf.GradientTape() as tape:
        tape.watch(img)
        loss = tf.reduce_mean(extractor(img)[:, 2:-2, 2:-2, filter_index])
    grads = tf.math.l2_normalize(tape.gradient(loss, img))
    return loss, img + learning_rate * grads


img = tf.fill((1, 32, 32, 3), 0.5)
for _ in range(3):
    loss, img = gradient_ascent_step(img, 1, 10.0)
model.trainable = False
with tf.GradientTape() as tape:
    maps = extractor(image)
    score = tf.reduce_sum(maps)
print(
    "Result:",
    heat.shape,
    "%.3f %.3f" % (heat.max(), heat.mean()),
    "%.3f" % loss.numpy(),
    img.numpy().shape,
    tape.gradient(score, maps),
)
