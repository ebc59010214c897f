"""The base of all augmentation: what is drawn for a batch, and what it does to each part of it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from nnkit.arguments import one_of
from nnkit.errors import ArgumentError, ShapeError
from nnkit.layers.augmentation.boxes import FORMATS, dense_boxes
from nnkit.layers.augmentation.draws import Draws
from nnkit.layers.augmentation.factors import as_factor
from nnkit.layers.augmentation.pieces import in_pieces
from nnkit.layers.images import ImageLayer
from nnkit.ops.recording import as_tensor
from nnkit.random import Seed, SeedGenerator
from nnkit.shapes import describe
from nnkit.tree import map_structure

__all__ = ["BaseImagePreprocessingLayer", "images_of"]


_ON_TENSORS = {
    "get_random_transformation", "transform_images", "transform_labels",
    "transform_bounding_boxes", "transform_segmentation_masks",
}  # fmt: skip


def _called_by_hand(body: Callable[..., Any]) -> Callable[..., Any]:
    """A method that may be given NumPy arrays, and one image in place of a batch, as in Keras."""
    names = list(inspect.signature(body).parameters)
    on_pixels = body.__name__ in ("transform_images", "transform_segmentation_masks")

    @functools.wraps(body)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        first, *more = map(_tensors, args or (kwargs.pop(names[1]),))
        more_by_name = {key: _tensors(value) for key, value in kwargs.items()}
        if on_pixels and isinstance(first, Tensor) and first.ndim == 3:
            return body(self, first.unsqueeze(0), *more, **more_by_name).squeeze(0)
        return body(self, first, *more, **more_by_name)

    return run


def _tensors(value: Any) -> Any:
    """An array, or a dict with arrays, with tensors in their place."""
    if isinstance(value, dict):
        return {key: _tensors(each) for key, each in value.items()}
    return as_tensor(value) if isinstance(value, np.ndarray) else value


class BaseImagePreprocessingLayer(ImageLayer):
    """Base of layers that change images at random, in training only.

    Write `get_random_transformation`, which draws the parameters for a batch, and
    `transform_images`, `transform_labels`, `transform_bounding_boxes` and
    `transform_segmentation_masks`, which apply them. All see a batch, also of one image. The layer
    takes images, or a dict of "images" with any of "labels", "bounding_boxes" (a dict of "boxes"
    and "labels") and "segmentation_masks"; the dict it gives is a new one.

    A call augments, as in Keras, until `fit`, `predict` or `.eval()` switch the mode, or
    `training=False` is given.

    Args:
        factor: strength, a number or a pair (lowest, highest); kept as a pair in `self.factor`.
        bounding_box_format: of the boxes, such as "xyxy" or "rel_xywh"; needed for boxes only.
        data_format: "channels_last" (also None) or "channels_first".

    Shape: (batch, height, width, channels) or one image (height, width, channels) -> the same
    Raises: ArgumentError for a factor out of bounds or an unknown format, ShapeError for other
        ranks.
    """

    starts_in_training = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _ON_TENSORS & set(vars(cls)):
            setattr(cls, name, _called_by_hand(vars(cls)[name]))

    # Keras's names for what subclasses set: whether `factor` is taken here, and its limits.
    _USE_BASE_FACTOR: ClassVar[bool] = True
    _FACTOR_BOUNDS: ClassVar[tuple[float, float]] = (-1, 1)
    keeps_dtype: ClassVar[bool] = False
    channels: ClassVar[tuple[int, ...]] = ()
    # Parameters: booleans that say which images are changed, and what is not for single images.
    _chosen: ClassVar[str] = ""
    _for_all: ClassVar[tuple[str, ...]] = ()
    # Whether `_written` takes the images as they came; else it gets a copy in the dtype of the
    # result, which it may change in place.
    _raw: ClassVar[bool] = False

    def __init__(
        self,
        factor: Any = None,
        bounding_box_format: str | None = None,
        data_format: str | None = None,
        *,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format, **kwargs)
        self.bounding_box_format = bounding_box_format and one_of(
            self.label, "bounding_box_format", bounding_box_format, FORMATS
        )
        if self._USE_BASE_FACTOR:
            self._set_factor(factor or 0.0)
        elif factor is not None:
            raise ArgumentError(f"{self.label} takes no factor, got {factor!r}.")
        self.seed = seed
        self.generator = SeedGenerator(seed)

    def _set_factor(self, factor: Any) -> None:
        self.factor: Any = as_factor(self.label, "factor", factor, self._FACTOR_BOUNDS)

    # -- what a subclass writes ----------------------------------------------------------------

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """The parameters for a batch, or None.

        Args:
            data: images, or the dict with them.
            training: nothing is drawn for inference.
            seed: an int or SeedGenerator to draw from; the layer's own when None.
        """
        return self.drawn(data, self.draws(data, seed)) if training else None

    def drawn(self, data: Any, draws: Draws) -> Any:
        """The parameters for a batch in training, from these random numbers."""
        return None

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        """Some images of a batch, each with its row of the parameters."""
        raise NotImplementedError(f"{self.label} has no transform_images.")

    def _written(
        self, images: Tensor, transformation: Any, interpolation: str, out: Tensor | None
    ) -> Tensor:
        """The same; written into `out`, if there is one, by layers that need no tensor between."""
        return self._transform_images(images, transformation, interpolation)

    def _changed(
        self, images: Tensor, transformation: Any, interpolation: str, dtype: torch.dtype
    ) -> Tensor:
        """The images of a batch with these parameters; as they are without any."""
        if transformation is None:
            return images.to(dtype)

        def change(some: Tensor, rows: Any, out: Tensor | None) -> Tensor:
            return self._written(some, rows, interpolation, out)

        return in_pieces(
            change,
            images,
            transformation,
            dtype,
            chosen=transformation[self._chosen] if self._chosen else None,
            whole=self._for_all,
            raw=self._raw,
        )

    def transform_images(
        self, images: Tensor, transformation: Any = None, training: bool = True
    ) -> Tensor:
        """The images of a batch with these parameters, as floats."""
        dtype = self.output_type(images)
        given = transformation if training else None
        return self._changed(images, given, getattr(self, "interpolation", ""), dtype)

    def transform_labels(
        self, labels: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        """The labels of a batch with these parameters."""
        raise NotImplementedError(f"{self.label} has no transform_labels for labels.")

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        """The boxes of a batch with these parameters."""
        raise NotImplementedError(f"{self.label} has no transform_bounding_boxes for boxes.")

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        """The masks of a batch with these parameters; their dtype stays."""
        given = transformation if training else None
        return self._changed(segmentation_masks, given, "nearest", segmentation_masks.dtype)

    # -- one image: a batch of one -------------------------------------------------------------

    def transform_single_image(self, image: Any, transformation: Any, training: bool = True) -> Any:
        """`transform_images` for one image."""
        return _single(self.transform_images, image, transformation, training)

    def transform_single_label(self, label: Any, transformation: Any, training: bool = True) -> Any:
        """`transform_labels` for one label."""
        return _single(self.transform_labels, label, transformation, training)

    def transform_single_bounding_box(
        self, bounding_box: Any, transformation: Any, training: bool = True
    ) -> Any:
        """`transform_bounding_boxes` for the boxes of one image."""
        return _single(self.transform_bounding_boxes, bounding_box, transformation, training)

    def transform_single_segmentation_mask(
        self, segmentation_mask: Any, transformation: Any, training: bool = True
    ) -> Any:
        """`transform_segmentation_masks` for one mask."""
        transform = self.transform_segmentation_masks
        return _single(transform, segmentation_mask, transformation, training)

    # -- the call ------------------------------------------------------------------------------

    def check_input(self, shape: Any) -> None:
        if isinstance(shape, dict):
            if "images" not in shape:
                raise ShapeError(f'{self.label} needs "images" in the dict, got {list(shape)}.')
            shape = shape["images"]
        super().check_input(shape)
        count = shape[self.axes[2]]
        if self.channels and count is not None and count not in self.channels:
            raise ShapeError(
                f"{self.label} expects {' or '.join(map(str, self.channels))} channels, but "
                f"received {describe(shape)} with data_format={self.data_format!r}."
            )

    def infer_output(self, data: Any, **kwargs: Any) -> Any:
        if not isinstance(data, Tensor):
            return super().infer_output(data, **kwargs)
        shape = self.output_shape_of(tuple(data.shape))
        return data.new_empty(shape, dtype=self.output_type(data))

    def output_shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the images that come out, for `infer_output`."""
        return shape

    def call(self, data: Any, training: bool = True) -> Any:
        transformation = self.get_random_transformation(data, training=training)
        if not isinstance(data, dict):
            one = data.ndim == 3
            transform = self.transform_single_image if one else self.transform_images
            return transform(data, transformation=transformation, training=training)
        one = data["images"].ndim == 3
        if isinstance(data.get("labels"), (list, tuple)):
            data = {**data, "labels": as_tensor(data["labels"])}
        if "bounding_boxes" in data:
            data = {**data, "bounding_boxes": dense_boxes(data["bounding_boxes"])}
            if self.bounding_box_format is None:
                raise ArgumentError(
                    f"{self.label} was given bounding_boxes but not their format. "
                    f"Give bounding_box_format, such as 'xyxy'."
                )
        parts = {
            "images": (self.transform_images, self.transform_single_image),
            "bounding_boxes": (self.transform_bounding_boxes, self.transform_single_bounding_box),
            "labels": (self.transform_labels, self.transform_single_label),
            "segmentation_masks": (
                self.transform_segmentation_masks,
                self.transform_single_segmentation_mask,
            ),
        }
        changed = {
            key: parts[key][one](data[key], transformation=transformation, training=training)
            for key in parts
            if key in data
        }
        return {**data, **changed}

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if type(self).__module__.startswith("nnkit.") or self._first:
            config["data_format"] = self.data_format
        if self.bounding_box_format is not None:
            config["bounding_box_format"] = self.bounding_box_format
        return config

    # -- helpers -------------------------------------------------------------------------------

    def output_type(self, images: Tensor) -> torch.dtype:
        """The dtype of what becomes of images."""
        known = self.keeps_dtype or images.is_floating_point()
        return images.dtype if known else self._compute

    def as_floats(self, images: Tensor) -> Tensor:
        """Whole numbers in the layer's dtype; floats as they are."""
        return images if images.is_floating_point() else images.to(self._compute)

    def sizes_of(self, data: Any) -> tuple[int, int, int]:
        """How many images there are, their height and their width."""
        images = images_of(data)
        height, width, _ = self.axes
        return images.shape[0] if images.ndim == 4 else 1, images.shape[height], images.shape[width]

    def draws(self, data: Any, seed: Seed = None, device: Any = None) -> Draws:
        """Random numbers for one transformation, on the device of the images."""
        if seed is None and self.seed is not None and not torch.compiler.is_compiling():
            seed = self.generator  # which cannot be traced
        return Draws(seed, torch.device(device) if device else images_of(data).device)

    def _get_seed_generator(self, backend: Any = None) -> SeedGenerator:
        """Keras's way to the generator, which subclasses written for Keras use."""
        return self.generator

    def _transform_value_range(
        self, images: Tensor, original_range: Any, target_range: Any, dtype: Any = None
    ) -> Tensor:
        """Images between two darkest and brightest values brought between two others."""
        (low, high), (new_low, new_high) = original_range, target_range
        if (low, high) == (new_low, new_high):
            return images
        scale = (new_high - new_low) / (high - low)
        scaled = self.as_floats(images) * scale
        return scaled if new_low == low * scale else scaled + (new_low - low * scale)


for _name in _ON_TENSORS:
    setattr(
        BaseImagePreprocessingLayer,
        _name,
        _called_by_hand(getattr(BaseImagePreprocessingLayer, _name)),
    )


def images_of(data: Any) -> Tensor:
    """The images in what a layer was given."""
    images: Tensor = data["images"] if isinstance(data, dict) else data
    return images


def _single(transform: Callable[..., Any], value: Any, transformation: Any, training: bool) -> Any:
    batch = map_structure(lambda each: torch.as_tensor(each).unsqueeze(0), value)
    outputs = transform(batch, transformation=transformation, training=training)
    return map_structure(lambda each: each.squeeze(0), outputs)
