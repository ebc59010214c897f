"""VGG16, and the blocks it shares with VGG19."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnkit import layers
from nnkit.applications.architecture import Recipe, application
from nnkit.applications.imagenet_utils import decode_predictions, preprocessor
from nnkit.applications.pretrained import Torchvision

__all__ = ["VGG16", "decode_predictions", "preprocess_input", "vgg"]

preprocess_input = preprocessor("caffe")
_URL = "https://storage.googleapis.com/tensorflow/keras-applications/"
_FILTERS = (64, 128, 256, 512, 512)
_GRID = 7  # pixels a side of the last feature map, for pictures of 224


def vgg(name: str, depths: tuple[int, ...], hashes: tuple[str, str], url: str) -> Recipe:
    """The recipe of a VGG.

    Args:
        name: "vgg16".
        depths: convolutions in each of the five blocks.
        hashes: of Keras's files with and without the classifier.
        url: torchvision's weights.
    """
    file = f"{_URL}{name}/{name}_weights_tf_dim_ordering_tf_kernels"
    files = ((f"{file}.h5", hashes[0]), (f"{file}_notop.h5", hashes[1]))

    def body(x: Any, origin: str) -> Any:
        for block, (filters, depth) in enumerate(zip(_FILTERS, depths, strict=True), start=1):
            for number in range(1, depth + 1):
                x = layers.Conv2D(
                    filters, 3, activation="relu", padding="same", name=f"block{block}_conv{number}"
                )(x)
            x = layers.MaxPooling2D(2, strides=2, name=f"block{block}_pool")(x)
        return x

    torchvision = Torchvision(url, _names(depths), "classifier.")
    return Recipe(body, files, "caffe", top=_top, pools=(None, None), torchvision=torchvision)


def _top(x: Any, classes: int, activation: Any, origin: str) -> Any:
    if origin == "torchvision" and tuple(x.shape[1:3]) != (_GRID, _GRID):
        # Torchvision's network takes pictures of any size so; at 224 pixels this changes nothing.
        x = layers.AdaptiveAveragePooling2D(_GRID, name="avgpool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(4096, activation="relu", name="fc1")(x)
    x = layers.Dense(4096, activation="relu", name="fc2")(x)
    return layers.Dense(classes, activation=activation, name="predictions")(x)


def _names(depths: tuple[int, ...]) -> Callable[[str], str]:
    known = {"fc1": "classifier.0", "fc2": "classifier.3", "predictions": "classifier.6"}
    at = 0
    for block, depth in enumerate(depths, start=1):
        for number in range(1, depth + 1):
            known[f"block{block}_conv{number}"] = f"features.{at}"
            at += 2  # a convolution and its ReLU
        at += 1  # the pooling
    return known.__getitem__


VGG16 = application(
    "VGG16",
    vgg(
        "vgg16",
        (2, 2, 3, 3, 3),
        ("64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc"),
        "https://download.pytorch.org/models/vgg16-397923af.pth",
    ),
    "Thirteen convolutions and three Dense layers: 138,357,544 weights, 14,714,688 without top.\n\n"
    "Source: https://arxiv.org/abs/1409.1556",
)
