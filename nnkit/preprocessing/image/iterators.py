"""Endless batches of changed pictures: the base, and the one over arrays."""

from __future__ import annotations

import os
import threading
import warnings
from typing import Any

import numpy as np

from nnkit.config import floatx, image_data_format
from nnkit.data import PyDataset
from nnkit.errors import ArgumentError, DataError, unknown_name
from nnkit.utils.images import array_to_img

__all__ = ["Iterator", "NumpyArrayIterator", "save_batch"]


class Iterator(PyDataset):
    """Batches by number for `fit`, and one after the other without end for a `for` loop.

    Args:
        n: samples.
        batch_size: samples per batch; the last one of a pass may be smaller.
        shuffle: a new order in each pass.
        seed: for the same orders and changes in each run.
        **kwargs: workers, use_multiprocessing and max_queue_size, as for PyDataset.
    """

    white_list_formats = ("png", "jpg", "jpeg", "bmp", "ppm", "tif", "tiff")

    def __init__(
        self, n: int, batch_size: int, shuffle: bool, seed: int | None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if batch_size < 1:
            raise ArgumentError(f"batch_size expects a whole number >= 1, got {batch_size!r}.")
        self.n, self.batch_size, self.shuffle, self.seed = n, batch_size, shuffle, seed
        self.batch_index = self.total_batches_seen = 0
        self.index_array: np.ndarray | None = None
        self.lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, lock=threading.Lock())

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __getitem__(self, idx: int) -> Any:
        if idx >= len(self):
            raise IndexError(f"There is no batch {idx}: a pass has {len(self)}.")
        self._begin(self.index_array is None)
        return self._get_batches_of_transformed_samples(self._rows(idx))

    def __iter__(self) -> Iterator:
        return self

    def __next__(self) -> Any:
        with self.lock:
            if not self.n:
                raise StopIteration
            self._begin(self.batch_index == 0)
            rows = self._rows(self.batch_index)
            self.batch_index = (self.batch_index + 1) % len(self)
        return self._get_batches_of_transformed_samples(rows)

    def _begin(self, new_order: bool) -> None:
        # Keras's way with NumPy's global random state, so that its numbers come out.
        if self.seed is not None:
            np.random.seed(self.seed + self.total_batches_seen)
        self.total_batches_seen += 1
        if new_order:
            self._set_index_array()

    def _rows(self, number: int) -> np.ndarray:
        start = self.batch_size * number
        return self.index_array[start : start + self.batch_size]  # type: ignore[index]

    def _set_index_array(self) -> None:
        self.index_array = np.random.permutation(self.n) if self.shuffle else np.arange(self.n)

    def on_epoch_end(self) -> None:
        self._set_index_array()

    def reset(self) -> None:
        """Begin the next pass of a `for` loop anew."""
        self.batch_index = 0

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs this method.")


def save_batch(
    images: np.ndarray, rows: np.ndarray, folder: Any, prefix: str, kind: str, data_format: str
) -> None:
    """Write the pictures of a batch into a folder, to look at."""
    for image, row in zip(images, rows, strict=True):
        picture = array_to_img(image, data_format, scale=True)
        name = f"{prefix}_{row}_{np.random.randint(10**7)}.{kind}"
        picture.save(os.path.join(folder, name))


class NumpyArrayIterator(Iterator):
    """Batches of changed pictures from an array: what `ImageDataGenerator.flow` gives.

    Args: as for `ImageDataGenerator.flow`.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        image_data_generator: Any,
        batch_size: int = 32,
        shuffle: bool = False,
        sample_weight: Any = None,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        ignore_class_split: bool = False,
        dtype: Any = None,
    ) -> None:
        self.data_format = data_format or image_data_format()
        self.dtype = dtype or floatx()
        more: list[Any] = []
        if isinstance(x, (tuple, list)):
            x, more = x[0], x[1] if isinstance(x[1], list) else [x[1]]
        images = np.asarray(x, dtype=self.dtype)
        parts = {"x": images, "y": y, "sample_weight": sample_weight}
        parts |= {f"x[{i}]": part for i, part in enumerate(more, 1)}
        arrays = {key: np.asarray(part) for key, part in parts.items() if part is not None}
        for key, array in arrays.items():
            if len(array) != len(images):
                raise DataError(f"flow: x has {len(images)} samples, {key} has {len(array)}.")
        if images.ndim != 4:
            raise DataError(
                f"flow expects pictures (samples, height, width, channels), got {images.shape}."
            )
        channels = images.shape[3 if self.data_format == "channels_last" else 1]
        if channels not in (1, 3, 4):
            warnings.warn(
                f"flow got pictures of {channels} channels, of the shape {images.shape} with "
                f"data_format={self.data_format!r}; 1, 3 or 4 are usual.",
                stacklevel=3,
            )
        if subset is not None:
            arrays = _subset(arrays, image_data_generator, subset, ignore_class_split)
        self.x = arrays["x"]
        self.y, self.sample_weight = arrays.get("y"), arrays.get("sample_weight")
        self.x_misc = [array for key, array in arrays.items() if key.startswith("x[")]
        self.image_data_generator = image_data_generator
        self.save_to_dir, self.save_prefix = save_to_dir, save_prefix
        self.save_format = save_format
        super().__init__(len(self.x), batch_size, shuffle, seed)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        change = self.image_data_generator
        batch = np.empty((len(index_array), *self.x.shape[1:]), self.dtype)
        for place, row in enumerate(index_array):
            parameters = change.get_random_transform(self.x[row].shape)
            image = change.apply_transform(self.x[row].astype(self.dtype), parameters)
            batch[place] = change.standardize(image)
        if self.save_to_dir:
            more = (self.save_to_dir, self.save_prefix, self.save_format, self.data_format)
            save_batch(batch, index_array, *more)
        x: Any = [batch, *(part[index_array] for part in self.x_misc)] if self.x_misc else batch
        if self.y is None:
            return x
        targets = (x, self.y[index_array])
        if self.sample_weight is None:
            return targets
        return (*targets, self.sample_weight[index_array])


def _subset(
    arrays: dict[str, np.ndarray], generator: Any, subset: str, ignore_classes: bool
) -> dict[str, np.ndarray]:
    if subset not in ("training", "validation"):
        raise unknown_name("subset", subset, ("training", "validation"))
    cut = int(len(arrays["x"]) * generator._validation_split)
    y = arrays.get("y")
    if y is not None and not ignore_classes:
        held, kept = np.unique(y[:cut]), np.unique(y[cut:])
        if not np.array_equal(held, kept):
            raise DataError(
                "flow: the training and validation subsets have different classes. The data seems "
                "to be sorted by class: shuffle it first, or give ignore_class_split=True."
            )
    rows = slice(None, cut) if subset == "validation" else slice(cut, None)
    return {key: array[rows] for key, array in arrays.items()}
