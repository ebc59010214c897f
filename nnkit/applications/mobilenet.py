"""MobileNet, and the choice of weights by width and picture size, also for version 2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnkit import layers
from nnkit.applications.architecture import Recipe, network
from nnkit.applications.imagenet_utils import decode_predictions, preprocessor
from nnkit.errors import ArgumentError, warn_user

__all__ = ["MobileNet", "decode_predictions", "preprocess_input", "trained_size"]

preprocess_input = preprocessor("tf")
_URL = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet/"
_SIZES = (128, 160, 192, 224)
_WIDTHS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}
# Filters and strides of the thirteen blocks.
_BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1),
    (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip


def trained_size(
    name: str, shape: Any, tensor: Any, alpha: float, widths: Sequence[float], sizes: Sequence[int],
    weights: Any,
) -> tuple[int, int | None]:  # fmt: skip
    """The side in pixels that the network counts as made for, and the one it is really given.

    Args:
        name: of the function, for messages.
        shape: input_shape, or None.
        tensor: input_tensor, or None.
        alpha: the width of the network, a factor.
        widths, sizes: those there are ImageNet weights for.
        weights: the argument of that name.
    """
    if shape is None and tensor is not None:
        shape = tensor.shape[1:]
    height, width = (None, None) if shape is None else tuple(shape)[:2]
    fits = height == width and height in sizes
    if isinstance(weights, str) and weights == "imagenet":
        if alpha not in widths:
            raise ArgumentError(
                f"{name}: there are ImageNet weights for alpha {', '.join(map(str, widths))}, "
                f"got alpha={alpha!r}."
            )
        if shape is not None and not fits:
            warn_user(
                f"{name} has ImageNet weights for square pictures of "
                f"{', '.join(map(str, sizes))} pixels; those for 224 are taken for {height} x "
                f"{width}."
            )
    return (height if fits and height else 224), height


def _conv(x: Any, filters: int, name: str, size: int = 1, strides: int = 1) -> Any:
    x = layers.Conv2D(filters, size, strides, padding="same", use_bias=False, name=name)(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_bn")(x))


@network("MobileNet")
def MobileNet(  # noqa: N802 - Keras's name
    input_shape: Any = None,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 0.001,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Recipe:
    """Thirteen depthwise separable convolutions, made for phones.

    alpha is a factor for the width of all layers, depth_multiplier one for the depthwise
    convolutions, dropout a fraction before the classifier.

    Source: https://arxiv.org/abs/1704.04861
    """
    size, side = trained_size(
        "MobileNet", input_shape, input_tensor, alpha, tuple(_WIDTHS), _SIZES, weights
    )
    if isinstance(weights, str) and weights == "imagenet" and depth_multiplier != 1:
        raise ArgumentError(
            f"MobileNet: ImageNet weights go with depth_multiplier=1, got {depth_multiplier}."
        )

    def body(x: Any, origin: str) -> Any:
        x = _conv(x, int(32 * alpha), "conv1", 3, 2)
        for at, (filters, step) in enumerate(_BLOCKS, start=1):
            if step == 2:
                x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{at}")(x)
            x = layers.DepthwiseConv2D(
                3, step, padding="same" if step == 1 else "valid",
                depth_multiplier=depth_multiplier, use_bias=False, name=f"conv_dw_{at}",
            )(x)  # fmt: skip
            x = layers.BatchNormalization(name=f"conv_dw_{at}_bn")(x)
            x = layers.ReLU(6.0, name=f"conv_dw_{at}_relu")(x)
            x = _conv(x, int(filters * alpha), f"conv_pw_{at}")
        return x

    def top(x: Any, classes: int, activation: Any, origin: str) -> Any:
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = layers.Dropout(dropout, name="dropout")(x)
        x = layers.Conv2D(classes, 1, padding="same", name="conv_preds")(x)
        x = layers.Reshape((classes,), name="reshape_2")(x)
        return layers.Activation(activation, name="predictions")(x)

    file = f"{_URL}mobilenet_{_WIDTHS.get(alpha)}_{size}_tf"
    files = ((f"{file}.h5", None), (f"{file}_no_top.h5", None))
    shown = side if side is not None or not include_top else size
    return Recipe(
        body, files, "tf", size, top=top, pools=(None, None),
        instead={"name": f"mobilenet_{alpha:0.2f}_{shown}"},
    )  # fmt: skip
