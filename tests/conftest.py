"""Shared by all tests: one thread (small models), a fixed seed, fresh layer names."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
import pytest
import torch

from nnkit import legacy

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    legacy._told.clear()
