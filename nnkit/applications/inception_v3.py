"""InceptionV3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnkit import layers
from nnkit.applications.architecture import Recipe, application
from nnkit.applications.imagenet_utils import decode_predictions, preprocessor

__all__ = ["InceptionV3", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessor("tf")
_FILE = (
    "https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/"
    "inception_v3_weights_tf_dim_ordering_tf_kernels"
)
Path = Sequence[tuple[int, Any]]  # filters and window of each convolution in a row


def _conv(x: Any, filters: int, size: Any, strides: int = 1, padding: str = "same") -> Any:
    x = layers.Conv2D(filters, size, strides, padding=padding, use_bias=False)(x)
    x = layers.BatchNormalization(scale=False)(x)
    return layers.Activation("relu")(x)


def _row(x: Any, path: Path) -> Any:
    for filters, size in path:
        x = _conv(x, filters, size)
    return x


def _mix(x: Any, paths: Sequence[Path], pooled: int, name: str) -> Any:
    """Paths side by side, and one that pools."""
    branches = [_row(x, path) for path in paths]
    mean = layers.AveragePooling2D(3, strides=1, padding="same")(x)
    return layers.concatenate([*branches, _conv(mean, pooled, 1)], name=name)


def _shrink(x: Any, paths: Sequence[Path], name: str) -> Any:
    """Paths whose last convolution halves the sides, and one that pools."""
    branches = []
    for *path, (filters, size) in paths:
        branches.append(_conv(_row(x, path), filters, size, 2, "valid"))
    branches.append(layers.MaxPooling2D(3, strides=2)(x))
    return layers.concatenate(branches, name=name)


def _split(x: Any, name: str | None) -> Any:
    """A wide and a high window side by side."""
    return layers.concatenate([_conv(x, 384, (1, 3)), _conv(x, 384, (3, 1))], name=name)


def _body(x: Any, origin: str) -> Any:
    x = _conv(x, 32, 3, 2, "valid")
    x = _conv(x, 32, 3, 1, "valid")
    x = layers.MaxPooling2D(3, strides=2)(_conv(x, 64, 3))
    x = _conv(x, 80, 1, 1, "valid")
    x = layers.MaxPooling2D(3, strides=2)(_conv(x, 192, 3, 1, "valid"))

    fine = [(64, 1), (96, 3), (96, 3)]
    for number, pooled in enumerate((32, 64, 64)):
        x = _mix(x, [[(64, 1)], [(48, 1), (64, 5)], fine], pooled, f"mixed{number}")
    x = _shrink(x, [[(384, 3)], fine], "mixed3")

    wide, high = (1, 7), (7, 1)
    for number, inner in enumerate((128, 160, 160, 192), start=4):
        once = [(inner, 1), (inner, wide), (192, high)]
        twice = [(inner, 1), (inner, high), (inner, wide), (inner, high), (192, wide)]
        x = _mix(x, [[(192, 1)], once, twice], 192, f"mixed{number}")
    x = _shrink(x, [[(192, 1), (320, 3)], [(192, 1), (192, wide), (192, high), (192, 3)]], "mixed8")

    for number in range(2):
        first = _conv(x, 320, 1)
        second = _split(_conv(x, 384, 1), f"mixed9_{number}")
        third = _split(_row(x, [(448, 1), (384, 3)]), None)
        mean = layers.AveragePooling2D(3, strides=1, padding="same")(x)
        x = layers.concatenate(
            [first, second, third, _conv(mean, 192, 1)], name=f"mixed{9 + number}"
        )
    return x


InceptionV3 = application(
    "InceptionV3",
    Recipe(
        _body,
        (
            (f"{_FILE}.h5", "9a0d58056eeedaa3f26cb7ebd46da564"),
            (f"{_FILE}_notop.h5", "bcbd6486424b2319ff4ef7d526e38f63"),
        ),
        "tf",
        size=299,
        smallest=75,
        pools=(None, None),
    ),
    "Convolutions of several sizes side by side.\n\nSource: https://arxiv.org/abs/1512.00567",
    default_name="inception_v3",
)
