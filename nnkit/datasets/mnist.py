"""MNIST: the whole set of 70,000 handwritten digits, from Keras's server."""

from __future__ import annotations

import numpy as np

from nnkit.datasets.files import KERAS, RemoteFile, fetch
from nnkit.datasets.tables import Arrays

__all__ = ["load_data"]

_FILE = RemoteFile(
    f"{KERAS}mnist.npz",
    "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    "mnist.npz",
)
_OTHERWISE = ", or use nnkit.datasets.digits, 10,000 of these digits that need no download"


def load_data(path: str = "mnist.npz") -> tuple[Arrays, Arrays]:
    """Load MNIST: (x_train, y_train), (x_test, y_test); 11 MB are downloaded the first time.

    Args:
        path: the file's name in ~/.nnkit/datasets; a copy that Keras downloaded is used too.

    Shape: x (60000, height 28, width 28) and (10000, 28, 28), uint8, 0 paper to 255 ink;
        y (60000,) and (10000,), uint8, 0 to 9.
    Raises: DownloadError without a connection; `nnkit.datasets.digits` needs none.
    Source: Y. LeCun, C. Cortes and C. J. C. Burges, CC BY-SA 3.0.
    """
    with np.load(fetch(_FILE, "MNIST", path, _OTHERWISE), allow_pickle=False) as data:
        return (data["x_train"], data["y_train"]), (data["x_test"], data["y_test"])
