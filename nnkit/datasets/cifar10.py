"""CIFAR-10: 60,000 small colour pictures of ten kinds of things."""

from __future__ import annotations

from nnkit.datasets.cifar import load_batches
from nnkit.datasets.files import RemoteFile, fetch
from nnkit.datasets.tables import Arrays

__all__ = ["load_data"]

_FILE = RemoteFile(
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    "cifar-10-batches-py-target",
    extract=True,
)


def load_data() -> tuple[Arrays, Arrays]:
    """Load the set: (x_train, y_train), (x_test, y_test); 170 MB are downloaded the first time.

    The classes are airplane, automobile, bird, cat, deer, dog, frog, horse, ship and truck, 0 to 9.

    Shape: x (50000, height 32, width 32, channels 3) and (10000, 32, 32, 3), uint8;
        y (50000, 1) and (10000, 1), uint8
    Raises: DownloadError without a connection.
    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """
    folder = fetch(_FILE, "CIFAR-10") / "cifar-10-batches-py"
    train = load_batches([folder / f"data_batch_{number}" for number in range(1, 6)], "labels")
    return train, load_batches([folder / "test_batch"], "labels")
