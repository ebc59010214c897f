"""Tables of numbers with a value to predict: shuffled and cut into two as Keras does."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nnkit.datasets.files import check_fraction

__all__ = ["Arrays", "load_table"]

Arrays = tuple[np.ndarray, np.ndarray]


def load_table(
    path: Path, test_split: float, seed: int, rows: int | None = None
) -> tuple[Arrays, Arrays]:
    """The table in a file: (x_train, y_train), (x_test, y_test).

    Args:
        path: an .npz file with x and y.
        test_split: the fraction (0 to 1) of the samples to test on, after shuffling.
        seed: of the shuffling.
        rows: how many samples from the beginning; all when None.
    """
    check_fraction(test_split)
    with np.load(path, allow_pickle=False) as data:
        x, y = data["x"][:rows], data["y"][:rows]
    order = np.arange(len(x))
    np.random.RandomState(seed).shuffle(order)
    x, y = x[order], y[order]
    end = int(len(x) * (1 - test_split))
    return (x[:end], y[:end]), (x[end:], y[end:])
