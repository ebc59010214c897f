"""NASNetMobile and NASNetLarge."""

from __future__ import annotations

from typing import Any

from nnkit import layers
from nnkit.applications.architecture import Recipe, correct_pad, network
from nnkit.applications.imagenet_utils import decode_predictions, preprocessor
from nnkit.errors import ShapeError

__all__ = ["NASNetLarge", "NASNetMobile", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessor("tf")
_URL = "https://storage.googleapis.com/tensorflow/keras-applications/nasnet/"


def _normalize(x: Any, name: str) -> Any:
    return layers.BatchNormalization(momentum=0.9997, epsilon=1e-3, name=name)(x)


def _conv(x: Any, filters: int, name: str) -> Any:
    return layers.Conv2D(
        filters, 1, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
    )(x)


def _relu(x: Any, name: str | None = None) -> Any:
    return layers.Activation("relu", name=name)(x)


def _separable(x: Any, filters: int, size: int, label: str, strides: int = 1) -> Any:
    """Two separable convolutions, each after a ReLU; the first may stride."""
    x = _relu(x)
    if strides == 2:
        pad = correct_pad(x, size)
        x = layers.ZeroPadding2D(pad, name=f"separable_conv_1_pad_{label}")(x)
    for at in (1, 2):
        x = _relu(x) if at == 2 else x
        step = strides if at == 1 else 1
        x = layers.SeparableConv2D(
            filters, size, step, padding="valid" if step == 2 else "same", use_bias=False,
            name=f"separable_conv_{at}_{label}",
        )(x)  # fmt: skip
        x = _normalize(x, f"separable_conv_{at}_bn_{label}")
    return x


def _adjust(past: Any, x: Any, filters: int, label: str) -> Any:
    """The features of the cell before the last one, in the shape of the last one's."""
    if past is None:
        return x
    if past.shape[2] != x.shape[2]:
        past = _relu(past, f"adjust_relu_1_{label}")
        halves = []
        for at in (1, 2):
            half = past
            if at == 2:  # the pixels in between
                half = layers.ZeroPadding2D(((0, 1), (0, 1)))(half)
                half = layers.Cropping2D(((1, 0), (1, 0)))(half)
            name = f"adjust_avg_pool_{at}_{label}"
            half = layers.AveragePooling2D(1, strides=2, name=name)(half)
            halves.append(_conv(half, filters // 2, f"adjust_conv_{at}_{label}"))
        return _normalize(layers.concatenate(halves), f"adjust_bn_{label}")
    if past.shape[-1] != filters:
        past = _conv(_relu(past), filters, f"adjust_conv_projection_{label}")
        return _normalize(past, f"adjust_bn_{label}")
    return past


def _start(x: Any, past: Any, filters: int, kind: str, label: str) -> tuple[Any, Any]:
    past = _adjust(past, x, filters, label)
    h = _conv(_relu(x), filters, f"{kind}_conv_1_{label}")
    return _normalize(h, f"{kind}_bn_1_{label}"), past


def _normal(x: Any, past: Any, filters: int, label: str) -> tuple[Any, Any]:
    h, past = _start(x, past, filters, "normal", label)

    def mean(y: Any, name: str) -> Any:
        return layers.AveragePooling2D(3, 1, padding="same", name=f"normal_{name}_{label}")(y)

    def add(a: Any, b: Any, number: int) -> Any:
        return layers.add([a, b], name=f"normal_add_{number}_{label}")

    def path(y: Any, size: int, name: str) -> Any:
        return _separable(y, filters, size, f"normal_{name}_{label}")

    x1 = add(path(h, 5, "left1"), path(past, 3, "right1"), 1)
    x2 = add(path(past, 5, "left2"), path(past, 3, "right2"), 2)
    x3 = add(mean(h, "left3"), past, 3)
    x4 = add(mean(past, "left4"), mean(past, "right4"), 4)
    x5 = add(path(h, 3, "left5"), h, 5)
    return layers.concatenate([past, x1, x2, x3, x4, x5], name=f"normal_concat_{label}"), x


def _reduce(x: Any, past: Any, filters: int, label: str) -> tuple[Any, Any]:
    h, past = _start(x, past, filters, "reduction", label)
    pad = correct_pad(h, 3)
    padded = layers.ZeroPadding2D(pad, name=f"reduction_pad_1_{label}")(h)

    def path(y: Any, size: int, name: str, strides: int = 2) -> Any:
        return _separable(y, filters, size, f"reduction_{name}_{label}", strides)

    def pool(kind: Any, name: str) -> Any:
        return kind(3, strides=2, padding="valid", name=f"reduction_{name}_{label}")(padded)

    def add(a: Any, b: Any, name: str) -> Any:
        return layers.add([a, b], name=f"reduction_{name}_{label}")

    x1 = add(path(h, 5, "left1"), path(past, 7, "right1"), "add_1")
    x2 = add(pool(layers.MaxPooling2D, "left2"), path(past, 7, "right2"), "add_2")
    x3 = add(pool(layers.AveragePooling2D, "left3"), path(past, 5, "right3"), "add3")
    x4 = layers.AveragePooling2D(3, 1, padding="same", name=f"reduction_left4_{label}")(x1)
    x4 = layers.add([x2, x4])
    x5 = add(path(x1, 3, "left4", 1), pool(layers.MaxPooling2D, "right5"), "add4")
    return layers.concatenate([x2, x3, x4, x5], name=f"reduction_concat_{label}"), x


def _network(
    kind: str, size: int, last: int, blocks: int, stem: int, skip: bool, hashes: tuple[str, str]
) -> Any:
    function, usual = f"NASNet{kind}", f"nasnet_{kind.lower()}"
    filters = last // 24

    def body(x: Any, origin: str) -> Any:
        if None in x.shape[1:3]:
            raise ShapeError(
                f"{function} compares the sides of its feature maps, so it needs their sizes: "
                f"give input_shape=({size}, {size}, 3)."
            )
        x = layers.Conv2D(
            stem, 3, strides=2, use_bias=False, kernel_initializer="he_normal", name="stem_conv1"
        )(x)
        x, past = _normalize(x, "stem_bn1"), None
        x, past = _reduce(x, past, filters // 4, "stem_1")
        x, past = _reduce(x, past, filters // 2, "stem_2")
        for stage in range(3):
            width = filters * 2**stage
            if stage:
                x, before = _reduce(x, past, width, f"reduce_{stage * blocks}")
                past = past if skip else before
            for at in range(blocks):
                number = stage * blocks + at + (stage > 0)
                x, past = _normal(x, past, width, str(number))
        return _relu(x)

    def top(x: Any, classes: int, activation: Any, origin: str) -> Any:
        x = layers.GlobalAveragePooling2D()(x)
        return layers.Dense(classes, activation=activation, name="predictions")(x)

    doc = f"Cells found by search, pictures of {size} pixels.\n\nSource: https://arxiv.org/abs/1707.07012"

    @network(function, doc)
    def make(
        input_shape: Any = None,
        include_top: bool = True,
        weights: Any = "imagenet",
        input_tensor: Any = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: Any = "softmax",
        name: str = usual,
    ) -> Recipe:
        files = ((f"{_URL}{usual}.h5", hashes[0]), (f"{_URL}{usual}_no_top.h5", hashes[1]))
        sized = {"input_shape": (size, size, 3)} if input_tensor is None else {}
        return Recipe(body, files, "tf", size, top=top, pools=(None, None), instead=sized)

    return make


NASNetMobile = _network(
    "Mobile", 224, 1056, 4, 32, False,
    ("020fb642bf7360b370c678b08e0adf61", "1ed92395b5b598bdda52abe5c0dbfd63"),
)  # fmt: skip
NASNetLarge = _network(
    "Large", 331, 4032, 6, 96, True,
    ("11577c9a518f0070763c2b964a382f17", "d81d89dc07e6e56530c4e77faddd61b5"),
)  # fmt: skip
