"""ImageDataGenerator and its iterators, random changes of one picture, pictures in and out.

New code is better off with `image_dataset_from_directory` and augmentation layers, which work on
whole batches.
"""

from __future__ import annotations

from nnkit.preprocessing.image.affine import (
    apply_affine_transform,
    random_rotation,
    random_shear,
    random_shift,
    random_zoom,
)
from nnkit.preprocessing.image.colors import (
    apply_brightness_shift,
    apply_channel_shift,
    random_brightness,
    random_channel_shift,
)
from nnkit.preprocessing.image.directory import DirectoryIterator
from nnkit.preprocessing.image.frame import DataFrameIterator
from nnkit.preprocessing.image.generator import ImageDataGenerator
from nnkit.preprocessing.image.iterators import Iterator, NumpyArrayIterator
from nnkit.utils.image_dataset import image_dataset_from_directory
from nnkit.utils.images import array_to_img, img_to_array, load_img, save_img, smart_resize

__all__ = [
    "DataFrameIterator",
    "DirectoryIterator",
    "ImageDataGenerator",
    "Iterator",
    "NumpyArrayIterator",
    "apply_affine_transform",
    "apply_brightness_shift",
    "apply_channel_shift",
    "array_to_img",
    "image_dataset_from_directory",
    "img_to_array",
    "load_img",
    "random_brightness",
    "random_channel_shift",
    "random_rotation",
    "random_shear",
    "random_shift",
    "random_zoom",
    "save_img",
    "smart_resize",
]
