"""MobileNetV2."""

from __future__ import annotations

from typing import Any

from nnkit import layers
from nnkit.applications.architecture import (
    Recipe,
    correct_pad,
    make_divisible,
    network,
)
from nnkit.applications.imagenet_utils import decode_predictions, preprocessor
from nnkit.applications.mobilenet import trained_size

__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessor("tf")
_URL = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"
_SIZES = (96, 128, 160, 192, 224)
_WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
# Filters, strides of the first block, and how many blocks.
_STAGES = ((16, 1, 1), (24, 2, 2), (32, 2, 3), (64, 2, 4), (96, 1, 3), (160, 2, 3), (320, 1, 1))


def _normalize(x: Any, name: str) -> Any:
    return layers.BatchNormalization(epsilon=1e-3, momentum=0.999, name=name)(x)


def _block(x: Any, filters: int, step: int, number: int) -> Any:
    """Wide in the middle, narrow at its ends; the first one is not widened."""
    shortcut, channels = x, x.shape[-1]
    name = f"block_{number}_" if number else "expanded_conv_"
    if number:
        x = layers.Conv2D(
            6 * channels, 1, padding="same", use_bias=False, name=f"{name}expand"
        )(x)  # fmt: skip
        x = layers.ReLU(6.0, name=f"{name}expand_relu")(_normalize(x, f"{name}expand_BN"))
    if step == 2:
        x = layers.ZeroPadding2D(correct_pad(x, 3), name=f"{name}pad")(x)
    x = layers.DepthwiseConv2D(
        3, step, padding="same" if step == 1 else "valid", use_bias=False, name=f"{name}depthwise"
    )(x)
    x = layers.ReLU(6.0, name=f"{name}depthwise_relu")(_normalize(x, f"{name}depthwise_BN"))
    x = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=f"{name}project")(x)
    x = _normalize(x, f"{name}project_BN")
    if channels == filters and step == 1:
        return layers.Add(name=f"{name}add")([shortcut, x])
    return x


@network("MobileNetV2")
def MobileNetV2(  # noqa: N802 - Keras's name
    input_shape: Any = None,
    alpha: float = 1.0,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Recipe:
    """Seventeen blocks with shortcuts between their narrow ends.

    alpha is a factor for the width of all layers.

    Source: https://arxiv.org/abs/1801.04381
    """
    size, side = trained_size(
        "MobileNetV2", input_shape, input_tensor, alpha, _WIDTHS, _SIZES, weights
    )

    def body(x: Any, origin: str) -> Any:
        x = layers.Conv2D(
            make_divisible(32 * alpha), 3, strides=2, padding="same", use_bias=False, name="Conv1"
        )(x)
        x = layers.ReLU(6.0, name="Conv1_relu")(_normalize(x, "bn_Conv1"))
        number = 0
        for filters, step, depth in _STAGES:
            for at in range(depth):
                width = make_divisible(int(filters * alpha))
                x = _block(x, width, step if at == 0 else 1, number)
                number += 1
        last = make_divisible(1280 * alpha) if alpha > 1.0 else 1280
        x = layers.Conv2D(last, 1, use_bias=False, name="Conv_1")(x)
        return layers.ReLU(6.0, name="out_relu")(_normalize(x, "Conv_1_bn"))

    def top(x: Any, classes: int, activation: Any, origin: str) -> Any:
        x = layers.GlobalAveragePooling2D()(x)
        return layers.Dense(classes, activation=activation, name="predictions")(x)

    file = f"{_URL}mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(alpha)}_{size}"
    files = ((f"{file}.h5", None), (f"{file}_no_top.h5", None))
    shown = side if side is not None or not include_top else size
    return Recipe(
        body, files, "tf", size, top=top, pools=(None, None),
        instead={"name": f"mobilenetv2_{alpha:0.2f}_{shown}"},
    )  # fmt: skip
