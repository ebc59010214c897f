"""Batches of changed pictures from files: the base, and the one over a folder."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from nnkit.arguments import path_text
from nnkit.config import floatx, image_data_format
from nnkit.errors import ArgumentError, unknown_name
from nnkit.preprocessing.image.iterators import Iterator, save_batch
from nnkit.utils.folders import class_folders, files_in
from nnkit.utils.images import COLORS, img_to_array, load_img

__all__ = ["DirectoryIterator", "FileIterator"]


class FileIterator(Iterator):
    """Batches of changed pictures from files.

    Args:
        image_data_generator: changes the pictures; None leaves them as they are.
        **options: as for `ImageDataGenerator.flow_from_directory`.

    Attributes:
        filepaths: of the files.
        classes: a class number a file, where the mode has classes.
        class_indices: {class name: number}.
        targets: what `class_mode` "raw" and "multi_output" give.
        sample_weight: a weight a file, or None.
    """

    class_modes: tuple[str | None, ...] = ()

    def __init__(
        self,
        image_data_generator: Any,
        *,
        target_size: Any,
        color_mode: str,
        class_mode: str | None,
        data_format: str | None,
        save_to_dir: Any,
        save_prefix: str,
        save_format: str,
        subset: str | None,
        interpolation: str,
        keep_aspect_ratio: bool,
        dtype: Any,
    ) -> None:
        if color_mode not in COLORS:
            raise unknown_name("color_mode", color_mode, COLORS)
        if class_mode not in self.class_modes:
            raise unknown_name("class_mode", class_mode, [m for m in self.class_modes if m])
        self.image_data_generator = image_data_generator
        self.target_size, self.color_mode = tuple(target_size), color_mode
        self.class_mode = class_mode
        self.data_format = data_format or image_data_format()
        channels = (COLORS[color_mode],)
        first = self.data_format == "channels_first"
        self.image_shape = channels + self.target_size if first else self.target_size + channels
        self.save_to_dir, self.save_prefix = save_to_dir, save_prefix
        self.save_format = save_format
        self.interpolation, self.keep_aspect_ratio = interpolation, keep_aspect_ratio
        self.dtype = dtype or floatx()
        self.subset, self.split = subset, None
        if subset is not None:
            held = image_data_generator._validation_split
            splits = {"validation": (0, held), "training": (held, 1)}
            if subset not in splits:
                raise unknown_name("subset", subset, splits)
            self.split = splits[subset]
        self.classes: Any = None
        self.class_indices: dict[str, int] = {}
        self.targets: Any = None
        self.sample_weight: Any = None
        self.filenames: list[str] = []
        self.filepaths: list[str] = []

    def _begin_with(self, batch_size: int, shuffle: bool, seed: int | None) -> None:
        self.samples = len(self.filepaths)
        Iterator.__init__(self, self.samples, batch_size, shuffle, seed)

    @property
    def labels(self) -> Any:
        """The targets or class numbers of all files."""
        return self.classes if self.targets is None else self.targets

    def _part(self, count: int) -> slice:
        """Which of so many files the subset takes."""
        if self.split is None:
            return slice(None)
        return slice(int(self.split[0] * count), int(self.split[1] * count))

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        batch = np.empty((len(index_array), *self.image_shape), self.dtype)
        for place, row in enumerate(index_array):
            batch[place] = self._image(self.filepaths[row])
        if self.save_to_dir:
            more = (self.save_to_dir, self.save_prefix, self.save_format, self.data_format)
            save_batch(batch, index_array, *more)
        targets = self._targets(batch, index_array)
        if targets is None:
            return batch
        if self.sample_weight is None:
            return batch, targets
        return batch, targets, self.sample_weight[index_array]

    def _image(self, path: str) -> np.ndarray:
        picture = load_img(
            path, self.color_mode, self.target_size, self.interpolation, self.keep_aspect_ratio
        )
        image = img_to_array(picture, self.data_format)
        change = self.image_data_generator
        if not change:
            return image
        image = change.apply_transform(image, change.get_random_transform(image.shape))
        return change.standardize(image)

    def _targets(self, batch: np.ndarray, rows: np.ndarray) -> Any:
        mode = self.class_mode
        if mode == "input":
            return batch.copy()
        if mode in ("binary", "sparse"):
            return np.array([self.classes[row] for row in rows], self.dtype)
        if mode == "categorical":
            one_hot = np.zeros((len(rows), len(self.class_indices)), self.dtype)
            for place, row in enumerate(rows):
                one_hot[place, self.classes[row]] = 1.0  # several, where a file has several
            return one_hot
        if mode == "multi_output":
            return [output[rows] for output in self.targets]
        return self.targets[rows] if mode == "raw" else None


class DirectoryIterator(FileIterator):
    """Batches of changed pictures from a folder, with a folder inside it for each class.

    Args: as for `ImageDataGenerator.flow_from_directory`.
    """

    class_modes = ("categorical", "binary", "sparse", "input", None)

    def __init__(
        self,
        directory: Any,
        image_data_generator: Any,
        target_size: Any = (256, 256),
        color_mode: str = "rgb",
        classes: Any = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            image_data_generator, target_size=target_size, color_mode=color_mode,
            class_mode=class_mode, data_format=data_format, save_to_dir=save_to_dir,
            save_prefix=save_prefix, save_format=save_format, subset=subset,
            interpolation=interpolation, keep_aspect_ratio=keep_aspect_ratio, dtype=dtype,
        )  # fmt: skip
        self.directory = path_text("flow_from_directory", "directory", directory)
        names = class_folders(self.directory, classes or None)
        self.num_classes = len(names)
        self.class_indices = {name: number for number, name in enumerate(names)}
        numbers: list[int] = []
        for number, name in enumerate(names):
            folder = os.path.join(self.directory, name)
            found = list(files_in(folder, self.white_list_formats, follow_links))
            found = found[self._part(len(found))]
            self.filepaths += found
            numbers += [number] * len(found)
        self.filenames = [os.path.relpath(path, self.directory) for path in self.filepaths]
        self.classes = np.array(numbers, "int32")
        if class_mode == "binary" and len(names) > 2:
            raise ArgumentError(
                f"class_mode='binary' expects two class folders, but {self.directory!r} has "
                f"{len(names)}: {', '.join(names)}."
            )
        print(f"Found {len(self.filepaths)} images belonging to {self.num_classes} classes.")
        self._begin_with(batch_size, shuffle, seed)
