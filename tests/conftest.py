"""Shared by all tests: one thread (small models), a fixed seed, nothing left behind."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from nnkit import custom_objects, legacy

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    legacy._told.clear()


@pytest.fixture(autouse=True)
def _registered_objects_end_with_the_test() -> Iterator[None]:
    tables = (custom_objects._registered, custom_objects._registered_names)
    before = [dict(table) for table in tables]
    yield
    for table, entries in zip(tables, before, strict=True):
        table.clear()
        table.update(entries)
