"""Keras's older names for reading and preparing pictures, sequences and texts."""

from __future__ import annotations

from nnkit.preprocessing import image, sequence, text
from nnkit.utils.image_dataset import image_dataset_from_directory
from nnkit.utils.sequences import timeseries_dataset_from_array
from nnkit.utils.text_dataset import text_dataset_from_directory

__all__ = [
    "image",
    "image_dataset_from_directory",
    "sequence",
    "text",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
]
