"""CIFAR-100: 60,000 small colour pictures of a hundred kinds of things, in twenty groups."""

from __future__ import annotations

from nnkit.datasets.cifar import load_batches
from nnkit.datasets.files import RemoteFile, fetch
from nnkit.datasets.tables import Arrays
from nnkit.errors import unknown_name

__all__ = ["load_data"]

_FILE = RemoteFile(
    "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    "cifar-100-python-target",
    extract=True,
)


def load_data(label_mode: str = "fine") -> tuple[Arrays, Arrays]:
    """Load the set: (x_train, y_train), (x_test, y_test); 170 MB are downloaded the first time.

    Args:
        label_mode: "fine" for the hundred classes, "coarse" for the twenty groups.

    Shape: x (50000, height 32, width 32, channels 3) and (10000, 32, 32, 3), uint8;
        y (50000, 1) and (10000, 1), uint8
    Raises: ArgumentError for another label_mode; DownloadError without a connection.
    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """
    if label_mode not in ("fine", "coarse"):
        raise unknown_name("label_mode", label_mode, ("fine", "coarse"))
    folder = fetch(_FILE, "CIFAR-100") / "cifar-100-python"
    key = f"{label_mode}_labels"
    return load_batches([folder / "train"], key), load_batches([folder / "test"], key)
