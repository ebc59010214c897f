"""Numbers to categories: bins, one-hot and multi-hot codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from nnkit.arguments import number, positive
from nnkit.convert import as_array
from nnkit.errors import ArgumentError, DataError, NotBuiltError, ShapeError
from nnkit.layers.raw_data import (
    MODES,
    DataLayer,
    as_rows,
    encode,
    encoded_shape,
    output_mode_of,
    plain_numbers,
    read_batches,
    thinned,
)
from nnkit.shapes import describe

__all__ = ["CategoryEncoding", "Discretization"]


class Discretization(DataLayer):
    """Give each number the index of the bin it falls into.

    Args:
        bin_boundaries: rising numbers between the bins; [0., 1.] makes the bins below 0, from 0
            to below 1, and from 1 on.
        num_bins: instead: how many bins with about equally many samples `adapt` finds.
        epsilon: how far off, as a fraction of the samples, the bins that adapt finds may be.
        output_mode: "int", or "one_hot", "multi_hot", "count" over the bins.
        sparse: not supported.

    Shape: any -> the same (int32), or with an axis of bins: see CategoryEncoding
    Raises: NotBuiltError when called before adapt().
    """

    _bins: torch.Tensor | None

    def __init__(
        self,
        bin_boundaries: Any = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        dtype: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=dtype, name=name, **kwargs)
        self.output_mode = output_mode_of(self.label, output_mode, MODES, sparse)
        self.sparse = False
        if (num_bins is None) == (bin_boundaries is None):
            raise ArgumentError(f"{self.label} takes either bin_boundaries or num_bins.")
        number(self, "epsilon", epsilon, above=0, below=1)
        self.num_bins = None if num_bins is None else positive(self.label, "num_bins", num_bins)
        self.epsilon = float(epsilon)
        self.bin_boundaries: list[float] | None = None
        self.register_buffer("_bins", None, persistent=False)
        if bin_boundaries is not None:
            self._set_boundaries(bin_boundaries)

    def _set_boundaries(self, boundaries: Any) -> None:
        values = np.asarray(plain_numbers(self.label, "bin_boundaries", boundaries), "float64")
        if values.ndim != 1 or np.isnan(values).any() or (np.diff(values) < 0).any():
            raise ArgumentError(f"{self.label}: bin_boundaries must rise, got {boundaries!r}.")
        self.bin_boundaries = values.tolist()
        device = None if self._bins is None else self._bins.device
        self._bins = torch.tensor(self.bin_boundaries, dtype=torch.float32, device=device)

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Find the bins from the quantiles of this data.

        Args:
            data: an array, tensor or list of numbers; or batches of them.
            steps: the most batches to read.
        """
        if self.num_bins is None:
            raise ArgumentError(f"{self.label} was given bin_boundaries; adapt() needs num_bins.")
        known = np.empty((2, 0), dtype="float32")
        for batch in read_batches(data, self.label, steps):
            values = np.sort(as_array(as_rows(batch, self.label)).astype("float32").reshape(-1))
            if not np.isfinite(values).all():
                raise DataError(f"{self.label}.adapt() met NaN or infinite values. Remove them.")
            step = max(values.size * self.epsilon, 1)
            picked = values[int(step - 1) :: int(step)]
            new = np.stack([picked, np.full_like(picked, step)])
            merged = np.concatenate([new, known], axis=1)
            known = thinned(merged[:, np.argsort(merged[0])], self.epsilon)
        self._set_boundaries(thinned(known, 1.0 / self.num_bins)[0, :-1])

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        known = self.bin_boundaries
        depth = (self.num_bins or 1) if known is None else len(known) + 1
        dtype = torch.int32 if self.output_mode == "int" else self._compute
        return inputs.new_empty(encoded_shape(inputs.shape, self.output_mode, depth), dtype=dtype)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        if self._bins is None:
            raise NotBuiltError(f"{self.label} has no bins yet: call adapt(data) first.")
        numbers = inputs.to(torch.uint8) if inputs.dtype == torch.bool else inputs.contiguous()
        found = torch.bucketize(numbers, self._bins, right=True, out_int32=True)
        dtype = torch.int32 if self.output_mode == "int" else self._compute
        return encode(found, self.output_mode, self._bins.shape[0] + 1, dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bin_boundaries": self.bin_boundaries}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Discretization:
        """A new layer; one that was adapted knows both its bins and how many were asked for."""
        adapted = config.get("bin_boundaries") is not None and config.get("num_bins") is not None
        made = cls(**{**config, "bin_boundaries": None} if adapted else config)
        if adapted:
            made._set_boundaries(config["bin_boundaries"])
        return made


class CategoryEncoding(DataLayer):
    """Turn category numbers into one-hot, multi-hot or count codes.

    Args:
        num_tokens: how many categories there are; inputs are 0 to num_tokens - 1.
        output_mode: "one_hot" (a code for each number), "multi_hot" (one row for the numbers
            along the last axis, 1 where a category occurs) or "count" (how often it occurs).
        sparse: not supported.

    Shape: (batch, numbers) -> (batch, num_tokens); one_hot -> (batch, numbers, num_tokens),
        without the axis of numbers if that is 1
    Raises: DataError for a number out of range (seen on the CPU; a GPU stops in its own way).
    """

    def __init__(
        self,
        num_tokens: int | None = None,
        output_mode: str = "multi_hot",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_tokens is None:
            raise ArgumentError(f"{self.label} needs num_tokens; without it, use IntegerLookup.")
        self.num_tokens = positive(self.label, "num_tokens", num_tokens)
        self.output_mode = output_mode_of(self.label, output_mode, MODES[1:], sparse)
        self.sparse = False

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        shape = encoded_shape(inputs.shape, self.output_mode, self.num_tokens)
        return inputs.new_empty(shape, dtype=self._compute)

    def call(self, inputs: torch.Tensor, count_weights: Any = None) -> torch.Tensor:
        if count_weights is not None:
            if self.output_mode != "count":
                raise ArgumentError(f"{self.label}: count_weights need output_mode='count'.")
            count_weights = torch.as_tensor(count_weights).to(inputs.device, self._compute)
            if count_weights.shape != inputs.shape:
                raise ShapeError(
                    f"{self.label} got count_weights {describe(count_weights.shape)} for inputs "
                    f"{describe(inputs.shape)}. Give one weight for each number."
                )
        if inputs.is_cpu and inputs.numel() and not torch.compiler.is_compiling():
            least, most = (int(end) for end in torch.aminmax(inputs))
            if least < 0 or most >= self.num_tokens:
                raise DataError(
                    f"{self.label} knows categories 0 to {self.num_tokens - 1} but got "
                    f"{least if least < 0 else most}. Raise num_tokens, or use IntegerLookup."
                )
        return encode(inputs, self.output_mode, self.num_tokens, self._compute, count_weights)
