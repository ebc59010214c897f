"""MobileNetV3Small and Large. Pixels from 0 to 255 go in; scaling them is the first layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnkit import layers
from nnkit.applications.architecture import (
    Recipe,
    correct_pad,
    make_divisible,
    network,
)
from nnkit.applications.imagenet_utils import decode_predictions, preprocessor
from nnkit.errors import ArgumentError
from nnkit.models import Model

__all__ = ["MobileNetV3Large", "MobileNetV3Small", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessor("pixels")
_URL = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v3/"
_HASHES = {
    "large_224_0.75": ("765b44a33ad4005b3ac83185abf1d0eb", "40af19a13ebea4e2ee0c676887f69a2e"),
    "large_224_1.0": ("59e551e166be033d707958cf9e29a6a7", "07fb09a5933dd0c8eaafa16978110389"),
    "large_minimalistic_224_1.0": (
        "675e7b876c45c57e9e63e6d90a36599c",
        "ec5221f64a2f6d1ef965a614bdae7973",
    ),
    "small_224_0.75": ("cb65d4e5be93758266aa0a7f2c6708b7", "ebdb5cc8e0b497cd13a7c275d475c819"),
    "small_224_1.0": ("8768d4c2e7dee89b9d02b2d03d65d862", "d3e8ec802a04aa4fc771ee12a9a9b836"),
    "small_minimalistic_224_1.0": (
        "99cd97fb2fcdad2bf028eb838de69e37",
        "cde8136e733e811080d9fcd8a252f7e4",
    ),
}
# Expansion, filters, kernel (5 is 3 in the minimalistic networks), strides, whether channels are
# weighed (squeeze and excitation), whether hard swish is used instead of ReLU.
_SMALL = (
    (1, 16, 3, 2, True, False), (72 / 16, 24, 3, 2, False, False),
    (88 / 24, 24, 3, 1, False, False),
    (4, 40, 5, 2, True, True), (6, 40, 5, 1, True, True), (6, 40, 5, 1, True, True),
    (3, 48, 5, 1, True, True), (3, 48, 5, 1, True, True), (6, 96, 5, 2, True, True),
    (6, 96, 5, 1, True, True), (6, 96, 5, 1, True, True),
)  # fmt: skip
_LARGE = (
    (1, 16, 3, 1, False, False), (4, 24, 3, 2, False, False), (3, 24, 3, 1, False, False),
    (3, 40, 5, 2, True, False), (3, 40, 5, 1, True, False), (3, 40, 5, 1, True, False),
    (6, 80, 3, 2, False, True), (2.5, 80, 3, 1, False, True), (2.3, 80, 3, 1, False, True),
    (2.3, 80, 3, 1, False, True), (6, 112, 3, 1, True, True), (6, 112, 3, 1, True, True),
    (6, 160, 5, 2, True, True), (6, 160, 5, 1, True, True), (6, 160, 5, 1, True, True),
)  # fmt: skip


def _relu(x: Any) -> Any:
    return layers.ReLU()(x)


def _swish(x: Any) -> Any:
    return layers.Activation("hard_swish")(x)


def _normalize(x: Any, name: str) -> Any:
    return layers.BatchNormalization(epsilon=1e-3, momentum=0.999, name=name)(x)


def _weigh(x: Any, filters: int, name: str) -> Any:
    """Squeeze and excitation: a factor for each channel, from the means of all."""
    name += "squeeze_excite_"
    y = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}avg_pool")(x)
    y = layers.Conv2D(make_divisible(filters * 0.25), 1, padding="same", name=f"{name}conv")(y)
    y = layers.ReLU(name=f"{name}relu")(y)
    y = layers.Conv2D(filters, 1, padding="same", name=f"{name}conv_1")(y)
    y = layers.ReLU(6.0)(y + 3.0) * (1.0 / 6.0)
    return layers.Multiply(name=f"{name}mul")([x, y])


def _block(
    x: Any, number: int, expansion: float, filters: int, kernel: int, step: int, weighed: bool,
    activate: Callable[[Any], Any],
) -> Any:  # fmt: skip
    shortcut, channels = x, x.shape[-1]
    name = f"expanded_conv_{number}_" if number else "expanded_conv_"
    wide = make_divisible(channels * expansion)
    if number:
        x = layers.Conv2D(wide, 1, padding="same", use_bias=False, name=f"{name}expand")(x)
        x = activate(_normalize(x, f"{name}expand_bn"))
    if step == 2:
        x = layers.ZeroPadding2D(correct_pad(x, kernel), name=f"{name}depthwise_pad")(x)
    padding = "same" if step == 1 else "valid"
    x = layers.DepthwiseConv2D(
        kernel, step, padding=padding, use_bias=False, name=f"{name}depthwise"
    )(x)
    x = activate(_normalize(x, f"{name}depthwise_bn"))
    if weighed:
        x = _weigh(x, wide, name)
    x = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=f"{name}project")(x)
    x = _normalize(x, f"{name}project_bn")
    if step == 1 and channels == filters:
        x = layers.Add(name=f"{name}add")([shortcut, x])
    return x


def _network(kind: str, blocks: Any, last: int) -> Callable[..., Model]:
    function = f"MobileNetV3{kind.capitalize()}"

    doc = (
        f"The {kind} network, with channels weighed and hard swish, found by search.\n\n"
        "alpha is a factor for the width of all layers; minimalistic leaves out what is slow on\n"
        "simple chips; dropout_rate is a fraction before the classifier; include_preprocessing\n"
        "scales pixels from 0 to 255 as the first step, without it they must be from -1 to 1.\n\n"
        "Source: https://arxiv.org/abs/1905.02244"
    )

    @network(function, doc)
    def make(
        input_shape: Any = None,
        alpha: float = 1.0,
        minimalistic: bool = False,
        include_top: bool = True,
        weights: Any = "imagenet",
        input_tensor: Any = None,
        classes: int = 1000,
        pooling: str | None = None,
        dropout_rate: float = 0.2,
        classifier_activation: Any = "softmax",
        include_preprocessing: bool = True,
        name: str = function,
    ) -> Recipe:
        swish = _relu if minimalistic else _swish

        def body(x: Any, origin: str) -> Any:
            if include_preprocessing:
                x = layers.Rescaling(1.0 / 127.5, offset=-1.0)(x)
            x = layers.Conv2D(16, 3, 2, padding="same", use_bias=False, name="conv")(x)
            x = swish(_normalize(x, "conv_bn"))
            for number, (wider, filters, kernel, step, weighed, swished) in enumerate(blocks):
                x = _block(
                    x, number, wider, make_divisible(filters * alpha),
                    3 if minimalistic else kernel, step, weighed and not minimalistic,
                    swish if swished else _relu,
                )  # fmt: skip
            wide = make_divisible(x.shape[-1] * 6)
            x = layers.Conv2D(wide, 1, padding="same", use_bias=False, name="conv_1")(x)
            return swish(_normalize(x, "conv_1_bn"))

        def top(x: Any, classes: int, activation: Any, origin: str) -> Any:
            units = make_divisible(last * alpha) if alpha > 1.0 else last
            x = layers.GlobalAveragePooling2D(keepdims=True)(x)
            x = swish(layers.Conv2D(units, 1, padding="same", name="conv_2")(x))
            x = layers.Dropout(dropout_rate)(x) if dropout_rate > 0 else x
            x = layers.Conv2D(classes, 1, padding="same", name="logits")(x)
            return layers.Activation(activation, name="predictions")(layers.Flatten()(x))

        trained = f"{kind}{'_minimalistic' if minimalistic else ''}_224_{float(alpha)}"
        files = None
        if trained in _HASHES:
            file, hashes = f"{_URL}weights_mobilenet_v3_{trained}_float", _HASHES[trained]
            files = ((f"{file}.h5", hashes[0]), (f"{file}_no_top_v2.h5", hashes[1]))
        elif weights == "imagenet":
            raise ArgumentError(
                f"{function}: there are ImageNet weights for alpha 0.75 and 1.0, minimalistic "
                f"ones for 1.0, got alpha={alpha!r}."
            )
        mode = "pixels" if include_preprocessing else "tf"
        return Recipe(body, files, mode, 224, top=top, any_size=True)

    return make


MobileNetV3Small = _network("small", _SMALL, 1024)
MobileNetV3Large = _network("large", _LARGE, 1280)
