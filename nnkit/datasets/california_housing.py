"""California housing: prices of districts in 1990, and what they may depend on."""

from __future__ import annotations

from nnkit.datasets.files import KERAS, RemoteFile, check_fraction, fetch
from nnkit.datasets.tables import Arrays, load_table
from nnkit.errors import unknown_name

__all__ = ["load_data"]

_FILE = RemoteFile(
    f"{KERAS}california_housing.npz",
    "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f",
    "california_housing.npz",
)
_ROWS = {"large": None, "small": 600}


def load_data(
    version: str = "large",
    path: str = "california_housing.npz",
    test_split: float = 0.2,
    seed: int = 113,
) -> tuple[Arrays, Arrays]:
    """Load the set: (x_train, y_train), (x_test, y_test).

    The columns are median income, age of the houses, rooms, bedrooms, population, people to a
    household, latitude and longitude; the target is the median price in dollars.

    Args:
        version: "large" (20,640 districts) or "small" (the first 600).
        path: the file's name in the cache.
        test_split: the fraction (0 to 1) to test on.
        seed: of the shuffling.

    Shape: x (districts, 8), y (districts,), floats
    Raises: ArgumentError for an unknown version or split; DownloadError without a connection.
    Source: R. K. Pace and R. Barry, Sparse Spatial Autoregressions, 1997.
    """
    if version not in _ROWS:
        raise unknown_name("version of California housing", version, _ROWS)
    check_fraction(test_split)
    return load_table(fetch(_FILE, "California housing", path), test_split, seed, _ROWS[version])
