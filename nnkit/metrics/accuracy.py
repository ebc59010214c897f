"""How often the outputs are right."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnkit.arguments import number, positive
from nnkit.errors import ArgumentError, ShapeError
from nnkit.losses.tensors import as_tensor, largest, mask_of, paired, told_of_labels
from nnkit.metrics.base import FUNCTIONS, registered
from nnkit.metrics.reduction import MeanMetricWrapper

__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]


def _as_numbers(matches: Tensor) -> Tensor:
    return matches.to(torch.get_default_dtype())


def _one_label_each(what: str, labels: Tensor, y_pred: Tensor) -> None:
    if labels.shape != y_pred.shape[:-1]:
        raise ShapeError(
            f"{what} expects one label for each of the outputs' rows {tuple(y_pred.shape)}, but "
            f"the labels are {tuple(labels.shape)}. Check that y_true is one-hot for the "
            f"categorical and integer for the sparse accuracy."
        )


@FUNCTIONS.add()
def accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where targets and outputs are equal, 0 elsewhere."""
    y_true, y_pred = paired("accuracy", y_true, y_pred)
    return _as_numbers(y_true == y_pred)


@FUNCTIONS.add()
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    """1 where "output > threshold" equals the target 0 or 1, 0 elsewhere."""
    number("binary_accuracy", "threshold", threshold)
    y_true, y_pred = paired("binary_accuracy", y_true, y_pred)
    return _as_numbers(y_true == (y_pred > threshold))


@FUNCTIONS.add()
def categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the largest output is at the class of the one-hot target, 0 elsewhere."""
    y_pred = as_tensor(y_pred)
    labels = largest(as_tensor(y_true, like=y_pred))
    _one_label_each("categorical_accuracy", labels, y_pred)
    return _as_numbers(labels == y_pred.argmax(-1))


@FUNCTIONS.add()
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the largest output is at the label, 0 elsewhere; labels (batch,) or (batch, 1)."""
    y_pred = as_tensor(y_pred)
    labels = as_tensor(y_true, like=y_pred)
    if labels.dim() == y_pred.dim() and labels.size(-1) == 1:
        labels = labels.squeeze(-1)
    _one_label_each("sparse_categorical_accuracy", labels, y_pred)
    matches = _as_numbers(labels == y_pred.argmax(-1))
    return matches.squeeze(-1) if matches.dim() > 1 and matches.size(-1) == 1 else matches


def _in_top_k(what: str, labels: Tensor, y_pred: Tensor, k: int) -> Tensor:
    _one_label_each(what, labels, y_pred)
    if not 1 <= positive(what, "k", k) <= y_pred.size(-1):
        raise ArgumentError(
            f"{what} with k={k} needs at least k classes, but the outputs {tuple(y_pred.shape)} "
            f"have {y_pred.size(-1)}. Give a smaller k."
        )
    index = labels.long().unsqueeze(-1)
    found = told_of_labels(lambda: y_pred.gather(-1, index), what, labels, y_pred.size(-1))
    found = found.squeeze(-1)
    return _as_numbers(found >= y_pred.topk(k, dim=-1).values[..., -1])


@FUNCTIONS.add()
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """1 where the class of the one-hot target is among the k largest outputs, 0 elsewhere."""
    y_pred = as_tensor(y_pred)
    labels = largest(as_tensor(y_true, like=y_pred))
    return _in_top_k("top_k_categorical_accuracy", labels, y_pred, k)


@FUNCTIONS.add()
def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> Tensor:
    """1 where the label is among the k largest outputs, 0 elsewhere.

    Args:
        from_sorted_ids: True when outputs are class numbers, the best first.
    """
    y_pred = as_tensor(y_pred)
    labels = as_tensor(y_true, like=y_pred)
    if from_sorted_ids:
        return _as_numbers((labels.unsqueeze(-1) == y_pred[..., :k]).any(-1))
    if labels.dim() == y_pred.dim() and labels.size(-1) == 1:
        labels = labels.squeeze(-1)
    return _in_top_k("sparse_top_k_categorical_accuracy", labels, y_pred, k)


@registered("acc")
class Accuracy(MeanMetricWrapper):
    """How often targets and outputs are equal. In `compile`, "accuracy" picks one that fits.

    Args:
        name: a word for logs.
        dtype: of the state.
    """

    _direction = "up"

    def __init__(self, name: str | None = "accuracy", dtype: Any = None) -> None:
        super().__init__(accuracy, name, dtype)


@registered()
class BinaryAccuracy(MeanMetricWrapper):
    """How often "output > threshold" equals the target 0 or 1.

    Args:
        name: a word for logs.
        dtype: of the state.
        threshold: outputs above it count as 1.
    """

    _direction = "up"

    def __init__(
        self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5
    ) -> None:
        super().__init__(
            binary_accuracy, name, dtype, threshold=number(self, "threshold", threshold)
        )


@registered()
class CategoricalAccuracy(MeanMetricWrapper):
    """How often the largest output is at the class of the one-hot target.

    Args:
        name: a word for logs.
        dtype: of the state.
    """

    _direction = "up"

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


@registered()
class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the largest output is at the label.

    Args:
        name: a word for logs.
        dtype: of the state.

    Shape: labels (batch, ...) or (batch, ..., 1), outputs (batch, ..., classes).
    """

    _direction = "up"

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)

    def update_state(  # type: ignore[override]  # as in Keras, a Mean that takes two arguments
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Take in a batch; the usual one in four torch calls."""
        if (
            sample_weight is None
            and isinstance(y_pred, Tensor)
            and isinstance(y_true, Tensor)
            and y_pred.dim() == 2
            and y_true.dim() == 1
            and y_true.size(0) == y_pred.size(0)
            and y_pred.device == self.total.device
            and mask_of(y_pred) is None
        ):
            # None of this has a gradient.
            self.total.add_((y_pred.argmax(-1) == y_true).sum())
            self._pending += y_true.size(0)
        else:
            super().update_state(y_true, y_pred, sample_weight)


@registered()
class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the class of the one-hot target is among the k largest outputs.

    Args:
        k: how many outputs count.
        name: a word for logs.
        dtype: of the state.
    """

    _direction = "up"

    def __init__(
        self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None
    ) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=positive(self, "k", k))


@registered()
class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the label is among the k largest outputs.

    Args:
        k: how many outputs count.
        name: a word for logs.
        dtype: of the state.
        from_sorted_ids: True when outputs are class numbers, the best first.
    """

    _direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:
        k = positive(self, "k", k)
        super().__init__(
            sparse_top_k_categorical_accuracy, name, dtype, k=k, from_sorted_ids=from_sorted_ids
        )
