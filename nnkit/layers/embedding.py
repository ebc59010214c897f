"""Vectors for whole numbers."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from nnkit.errors import ArgumentError, DataError
from nnkit.layer import Layer
from nnkit.shapes import positive
from nnkit.weights import keras_view

__all__ = ["Embedding"]


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
