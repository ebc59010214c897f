"""ResNet50, 101 and 152, and the frame they share with version 2."""

from __future__ import annotations

import re
from typing import Any

from nnkit import layers
from nnkit.applications.architecture import Recipe, application
from nnkit.applications.imagenet_utils import decode_predictions, preprocessor
from nnkit.applications.pretrained import Torchvision

__all__ = [
    "EPSILON", "FILTERS", "ResNet50", "ResNet101", "ResNet152", "decode_predictions",
    "preprocess_input", "resnet_files", "stem",
]  # fmt: skip

preprocess_input = preprocessor("caffe")
EPSILON = 1.001e-5
_TORCHVISION_EPSILON = 1e-5
FILTERS = (64, 128, 256, 512)
_URL = "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
_TORCHVISION = "https://download.pytorch.org/models/"


def resnet_files(name: str, hashes: tuple[str, str]) -> Any:
    """Keras's two files of a ResNet."""
    file = f"{_URL}{name}_weights_tf_dim_ordering_tf_kernels"
    return (f"{file}.h5", hashes[0]), (f"{file}_notop.h5", hashes[1])


def stem(x: Any, normalized: bool, epsilon: float = EPSILON) -> Any:
    """From the pictures to a quarter of their sides."""
    x = layers.ZeroPadding2D(3, name="conv1_pad")(x)
    x = layers.Conv2D(64, 7, strides=2, name="conv1_conv")(x)
    if normalized:
        x = layers.BatchNormalization(epsilon=epsilon, name="conv1_bn")(x)
        x = layers.Activation("relu", name="conv1_relu")(x)
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    return layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)


def _block(x: Any, filters: int, step: int, new: bool, name: str, origin: str) -> Any:
    """Three convolutions beside a shortcut. Torchvision's version strides in the second one."""
    theirs = origin == "torchvision"

    def conv(y: Any, at: int, channels: int, strides: int = 1, size: int = 1, **more: Any) -> Any:
        y = layers.Conv2D(channels, size, strides, name=f"{name}_{at}_conv", **more)(y)
        epsilon = _TORCHVISION_EPSILON if theirs else EPSILON
        return layers.BatchNormalization(epsilon=epsilon, name=f"{name}_{at}_bn")(y)

    shortcut = conv(x, 0, 4 * filters, step) if new else x
    x = conv(x, 1, filters, 1 if theirs else step)
    x = layers.Activation("relu", name=f"{name}_1_relu")(x)
    if theirs and step > 1:
        x = layers.ZeroPadding2D(1, name=f"{name}_2_pad")(x)
        x = conv(x, 2, filters, step, 3)
    else:
        x = conv(x, 2, filters, 1, 3, padding="same")
    x = layers.Activation("relu", name=f"{name}_2_relu")(x)
    x = conv(x, 3, 4 * filters)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.Activation("relu", name=f"{name}_out")(x)


def _names(layer: str) -> str:
    known = {"conv1_conv": "conv1", "conv1_bn": "bn1", "predictions": "fc"}
    parts = re.fullmatch(r"conv(\d)_block(\d+)_(\d)_(conv|bn)", layer)
    if parts is None:
        return known[layer]
    stage, block, at, kind = int(parts[1]) - 1, int(parts[2]) - 1, parts[3], parts[4]
    last = f"downsample.{'01'[kind == 'bn']}" if at == "0" else f"{kind}{at}"
    return f"layer{stage}.{block}.{last}"


def _resnet(name: str, depths: tuple[int, ...], hashes: tuple[str, str], file: str) -> Any:
    def body(x: Any, origin: str) -> Any:
        x = stem(x, True, _TORCHVISION_EPSILON if origin == "torchvision" else EPSILON)
        for stage, (filters, depth) in enumerate(zip(FILTERS, depths, strict=True), start=2):
            for block in range(1, depth + 1):
                step = 2 if block == 1 and stage > 2 else 1
                x = _block(x, filters, step, block == 1, f"conv{stage}_block{block}", origin)
        return x

    files = resnet_files(name.lower(), hashes)
    torchvision = Torchvision(_TORCHVISION + file, _names, "fc.")
    return application(
        name,
        Recipe(body, files, "caffe", torchvision=torchvision),
        f"{sum(depths)} residual blocks of three convolutions.\n\n"
        "Source: https://arxiv.org/abs/1512.03385",
    )


ResNet50 = _resnet(
    "ResNet50",
    (3, 4, 6, 3),
    ("2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"),
    "resnet50-0676ba61.pth",
)
ResNet101 = _resnet(
    "ResNet101",
    (3, 4, 23, 3),
    ("f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21"),
    "resnet101-63fe2227.pth",
)
ResNet152 = _resnet(
    "ResNet152",
    (3, 8, 36, 3),
    ("100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    "resnet152-394f9c45.pth",
)
