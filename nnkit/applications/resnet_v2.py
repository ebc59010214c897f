"""ResNet50V2, 101V2 and 152V2: normalization and ReLU before each convolution."""

from __future__ import annotations

from typing import Any

from nnkit import layers
from nnkit.applications.architecture import Recipe, application
from nnkit.applications.imagenet_utils import decode_predictions, preprocessor
from nnkit.applications.resnet import EPSILON, FILTERS, resnet_files, stem

__all__ = ["ResNet50V2", "ResNet101V2", "ResNet152V2", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessor("tf")


def _activate(x: Any, name: str) -> Any:
    x = layers.BatchNormalization(epsilon=EPSILON, name=f"{name}_bn")(x)
    return layers.Activation("relu", name=f"{name}_relu")(x)


def _block(x: Any, filters: int, step: int, new: bool, name: str) -> Any:
    active = _activate(x, f"{name}_preact")
    if new:
        shortcut = layers.Conv2D(4 * filters, 1, strides=step, name=f"{name}_0_conv")(active)
    else:
        shortcut = layers.MaxPooling2D(1, strides=step)(x) if step > 1 else x
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_1_conv")(active)
    x = layers.ZeroPadding2D(1, name=f"{name}_2_pad")(_activate(x, f"{name}_1"))
    x = layers.Conv2D(filters, 3, strides=step, use_bias=False, name=f"{name}_2_conv")(x)
    x = layers.Conv2D(4 * filters, 1, name=f"{name}_3_conv")(_activate(x, f"{name}_2"))
    return layers.Add(name=f"{name}_out")([shortcut, x])


def _resnet_v2(name: str, depths: tuple[int, ...], hashes: tuple[str, str]) -> Any:
    def body(x: Any, origin: str) -> Any:
        x = stem(x, False)
        for stage, (filters, depth) in enumerate(zip(FILTERS, depths, strict=True), start=2):
            for block in range(1, depth + 1):
                # The last block of a stage halves the sides, except in the last stage.
                step = 2 if block == depth and stage < 5 else 1
                x = _block(x, filters, step, block == 1, f"conv{stage}_block{block}")
        return _activate(x, "post")

    return application(
        name,
        Recipe(body, resnet_files(name.lower(), hashes), "tf"),
        f"{sum(depths)} residual blocks whose shortcuts nothing interrupts.\n\n"
        "Source: https://arxiv.org/abs/1603.05027",
    )


ResNet50V2 = _resnet_v2(
    "ResNet50V2",
    (3, 4, 6, 3),
    ("3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917"),
)
ResNet101V2 = _resnet_v2(
    "ResNet101V2",
    (3, 4, 23, 3),
    ("6343647c601c52e1368623803854d971", "c0ed64b8031c3730f411d2eb4eea35b5"),
)
ResNet152V2 = _resnet_v2(
    "ResNet152V2",
    (3, 8, 36, 3),
    ("a49b44d1979771252814e80f8ec446f9", "ed17cf2e0169df9d443503ef94b23b33"),
)
