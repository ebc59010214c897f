"""What IMDB and Reuters share: texts as lists of word numbers, the commonest words lowest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from nnkit.errors import DataError

__all__ = ["keep_short", "keep_words", "mark", "read_index", "shuffled"]

Texts = list[list[int]]


def shuffled(x: Any, y: Any, random: np.random.RandomState) -> tuple[Any, Any]:
    """Both in one new order."""
    order = np.arange(len(x))
    random.shuffle(order)
    return x[order], y[order]


def mark(texts: Any, start_char: int | None, index_from: int) -> Texts:
    """Begin each text with start_char (if any), and move its words up by index_from.

    Without a start_char, index_from counts as 0 when it is None or 0.
    """
    first = [] if start_char is None else [start_char]
    return [first + [word + (index_from or 0) for word in text] for text in texts]


def keep_short(texts: Texts, labels: Any, maxlen: int | None) -> tuple[Texts, Any]:
    """Only the texts shorter than maxlen.

    Raises: DataError when none is left.
    """
    if not maxlen:
        return texts, labels
    kept = [place for place, text in enumerate(texts) if len(text) < maxlen]
    if not kept:
        raise DataError(f"No text is shorter than maxlen={maxlen}. Increase it.")
    return [texts[place] for place in kept], np.asarray(labels)[kept]


def keep_words(texts: Texts, num_words: int | None, skip_top: int, oov_char: int | None) -> Texts:
    """Put oov_char for words below skip_top and from num_words up; drop them when it is None."""
    limit = num_words or max(max(text) for text in texts)
    if oov_char is None:
        return [[word for word in text if skip_top <= word < limit] for text in texts]
    return [[word if skip_top <= word < limit else oov_char for word in text] for text in texts]


def read_index(path: Path) -> dict[str, int]:
    """The numbers of words, from a JSON file."""
    index: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))
    return index
