"""MNIST: the whole set of 70,000 handwritten digits, from Keras's server."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from nnkit.errors import DownloadError
from nnkit.utils.download import cache_folder, get_file, matches_hash

__all__ = ["load_data"]

_ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"

Arrays = tuple[np.ndarray, np.ndarray]


def load_data(path: str = "mnist.npz") -> tuple[Arrays, Arrays]:
    """Load MNIST: (x_train, y_train), (x_test, y_test); 11 MB are downloaded the first time.

    Args:
        path: the file's name in ~/.nnkit/datasets; a copy that Keras downloaded is used too.

    Shape: x (60000, height 28, width 28) and (10000, 28, 28), uint8, 0 paper to 255 ink;
        y (60000,) and (10000,), uint8, 0 to 9.
    Raises: DownloadError without a connection; `nnkit.datasets.digits` needs none.
    Source: Y. LeCun, C. Cortes and C. J. C. Burges, CC BY-SA 3.0.
    """
    with np.load(_find(path), allow_pickle=False) as data:
        return (data["x_train"], data["y_train"]), (data["x_test"], data["y_test"])


def _find(path: str) -> Path:
    own = cache_folder() / "datasets" / path
    keras_home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    theirs = keras_home / "datasets" / "mnist.npz"
    if not own.exists() and theirs.is_file() and matches_hash(theirs, _SHA256):
        return theirs
    try:
        return Path(get_file(path, origin=_ORIGIN, file_hash=_SHA256))
    except DownloadError as exc:
        raise DownloadError(
            f"MNIST could not be downloaded. Fetch {_ORIGIN} on a connected machine and save it "
            f"as {own}, or use nnkit.datasets.digits, 10,000 of these digits that need no download."
        ) from exc
