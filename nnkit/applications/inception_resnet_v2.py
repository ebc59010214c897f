"""InceptionResNetV2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from nnkit import layers
from nnkit.applications.architecture import Recipe, application
from nnkit.applications.imagenet_utils import decode_predictions, preprocessor
from nnkit.custom_objects import publish
from nnkit.layers.merging import Merge, Tensors

__all__ = ["CustomScaleLayer", "InceptionResNetV2", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessor("tf")
_FILE = (
    "https://storage.googleapis.com/tensorflow/keras-applications/inception_resnet_v2/"
    "inception_resnet_v2_weights_tf_dim_ordering_tf_kernels"
)
Path = Sequence[tuple[int, Any]]  # filters and window of each convolution in a row
_BLOCKS: dict[str, list[Path]] = {
    "block35": [[(32, 1)], [(32, 1), (32, 3)], [(32, 1), (48, 3), (64, 3)]],
    "block17": [[(192, 1)], [(128, 1), (160, (1, 7)), (192, (7, 1))]],
    "block8": [[(192, 1)], [(192, 1), (224, (1, 3)), (256, (3, 1))]],
}


class CustomScaleLayer(Merge):
    """The first tensor plus `scale` times the second; named as in Keras's files.

    Shape: [any, the same] -> the same
    """

    exactly = 2

    def __init__(self, scale: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs: Tensors) -> torch.Tensor:
        return inputs[0] + inputs[1] * self.scale


publish("keras.src.applications.inception_resnet_v2", ["CustomScaleLayer"], globals())


def _conv(
    x: Any, filters: int, size: Any, strides: int = 1, padding: str = "same", name: Any = None
) -> Any:
    x = layers.Conv2D(filters, size, strides, padding=padding, use_bias=False, name=name)(x)
    x = layers.BatchNormalization(scale=False, name=name and f"{name}_bn")(x)
    return layers.Activation("relu", name=name and f"{name}_ac")(x)


def _row(x: Any, path: Path) -> Any:
    for filters, size in path:
        x = _conv(x, filters, size)
    return x


def _shrink(x: Any, paths: Sequence[Path], name: str) -> Any:
    """Paths whose last convolution halves the sides, and one that pools."""
    branches = []
    for *path, (filters, size) in paths:
        branches.append(_conv(_row(x, path), filters, size, 2, "valid"))
    branches.append(layers.MaxPooling2D(3, strides=2)(x))
    return layers.Concatenate(name=name)(branches)


def _residual(x: Any, kind: str, number: int, scale: float, active: bool = True) -> Any:
    name = f"{kind}_{number}"
    mixed = [_row(x, path) for path in _BLOCKS[kind]]
    up = layers.Concatenate(name=f"{name}_mixed")(mixed)
    up = layers.Conv2D(x.shape[-1], 1, padding="same", name=f"{name}_conv")(up)
    x = CustomScaleLayer(scale)([x, up])
    return layers.Activation("relu", name=f"{name}_ac")(x) if active else x


def _body(x: Any, origin: str) -> Any:
    x = _conv(x, 32, 3, 2, "valid")
    x = _conv(x, 32, 3, 1, "valid")
    x = layers.MaxPooling2D(3, strides=2)(_conv(x, 64, 3))
    x = _conv(x, 80, 1, 1, "valid")
    x = layers.MaxPooling2D(3, strides=2)(_conv(x, 192, 3, 1, "valid"))
    paths = ([(96, 1)], [(48, 1), (64, 5)], [(64, 1), (96, 3), (96, 3)])
    branches = [_row(x, path) for path in paths]
    mean = layers.AveragePooling2D(3, strides=1, padding="same")(x)
    x = layers.Concatenate(name="mixed_5b")([*branches, _conv(mean, 64, 1)])
    for number in range(1, 11):
        x = _residual(x, "block35", number, 0.17)
    x = _shrink(x, [[(384, 3)], [(256, 1), (256, 3), (384, 3)]], "mixed_6a")
    for number in range(1, 21):
        x = _residual(x, "block17", number, 0.1)
    x = _shrink(
        x, [[(256, 1), (384, 3)], [(256, 1), (288, 3)], [(256, 1), (288, 3), (320, 3)]], "mixed_7a"
    )
    for number in range(1, 10):
        x = _residual(x, "block8", number, 0.2)
    x = _residual(x, "block8", 10, 1.0, active=False)
    return _conv(x, 1536, 1, name="conv_7b")


InceptionResNetV2 = application(
    "InceptionResNetV2",
    Recipe(
        _body,
        (
            (f"{_FILE}.h5", "e693bd0210a403b3192acc6073ad2e96"),
            (f"{_FILE}_notop.h5", "d19885ff4a710c122648d3b5c3b684e4"),
        ),
        "tf",
        size=299,
        smallest=75,
        pools=(None, None),
    ),
    "Inception blocks added to shortcuts.\n\nSource: https://arxiv.org/abs/1602.07261",
    default_name="inception_resnet_v2",
)
