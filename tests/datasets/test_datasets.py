"""The digits that come along, and MNIST's cache and errors, all offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnkit.datasets
from nnkit.datasets import digits, mnist
from nnkit.errors import DownloadError


def test_digits() -> None:
    (x, y), (test_x, test_y) = digits.load_data()
    assert (x.shape, y.shape) == ((8000, 28, 28), (8000,))
    assert (test_x.shape, test_y.shape) == ((2000, 28, 28), (2000,))
    assert {array.dtype for array in (x, y, test_x, test_y)} == {np.dtype("uint8")}
    assert (x.min(), x.max()) == (0, 255)
    assert np.bincount(y).min() > 600
    assert np.bincount(test_y).min() > 150
    assert not {image.tobytes() for image in test_x} & {image.tobytes() for image in x}


def test_digits_show_what_their_labels_say() -> None:
    # The nearest class mean gets most of the test digits right, so images and labels belong
    # together.
    (x, y), (test_x, test_y) = digits.load_data()
    means = np.stack([x[y == label].mean(axis=0).ravel() for label in range(10)])
    images = test_x.reshape(len(test_x), -1).astype(float)
    distance = (means**2).sum(axis=1) - 2 * images @ means.T
    assert (distance.argmin(axis=1) == test_y).mean() > 0.75


def test_digits_file_is_small() -> None:
    file = Path(nnkit.datasets.__file__).with_name("mnist_10k.npz")
    assert file.stat().st_size < 2_000_000


@pytest.fixture
def homes(serve: Any, tmp_path: Path) -> tuple[Path, Path]:
    """The caches of nnkit and of Keras, and a stand-in for the file on the server."""
    source = tmp_path / "mnist.npz"
    parts = {"x_train": 3, "y_train": 3, "x_test": 2, "y_test": 2}
    np.savez(source, **{name: np.full(size, size) for name, size in parts.items()})
    serve(mnist, source)
    return tmp_path / "own" / "datasets", tmp_path / "keras" / "datasets"


def test_mnist_is_kept_in_the_cache(homes: tuple[Path, Path], tmp_path: Path) -> None:
    (x, y), (test_x, test_y) = mnist.load_data()
    assert [part.tolist() for part in (x, y, test_x, test_y)] == [
        [3] * 3,
        [3] * 3,
        [2] * 2,
        [2] * 2,
    ]
    (tmp_path / "mnist.npz").unlink()
    mnist.load_data()
    assert [item.name for item in homes[0].iterdir()] == ["mnist.npz"]


def test_mnist_of_keras_is_used(homes: tuple[Path, Path], tmp_path: Path) -> None:
    homes[1].mkdir(parents=True)
    (tmp_path / "mnist.npz").rename(homes[1] / "mnist.npz")
    assert len(mnist.load_data()[0][0]) == 3
    assert not homes[0].exists()


def test_a_damaged_mnist_of_keras_is_not_used(homes: tuple[Path, Path]) -> None:
    homes[1].mkdir(parents=True)
    (homes[1] / "mnist.npz").write_bytes(b"damaged")
    assert len(mnist.load_data()[0][0]) == 3
    assert (homes[0] / "mnist.npz").exists()


def test_mnist_offline_says_what_to_do(homes: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "mnist.npz").unlink()
    with pytest.raises(
        DownloadError, match=r"save it as .*own.*mnist\.npz, or use nnkit\.datasets"
    ):
        mnist.load_data()
