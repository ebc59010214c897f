"""Fashion-MNIST: 70,000 pictures of clothes, as large as MNIST's digits."""

from __future__ import annotations

import gzip

import numpy as np

from nnkit.datasets.files import KERAS, RemoteFile, fetch
from nnkit.datasets.tables import Arrays
from nnkit.errors import DataError

__all__ = ["load_data"]

_FILES = {
    name: RemoteFile(f"{KERAS}{name}", md5, name, folder="datasets/fashion-mnist")
    for name, md5 in (
        ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
        ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
        ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
    )
}


def load_data() -> tuple[Arrays, Arrays]:
    """Load the set: (x_train, y_train), (x_test, y_test).

    The classes are T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag and ankle
    boot, 0 to 9.

    Shape: x (60000, height 28, width 28) and (10000, 28, 28), uint8; y (60000,) and (10000,), uint8
    Raises: DownloadError without a connection.
    Source: H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST, 2017; MIT licence, Zalando SE.
    """
    train_y, train_x, test_y, test_x = (_numbers(file) for file in _FILES.values())
    return (train_x, train_y), (test_x, test_y)


def _numbers(file: RemoteFile) -> np.ndarray:
    """The array of an IDX file: a magic number that ends in the rank, the sizes, the bytes."""
    path = fetch(file, "Fashion-MNIST")
    with gzip.open(path, "rb") as opened:
        data = opened.read()
    rank = data[3] if len(data) > 4 else 0
    sizes = [int(size) for size in np.frombuffer(data, ">u4", rank, 4)] if rank in (1, 3) else []
    start = 4 + 4 * rank
    if not sizes or len(data) - start != np.prod(sizes):
        raise DataError(f"{path} is no file of images or labels. Delete it, and try again.")
    return np.frombuffer(data, np.uint8, offset=start).reshape(sizes).copy()
