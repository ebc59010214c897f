"""Vectors for whole numbers."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from nnkit.arguments import number, positive
from nnkit.dtypes import given_dtype
from nnkit.errors import ArgumentError, DataError, ShapeError
from nnkit.layer import Layer
from nnkit.layouts import DENSE
from nnkit.probing import run_on_meta
from nnkit.shapes import describe
from nnkit.weights import keras_view

__all__ = ["Embedding", "ReversibleEmbedding"]


class Embedding(Layer):
    """Look up one trained vector for each index, such as a word's number.

    Args:
        input_dim: number of vectors; indices run from 0 to input_dim - 1.
        output_dim: length of a vector.
        embeddings_initializer: of the weight (input_dim, output_dim).
        embeddings_regularizer: adds to the loss.
        embeddings_constraint: applied after each update.
        mask_zero: whether index 0 is padding, which later layers leave out.
        weights: the first values, (input_dim, output_dim), alone or in a list.
        lora_rank, lora_alpha, quantization_config: Keras's; only None is possible.

    Shape: (batch, ...) of whole numbers -> (batch, ..., output_dim)
    Raises: DataError for an index outside the table (on a GPU torch reports it by itself).
    """

    embeddings = keras_view("weight")

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: int | None = None,
        lora_alpha: int | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.input_dim = positive(self.label, "input_dim", input_dim)
        self.output_dim = positive(self.label, "output_dim", output_dim)
        self.mask_zero = bool(mask_zero)
        self.set_options(
            "embeddings", embeddings_initializer, embeddings_regularizer, embeddings_constraint
        )
        if any(option is not None for option in (lora_rank, lora_alpha, quantization_config)):
            raise ArgumentError(
                f"{self.label}: lora_rank, lora_alpha and quantization_config are not available; "
                f"leave them out."
            )
        self.register_parameter("weight", None)
        if weights is not None:
            self.build()
            self.set_weights(weights if isinstance(weights, (list, tuple)) else [weights])

    def build(self, input_shape: Any = None) -> None:
        if not self.built:
            self.weight = self.add_named_weight("embeddings", (self.input_dim, self.output_dim))

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        if inputs.dtype not in (torch.int64, torch.int32):
            inputs = inputs.to(torch.int64)
        try:
            return F.embedding(inputs, self.weight)
        except IndexError as error:
            raise DataError(
                f"{self.label} has {self.input_dim} vectors, so it takes indices from 0 to "
                f"{self.input_dim - 1}, but received {int(inputs.min())} to {int(inputs.max())}. "
                f"Make input_dim the largest index + 1, or check the data."
            ) from error

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        return inputs.new_empty((*inputs.shape, self.output_dim), dtype=self._dtype)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return inputs != 0 if self.mask_zero else None


class ReversibleEmbedding(Embedding):
    """An embedding that also turns vectors back into a score for each index.

    Args:
        input_dim, output_dim, embeddings_*, mask_zero: as for Embedding.
        tie_weights: whether both ways share one weight.
        reverse_dtype: computes the way back in this dtype.
        logit_soft_cap: bends scores so that none is above it.

    Call: `reverse=True` for the way back
    Shape: (batch, ...) of whole numbers -> (batch, ..., output_dim); in reverse
        (batch, ..., output_dim) -> (batch, ..., input_dim)
    Source: Press and Wolf, 2016, arXiv:1608.05859.
    """

    reverse_embeddings = keras_view("reverse_weight")
    reverse_weight: torch.nn.Parameter | None

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        tie_weights: bool = True,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        reverse_dtype: Any = None,
        logit_soft_cap: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            input_dim,
            output_dim,
            embeddings_initializer,
            embeddings_regularizer,
            embeddings_constraint,
            mask_zero,
            **kwargs,
        )
        self.tie_weights = bool(tie_weights)
        self.reverse_dtype = reverse_dtype
        self._reverse_dtype = given_dtype(reverse_dtype)
        if logit_soft_cap is not None:
            number(self, "logit_soft_cap", logit_soft_cap, above=0)
        self.logit_soft_cap = logit_soft_cap
        self.register_parameter("reverse_weight", None)

    def build(self, input_shape: Any = None) -> None:
        super().build()
        if not self.tie_weights and self.reverse_weight is None:
            self.reverse_weight = self.add_weight(
                (self.output_dim, self.input_dim),
                self.embeddings_initializer,
                dtype=self.dtype,
                name="reverse_embeddings",
                layout=DENSE,
            )

    def call(self, inputs: torch.Tensor, reverse: bool = False) -> torch.Tensor:
        if not reverse:
            return super().call(inputs)
        if inputs.shape[-1] != self.output_dim:
            raise ShapeError(
                f"{self.label} turns vectors of {self.output_dim} back into scores, but received "
                f"{describe(tuple(inputs.shape))}."
            )
        weight: Any = self.weight if self.tie_weights else self.reverse_weight
        kind = self._reverse_dtype or weight.dtype
        scores = F.linear(inputs.to(kind), weight.to(kind))
        cap = self.logit_soft_cap
        return scores if cap is None else (scores / cap).tanh() * cap

    def infer_output(self, inputs: Any, reverse: bool = False, **kwargs: Any) -> Any:
        if not reverse:
            return super().infer_output(inputs)
        return run_on_meta(self, (inputs,), {"reverse": True})

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        # Vectors on their way back are no indices, and 0 in them means nothing.
        vectors = inputs.dtype.is_floating_point and inputs.shape[-1] == self.output_dim
        return None if vectors else super().compute_mask(inputs, mask)
