"""Small helpers with Keras's names: files, labels, seeds, batches."""

from __future__ import annotations

from nnkit.data.batches import pack_x_y_sample_weight, unpack_x_y_sample_weight
from nnkit.data.py_dataset import PyDataset
from nnkit.data.py_dataset import PyDataset as Sequence
from nnkit.random import set_random_seed
from nnkit.utils.download import get_file
from nnkit.utils.numeric import normalize, to_categorical

__all__ = [
    "PyDataset",
    "Sequence",
    "get_file",
    "normalize",
    "pack_x_y_sample_weight",
    "set_random_seed",
    "to_categorical",
    "unpack_x_y_sample_weight",
]
