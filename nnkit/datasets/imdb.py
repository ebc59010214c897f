"""IMDB: 50,000 film reviews, each good or bad."""

from __future__ import annotations

import numpy as np

from nnkit.datasets.files import KERAS, RemoteFile, arrays_of, fetch
from nnkit.datasets.tables import Arrays
from nnkit.datasets.texts import keep_short, keep_words, mark, read_index, shuffled

__all__ = ["get_word_index", "load_data"]

_FILE = RemoteFile(
    f"{KERAS}imdb.npz",
    "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f",
    "imdb.npz",
)
_INDEX = RemoteFile(
    f"{KERAS}imdb_word_index.json", "bfafd718b763782e994055a2d397834f", "imdb_word_index.json"
)


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple[Arrays, Arrays]:
    """Load the set: (x_train, y_train), (x_test, y_test), half of the reviews each.

    Args:
        path: the file's name in the cache.
        num_words: keep words with lower numbers, which are the commonest; all when None.
        skip_top: leave out as many of the commonest words.
        maxlen: leave out reviews that are not shorter.
        seed: of the shuffling.
        start_char: the number each review begins with; None for none.
        oov_char: the number in place of a word that is left out; None drops it.
        index_from: what is added to the numbers of words.

    Shape: x (25000,) of lists of numbers, y (25000,) of 0 and 1
    Raises: DataError when no review is short enough; DownloadError without a connection.
    Source: A. Maas et al., Learning Word Vectors for Sentiment Analysis, 2011.
    """
    data = arrays_of(fetch(_FILE, "IMDB", path))
    random = np.random.RandomState(seed)
    texts, labels, ends = [], [], []
    for part in ("train", "test"):
        x, y = shuffled(data[f"x_{part}"], data[f"y_{part}"], random)
        kept, y = keep_short(mark(x, start_char, index_from), y, maxlen)
        texts += kept
        labels.append(np.asarray(y))
        ends.append(len(texts))
    words = keep_words(texts, num_words, skip_top, oov_char)
    train, test = words[: ends[0]], words[ends[0] :]
    return (np.array(train, dtype=object), labels[0]), (np.array(test, dtype=object), labels[1])


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """The number of each word, before index_from is added.

    Args:
        path: the file's name in the cache.
    """
    return read_index(fetch(_INDEX, "The words of IMDB", path))
