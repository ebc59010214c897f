"""Anything a user passes to fit, evaluate or predict, as batches on the device."""

from __future__ import annotations

from nnkit.data.batches import Batches, pack_x_y_sample_weight, unpack_x_y_sample_weight
from nnkit.data.make import make_batches, takes_batch_size
from nnkit.data.pipeline import Pipeline
from nnkit.data.py_dataset import PyDataset
from nnkit.data.split import split_validation

__all__ = [
    "Batches",
    "Pipeline",
    "PyDataset",
    "make_batches",
    "pack_x_y_sample_weight",
    "split_validation",
    "takes_batch_size",
    "unpack_x_y_sample_weight",
]
