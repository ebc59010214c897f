"""EfficientNetB0 to B7. Pixels from 0 to 255 go in; scaling them is part of the network."""

from __future__ import annotations

import math
from typing import Any

import torch

from nnkit import layers
from nnkit.applications.architecture import Recipe, application, correct_pad, make_divisible
from nnkit.applications.imagenet_utils import decode_predictions, preprocessor
from nnkit.initializers import VarianceScaling

__all__ = [
    "EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3", "EfficientNetB4",
    "EfficientNetB5", "EfficientNetB6", "EfficientNetB7", "conv", "decode_predictions",
    "depthwise", "preprocess_input", "squeeze_and_excite", "top_with_dropout",
]  # fmt: skip

preprocess_input = preprocessor("pixels")
_URL = "https://storage.googleapis.com/keras-applications/"
_DEVIATION = (0.229, 0.224, 0.225)
_DROP_CONNECT = 0.2  # how often the last block is skipped in training, a fraction
# Kernel, repeats, filters, expansion, strides of the seven stages of B0.
_STAGES = (
    (3, 1, 16, 1, 1), (3, 2, 24, 6, 2), (5, 2, 40, 6, 2), (3, 3, 80, 6, 2), (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2), (3, 1, 320, 6, 1),
)  # fmt: skip


def _kernel() -> VarianceScaling:
    return VarianceScaling(2.0, "fan_out", "truncated_normal")


def conv(x: Any, filters: int, size: int = 1, padding: str = "same", **options: Any) -> Any:
    """A convolution as these networks start theirs."""
    options = {"use_bias": False, "kernel_initializer": _kernel(), **options}
    return layers.Conv2D(filters, size, padding=padding, **options)(x)


def depthwise(x: Any, size: int, strides: int, padding: str, name: str) -> Any:
    """A depthwise convolution as these networks start theirs."""
    return layers.DepthwiseConv2D(
        size, strides, padding=padding, use_bias=False, depthwise_initializer=_kernel(), name=name
    )(x)


def squeeze_and_excite(x: Any, narrow: int, name: str) -> Any:
    """A factor from 0 to 1 for each channel, computed from the means of all channels."""
    filters = x.shape[-1]
    y = layers.GlobalAveragePooling2D(name=f"{name}se_squeeze")(x)
    y = layers.Reshape((1, 1, filters), name=f"{name}se_reshape")(y)
    y = conv(y, narrow, use_bias=True, activation="swish", name=f"{name}se_reduce")
    y = conv(y, filters, use_bias=True, activation="sigmoid", name=f"{name}se_expand")
    return layers.multiply([x, y], name=f"{name}se_excite")


def top_with_dropout(x: Any, classes: int, activation: Any, rate: float) -> Any:
    """Mean over the pixels, dropout, and a Dense layer."""
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    x = layers.Dropout(rate, name="top_dropout")(x) if rate > 0 else x
    start = VarianceScaling(1 / 3, "fan_out", "uniform")
    return layers.Dense(
        classes, activation=activation, kernel_initializer=start, name="predictions"
    )(x)


def _activate(x: Any, name: str, kind: str = "") -> Any:
    x = layers.BatchNormalization(name=f"{name}{kind}bn")(x)
    return layers.Activation("swish", name=f"{name}{kind}activation")(x)


def _block(
    x: Any, name: str, filters: int, size: int, expansion: int, strides: int, drop: float
) -> Any:
    inputs, channels = x, x.shape[-1]
    if expansion != 1:
        x = conv(x, channels * expansion, name=f"{name}expand_conv")
        x = _activate(x, name, "expand_")
    if strides == 2:
        x = layers.ZeroPadding2D(correct_pad(x, size), name=f"{name}dwconv_pad")(x)
    padding = "valid" if strides == 2 else "same"
    x = _activate(depthwise(x, size, strides, padding, f"{name}dwconv"), name)
    x = squeeze_and_excite(x, max(1, channels // 4), name)
    x = conv(x, filters, name=f"{name}project_conv")
    x = layers.BatchNormalization(name=f"{name}project_bn")(x)
    if strides == 1 and channels == filters:
        if drop > 0:
            x = layers.Dropout(drop, noise_shape=(None, 1, 1, 1), name=f"{name}drop")(x)
        x = layers.add([x, inputs], name=f"{name}add")
    return x


def _scale(x: Any, origin: str) -> Any:
    x = layers.Rescaling(1.0 / 255.0)(x)
    normalize: Any = layers.Normalization()
    x = normalize(x)
    # The statistics come with pretrained weights. Until then these, 0 and 1, are meant to be used.
    normalize._adapted = True
    with torch.no_grad():
        normalize.count.fill_(1)
    if origin == "imagenet":
        # The published weights were trained with the roots of the deviations.
        x = layers.Rescaling([1.0 / math.sqrt(value) for value in _DEVIATION])(x)
    return x


def _efficientnet(
    name: str, width: float, depth: float, size: int, dropout: float, hashes: tuple[str, str]
) -> Any:
    def channels(filters: float) -> int:
        return make_divisible(filters * width)

    def body(x: Any, origin: str) -> Any:
        x = _scale(x, origin)
        x = layers.ZeroPadding2D(correct_pad(x, 3), name="stem_conv_pad")(x)
        x = conv(x, channels(32), 3, "valid", strides=2, name="stem_conv")
        x = _activate(x, "stem_")
        repeats = [math.ceil(depth * row[1]) for row in _STAGES]
        done = 0
        for stage, (size, _, filters, expansion, strides) in enumerate(_STAGES):
            for at in range(repeats[stage]):
                drop = _DROP_CONNECT * done / sum(repeats)
                step = strides if at == 0 else 1
                label = f"block{stage + 1}{chr(at + 97)}_"
                x = _block(x, label, channels(filters), size, expansion, step, drop)
                done += 1
        x = conv(x, channels(1280), name="top_conv")
        return _activate(x, "top_")

    def top(x: Any, classes: int, activation: Any, origin: str) -> Any:
        return top_with_dropout(x, classes, activation, dropout)

    file = f"{_URL}{name.lower()}"
    files = ((f"{file}.h5", hashes[0]), (f"{file}_notop.h5", hashes[1]))
    return application(
        name,
        Recipe(body, files, "pixels", size, top=top),
        f"Width x {width:g}, depth x {depth:g}, pictures of {size} pixels.\n\n"
        "Source: https://arxiv.org/abs/1905.11946",
    )


# Width, depth, pixels, dropout, and the hashes of Keras's files with and without classifier.
_TABLE = (
    (1.0, 1.0, 224, 0.2, "902e53a9f72be733fc0bcb005b3ebbac", "50bc09e76180e00e4465e1a485ddc09d"),
    (1.0, 1.1, 240, 0.2, "1d254153d4ab51201f1646940f018540", "74c4e6b3e1f6a1eea24c589628592432"),
    (1.1, 1.2, 260, 0.3, "b15cce36ff4dcbd00b6dd88e7857a6ad", "111f8e2ac8aa800a7a99e3239f7bfb39"),
    (1.2, 1.4, 300, 0.3, "ffd1fdc53d0ce67064dc6a9c7960ede0", "af6d107764bb5b1abb91932881670226"),
    (1.4, 1.8, 380, 0.4, "18c95ad55216b8f92d7e70b3a046e2fc", "ebc24e6d6c33eaebbd558eafbeedf1ba"),
    (1.6, 2.2, 456, 0.4, "ace28f2a6363774853a83a0b21b9421a", "38879255a25d3c92d5e44e04ae6cec6f"),
    (1.8, 2.6, 528, 0.5, "165f6e37dce68623721b423839de8be5", "9ecce42647a20130c1f39a5d4cb75743"),
    (2.0, 3.1, 600, 0.5, "8c03f828fec3ef71311cd463b6759d99", "cbcfe4450ddf6f3ad90b1b398090fe4a"),
)
(
    EfficientNetB0,
    EfficientNetB1,
    EfficientNetB2,
    EfficientNetB3,
    EfficientNetB4,
    EfficientNetB5,
    EfficientNetB6,
    EfficientNetB7,
) = (
    _efficientnet(f"EfficientNetB{number}", *row[:4], row[4:]) for number, row in enumerate(_TABLE)
)
