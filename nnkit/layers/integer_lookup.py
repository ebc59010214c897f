"""Whole numbers to indices of a vocabulary, given or learned, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from nnkit.arguments import one_of, whole
from nnkit.errors import DataError
from nnkit.layers.hashing import hash_bins
from nnkit.layers.lookup import IndexLookup
from nnkit.probing import is_meta

__all__ = ["IntegerLookup"]


class IntegerLookup(IndexLookup):
    """Give whole numbers their place in a vocabulary; the arguments are those of IndexLookup.

    Shape: any -> the same (int64), or with an axis of tokens: see CategoryEncoding
    Raises: NotBuiltError when called before adapt(); DataError for unknown numbers where
        num_oov_indices is 0 (not when compiled).
    """

    words = False
    _keys: torch.Tensor
    _places: torch.Tensor
    _table: torch.Tensor

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int = -1,
        vocabulary: Any = None,
        vocabulary_dtype: str = "int64",
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        salt: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        one_of("IntegerLookup", "vocabulary_dtype", vocabulary_dtype, ("int64",))
        for argument, token in (("mask_token", mask_token), ("oov_token", oov_token)):
            if token is not None:
                whole("IntegerLookup", argument, token)
        places = (max_tokens, num_oov_indices, mask_token, oov_token, "int64")
        known: Any = (vocabulary, idf_weights, invert, output_mode, sparse, pad_to_max_tokens)
        known += (oov_method, name, salt)
        super().__init__(*places, *known, **kwargs)

    def tokens_of(self, values: Any) -> list[Any]:
        array = np.asarray(values.detach().cpu() if isinstance(values, torch.Tensor) else values)
        if array.dtype == object and all(isinstance(v, (int, np.integer)) for v in array.flat):
            array = array.astype("int64")
        if array.dtype.kind not in "iufb":
            raise DataError(f"{self.label} takes whole numbers, got an array of {array.dtype}.")
        return array.astype("int64").reshape(-1).tolist()

    def _keep(self, tokens: list[Any], weights: np.ndarray | None, whole: bool) -> None:
        super()._keep(tokens, weights, whole)
        device = self._keys.device if hasattr(self, "_keys") else None
        keys, order = torch.tensor(tokens, dtype=torch.int64, device=device).sort()
        self.register_buffer("_keys", keys, persistent=False)
        self.register_buffer("_places", order + self._token_start, persistent=False)
        if self.invert:
            table = torch.tensor(self.get_vocabulary(), dtype=torch.int64, device=device)
            self.register_buffer("_table", table, persistent=False)

    def find(self, inputs: Any) -> torch.Tensor:
        x = inputs.to(torch.int64).contiguous()
        at = torch.searchsorted(self._keys, x).clamp_max(self._keys.shape[0] - 1)
        known = self._keys[at] == x
        other: Any = self._oov_start if self.num_oov_indices else -1
        if self.num_oov_indices > 1 and self.oov_method == "floormod":
            other = torch.remainder(x, self.num_oov_indices) + self._oov_start
        elif self.num_oov_indices > 1:
            other = hash_bins(x, self.num_oov_indices, self.salt) + self._oov_start
        found = torch.where(known, self._places[at], other)
        hidden = None if self.mask_token is None else x == self.mask_token
        if not (self.num_oov_indices or is_meta(x) or torch.compiler.is_compiling()):
            missing = ~known if hidden is None else ~(known | hidden)
            if bool(missing.any()):
                self.refuse_unknown(x[missing].tolist())
        return found if hidden is None else found.masked_fill(hidden, self.mask_place())

    def tokens_at(self, indices: Any) -> torch.Tensor:
        x, size = indices.to(torch.int64), self._table.shape[0]
        inside = (x >= 0) & (x < size)
        return torch.where(inside, self._table[x.clamp(0, size - 1)], self.oov_token)
