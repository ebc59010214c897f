# ruff: noqa
"""Keras 3: where a network looks, by models that begin and end inside it, and torch's gradients."""

import keras
import numpy as np
import torch
from fakes import fixed_weights
from keras import layers, ops

inputs = keras.Input((24, 24, 3))
x = layers.Conv2D(4, 3, strides=2, activation="relu", name="early")(inputs)
x = layers.BatchNormalization(name="early_bn")(x)
x = layers.Conv2D(6, 3, activation="relu", name="middle")(x)
x = layers.MaxPooling2D(name="middle_pool")(x)
x = layers.Conv2D(5, 3, activation="relu", name="last")(x)
x = layers.GlobalAveragePooling2D(name="pool")(x)
model = keras.Model(inputs, layers.Dense(4, activation="softmax", name="scores")(x))
fixed_weights(model)
image = np.random.default_rng(3).uniform(0, 0.1, (1, 24, 24, 3)).astype("float32")

# The network in two: up to the last feature maps, and from there to the scores.
last = model.get_layer("last")
to_maps = keras.Model(model.inputs, last.output)
x = last.output
for name in ("pool", "scores"):
    x = model.get_layer(name)(x)
classifier = keras.Model(last.output, x)
classifier.save("classifier.keras")
again = keras.models.load_model("classifier.keras")

maps = to_maps(torch.tensor(image))
maps.retain_grad()
scores = classifier(maps)
top = torch.argmax(scores[0])
scores[:, top].backward()
weights = ops.convert_to_numpy(maps.grad).mean((0, 1, 2))
heat = np.maximum(ops.convert_to_numpy(maps)[0] @ weights, 0)

# Logits instead of probabilities.
model.layers[-1].activation = None
logits = model.predict(image, verbose=0)
model.layers[-1].activation = keras.activations.softmax

# What a filter answers to: climb from a gray picture.
filters = keras.Model(model.input, model.get_layer("early").output)
seen = torch.full((1, 24, 24, 3), 0.5).requires_grad_()
for _ in range(3):
    answer = ops.mean(filters(seen)[:, 2:-2, 2:-2, 0])
    (gradient,) = torch.autograd.grad(answer, seen)
    seen = (seen + 0.1 * gradient / (gradient.norm() + 1e-6)).detach().requires_grad_()

names = ["early", "middle", "last"]
stages = keras.Model(model.inputs, [model.get_layer(name).output for name in names])
with_names = keras.Model(model.inputs, {name: model.get_layer(name).output for name in names})
print(
    "Result:",
    [type(layer).__name__ for layer in classifier.layers],
    classifier.input_shape,
    np.allclose(
        again.predict(np.ones((1, 2, 2, 5)), verbose=0),
        classifier.predict(np.ones((1, 2, 2, 5)), verbose=0),
        atol=1e-6,
    ),
    heat.shape,
    ["%.3f" % value for value in np.log(scores[0].detach().numpy())],
    ["%.3f" % value for value in logits[0] - np.log(np.exp(logits[0]).sum())],
    "%.4f" % answer.item(),
    [stage.shape[1:] for stage in stages.predict(image, verbose=0)],
    sorted(with_names.predict(image, verbose=0)),
)
