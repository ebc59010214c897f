"""Words and texts to indices of a vocabulary, given or learned, and words back."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from itertools import chain
from typing import Any, Self

import numpy as np
import torch

from nnkit.arguments import one_of, positive
from nnkit.errors import ArgumentError, DataError, ShapeError
from nnkit.layers.hashing import hash_bins
from nnkit.layers.lookup import IndexLookup
from nnkit.layers.raw_data import DataLayer, as_rows, read_batches
from nnkit.shapes import describe

__all__ = ["StringLookup", "TextVectorization"]

# Keras lowers and splits by ASCII alone, so that results do not depend on a language.
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_STRIP = str.maketrans("", "", string.punctuation)
_STANDARDS = {"lower": _LOWER, "strip_punctuation": _STRIP}
_STANDARDS["lower_and_strip_punctuation"] = {**_LOWER, **_STRIP}
_MODES = ("int", "multi_hot", "count", "tf_idf", "binary", "tf-idf")
_WORD = re.compile(r"\S+", re.ASCII)


def _words_only(who: str) -> ArgumentError:
    return ArgumentError(
        f"{who} works on words, which are no tensors, so it cannot stand in a model. "
        f"Call it on the data instead, x = layer(words), and give x to the model."
    )


class StringLookup(IndexLookup):
    """Give words their place in a vocabulary; the arguments are those of IndexLookup.

    Words are no tensors, so this layer works on the data before a model sees it: call it on a
    string, a list or a NumPy array of strings.

    Args:
        encoding: of words that come as bytes.

    Shape: any -> the same (int64), or with an axis of tokens: see CategoryEncoding; with `invert`
        a (nested) list of words
    Raises: NotBuiltError when called before adapt(); ArgumentError inside a model.
    """

    words = True

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: str | None = None,
        oov_token: str = "[UNK]",
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        salt: Any = None,
        **kwargs: Any,
    ) -> None:
        self.encoding = encoding
        places = (max_tokens, num_oov_indices, mask_token, oov_token, "string")
        known: Any = (vocabulary, idf_weights, invert, output_mode, sparse, pad_to_max_tokens)
        known += ("floormod", name, salt)
        kwargs.pop("oov_method", None)  # Keras's configs have it; it is for whole numbers
        super().__init__(*places, *known, **kwargs)

    def check_input(self, shape: Any) -> None:
        if shape is not None and not self.invert:
            raise _words_only(self.label)

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        raise _words_only(self.label)

    def tokens_of(self, values: Any) -> list[Any]:
        flat = [values] if isinstance(values, (str, bytes)) else np.asarray(values).ravel().tolist()
        flat = [w.decode(self.encoding) if isinstance(w, bytes) else w for w in flat]
        if not all(isinstance(word, str) for word in flat):
            wrong = next(word for word in flat if not isinstance(word, str))
            raise DataError(f"{self.label} takes words, got {wrong!r}. Replace what is no string.")
        return flat

    def _keep(self, tokens: list[Any], weights: np.ndarray | None, whole: bool) -> None:
        super()._keep(tokens, weights, whole)
        self._index = {token: i for i, token in enumerate(tokens, self._token_start)}
        if self.mask_token is not None:
            self._index[self.mask_token] = self.mask_place()

    def find(self, inputs: Any) -> torch.Tensor:
        return torch.from_numpy(self.places(self.tokens_of(inputs)).reshape(np.shape(inputs)))

    def places(self, words: list[str]) -> np.ndarray:
        """The place of each word; that of the mask token in codes is -1."""
        other = self._oov_start if self.num_oov_indices == 1 else -2
        found = np.fromiter((self._index.get(word, other) for word in words), "int64", len(words))
        unknown = np.flatnonzero(found == -2)
        if len(unknown):
            missing = [words[i] for i in unknown]
            if self.num_oov_indices == 0:
                self.refuse_unknown(missing)
            shared = hash_bins(np.array(missing, dtype=object), self.num_oov_indices, self.salt)
            found[unknown] = shared.numpy() + self._oov_start
        return found

    def tokens_at(self, indices: Any) -> Any:
        names, size = self.get_vocabulary(), self.vocabulary_size()
        array = np.asarray(indices.detach().cpu() if isinstance(indices, torch.Tensor) else indices)
        flat = [names[i] if 0 <= i < size else self.oov_token for i in array.ravel().tolist()]
        return np.array(flat, dtype=object).reshape(array.shape).tolist()


class TextVectorization(DataLayer):
    """Cut texts into tokens and give each its place in a vocabulary.

    Texts are no tensors, so this layer works on the data before a model sees it.

    Args:
        max_tokens: the most places in the vocabulary, those of padding and unknown words included.
        standardize: "lower_and_strip_punctuation", "lower", "strip_punctuation" (ASCII), None, or a
            function of an array of texts that gives such an array.
        split: "whitespace", "character", None (each text is a token), or a function of an array
            of texts that gives a list of tokens for each.
        ngrams: also make tokens of so many words in a row, up to a number, or just a tuple of them.
        output_mode: "int", or "multi_hot", "count", "tf_idf" over the vocabulary.
        output_sequence_length: in "int" mode, the number of places to cut and pad (with 0) to; the
            longest text's when None.
        pad_to_max_tokens: make codes max_tokens long even if the vocabulary is smaller.
        vocabulary: tokens, or the path of a file with one a line; learned by `adapt` when None.
        idf_weights: in "tf_idf" mode, the weight of each token.
        sparse, ragged: not supported.
        encoding: of texts that come as bytes.

    Shape: texts (batch,) or (batch, 1) -> (batch, tokens) int64, or (batch, vocabulary)
    Raises: NotBuiltError when called before adapt(); ArgumentError inside a model.
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: Any = "lower_and_strip_punctuation",
        split: Any = "whitespace",
        ngrams: Any = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Any = None,
        idf_weights: Any = None,
        sparse: bool = False,
        ragged: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        for unused in ("vocabulary_size", "has_input_vocabulary"):
            kwargs.pop(unused, None)  # Keras's configs hold these
        super().__init__(name=name, **kwargs)
        who = self.label
        if ragged:
            raise ArgumentError(
                f"{who}: ragged outputs do not exist here; rows are padded with 0. "
                f"Give output_sequence_length for a fixed length."
            )
        self._standardize = _choice(who, "standardize", standardize, tuple(_STANDARDS))
        self._split = _choice(who, "split", split, ("whitespace", "character"))
        self._ngrams = _widths(who, ngrams)
        one_of(who, "output_mode", output_mode, _MODES)
        length = output_sequence_length
        self._length = None if length is None else positive(who, "output_sequence_length", length)
        self._lookup_layer = StringLookup(
            max_tokens=max_tokens,
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            pad_to_max_tokens=pad_to_max_tokens,
            mask_token="",
            output_mode=output_mode,
            sparse=sparse,
            encoding=encoding,
        )
        if length is not None and self._lookup_layer.output_mode != "int":
            raise ArgumentError(f"{who}: output_sequence_length needs output_mode='int'.")

    def check_input(self, shape: Any) -> None:
        if shape is not None:
            raise _words_only(self.label)

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Learn the vocabulary: tokens by falling frequency, equally frequent ones Z to A.

        Args:
            data: texts in a list or array, or batches of them. For "tf_idf" a text is a document.
            batch_size: not needed; accepted because Keras scripts give it.
            steps: the most batches to read.
        """

        def documents() -> Iterator[list[str]]:
            for batch in read_batches(data, self.label, steps):
                texts = self._texts(as_rows(batch, self.label))
                alone = batch is data and self._split is None and texts.ndim == 1
                yield from self._tokens(texts[:, None] if alone else texts)[0]

        self._lookup_layer.learn(documents())

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """The tokens in the order of their places; '' and '[UNK]' first, if wanted."""
        return self._lookup_layer.get_vocabulary(include_special_tokens)

    def vocabulary_size(self) -> int:
        """How many places there are, those of padding and unknown words included."""
        return self._lookup_layer.vocabulary_size()

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Take this vocabulary; see StringLookup.set_vocabulary."""
        self._lookup_layer.set_vocabulary(vocabulary, idf_weights)

    def _texts(self, inputs: Any) -> np.ndarray:
        """The texts, standardized, in an array of strings."""
        words = self._lookup_layer.tokens_of(inputs)
        shape = np.shape(inputs)
        if callable(self._standardize):
            changed = np.asarray(self._standardize(np.array(words, dtype=str).reshape(shape)))
            if changed.shape != shape:
                raise ShapeError(
                    f"{self.label}: standardize must keep the shape {describe(shape)}, but gave "
                    f"{describe(changed.shape)}."
                )
            words = [str(word) for word in changed.ravel().tolist()]
        elif self._standardize is not None:
            table = _STANDARDS[self._standardize]
            words = [word.translate(table) for word in words]
        texts = np.empty(len(words), dtype=object)
        texts[:] = words
        return texts.reshape(shape)

    def _tokens(self, texts: np.ndarray) -> tuple[list[list[str]], tuple[int, ...]]:
        """The tokens of each text, and the shape in which these texts lie."""
        if self._split is None:
            lead = texts.shape[:-1]
            rows = texts.reshape(-1, texts.shape[-1] if texts.ndim else 1).tolist()
        else:
            if texts.ndim > 1 and texts.shape[-1] != 1:
                raise ShapeError(
                    f"{self.label} splits texts of shape (batch,) or (batch, 1), got "
                    f"{describe(texts.shape)}. Join the texts of a row, or give split=None."
                )
            texts = texts.reshape(texts.shape[:-1]) if texts.ndim > 1 else texts
            lead, flat = texts.shape, texts.reshape(-1).tolist()
            if self._split == "whitespace":
                rows = [_WORD.findall(text) for text in flat]
            elif self._split == "character":
                rows = [list(text) for text in flat]
            else:
                rows = [list(tokens) for tokens in self._split(np.array(flat, dtype=str))]
                if len(rows) != len(flat):
                    raise ShapeError(
                        f"{self.label}: split gave {len(rows)} lists of tokens for {len(flat)} "
                        f"texts; it must give one for each."
                    )
        if self._ngrams is not None:
            rows = [[gram for n in self._ngrams for gram in _grams(row, n)] for row in rows]
        return rows, lead

    def call(self, inputs: Any) -> torch.Tensor:
        lookup = self._lookup_layer
        lookup.check_adapted()
        texts = self._texts(inputs)
        rows, lead = self._tokens(texts)
        longest = max(map(len, rows), default=0) if self._length is None else self._length
        rows = rows if self._length is None else [row[:longest] for row in rows]
        sizes = np.array([len(row) for row in rows], dtype="int64")
        # Padding counts as masked: place 0 in "int" mode, none in codes.
        found = np.full((len(rows), longest), lookup.mask_place(), dtype="int64")
        found[np.arange(longest) < sizes[:, None]] = lookup.places(list(chain.from_iterable(rows)))
        places = torch.from_numpy(found)
        one = not texts.ndim and self._split is None and self._length is None
        if lookup.output_mode == "int" and one:
            return places.reshape(())
        coded = lookup.coded(places)
        return coded.reshape(*lead, coded.shape[-1])

    def learned_files(self) -> dict[str, bytes]:
        """Those of the lookup, which Keras keeps twice in a model's file."""
        return self._lookup_layer.learned_files()

    def learned_values(self) -> dict[str, torch.Tensor]:
        """As `learned_files`."""
        return self._lookup_layer.learned_values()

    def get_config(self) -> dict[str, Any]:
        known = self._lookup_layer.get_config()
        learned = {key: known[key] for key in ("vocabulary", "idf_weights")}
        return {**super().get_config(), **learned, "vocabulary_size": self.vocabulary_size()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A new layer from `get_config()`; see StringLookup."""
        StringLookup.from_config({"vocabulary": config.get("vocabulary")})
        return super().from_config(config)


def _choice(who: str, argument: str, value: Any, names: tuple[str, ...]) -> Any:
    return value if value is None or callable(value) else one_of(who, argument, value, names)


def _widths(who: str, ngrams: Any) -> tuple[int, ...] | None:
    if ngrams is None:
        return None
    if isinstance(ngrams, (list, tuple)):
        return tuple(positive(who, "ngrams", width) for width in ngrams)
    return tuple(range(1, positive(who, "ngrams", ngrams) + 1))


def _grams(words: list[str], width: int) -> Iterator[str]:
    if width == 1:
        return iter(words)
    return (" ".join(words[i : i + width]) for i in range(len(words) - width + 1))
