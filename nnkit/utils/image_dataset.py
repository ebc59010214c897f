"""image_dataset_from_directory: a folder of pictures as batches."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from nnkit.config import image_data_format
from nnkit.errors import ArgumentError, unknown_name
from nnkit.ops.resizing import proportioned, resize
from nnkit.ops.warping import WINDOWS, resized_by
from nnkit.utils.folder_dataset import FolderDataset, folder_parts
from nnkit.utils.images import COLORS, open_picture

__all__ = ["PICTURES", "Pictures", "image_dataset_from_directory"]

PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
"""The endings of the files that are taken for pictures."""

_INTERPOLATIONS = ("bilinear", "nearest", "bicubic", *WINDOWS)


class _Form(NamedTuple):
    """How pictures come out: resize's arguments and the colors."""

    color_mode: str
    size: tuple[int, int]
    interpolation: str
    crop: bool
    pad: bool
    data_format: str


class Pictures(Dataset[Tensor]):
    """Picture files as tensors of one size, floats from 0 to 255.

    Args:
        paths: of the files.
        form: size, colors and interpolation.
    """

    def __init__(self, paths: list[str], form: _Form) -> None:
        self.paths, self.form = paths, form

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        form = self.form
        picture = open_picture(self.paths[index], form.color_mode)
        pixels = np.asarray(picture).astype(np.float32)
        image = torch.from_numpy(pixels if pixels.ndim == 3 else pixels[:, :, None])
        if image.shape[:2] != form.size:
            image = self._resized(image)
        return image.movedim(-1, 0) if form.data_format == "channels_first" else image

    def _resized(self, image: Tensor) -> Tensor:
        form = self.form
        if form.interpolation not in WINDOWS:
            resized: Tensor = resize(
                image,
                form.size,
                interpolation=form.interpolation,
                crop_to_aspect_ratio=form.crop,
                pad_to_aspect_ratio=form.pad,
                data_format="channels_last",
            )
            return resized
        planes = image.movedim(-1, 0)
        if form.crop or form.pad:
            planes = proportioned(planes, form.size, form.crop, 0.0)
        return resized_by(planes, form.size, form.interpolation).movedim(0, -1)


def image_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Any = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: Any = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
    *,
    num_workers: int = 0,
    pin_memory: bool = False,
    on_bad: str = "raise",
) -> Any:
    """Batches (images, labels) of the pictures in a folder, a folder inside it for each class.

    Args:
        directory: the folder.
        labels: "inferred", None, or a class number for each file in the order of their names.
        label_mode: "int", "binary" (0.0 or 1.0), "categorical" (one-hot), or None for no labels.
        class_names: the class folders in an order of their own.
        color_mode: "rgb", "rgba" or "grayscale".
        batch_size: pictures; None gives them one by one.
        image_size: (height, width) in pixels.
        shuffle: a new order in each pass; else the order of the names.
        seed: for the same orders in each run, and the same split.
        validation_split: the fraction held back, with subset "training", "validation" or "both".
        interpolation: "bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian"
            or "mitchellcubic".
        follow_links: go into folders that are links.
        crop_to_aspect_ratio, pad_to_aspect_ratio: instead of distorting.
        data_format: "channels_last" or "channels_first".
        format: "tf" or "grain" in Keras; here the result is the same.
        num_workers, pin_memory: as torch's DataLoader has them.
        on_bad: "raise" or "skip" files that are no picture; the dataset's `skipped` lists them.

    Shape: (batch, height, width, channels), floats from 0 to 255.
    Raises: DataError naming the file, ArgumentError.
    """
    form = _form(
        color_mode, image_size, interpolation, (crop_to_aspect_ratio, pad_to_aspect_ratio),
        data_format,
    )  # fmt: skip
    if format not in ("tf", "grain"):
        raise unknown_name("format", format, ("tf", "grain"))
    if on_bad not in ("raise", "skip"):
        raise unknown_name("on_bad", on_bad, ("raise", "skip"))
    parts = folder_parts(
        directory, labels, label_mode, class_names, PICTURES, shuffle=shuffle, seed=seed,
        validation_split=validation_split, subset=subset, follow_links=follow_links,
        verbose=verbose,
    )  # fmt: skip
    more: dict[str, Any] = {"num_workers": num_workers, "pin_memory": pin_memory}
    more |= {"batch_size": batch_size, "skip": on_bad == "skip"}
    datasets = [FolderDataset(Pictures(part.paths, form), part, **more) for part in parts]
    return datasets if subset == "both" else datasets[0]


def _form(
    color_mode: str, size: Any, interpolation: str, proportions: Any, data_format: str | None
) -> _Form:
    if color_mode not in COLORS:
        raise unknown_name("color_mode", color_mode, COLORS)
    size = (size, size) if isinstance(size, int) else size
    if not isinstance(size, (tuple, list)) or len(size) != 2 or min(size) < 1:
        raise ArgumentError(f"image_size expects (height, width) in pixels, got {size!r}.")
    if interpolation.lower() not in _INTERPOLATIONS:
        raise unknown_name("interpolation", interpolation, _INTERPOLATIONS)
    crop, pad = proportions
    if crop and pad:
        raise ArgumentError("Give crop_to_aspect_ratio or pad_to_aspect_ratio, not both.")
    data_format = data_format or image_data_format()
    if data_format not in ("channels_last", "channels_first"):
        raise unknown_name("data_format", data_format, ("channels_last", "channels_first"))
    height, width = map(int, size)
    return _Form(color_mode, (height, width), interpolation.lower(), crop, pad, data_format)
