"""What CIFAR-10 and CIFAR-100 share: batches of small pictures in pickles of arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nnkit.datasets.files import unpickled
from nnkit.errors import DataError

__all__ = ["load_batches"]


def load_batches(paths: list[Path], labels: str) -> tuple[np.ndarray, np.ndarray]:
    """The pictures and labels of several files, one after the other.

    Args:
        paths: the files; they cannot run code.
        labels: the key of the labels.

    Shape: (pictures, height 32, width 32, channels 3) and (pictures, 1), uint8
    """
    pictures, numbers = [], []
    for path in paths:
        batch = unpickled(path.read_bytes(), encoding="bytes")
        try:
            planes = np.asarray(batch[b"data"], dtype=np.uint8).reshape(-1, 3, 32, 32)
            numbers.append(np.asarray(batch[labels.encode()], dtype=np.uint8))
        except (KeyError, TypeError, ValueError) as exc:
            raise DataError(f"{path} is no batch of CIFAR. Delete its folder.") from exc
        pictures.append(planes.transpose(0, 2, 3, 1))
    return np.concatenate(pictures), np.concatenate(numbers).reshape(-1, 1)
