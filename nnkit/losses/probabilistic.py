"""Losses between distributions: divergence, counts, noisy labels, unaligned sequences."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nnkit.arguments import check_in_range, number
from nnkit.errors import ShapeError
from nnkit.losses.base import REGISTRY, LossFunctionWrapper
from nnkit.losses.crossentropy import sparse_targets
from nnkit.losses.tensors import EPSILON, as_prediction, as_tensor, matched, told_of_labels

__all__ = [
    "CTC",
    "CategoricalGeneralizedCrossEntropy",
    "KLDivergence",
    "Poisson",
    "categorical_generalized_cross_entropy",
    "ctc",
    "kl_divergence",
    "poisson",
]


@REGISTRY.add("kld", "KLD", "kullback_leibler_divergence")
def kl_divergence(y_true: Any, y_pred: Any) -> Tensor:
    """The sum of y_true * log(y_true / y_pred) over the last axis, both clipped to 1e-7 .. 1."""
    y_true, y_pred = matched("kl_divergence", y_true, y_pred)
    y_true, y_pred = y_true.clamp(EPSILON, 1), y_pred.clamp(EPSILON, 1)
    return (y_true * (y_true / y_pred).log()).sum(-1)


@REGISTRY.add()
def poisson(y_true: Any, y_pred: Any) -> Tensor:
    """The mean of y_pred - y_true * log(y_pred) over the last axis, for counts and their rates."""
    y_true, y_pred = matched("poisson", y_true, y_pred)
    return (y_pred - y_true * (y_pred + EPSILON).log()).mean(-1)


@REGISTRY.add()
def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Tensor:
    """(1 - p ** q) / q of the probability p given to the label.

    Args:
        y_true: integer labels.
        y_pred: probabilities of the classes, on the last axis.
        q: near 0 a crossentropy, near 1 an absolute error that forgives wrong labels.
    """
    number("categorical_generalized_cross_entropy", "q", q, above=0, below=1)
    y_pred = as_prediction(y_pred)
    check_in_range("categorical_generalized_cross_entropy", -1, y_pred.shape)
    labels = sparse_targets("categorical_generalized_cross_entropy", y_true, y_pred, -1)
    right = told_of_labels(
        lambda: y_pred.gather(-1, labels.unsqueeze(-1)),
        "categorical_generalized_cross_entropy",
        labels,
        y_pred.size(-1),
    )
    return (1 - right.squeeze(-1) ** q) / q


@REGISTRY.add()
def ctc(y_true: Any, y_pred: Any) -> Tensor:
    """The loss of a sequence whose labels have no times: the sum over all alignments.

    Args:
        y_true: labels (batch, length), padded with 0, which is the blank.
        y_pred: logits (batch, time, classes).

    Raises: ShapeError for other shapes.
    Source: Graves et al. 2006, Connectionist Temporal Classification.
    """
    y_pred = as_prediction(y_pred)
    labels = as_tensor(y_true, like=y_pred).long()
    if labels.dim() != 2 or y_pred.dim() != 3:
        raise ShapeError(
            f"ctc expects labels (batch, length) and logits (batch, time, classes), "
            f"but y_true is {tuple(labels.shape)} and y_pred is {tuple(y_pred.shape)}."
        )
    steps = torch.full((y_pred.size(0),), y_pred.size(1), device=y_pred.device)
    lengths = (labels != 0).sum(-1)
    log = F.log_softmax(y_pred, dim=-1).transpose(0, 1)
    return F.ctc_loss(log, labels, steps, lengths, reduction="none")


@REGISTRY.add()
class KLDivergence(LossFunctionWrapper):
    """The Kullback-Leibler divergence of the outputs from the targets.

    Args: as for `Loss`.
    Shape: distributions (batch, ..., classes) alike.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "kl_divergence",
        dtype: Any = None,
    ) -> None:
        super().__init__(kl_divergence, reduction, name, dtype)


@REGISTRY.add()
class Poisson(LossFunctionWrapper):
    """The likelihood loss of counts whose expected values are the outputs.

    Args: as for `Loss`.
    Shape: counts and positive outputs (batch, ...) alike.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "poisson",
        dtype: Any = None,
    ) -> None:
        super().__init__(poisson, reduction, name, dtype)


@REGISTRY.add()
class CategoricalGeneralizedCrossEntropy(LossFunctionWrapper):
    """A crossentropy that bears wrong labels.

    Args:
        q: between 0 (a crossentropy) and 1 (an absolute error), both left out.
        reduction, name, dtype: as for `Loss`.

    Shape: labels (batch, ...), probabilities (batch, ..., classes).
    Raises: ArgumentError for q outside 0 to 1.
    Source: Zhang and Sabuncu 2018, Generalized Cross Entropy Loss.
    """

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ) -> None:
        number(self, "q", q, above=0, below=1)
        super().__init__(categorical_generalized_cross_entropy, reduction, name, dtype, q=q)


@REGISTRY.add()
class CTC(LossFunctionWrapper):
    """The loss of sequences whose labels have no times, as in speech recognition.

    Args: as for `Loss`.
    Shape: labels (batch, length) padded with 0, logits (batch, time, classes).
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "ctc",
        dtype: Any = None,
    ) -> None:
        super().__init__(ctc, reduction, name, dtype)
