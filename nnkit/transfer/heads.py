"""A new classifier for a pretrained network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnkit import layers, ops
from nnkit.applications.imagenet_utils import preprocess_input
from nnkit.arguments import positive
from nnkit.errors import ShapeError
from nnkit.models import Model, Sequential

__all__ = ["classifier_head", "with_head"]


def classifier_head(
    features: Any,
    classes: int,
    units: Sequence[int] = (),
    dropout: float = 0.2,
    name: str = "head",
) -> Sequential:
    """A small classifier for the features of a network.

    Args:
        features: the network, or the shape of its output without the batch axis: a vector, or a
            feature map (height, width, channels), which is averaged over its pixels.
        classes: how many there are; 1 for yes or no, with a sigmoid.
        units: of Dense layers with ReLU in between.
        dropout: fraction before each Dense layer.
        name: of the head.

    Returns: a Sequential (batch, ...) -> (batch, classes) that gives probabilities.
    """
    classes = positive("classifier_head", "classes", classes)
    shape = tuple(features.output_shape[1:] if isinstance(features, Model) else features)
    if len(shape) not in (1, 3) or shape[-1] is None:
        raise ShapeError(
            f"classifier_head takes features (channels,) or (height, width, channels), got {shape}."
        )
    head = Sequential([layers.Input(shape)], name=name)
    if len(shape) == 3:
        head.add(layers.GlobalAveragePooling2D(name=f"{name}_pool"))
    for number, width in enumerate(units, start=1):
        if dropout:
            head.add(layers.Dropout(dropout, name=f"{name}_dropout{number}"))
        head.add(layers.Dense(width, activation="relu", name=f"{name}_dense{number}"))
    if dropout:
        head.add(layers.Dropout(dropout, name=f"{name}_dropout"))
    activation = "sigmoid" if classes == 1 else "softmax"
    head.add(layers.Dense(classes, activation=activation, name=f"{name}_predictions"))
    return head


def with_head(
    base: Model, head: Model, augment: Any = None, preprocess: bool = True, name: str = "classifier"
) -> Model:
    """A network and its classifier as one model, from pixels to probabilities.

    Args:
        base: the network.
        head: the classifier, from `classifier_head`.
        augment: a layer for the pixels that works in training only.
        preprocess: whether pixels from 0 to 255 come in and `base.preprocessing` is part of the
            model; False if they are preprocessed already.
        name: of the model.
    """
    inputs = layers.Input(base.input_shape[1:])
    x = inputs if augment is None else augment(inputs)
    if preprocess and base.preprocessing is not None:
        x = _prepared(x, base.preprocessing)
    return Model(inputs, head(base(x)), name=name)


def _prepared(x: Any, mode: str) -> Any:
    """What `preprocess_input` does, as a layer, which Keras reads from a file too."""
    if mode == "pixels":
        return x
    # A linear rule for each channel, read off at two points.
    low, high = (preprocess_input(np.full((1, 1, 3), at), mode=mode)[0, 0] for at in (0.0, 1.0))
    x = ops.flip(x, -1) if mode == "caffe" else x
    scale, offset = (high - low).tolist(), low.tolist()
    return layers.Rescaling(scale, offset=offset, name=f"preprocess_{mode}")(x)
