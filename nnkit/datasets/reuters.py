"""Reuters: 11,228 news items on 46 topics."""

from __future__ import annotations

import numpy as np

from nnkit.datasets.files import KERAS, RemoteFile, arrays_of, check_fraction, fetch
from nnkit.datasets.tables import Arrays
from nnkit.datasets.texts import keep_short, keep_words, mark, read_index, shuffled

__all__ = ["get_label_names", "get_word_index", "load_data"]

_FILE = RemoteFile(
    f"{KERAS}reuters.npz",
    "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916",
    "reuters.npz",
)
_INDEX = RemoteFile(
    f"{KERAS}reuters_word_index.json", "4d44cc38712099c9e383dc6e5f11a921", "reuters_word_index.json"
)
_TOPICS = """
cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves ship
cotton carcass crude nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin
strategic-metal livestock retail ipi iron-steel rubber heat jobs lei bop zinc orange pet-chem dlr
gas silver wpi hog lead
"""


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple[Arrays, Arrays]:
    """Load the set: (x_train, y_train), (x_test, y_test).

    Args:
        path: the file's name in the cache.
        test_split: the fraction (0 to 1) to test on.
        num_words, skip_top, maxlen, seed, start_char, oov_char, index_from: as for `imdb`.

    Shape: x (items,) of lists of numbers, y (items,) of topics, 0 to 45
    Raises: DataError when no item is short enough; ArgumentError for an unfit split; DownloadError
        without a connection.
    Source: D. Lewis, Reuters-21578.
    """
    check_fraction(test_split)
    data = arrays_of(fetch(_FILE, "Reuters", path))
    x, y = shuffled(data["x"], data["y"], np.random.RandomState(seed))
    texts, y = keep_short(mark(x, start_char, index_from), y, maxlen)
    texts = keep_words(texts, num_words, skip_top, oov_char)
    end = int(len(texts) * (1 - test_split))
    train, test = (np.array(part, dtype=object) for part in (texts[:end], texts[end:]))
    return (train, np.array(y[:end])), (test, np.array(y[end:]))


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """The number of each word, before index_from is added.

    Args:
        path: the file's name in the cache.
    """
    return read_index(fetch(_INDEX, "The words of Reuters", path))


def get_label_names() -> tuple[str, ...]:
    """The topics by number."""
    return tuple(_TOPICS.split())
