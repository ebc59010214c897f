"""ConvNeXtTiny to XLarge. Pixels from 0 to 255 go in; normalizing them is the first layer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch

from nnkit import initializers, layers
from nnkit.applications.architecture import Recipe, network
from nnkit.applications.imagenet_utils import decode_predictions, preprocessor
from nnkit.applications.pretrained import Torchvision
from nnkit.custom_objects import publish
from nnkit.layer import Layer
from nnkit.layers.identity import SameShape
from nnkit.models import Model, Sequential

__all__ = [
    "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtSmall", "ConvNeXtTiny", "ConvNeXtXLarge",
    "LayerScale", "decode_predictions", "preprocess_input",
]  # fmt: skip

preprocess_input = preprocessor("pixels")
_URL = "https://storage.googleapis.com/tensorflow/keras-applications/convnext/"
_MEAN = [0.485 * 255, 0.456 * 255, 0.406 * 255]
_VARIANCE = [(0.229 * 255) ** 2, (0.224 * 255) ** 2, (0.225 * 255) ** 2]


class LayerScale(SameShape):
    """Multiply each channel by a learned factor.

    Args:
        init_values: the factors to start from.
        projection_dim: number of channels.

    Shape: (batch, ..., channels) -> the same
    Source: https://arxiv.org/abs/2103.17239
    """

    accepts = "(batch, ..., channels)"

    def __init__(self, init_values: float, projection_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.init_values = init_values
        self.projection_dim = projection_dim

    def build(self, input_shape: Any) -> None:
        start = initializers.Constant(self.init_values)
        self.gamma = self.add_weight((self.projection_dim,), start, name="gamma")

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs * self.gamma


publish("keras.src.applications.convnext", ["LayerScale"], globals())


def _normalize(name: str | None = None) -> Layer:
    return layers.LayerNormalization(epsilon=1e-6, name=name)


def _block(x: Any, channels: int, name: str) -> Any:
    y = layers.Conv2D(
        channels, 7, padding="same", groups=channels, name=f"{name}_depthwise_conv"
    )(x)  # fmt: skip
    y = _normalize(f"{name}_layernorm")(y)
    y = layers.Dense(4 * channels, name=f"{name}_pointwise_conv_1")(y)
    y = layers.Activation("gelu", name=f"{name}_gelu")(y)
    y = layers.Dense(channels, name=f"{name}_pointwise_conv_2")(y)
    y = LayerScale(1e-6, channels, name=f"{name}_layer_scale")(y)
    return x + layers.Activation("linear", name=f"{name}_identity")(y)


def _names(layer: str) -> str:
    """Torchvision counts stem, stages and what is between them in one list."""
    last = layer.rpartition("_head_")[2]
    if last in ("layernorm", "dense"):
        return {"layernorm": "classifier.0", "dense": "classifier.2"}[last]
    parts = re.search(r"_stage_(\d)_block_(\d+)_(\w+)$", layer)
    if parts:
        start = f"features.{2 * int(parts[1]) + 1}.{parts[2]}."
        places = {
            "depthwise_conv": "block.0",
            "layernorm": "block.2",
            "pointwise_conv_1": "block.3",
            "pointwise_conv_2": "block.5",
            "layer_scale": "layer_scale",
        }
        return start + places[parts[3]]
    parts = re.search(r"_downsampling_(layernorm|conv)_(\d)$", layer)
    if parts:
        return f"features.{2 * int(parts[2]) + 2}.{int(parts[1] == 'conv')}"
    return f"features.0.{int(layer.endswith('layernorm'))}"


def _with_flat_scales(state: dict[str, Any]) -> dict[str, Any]:
    """The factors as (channels,) instead of (channels, 1, 1), under a name of their own."""
    word = ".layer_scale"
    return {
        (f"{key}.gamma" if key.endswith(word) else key): (
            value.flatten() if key.endswith(word) else value
        )
        for key, value in state.items()
    }


def _network(
    kind: str, depths: tuple[int, ...], widths: tuple[int, ...], hashes: tuple[str, str], file: str
) -> Callable[..., Model]:
    usual = f"convnext_{kind.lower()}"

    doc = (
        f"{sum(depths)} blocks of depthwise 7 x 7 convolutions, {widths[0]} to {widths[-1]} "
        "channels.\n\n"
        "include_preprocessing normalizes pixels from 0 to 255 as the first step.\n\n"
        "Source: https://arxiv.org/abs/2201.03545"
    )

    @network(f"ConvNeXt{kind}", doc)
    def make(
        include_top: bool = True,
        include_preprocessing: bool = True,
        weights: Any = "imagenet",
        input_tensor: Any = None,
        input_shape: Any = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: Any = "softmax",
        name: str = usual,
    ) -> Recipe:
        def body(x: Any, origin: str) -> Any:
            if include_preprocessing and x.shape[-1] == 3:
                x = layers.Normalization(
                    mean=_MEAN, variance=_VARIANCE, name=f"{name}_prestem_normalization"
                )(x)
            stem = [
                layers.Conv2D(widths[0], 4, strides=4, name=f"{name}_stem_conv"),
                _normalize(f"{name}_stem_layernorm"),
            ]
            downs = [Sequential(stem, name=f"{name}_stem")]
            for at, width in enumerate(widths[1:]):
                between = [
                    _normalize(f"{name}_downsampling_layernorm_{at}"),
                    layers.Conv2D(width, 2, strides=2, name=f"{name}_downsampling_conv_{at}"),
                ]
                downs.append(Sequential(between, name=f"{name}_downsampling_block_{at}"))
            for stage, (down, depth, width) in enumerate(zip(downs, depths, widths, strict=True)):
                x = down(x)
                for at in range(depth):
                    x = _block(x, width, f"{name}_stage_{stage}_block_{at}")
            return x

        def top(x: Any, classes: int, activation: Any, origin: str) -> Any:
            x = layers.GlobalAveragePooling2D(name=f"{name}_head_gap")(x)
            x = _normalize(f"{name}_head_layernorm")(x)
            return layers.Dense(classes, activation=activation, name=f"{name}_head_dense")(x)

        start = f"{_URL}{usual}"
        mode = "pixels" if include_preprocessing else "torch"
        theirs = None
        if file and include_top:  # torchvision normalizes as part of the classifier
            url = f"https://download.pytorch.org/models/{file}"
            theirs = Torchvision(url, _names, "classifier.", mode, _with_flat_scales)
        return Recipe(
            body, ((f"{start}.h5", hashes[0]), (f"{start}_notop.h5", hashes[1])), mode, top=top,
            pools=(None, None), after=lambda x: _normalize()(x), torchvision=theirs,
        )  # fmt: skip

    return make


ConvNeXtTiny = _network(
    "Tiny", (3, 3, 9, 3), (96, 192, 384, 768),
    ("8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff",
     "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1"),
    "convnext_tiny-983f1562.pth",
)  # fmt: skip
ConvNeXtSmall = _network(
    "Small", (3, 3, 27, 3), (96, 192, 384, 768),
    ("ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c",
     "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab"),
    "convnext_small-0c510722.pth",
)  # fmt: skip
ConvNeXtBase = _network(
    "Base", (3, 3, 27, 3), (128, 256, 512, 1024),
    ("52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6",
     "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45"),
    "convnext_base-6075fbad.pth",
)  # fmt: skip
ConvNeXtLarge = _network(
    "Large", (3, 3, 27, 3), (192, 384, 768, 1536),
    ("070c5ed9ed289581e477741d3b34beffa920db8cf590899d6d2c67fba2a198a6",
     "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd"),
    "convnext_large-ea097f82.pth",
)  # fmt: skip
ConvNeXtXLarge = _network(
    "XLarge", (3, 3, 27, 3), (256, 512, 1024, 2048),
    ("c1f5ccab661354fc3a79a10fa99af82f0fbf10ec65cb894a3ae0815f17a889ee",
     "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05"),
    "",
)  # fmt: skip
