"""EfficientNetV2B0 to B3, S, M and L: wide first convolutions instead of depthwise ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nnkit import layers
from nnkit.applications.architecture import Recipe, network
from nnkit.applications.efficientnet import conv, depthwise, squeeze_and_excite, top_with_dropout
from nnkit.applications.imagenet_utils import decode_predictions, preprocessor
from nnkit.models import Model

__all__ = [
    "EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2", "EfficientNetV2B3",
    "EfficientNetV2L", "EfficientNetV2M", "EfficientNetV2S", "decode_predictions",
    "preprocess_input",
]  # fmt: skip

preprocess_input = preprocessor("pixels")
_URL = "https://storage.googleapis.com/tensorflow/keras-applications/efficientnet_v2/"
_DROP_CONNECT = 0.2  # how often the last block is skipped in training, a fraction
# Repeats, filters into the first block, filters, expansion, strides, whether the convolution is
# one ("fused") instead of a depthwise one with weighed channels. All kernels are 3 x 3.
_B = (
    (1, 32, 16, 1, 1, True), (2, 16, 32, 4, 2, True), (2, 32, 48, 4, 2, True),
    (3, 48, 96, 4, 2, False), (5, 96, 112, 6, 1, False), (8, 112, 192, 6, 2, False),
)  # fmt: skip
_S = (
    (2, 24, 24, 1, 1, True), (4, 24, 48, 4, 2, True), (4, 48, 64, 4, 2, True),
    (6, 64, 128, 4, 2, False), (9, 128, 160, 6, 1, False), (15, 160, 256, 6, 2, False),
)  # fmt: skip
_M = (
    (3, 24, 24, 1, 1, True), (5, 24, 48, 4, 2, True), (5, 48, 80, 4, 2, True),
    (7, 80, 160, 4, 2, False), (14, 160, 176, 6, 1, False), (18, 176, 304, 6, 2, False),
    (5, 304, 512, 6, 1, False),
)  # fmt: skip
_L = (
    (4, 32, 32, 1, 1, True), (7, 32, 64, 4, 2, True), (7, 64, 96, 4, 2, True),
    (10, 96, 192, 4, 2, False), (19, 192, 224, 6, 1, False), (25, 224, 384, 6, 2, False),
    (7, 384, 640, 6, 1, False),
)  # fmt: skip


def _normalize(x: Any, name: str) -> Any:
    return layers.BatchNormalization(momentum=0.9, name=name)(x)


def _activate(x: Any, name: str) -> Any:
    return layers.Activation("swish", name=f"{name}activation")(x)


def _block(
    x: Any, name: str, filters: int, expansion: int, strides: int, fused: bool, drop: float
) -> Any:
    inputs, channels = x, x.shape[-1]
    wide = channels * expansion
    if expansion != 1:
        size, step = (3, strides) if fused else (1, 1)
        x = conv(x, wide, size, strides=step, name=f"{name}expand_conv")
        x = _activate(_normalize(x, f"{name}expand_bn"), f"{name}expand_")
    if not fused:
        x = depthwise(x, 3, strides, "same", f"{name}dwconv2")
        x = _activate(_normalize(x, f"{name}bn"), name)
        x = squeeze_and_excite(x, max(1, channels // 4), name)
    alone = fused and expansion == 1  # then the projection is the one convolution of the block
    size, step = (3, strides) if alone else (1, 1)
    x = conv(x, filters, size, strides=step, name=f"{name}project_conv")
    x = _normalize(x, f"{name}project_bn")
    if alone:
        x = _activate(x, f"{name}project_")
    if strides == 1 and channels == filters:
        if drop:
            x = layers.Dropout(drop, noise_shape=(None, 1, 1, 1), name=f"{name}drop")(x)
        x = layers.add([x, inputs], name=f"{name}add")
    return x


def _scale(x: Any, small: bool) -> Any:
    if not small or x.shape[-1] != 3:
        return layers.Rescaling(1.0 / 128.0, offset=-1)(x)
    x = layers.Rescaling(1.0 / 255)(x)
    variance = [0.229**2, 0.224**2, 0.225**2]
    return layers.Normalization(mean=[0.485, 0.456, 0.406], variance=variance)(x)


def _network(
    kind: str, stages: Any, width: float, depth: float, size: int, hashes: tuple[str, str]
) -> Callable[..., Model]:
    function, usual = f"EfficientNetV2{kind}", f"efficientnetv2-{kind.lower()}"

    def channels(filters: int) -> int:
        return max(8, int(filters * width + 4) // 8 * 8)

    doc = (
        f"Width x {width:g}, depth x {depth:g}, pictures of {size} pixels.\n\n"
        "include_preprocessing scales pixels from 0 to 255 as the first step; without it they\n"
        "must be from -1 to 1.\n\n"
        "Source: https://arxiv.org/abs/2104.00298"
    )

    @network(function, doc)
    def make(
        include_top: bool = True,
        weights: Any = "imagenet",
        input_tensor: Any = None,
        input_shape: Any = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: Any = "softmax",
        include_preprocessing: bool = True,
        name: str = usual,
    ) -> Recipe:
        def body(x: Any, origin: str) -> Any:
            if include_preprocessing:
                x = _scale(x, kind.startswith("B"))
            x = conv(x, channels(stages[0][1]), 3, strides=2, name="stem_conv")
            x = _activate(_normalize(x, "stem_bn"), "stem_")
            # Keras counts the blocks of the table, before the depth multiplies them.
            blocks, done = sum(row[0] for row in stages), 0
            for stage, (repeats, _, filters, expansion, strides, fused) in enumerate(stages, 1):
                for at in range(math.ceil(depth * repeats)):
                    x = _block(
                        x, f"block{stage}{chr(at + 97)}_", channels(filters), expansion,
                        strides if at == 0 else 1, fused, _DROP_CONNECT * done / blocks,
                    )  # fmt: skip
                    done += 1
            x = _normalize(conv(x, channels(1280), name="top_conv"), "top_bn")
            return _activate(x, "top_")

        def top(x: Any, classes: int, activation: Any, origin: str) -> Any:
            return top_with_dropout(x, classes, activation, 0.2)

        files = ((f"{_URL}{usual}.h5", hashes[0]), (f"{_URL}{usual}_notop.h5", hashes[1]))
        mode = "pixels" if include_preprocessing else "tf"
        return Recipe(body, files, mode, size, top=top)

    return make


EfficientNetV2B0 = _network(
    "B0", _B, 1.0, 1.0, 224,
    ("21ecbf6da12460d5c40bb2f29ceb2188", "893217f2bb855e2983157299931e43ff"),
)  # fmt: skip
EfficientNetV2B1 = _network(
    "B1", _B, 1.0, 1.1, 240,
    ("069f0534ff22adf035c89e2d9547a9dc", "0e80663031ca32d657f9caa404b6ec37"),
)  # fmt: skip
EfficientNetV2B2 = _network(
    "B2", _B, 1.1, 1.2, 260,
    ("424e49f28180edbde1e94797771950a7", "1dfe2e7a5d45b6632553a8961ea609eb"),
)  # fmt: skip
EfficientNetV2B3 = _network(
    "B3", _B, 1.2, 1.4, 300,
    ("1f1fc43bd98a6e4fd8fdfd551e02c7a0", "f6abf7b5849ac99a89b50dd3fd532856"),
)  # fmt: skip
EfficientNetV2S = _network(
    "S", _S, 1.0, 1.0, 384,
    ("e1d88a8495beba45748fedd0cecbe016", "af0682fb74e8c54910f2d4393339c070"),
)  # fmt: skip
EfficientNetV2M = _network(
    "M", _M, 1.0, 1.0, 480,
    ("a3bf6aa3276309f4fc6a34aa114c95cd", "1b8dc055df72dde80d614482840fe342"),
)  # fmt: skip
EfficientNetV2L = _network(
    "L", _L, 1.0, 1.0, 480,
    ("27e6d408b53c7ebc868fefa357689935", "b0b66b5c863aef5b46e8608fe1711615"),
)  # fmt: skip
