"""Indices of a vocabulary, given or learned: the base of that for numbers and that for words."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from nnkit.arguments import one_of, positive
from nnkit.errors import ArgumentError, DataError, NotBuiltError
from nnkit.layers.raw_data import (
    MODES,
    DataLayer,
    as_rows,
    encode,
    encoded_shape,
    output_mode_of,
    read_batches,
    salt_of,
)
from nnkit.tree import flatten

__all__ = ["IndexLookup"]


class IndexLookup(DataLayer):
    """Base of the lookups: keeps a vocabulary and gives each token its place in it.

    In "int" mode place 0 is the mask's if there is a mask token; then come `num_oov_indices` places
    for tokens out of the vocabulary (OOV), then the vocabulary. In the other modes the mask has no
    place: masked tokens are dropped.

    Args:
        max_tokens: the most places, those of mask and OOV included.
        num_oov_indices: places for unknown tokens, which share them by hash; 0 makes them an error.
        mask_token: the token that stands for padding, or None.
        oov_token: what unknown places are called.
        vocabulary_dtype: "string" or "int64".
        vocabulary: tokens, or the path of a file with one a line; learned by `adapt` when None.
        idf_weights: in "tf_idf" mode, the weight of each token.
        invert: give tokens for indices.
        output_mode: "int", or "one_hot", "multi_hot", "count", "tf_idf" over the vocabulary.
        pad_to_max_tokens: make codes max_tokens long even if the vocabulary is smaller.
        oov_method: how whole numbers share the OOV places: "floormod" or "farmhash".
        salt: one or two whole numbers for a hash that is hard to guess.
    """

    words: bool
    _given = False

    def __init__(
        self,
        max_tokens: int | None,
        num_oov_indices: int,
        mask_token: Any,
        oov_token: Any,
        vocabulary_dtype: str,
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        name: str | None = None,
        salt: Any = None,
        **kwargs: Any,
    ) -> None:
        # Keras's configs hold these; a file brings the vocabulary after the model is built.
        for unused in ("has_input_vocabulary", "dtype"):
            kwargs.pop(unused, None)
        self._size_to_come: int | None = kwargs.pop("vocabulary_size", None)
        super().__init__(name=name, **kwargs)
        who = self.label
        # What came with the constructor is written into configs; the rest is state.
        self.input_vocabulary: list[Any] | None = None
        self.input_idf_weights: list[float] | None = None
        self.num_oov_indices = positive(who, "num_oov_indices", num_oov_indices, least=0)
        self.max_tokens = None if max_tokens is None else positive(who, "max_tokens", max_tokens)
        self.mask_token, self.oov_token = mask_token, oov_token
        self.output_mode = output_mode_of(who, output_mode, (*MODES, "tf_idf"), sparse)
        self.sparse = False
        self.invert, self.pad_to_max_tokens = invert, pad_to_max_tokens
        self.vocabulary_dtype = vocabulary_dtype
        self.oov_method = one_of(who, "oov_method", oov_method, ("floormod", "farmhash"))
        self.salt = salt_of(who, salt)
        self._oov_start = int(mask_token is not None and self.output_mode == "int")
        self._token_start = self._oov_start + self.num_oov_indices
        self._check_options(idf_weights)
        self._tokens: list[Any] | None = None
        self.register_buffer("idf_weights", None, persistent=False)
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)
            if not isinstance(vocabulary, (str, os.PathLike)):
                self.input_vocabulary = self.tokens_of(as_rows(vocabulary, who))
                weights = None if idf_weights is None else np.asarray(idf_weights).tolist()
                self.input_idf_weights = weights
            self._given = True

    def _check_options(self, idf_weights: Any) -> None:
        who, start = self.label, self._token_start
        if self.max_tokens is not None and self.max_tokens <= max(start, 1):
            raise ArgumentError(
                f"{who}: max_tokens={self.max_tokens} leaves no place for a vocabulary, the first "
                f"{start} are for mask and OOV tokens. Give at least {max(start, 1) + 1}."
            )
        if self.pad_to_max_tokens and self.max_tokens is None:
            raise ArgumentError(f"{who}: pad_to_max_tokens needs max_tokens.")
        if self.invert and (self.output_mode != "int" or self.oov_token is None):
            raise ArgumentError(f"{who}: invert needs output_mode='int' and an oov_token.")
        if idf_weights is not None and self.output_mode != "tf_idf":
            raise ArgumentError(
                f"{who}: idf_weights belong to output_mode='tf_idf', not {self.output_mode!r}."
            )
        if self.salt and self.oov_method != "farmhash" and self.vocabulary_dtype != "string":
            raise ArgumentError(f"{who}: salt needs oov_method='farmhash'.")

    def tokens_of(self, values: Any) -> list[Any]:
        """The tokens in an array, flat, as Python objects."""
        raise NotImplementedError

    def find(self, inputs: Any) -> torch.Tensor:
        """The place of each token."""
        raise NotImplementedError

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The tokens in the order of their places; mask and OOV tokens first, if wanted."""
        return self._specials() * include_special_tokens + (self._tokens or [])

    def vocabulary_size(self) -> int:
        """How many places there are, those of mask and OOV tokens included."""
        return self._token_start + len(self._tokens or [])

    def _specials(self) -> list[Any]:
        return [self.mask_token] * self._oov_start + [self.oov_token] * self.num_oov_indices

    def mask_place(self) -> int:
        """The place of masked tokens: 0, or -1 (none) in codes."""
        return self._oov_start - 1

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Take this vocabulary.

        Args:
            vocabulary: tokens, with or without mask and OOV tokens at the front; or a file's path.
            idf_weights: one for each token given, in "tf_idf" mode only.

        Raises: ArgumentError for repeated tokens, too many, or special ones elsewhere.
        """
        who = self.label
        if (idf_weights is not None) != (self.output_mode == "tf_idf"):
            raise ArgumentError(
                f"{who}: idf_weights come with a vocabulary in output_mode='tf_idf' and only then; "
                f"this layer's is {self.output_mode!r}."
            )
        if isinstance(vocabulary, (str, os.PathLike)):
            if not Path(vocabulary).is_file():
                raise ArgumentError(f"{who}: there is no vocabulary file {str(vocabulary)!r}.")
            vocabulary = Path(vocabulary).read_text("utf-8").removesuffix("\n").split("\n")
            vocabulary = vocabulary if self.words else [int(line) for line in vocabulary]
        given = self.tokens_of(as_rows(vocabulary, who))
        specials = self._specials()
        whole = given[: len(specials)] == specials
        tokens = given[len(specials) :] if whole else given
        if not tokens:
            raise ArgumentError(f"{who}: the vocabulary is empty.")
        repeated = [token for token, count in Counter(tokens).items() if count > 1]
        if repeated:
            raise ArgumentError(f"{who}: the vocabulary repeats {repeated[:5]}. Give each once.")
        for token in {self.mask_token, self.oov_token if self.invert else None} - {None}:
            if token in tokens:
                raise ArgumentError(
                    f"{who}: {token!r} is reserved, but the vocabulary has it. Leave it out, or "
                    f"begin the vocabulary with {specials}."
                )
        size = self._token_start + len(tokens)
        if self.max_tokens is not None and size > self.max_tokens:
            raise ArgumentError(
                f"{who}: a vocabulary of {size} places is over max_tokens={self.max_tokens}."
            )
        weights = None if idf_weights is None else np.asarray(idf_weights, dtype="float64")
        if weights is not None and weights.shape != (len(given),):
            raise ArgumentError(
                f"{who}: idf_weights need one number for each of {len(given)} tokens, got shape "
                f"{weights.shape}."
            )
        self._keep(tokens, weights, whole)

    def _keep(self, tokens: list[Any], weights: np.ndarray | None, whole: bool) -> None:
        self._tokens = tokens
        if weights is not None:
            # What an unknown token weighs cannot be known: the mean.
            front = 0 if whole else self._token_start
            back = (self.max_tokens or 0) - front - len(weights) if self.pad_to_max_tokens else 0
            ends = ((float(weights.mean()), 0.0),)
            full = np.pad(weights, ((front, back),), constant_values=ends)
            self.idf_weights = torch.tensor(full, dtype=torch.get_default_dtype())

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Learn the vocabulary: tokens by falling frequency, equally frequent ones Z to A.

        Args:
            data: tokens in an array, tensor or (nested) list, or batches of them. For "tf_idf" a
                row is a document; a single axis of tokens in a batch is one document.
            steps: the most batches to read.
        """
        self.learn(
            document
            for batch in read_batches(data, self.label, steps)
            for document in self._documents(batch, batch is data)
        )

    def _documents(self, batch: Any, whole: bool) -> Iterator[list[Any]]:
        rows = isinstance(batch, (list, tuple)) and any(isinstance(r, (list, tuple)) for r in batch)
        if rows:  # they may differ in length
            yield from (self.tokens_of(np.array(flatten([r]), dtype=object)) for r in batch)
            return
        array = as_rows(batch, self.label)
        tokens = self.tokens_of(array)
        shape: Any = getattr(array, "shape", ())
        if self.output_mode != "tf_idf" or len(shape) < 2:
            alone = whole and self.output_mode == "tf_idf"
            yield from ([token] for token in tokens) if alone else [tokens]
        else:
            size = len(tokens) // shape[0]
            yield from (tokens[i : i + size] for i in range(0, len(tokens), size))

    def learn(self, documents: Iterable[list[Any]]) -> None:
        """Make the vocabulary of lists of tokens."""
        if self._given:
            raise ArgumentError(f"{self.label} was given its vocabulary; it cannot adapt.")
        counts: Counter[Any] = Counter()
        holders: Counter[Any] = Counter()
        number = 0
        for tokens in documents:
            counts.update(tokens)
            if self.output_mode == "tf_idf":
                holders.update(set(tokens))
                number += 1
        counts.pop(self.mask_token, None)
        counts.pop(self.oov_token, None)
        if not counts:
            raise DataError(f"{self.label}.adapt() found no tokens in its data.")
        tokens = sorted(counts, key=lambda token: (counts[token], token), reverse=True)
        if self.max_tokens is not None:
            tokens = tokens[: self.max_tokens - self._token_start]
        weights = None
        if self.output_mode == "tf_idf":
            weights = np.log([1 + number / (1 + holders[token]) for token in tokens])
        self._keep(tokens, weights, False)

    def depth(self) -> int:
        """How long codes are."""
        if self.pad_to_max_tokens and self.max_tokens is not None:
            return self.max_tokens
        self.check_adapted()
        return self.vocabulary_size()

    def check_adapted(self) -> None:
        """Raise NotBuiltError unless there is a vocabulary."""
        if self._tokens is None:
            raise NotBuiltError(
                f"{self.label} has no vocabulary yet: call adapt(data) first, or give it one."
            )

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        if self.output_mode == "int":
            depth = 0
        elif self._tokens is None and self._size_to_come and not self.pad_to_max_tokens:
            depth = self._size_to_come
        else:
            depth = self.depth()
        dtype = torch.get_default_dtype() if self.output_mode == "tf_idf" else torch.int64
        return inputs.new_empty(encoded_shape(inputs.shape, self.output_mode, depth), dtype=dtype)

    def call(self, inputs: Any) -> Any:
        self.check_adapted()
        return self.tokens_at(inputs) if self.invert else self.coded(self.find(inputs))

    def tokens_at(self, indices: Any) -> Any:
        """The tokens at some places, the OOV token where there is none."""
        raise NotImplementedError

    def coded(self, found: torch.Tensor) -> torch.Tensor:
        """Places as the output mode wants them; masked ones (-1) fall away in codes."""
        if self.output_mode == "int":
            return found
        depth = self.depth()
        spare = found if self.mask_token is None else torch.where(found < 0, depth, found)
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        dtype = torch.int64 if self.idf_weights is None else self.idf_weights.dtype
        codes = encode(spare, mode, depth + (self.mask_token is not None), dtype)[..., :depth]
        return codes if self.idf_weights is None else codes * self.idf_weights

    def refuse_unknown(self, unknown: Any) -> None:
        """Raise DataError for tokens that have no place."""
        raise DataError(
            f"{self.label} with num_oov_indices=0 met tokens out of its vocabulary: "
            f"{sorted(set(unknown))[:5]}. Add them, or give num_oov_indices=1."
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocabulary": self.input_vocabulary,
            "idf_weights": self.input_idf_weights,
            "vocabulary_size": None if self._tokens is None else self.vocabulary_size(),
            "oov_method": self.oov_method,
            "salt": self.salt,
        }

    def learned_files(self) -> dict[str, bytes]:
        """The vocabulary, a token a line."""
        in_config = self._tokens is None or self.input_vocabulary is not None
        text = "\n".join(map(str, self.get_vocabulary()))
        return {} if in_config else {"vocabulary.txt": text.encode()}

    def take_files(self, read: Callable[[str], bytes | None]) -> None:
        """Take the vocabulary of a file."""
        content = None if self._given else read("vocabulary.txt")
        if content is not None:
            lines = content.decode("utf-8").rstrip("\n").split("\n")
            tokens = lines if self.words else [int(line) for line in lines]
            # Their places; the values come from the file with the weights.
            weights = [0.0] * len(tokens) if self.output_mode == "tf_idf" else None
            self.set_vocabulary(tokens, weights)

    def learned_values(self) -> dict[str, torch.Tensor]:
        """The weights of the tokens in "tf_idf" mode."""
        return {} if self.idf_weights is None else {"idf_weights": self.idf_weights}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A new layer from `get_config()`.

        Raises: ArgumentError where the vocabulary is the name of a file, which is not opened.
        """
        if isinstance(config.get("vocabulary"), str):
            raise ArgumentError(
                f"{cls.__name__}: the config names the vocabulary file {config['vocabulary']!r}; "
                f"no file is opened because a config names it. Give its tokens in a list."
            )
        return super().from_config(config)
