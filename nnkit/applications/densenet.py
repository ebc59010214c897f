"""DenseNet121, 169 and 201."""

from __future__ import annotations

import re
from typing import Any

from nnkit import layers
from nnkit.applications.architecture import Recipe, application
from nnkit.applications.imagenet_utils import decode_predictions, preprocessor
from nnkit.applications.pretrained import Torchvision

__all__ = ["DenseNet121", "DenseNet169", "DenseNet201", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessor("torch")
_URL = "https://storage.googleapis.com/tensorflow/keras-applications/densenet/"
_GROWTH = 32  # channels that each block adds


def _activate(x: Any, name: str, origin: str) -> Any:
    epsilon = 1e-5 if origin == "torchvision" else 1.001e-5
    x = layers.BatchNormalization(epsilon=epsilon, name=f"{name}bn")(x)
    return layers.Activation("relu", name=f"{name}relu")(x)


def _block(x: Any, name: str, origin: str) -> Any:
    y = _activate(x, f"{name}_0_", origin)
    y = layers.Conv2D(4 * _GROWTH, 1, use_bias=False, name=f"{name}_1_conv")(y)
    y = _activate(y, f"{name}_1_", origin)
    y = layers.Conv2D(_GROWTH, 3, padding="same", use_bias=False, name=f"{name}_2_conv")(y)
    return layers.Concatenate(name=f"{name}_concat")([x, y])


def _transition(x: Any, name: str, origin: str) -> Any:
    x = _activate(x, f"{name}_", origin)
    x = layers.Conv2D(x.shape[-1] // 2, 1, use_bias=False, name=f"{name}_conv")(x)
    return layers.AveragePooling2D(2, strides=2, name=f"{name}_pool")(x)


def _names(layer: str) -> str:
    known = {
        "conv1_conv": "features.conv0",
        "conv1_bn": "features.norm0",
        "bn": "features.norm5",
        "predictions": "classifier",
    }
    if layer in known:
        return known[layer]
    parts = re.fullmatch(r"(conv|pool)(\d)_(?:block(\d+)_(\d)_)?(conv|bn)", layer)
    if parts is None:
        raise KeyError(layer)
    word = "norm" if parts[5] == "bn" else "conv"
    if parts[1] == "pool":
        return f"features.transition{int(parts[2]) - 1}.{word}"
    number = int(parts[4]) + (word == "norm")
    return f"features.denseblock{int(parts[2]) - 1}.denselayer{parts[3]}.{word}{number}"


def _densenet(name: str, depths: tuple[int, ...], hashes: tuple[str, str], file: str) -> Any:
    def body(x: Any, origin: str) -> Any:
        x = layers.ZeroPadding2D(3)(x)
        x = layers.Conv2D(64, 7, strides=2, use_bias=False, name="conv1_conv")(x)
        x = layers.ZeroPadding2D(1)(_activate(x, "conv1_", origin))
        x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)
        for stage, depth in enumerate(depths, start=2):
            for block in range(1, depth + 1):
                x = _block(x, f"conv{stage}_block{block}", origin)
            x = _transition(x, f"pool{stage}", origin) if stage < 5 else x
        return _activate(x, "", origin)

    start = f"{_URL}{name.lower()}_weights_tf_dim_ordering_tf_kernels"
    files = ((f"{start}.h5", hashes[0]), (f"{start}_notop.h5", hashes[1]))
    url = f"https://download.pytorch.org/models/{file}"
    return application(
        name,
        Recipe(body, files, "torch", torchvision=Torchvision(url, _names, "classifier.")),
        f"{sum(depths)} blocks, each of which sees what all before it made.\n\n"
        "Source: https://arxiv.org/abs/1608.06993",
    )


DenseNet121 = _densenet(
    "DenseNet121",
    (6, 12, 24, 16),
    ("9d60b8095a5708f2dcce2bca79d332c7", "30ee3e1110167f948a6b9946edeeb738"),
    "densenet121-a639ec97.pth",
)
DenseNet169 = _densenet(
    "DenseNet169",
    (6, 12, 32, 32),
    ("d699b8f76981ab1b30698df4c175e90b", "b8c4d4c20dd625c148057b9ff1c1176b"),
    "densenet169-b2777c0a.pth",
)
DenseNet201 = _densenet(
    "DenseNet201",
    (6, 12, 48, 32),
    ("1ceb130c1ea1b78c3bf6114dbdfd8807", "c13680b51ded0fb44dff2d8f86ac8bb1"),
    "densenet201-c1103571.pth",
)
