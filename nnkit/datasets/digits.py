"""Real handwritten digits that come with nnkit, so that examples run offline."""

from __future__ import annotations

from importlib import resources

import numpy as np

__all__ = ["load_data"]

Arrays = tuple[np.ndarray, np.ndarray]


def load_data() -> tuple[Arrays, Arrays]:
    """Load 10,000 handwritten digits, drawn from MNIST: (x_train, y_train), (x_test, y_test).

    Shape: x (8000, height 28, width 28) and (2000, 28, 28), uint8, 0 paper to 255 ink;
        y (8000,) and (2000,), uint8, 0 to 9.
    Source: MNIST by Y. LeCun, C. Cortes and C. J. C. Burges, CC BY-SA 3.0.
    """
    file = resources.files("nnkit.datasets").joinpath("mnist_10k.npz")
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as data:
        return (data["x_train"], data["y_train"]), (data["x_test"], data["y_test"])
