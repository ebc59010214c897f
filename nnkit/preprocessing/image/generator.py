"""ImageDataGenerator: random changes and normalization of pictures, batch by batch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from nnkit.config import floatx, image_data_format
from nnkit.errors import ArgumentError, DataError, unknown_name
from nnkit.preprocessing.image.affine import apply_affine_transform
from nnkit.preprocessing.image.colors import apply_brightness_shift, apply_channel_shift
from nnkit.preprocessing.image.directory import DirectoryIterator
from nnkit.preprocessing.image.frame import DataFrameIterator
from nnkit.preprocessing.image.iterators import NumpyArrayIterator

__all__ = ["ImageDataGenerator"]


class ImageDataGenerator:
    """Keras's older way to augment: one picture after the other, on the CPU, in NumPy.

    Args:
        featurewise_center, featurewise_std_normalization, zca_whitening: use what `fit` learns.
        samplewise_center, samplewise_std_normalization: by each picture's own mean and deviation.
        zca_epsilon: for zca_whitening.
        rotation_range: degrees.
        width_shift_range, height_shift_range: a fraction below 1, pixels, or a list to choose from.
        brightness_range: two factors.
        shear_range: degrees.
        zoom_range: a fraction, or two factors.
        channel_shift_range: added to all values, at most.
        fill_mode, cval: beyond the edges: "nearest", "constant", "reflect" or "wrap".
        horizontal_flip, vertical_flip: for half of the pictures.
        rescale: a factor, after the changes.
        preprocessing_function: takes and gives one picture, after the changes.
        data_format: "channels_last" or "channels_first".
        validation_split: the fraction that subset="validation" gets.
        interpolation_order: 1 interpolates, 0 takes the nearest pixel.
        dtype: of the batches.
    """

    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: float = 0,
        width_shift_range: Any = 0.0,
        height_shift_range: Any = 0.0,
        brightness_range: Any = None,
        shear_range: float = 0.0,
        zoom_range: Any = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: Callable[[np.ndarray], np.ndarray] | None = None,
        data_format: str | None = None,
        validation_split: float = 0.0,
        interpolation_order: int = 1,
        dtype: Any = None,
    ) -> None:
        data_format = data_format or image_data_format()
        if data_format not in ("channels_last", "channels_first"):
            raise unknown_name("data_format", data_format, ("channels_last", "channels_first"))
        if validation_split and not 0 < validation_split < 1:
            raise ArgumentError(
                f"validation_split expects a fraction above 0, below 1: {validation_split!r}."
            )
        if isinstance(zoom_range, (int, float)):
            zoom_range = (1 - zoom_range, 1 + zoom_range)
        for name, pair in (("zoom_range", zoom_range), ("brightness_range", brightness_range)):
            if pair is not None and not (isinstance(pair, (tuple, list)) and len(pair) == 2):
                raise ArgumentError(f"{name} expects two factors, got {pair!r}.")
        if zca_whitening:
            featurewise_std_normalization = False
        self.featurewise_center = featurewise_center or (
            zca_whitening or featurewise_std_normalization
        )
        self.samplewise_center = samplewise_center or samplewise_std_normalization
        self.featurewise_std_normalization = featurewise_std_normalization
        self.samplewise_std_normalization = samplewise_std_normalization
        self.zca_whitening, self.zca_epsilon = zca_whitening, zca_epsilon
        self.rotation_range, self.shear_range = rotation_range, shear_range
        self.width_shift_range, self.height_shift_range = width_shift_range, height_shift_range
        self.zoom_range, self.brightness_range = list(zoom_range), brightness_range
        self.channel_shift_range = channel_shift_range
        self.fill_mode, self.cval = fill_mode, cval
        self.horizontal_flip, self.vertical_flip = horizontal_flip, vertical_flip
        self.rescale, self.preprocessing_function = rescale, preprocessing_function
        self.interpolation_order = interpolation_order
        self.dtype = dtype or floatx()
        self.data_format = data_format
        first = data_format == "channels_first"
        self.channel_axis, self.row_axis, self.col_axis = (1, 2, 3) if first else (3, 1, 2)
        self._validation_split = validation_split
        self.mean: Any = None
        self.std: Any = None
        self.zca_whitening_matrix: Any = None

    # -- batches -------------------------------------------------------------------------------

    def flow(
        self, x: Any, y: Any = None, batch_size: int = 32, shuffle: bool = True,
        sample_weight: Any = None, seed: int | None = None, save_to_dir: Any = None,
        save_prefix: str = "", save_format: str = "png", ignore_class_split: bool = False,
        subset: str | None = None,
    ) -> NumpyArrayIterator:  # fmt: skip
        """Batches of changed pictures from an array.

        Args:
            x: pictures (samples, height, width, channels), or (pictures, [other inputs]).
            y, sample_weight: an entry for each picture.
            batch_size, shuffle, seed: as they say.
            save_to_dir, save_prefix, save_format: write the pictures to a folder, to look at.
            ignore_class_split: allow subsets with different classes.
            subset: "training" or "validation", which is the first part.
        """
        return NumpyArrayIterator(
            x, y, self, batch_size, shuffle, sample_weight, seed, self.data_format, save_to_dir,
            save_prefix, save_format, subset, ignore_class_split, self.dtype,
        )  # fmt: skip

    def flow_from_directory(
        self, directory: Any, target_size: Any = (256, 256), color_mode: str = "rgb",
        classes: Any = None, class_mode: str | None = "categorical", batch_size: int = 32,
        shuffle: bool = True, seed: int | None = None, save_to_dir: Any = None,
        save_prefix: str = "", save_format: str = "png", follow_links: bool = False,
        subset: str | None = None, interpolation: str = "nearest", keep_aspect_ratio: bool = False,
    ) -> DirectoryIterator:  # fmt: skip
        """Batches of changed pictures from a folder with a folder for each class.

        Args:
            directory: the folder; folders in it that begin with a dot are no classes.
            target_size: (height, width) in pixels.
            color_mode: "rgb", "rgba" or "grayscale".
            classes: the class folders in an order of their own.
            class_mode: "categorical", "binary", "sparse", "input" (the pictures) or None.
            subset: "training" or "validation", which is the first part of each class.
            interpolation, keep_aspect_ratio: as for load_img.
            batch_size, shuffle, seed, follow_links, save_to_dir ...: as for `flow`.
        """
        return DirectoryIterator(
            directory, self, target_size, color_mode, classes, class_mode, batch_size, shuffle,
            seed, self.data_format, save_to_dir, save_prefix, save_format, follow_links, subset,
            interpolation, keep_aspect_ratio, self.dtype,
        )  # fmt: skip

    def flow_from_dataframe(
        self, dataframe: Any, directory: Any = None, x_col: str = "filename", y_col: Any = "class",
        weight_col: str | None = None, target_size: Any = (256, 256), color_mode: str = "rgb",
        classes: Any = None, class_mode: str | None = "categorical", batch_size: int = 32,
        shuffle: bool = True, seed: int | None = None, save_to_dir: Any = None,
        save_prefix: str = "", save_format: str = "png", subset: str | None = None,
        interpolation: str = "nearest", validate_filenames: bool = True,
    ) -> DataFrameIterator:  # fmt: skip
        """Batches of changed pictures from the files that a pandas frame names.

        Args:
            dataframe: a row for each file.
            directory: the folder of the files; None when the names are whole paths.
            x_col, y_col, weight_col: the columns of file names, classes or targets, and weights.
            class_mode: also "raw" (the values of y_col) and "multi_output" (of several columns).
            subset: "training" or "validation", which is the first part of the frame.
            validate_filenames: leave out files that are not there.
            target_size, color_mode, classes ...: as for `flow_from_directory`.
        """
        return DataFrameIterator(
            dataframe, directory, self, x_col, y_col, weight_col, target_size, color_mode, classes,
            "raw" if class_mode == "other" else class_mode, batch_size, shuffle, seed,
            self.data_format, save_to_dir, save_prefix, save_format, subset, interpolation,
            dtype=self.dtype, validate_filenames=validate_filenames,
        )  # fmt: skip

    # -- one picture ---------------------------------------------------------------------------

    def get_random_transform(self, img_shape: Any, seed: int | None = None) -> dict[str, Any]:
        """Choose a change, in the form that `apply_transform` takes.

        Args:
            img_shape: of the picture.
            seed: sets NumPy's global random state first.
        """
        if seed is not None:
            np.random.seed(seed)
        uniform = np.random.uniform
        theta = uniform(-self.rotation_range, self.rotation_range) if self.rotation_range else 0
        tx = _shift(self.height_shift_range, img_shape[self.row_axis - 1])
        ty = _shift(self.width_shift_range, img_shape[self.col_axis - 1])
        shear = uniform(-self.shear_range, self.shear_range) if self.shear_range else 0
        low, high = self.zoom_range
        zx, zy = (1, 1) if low == high == 1 else uniform(low, high, 2)
        flips = [np.random.random() < 0.5, np.random.random() < 0.5]
        channels = self.channel_shift_range
        return {
            "theta": theta,
            "tx": tx,
            "ty": ty,
            "shear": shear,
            "zx": zx,
            "zy": zy,
            "flip_horizontal": flips[0] and self.horizontal_flip,
            "flip_vertical": flips[1] and self.vertical_flip,
            "channel_shift_intensity": uniform(-channels, channels) if channels else None,
            "brightness": uniform(*self.brightness_range) if self.brightness_range else None,
        }

    def apply_transform(self, x: np.ndarray, transform_parameters: dict[str, Any]) -> np.ndarray:
        """Change one picture.

        Args:
            x: the picture.
            transform_parameters: as from `get_random_transform`; what is missing is left alone.
        """
        given = transform_parameters
        row_axis, col_axis = self.row_axis - 1, self.col_axis - 1
        names = ("theta", "tx", "ty", "shear", "zx", "zy")
        x = apply_affine_transform(
            x,
            **{name: given[name] for name in names if name in given},
            row_axis=row_axis,
            col_axis=col_axis,
            channel_axis=self.channel_axis - 1,
            fill_mode=self.fill_mode,
            cval=self.cval,
            order=self.interpolation_order,
        )
        if given.get("channel_shift_intensity") is not None:
            x = apply_channel_shift(x, given["channel_shift_intensity"])
        if given.get("flip_horizontal", False):
            x = np.flip(x, col_axis)
        if given.get("flip_vertical", False):
            x = np.flip(x, row_axis)
        if given.get("brightness") is not None:
            x = apply_brightness_shift(x, given["brightness"], scale=False)
        return x

    def random_transform(self, x: np.ndarray, seed: int | None = None) -> np.ndarray:
        """Change one picture at random."""
        return self.apply_transform(x, self.get_random_transform(x.shape, seed))

    # -- normalization -------------------------------------------------------------------------

    def standardize(self, x: np.ndarray) -> np.ndarray:
        """Normalize one picture or a batch, in place where that is possible."""
        if self.preprocessing_function:
            x = self.preprocessing_function(x)
        if self.rescale:
            x *= self.rescale
        if self.samplewise_center:
            x -= np.mean(x, keepdims=True)
        if self.samplewise_std_normalization:
            x /= np.std(x, keepdims=True) + 1e-6
        if (mean := self._learned("mean", "featurewise_center")) is not None:
            x -= mean
        if (std := self._learned("std", "featurewise_std_normalization")) is not None:
            x /= std + 1e-6
        if (matrix := self._learned("zca_whitening_matrix", "zca_whitening")) is not None:
            x = (x.reshape(-1, math.prod(x.shape[-3:])) @ matrix).reshape(x.shape)
        return x

    def _learned(self, name: str, wish: str) -> Any:
        """What `fit` has learned, if it is wished for."""
        if not getattr(self, wish):
            return None
        value = getattr(self, name)
        if value is None:
            warnings.warn(
                f"ImageDataGenerator({wish}=True) has seen no data, so it leaves that out. "
                f"Call fit(x) first.",
                stacklevel=3,
            )
        return value

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Learn mean, deviation and whitening for the featurewise settings.

        Args:
            x: pictures (samples, height, width, channels).
            augment: from changed pictures.
            rounds: how often to change each of them.
            seed: sets NumPy's global random state first.

        Raises: DataError for another shape.
        """
        x = np.array(x, dtype=self.dtype)
        if x.ndim != 4:
            raise DataError(f"fit expects pictures (samples, ...) of four axes, got {x.shape}.")
        if seed is not None:
            np.random.seed(seed)
        if self.rescale:
            x *= self.rescale
        if augment:
            x = np.stack([self.random_transform(image) for _ in range(rounds) for image in x])
        axes = (0, self.row_axis, self.col_axis)
        if self.featurewise_center:
            self.mean = np.mean(x, axis=axes, keepdims=True)[0]
            x -= self.mean
        if self.featurewise_std_normalization:
            self.std = np.std(x, axis=axes, keepdims=True)[0]
            x /= self.std + 1e-6
        if self.zca_whitening:
            left, values, _ = np.linalg.svd(x.reshape(len(x), -1).T, full_matrices=False)
            scale = np.sqrt(len(x)) / (values + self.zca_epsilon)
            self.zca_whitening_matrix = (left * scale).dot(left.T)


def _shift(wanted: Any, size: int) -> Any:
    """A shift in pixels: from a list or a whole number by choice, from a fraction at random."""
    if not wanted:
        return 0
    try:
        shift = np.random.choice(wanted) * np.random.choice([-1, 1])
    except ValueError:
        shift = np.random.uniform(-wanted, wanted)
    return shift * size if np.max(wanted) < 1 else shift
