"""Xception."""

from __future__ import annotations

from typing import Any

from nnkit import layers
from nnkit.applications.architecture import Recipe, application
from nnkit.applications.imagenet_utils import decode_predictions, preprocessor

__all__ = ["Xception", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessor("tf")
_FILE = (
    "https://storage.googleapis.com/tensorflow/keras-applications/xception/"
    "xception_weights_tf_dim_ordering_tf_kernels"
)
# The blocks with a strided shortcut: number, filters of the two convolutions, a ReLU in front.
_ENTRY = ((2, (128, 128), False), (3, (256, 256), True), (4, (728, 728), True))
_EXIT = ((13, (728, 1024), True),)


def _separable(x: Any, filters: int, name: str) -> Any:
    x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
    return layers.BatchNormalization(name=f"{name}_bn")(x)


def _relu(x: Any, name: str) -> Any:
    return layers.Activation("relu", name=f"{name}_act")(x)


def _down(x: Any, block: int, filters: tuple[int, int], active: bool) -> Any:
    shortcut = layers.Conv2D(filters[1], 1, strides=2, padding="same", use_bias=False)(x)
    shortcut = layers.BatchNormalization()(shortcut)
    for at, channels in enumerate(filters, start=1):
        name = f"block{block}_sepconv{at}"
        x = _separable(_relu(x, name) if active or at > 1 else x, channels, name)
    x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"block{block}_pool")(x)
    return layers.add([x, shortcut])


def _body(x: Any, origin: str) -> Any:
    for at, (filters, step) in enumerate(((32, 2), (64, 1)), start=1):
        name = f"block1_conv{at}"
        x = layers.Conv2D(filters, 3, strides=step, use_bias=False, name=name)(x)
        x = _relu(layers.BatchNormalization(name=f"{name}_bn")(x), name)
    for row in _ENTRY:
        x = _down(x, *row)
    for block in range(5, 13):
        shortcut = x
        for at in range(1, 4):
            name = f"block{block}_sepconv{at}"
            x = _separable(_relu(x, name), 728, name)
        x = layers.add([x, shortcut])
    for row in _EXIT:
        x = _down(x, *row)
    for at, filters in enumerate((1536, 2048), start=1):
        name = f"block14_sepconv{at}"
        x = _relu(_separable(x, filters, name), name)
    return x


Xception = application(
    "Xception",
    Recipe(
        _body,
        (
            (f"{_FILE}.h5", "0a58e3b7378bc2990ea3b43d5981f1f6"),
            (f"{_FILE}_notop.h5", "b0042744bf5b25fce3cb969f33bebb97"),
        ),
        "tf",
        size=299,
        smallest=71,
        pools=(None, None),
    ),
    "Depthwise separable convolutions with residual shortcuts.\n\n"
    "Source: https://arxiv.org/abs/1610.02357",
)
