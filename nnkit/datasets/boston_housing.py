"""Boston housing: prices of the 1970s, kept for old programs.

One column was made from the share of Black residents on the assumption that it lowers prices. Use
`california_housing` for anything but a look at such problems.
"""

from __future__ import annotations

from nnkit.datasets.files import KERAS, RemoteFile, check_fraction, fetch
from nnkit.datasets.tables import Arrays, load_table

__all__ = ["load_data"]

_FILE = RemoteFile(
    f"{KERAS}boston_housing.npz",
    "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5",
    "boston_housing.npz",
)


def load_data(
    path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113
) -> tuple[Arrays, Arrays]:
    """Load the set: (x_train, y_train), (x_test, y_test).

    Args:
        path: the file's name in the cache.
        test_split: the fraction (0 to 1) to test on.
        seed: of the shuffling.

    Shape: x (places, 13), y (places,), float64; prices in thousands of dollars
    Raises: ArgumentError for an unfit split; DownloadError without a connection.
    Source: D. Harrison and D. L. Rubinfeld, Hedonic Prices and the Demand for Clean Air, 1978.
    """
    check_fraction(test_split)
    return load_table(fetch(_FILE, "Boston housing", path), test_split, seed)
