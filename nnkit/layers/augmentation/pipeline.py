"""Augmentation put together: layers in a row, torchvision's transforms, a number of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnkit.arguments import number, positive
from nnkit.errors import ArgumentError, ShapeError
from nnkit.layer import Layer
from nnkit.layer_config import readable
from nnkit.layers.augmentation.pixel_layers import PixelLayer
from nnkit.layers.images import ImageLayer
from nnkit.wrapper import adapts, as_layer, held_module

__all__ = ["MaxNumBoundingBoxes", "Pipeline", "TorchVisionTransform"]


class Pipeline(Layer):
    """Apply layers one after the other, to images or to dicts of images, boxes, labels and masks.

    Args:
        layers: layers, or torchvision's transforms.

    Shape: whatever the layers take and give
    Raises: ArgumentError for what is no list of layers.
    Example: `Pipeline([RandomFlip("horizontal"), RandomRotation(0.1)])`
    """

    starts_in_training = True

    def __init__(self, layers: Sequence[Any], name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        if not isinstance(layers, (list, tuple)) or not all(
            isinstance(v, nn.Module) for v in layers
        ):
            raise ArgumentError(f"{self.label} takes a list of layers, got {layers!r}.")
        self._steps = [as_layer(layer) for layer in layers]

    @property
    def layers(self) -> list[Any]:
        """The layers in order."""
        return list(self._steps)

    def call(self, inputs: Any, training: bool = True) -> Any:
        for layer in self._steps:
            inputs = layer(inputs, training=training)
        return inputs

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {key: config[key] for key in ("layers", "name")}  # Keras's takes nothing else


class MaxNumBoundingBoxes(PixelLayer):
    """Give every image the same number of boxes: the first ones, filled up with `fill_value`.

    Args:
        max_number: of boxes.
        fill_value: of the boxes and labels that are added.

    Shape: boxes (batch, boxes, 4) -> (batch, max_number, 4); all else as it is
    Raises: ArgumentError unless max_number is a whole number above 0.
    """

    keeps_dtype = True

    def __init__(self, max_number: int, fill_value: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_number = positive(self.label, "max_number", max_number)
        self.fill_value = int(number(self, "fill_value", fill_value))

    def transform_images(
        self, images: Tensor, transformation: Any = None, training: bool = True
    ) -> Tensor:
        return images

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        boxes, labels = bounding_boxes["boxes"], bounding_boxes["labels"]
        missing = self.max_number - boxes.shape[1]  # below 0 to cut
        return {
            **bounding_boxes,
            "boxes": F.pad(boxes, (0, 0, 0, missing), value=self.fill_value),
            "labels": F.pad(labels, (0, missing), value=self.fill_value),
        }


@adapts("torchvision.transforms")
class TorchVisionTransform(ImageLayer):
    """A transform of torchvision as a layer: channels last, in training only.

    The transform sees a batch (batch, channels, height, width) and draws once for it, as
    torchvision does. Models make this layer by themselves for a transform among their layers.

    Args:
        transform: such as `v2.RandomResizedCrop(224)` or `v2.Compose([...])`.
        inference: what is done in inference instead; needed where the transform changes the size.
        data_format: "channels_last" (also None) or "channels_first".

    Shape: (batch, height, width, channels) or one image -> what the transform makes of it
    Raises: ArgumentError for what cannot be called, ShapeError when training and inference would
        give images of different sizes.
    Example: `TorchVisionTransform(v2.RandomResizedCrop(64), inference=v2.Resize((64, 64)))`
    """

    starts_in_training = True

    def __init__(
        self, transform: Any, inference: Any = None, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(data_format, **kwargs)
        for argument, given in (("transform", transform), ("inference", inference)):
            if not callable(given) and not (given is None and argument == "inference"):
                raise ArgumentError(
                    f"{self.label}: {argument} must be a transform such as "
                    f"v2.RandomHorizontalFlip(), got {given!r}."
                )
        self.transform, self.inference = transform, inference

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A new layer from `get_config()`; custom objects must have its transforms.

        Under the layer's name, or under those of the transforms' classes.
        """
        held = ("transform", "inference")
        plain = readable(cls, {**config, **dict.fromkeys(held)})
        return cls(**{**plain, **{name: held_module(config, name) for name in held}})

    def _apply_to(self, transform: Any, images: Tensor) -> Tensor:
        return (
            images if transform is None else self.as_given(transform(self.channels_first(images)))
        )

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        # Transforms choose by values, and draw: they run on data of zeros, not on the meta device.
        zeros = torch.zeros(inputs.shape, dtype=inputs.dtype)
        with torch.random.fork_rng(), torch.no_grad():
            made = [self._apply_to(each, zeros) for each in (self.transform, self.inference)]
        if made[0].shape != made[1].shape:
            height, width, _ = self.axes
            sizes = [(each.shape[height], each.shape[width]) for each in made]
            raise ShapeError(
                f"{self.label} gives images of {sizes[0]} in training and {sizes[1]} in "
                f"inference. Give what to do in inference, such as "
                f"inference=v2.Resize({sizes[0]})."
            )
        return made[0].to("meta")

    def call(self, inputs: Tensor, training: bool = True) -> Tensor:
        return self._apply_to(self.transform if training else self.inference, inputs)
