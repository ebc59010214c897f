"""What is wrong with targets and outputs, looked at once before training and said in words."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from nnkit.activations import logits_of
from nnkit.errors import DataError, ShapeError
from nnkit.losses.base import LossFunctionWrapper
from nnkit.losses.crossentropy import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    sparse_targets,
)
from nnkit.losses.focal import BinaryFocalCrossentropy, CategoricalFocalCrossentropy
from nnkit.losses.probabilistic import (
    CTC,
    CategoricalGeneralizedCrossEntropy,
    KLDivergence,
    Poisson,
)
from nnkit.losses.similarity import Circle, Dice, Tversky
from nnkit.losses.tensors import as_prediction, as_tensor, check_labels_in_range, matched
from nnkit.losses.torch_loss import CLASS_LOSSES, TorchLoss

__all__ = ["check_labels", "check_targets"]

_SPARSE = (SparseCategoricalCrossentropy, CategoricalGeneralizedCrossEntropy)
_CATEGORICAL = (CategoricalCrossentropy, CategoricalFocalCrossentropy)
_BINARY = (BinaryCrossentropy, BinaryFocalCrossentropy)
_PARTS = (KLDivergence, Dice, Tversky)
_OWN_SHAPES = (LossFunctionWrapper, Circle, CTC)
# Rounding can leave a probability this far outside 0 to 1, in half precision too.
_SLACK = 1e-3


def check_targets(loss: Any, y_true: Any, y_pred: Any) -> None:
    """Look for mistakes that training would not show, or would show as something else.

    It reads values, so it waits for the device: call it on the first batch, not on all of them.

    Args:
        loss: the loss these are for; for a plain function only NaN is looked for.
        y_true, y_pred: one batch of targets and of outputs, tensors or arrays.

    Raises: ShapeError for shapes that do not fit; DataError for values that do not: NaN, labels
        out of range or not whole, binary targets outside 0 to 1, logits given as probabilities.
    """
    if not isinstance(y_pred, Tensor) or isinstance(y_true, (dict, list, tuple)):
        return
    with torch.no_grad():
        y_pred = as_prediction(y_pred)
        y_true = as_tensor(y_true, like=y_pred)
        _check_nan(y_true, y_pred)
        note = logits_of(y_pred)
        if note is not None and note[0] == "softmax" and y_pred.dim() > 1:
            _check_one_unit(loss, y_pred.size(-1), y_pred)
        if isinstance(loss, _SPARSE):
            _check_sparse(loss, y_true, y_pred)
        elif isinstance(loss, _CATEGORICAL):
            _check_categorical(loss, y_true, y_pred)
        elif isinstance(loss, _BINARY):
            _check_binary(loss, y_true, y_pred)
        elif isinstance(loss, TorchLoss):
            _check_torch(loss, y_true, y_pred)
        elif isinstance(loss, LossFunctionWrapper) and type(loss) not in _OWN_SHAPES:
            matched(loss.name, y_true, y_pred)
        if isinstance(loss, _PARTS):
            _check_probabilities(loss, y_pred, "softmax" if y_pred.size(-1) > 1 else "sigmoid")
        elif isinstance(loss, Poisson) and y_pred.min() < 0:
            raise DataError(
                f"{loss.name} expects outputs above 0, the expected counts, but they go down to "
                f"{y_pred.min().item():.4g}. End the model with exponential or softplus."
            )


def check_labels(loss: Any, y_true: Any, y_pred: Tensor) -> None:
    """Look for class numbers out of range in a whole data set, of which one batch shows a part.

    An accelerator would stop with an error that says nothing, and could not be used any more.

    Args:
        loss: the loss these are for; only those of class numbers are looked at.
        y_true: the targets of any number of samples, an array or a tensor.
        y_pred: one batch of outputs.

    Raises: DataError for a label below 0, or not below the number of classes.
    """
    sparse = isinstance(loss, _SPARSE)
    if not sparse and not (isinstance(loss, TorchLoss) and loss._torch_name in CLASS_LOSSES):
        return
    if not sparse and "float" in str(y_true.dtype):
        return  # probabilities of classes
    classes = y_pred.size(loss._fn_kwargs.get("axis", -1) if sparse else -1)
    if len(y_true) and (y_true.min() < 0 or y_true.max() >= classes):
        ignored = getattr(loss, "ignore_class", None)
        if not sparse:
            ignored = getattr(loss.loss, "ignore_index", None)
        labels = y_true if isinstance(y_true, Tensor) else torch.tensor(y_true)
        check_labels_in_range(loss.name, labels, classes, ignored)


def _check_nan(y_true: Tensor, y_pred: Tensor) -> None:
    if y_true.is_floating_point() and y_true.isnan().any():
        raise DataError("The targets y_true contain NaN. Drop or fill those samples.")
    if y_pred.isnan().any():
        raise DataError(
            "The outputs y_pred contain NaN before the loss is computed. "
            "Look for NaN or very large numbers in the inputs x and in the weights."
        )


def _check_one_unit(loss: Any, classes: int, y_pred: Tensor) -> None:
    if classes == 1:
        raise ShapeError(
            f"{_name(loss)} compares two classes or more, but the outputs {tuple(y_pred.shape)} "
            f"have one unit, whose softmax is always 1. Use binary_crossentropy with a sigmoid."
        )


def _name(loss: Any) -> str:
    return str(getattr(loss, "name", None) or getattr(loss, "__name__", loss))


def _check_probabilities(loss: Any, y_pred: Tensor, activation: str) -> None:
    note = logits_of(y_pred)
    if getattr(loss, "from_logits", False):
        if note is not None and note[0] == activation:
            warnings.warn(
                f"{loss.name} has from_logits=True, but the outputs already went through "
                f"{activation}. Drop the activation, or use from_logits=False.",
                UserWarning,
                stacklevel=4,
            )
    elif note is None:
        low, high = y_pred.min().item(), y_pred.max().item()
        if low < -_SLACK or high > 1 + _SLACK:
            other = ", or give the loss from_logits=True" if hasattr(loss, "from_logits") else ""
            raise DataError(
                f"{loss.name} expects probabilities from 0 to 1, but the outputs go from "
                f"{low:.4g} to {high:.4g}. End the model with {activation}{other}."
            )


def _check_classes(loss: Any, y_pred: Tensor, axis: int) -> None:
    """Outputs that are no distribution over classes, which the loss would quietly scale to one."""
    if getattr(loss, "from_logits", False):
        return
    note = logits_of(y_pred)
    sums = y_pred.sum(axis)
    if note is not None and note[0] == "sigmoid":
        found = "went through sigmoid, which lets several classes be likely at once"
    elif note is None and ((sums - 1).abs() > 0.05).any():
        found = f"do not sum to 1 over the classes, but to {sums.min():.4g} and more"
    else:
        return
    warnings.warn(
        f"{loss.name} expects probabilities of classes that exclude each other, but the outputs "
        f"{found}. End the model with softmax; for classes that do not exclude each other use "
        f"binary_crossentropy.",
        UserWarning,
        stacklevel=4,
    )


def _check_sparse(loss: Any, y_true: Tensor, y_pred: Tensor) -> None:
    axis = loss._fn_kwargs.get("axis", -1)
    _check_one_unit(loss, y_pred.size(axis), y_pred)
    sparse_targets(loss.name, y_true, y_pred, axis)
    check_labels_in_range(loss.name, y_true, y_pred.size(axis), getattr(loss, "ignore_class", None))
    _check_probabilities(loss, y_pred, "softmax")
    _check_classes(loss, y_pred, axis)


def _check_categorical(loss: Any, y_true: Tensor, y_pred: Tensor) -> None:
    axis = loss._fn_kwargs["axis"]
    _check_one_unit(loss, y_pred.size(axis), y_pred)
    if y_true.shape != y_pred.shape:
        hint = "Give one-hot vectors of that many classes."
        if y_true.dim() < y_pred.dim() or y_true.size(axis) == 1:
            hint = "Integer labels need sparse_categorical_crossentropy, or to_categorical(y_true)."
        raise ShapeError(
            f"{loss.name} expects one-hot targets of the outputs' shape, but y_true is "
            f"{tuple(y_true.shape)} and y_pred is {tuple(y_pred.shape)}. {hint}"
        )
    _check_probabilities(loss, y_pred, "softmax")
    _check_classes(loss, y_pred, axis)
    most = y_true.sum(axis).max().item()
    if most > 1.05:
        warnings.warn(
            f"{loss.name} expects one class a sample, but rows of y_true sum to {most:.4g}. For "
            f"several classes at once use binary_crossentropy with a sigmoid.",
            UserWarning,
            stacklevel=3,
        )


def _check_binary(loss: Any, y_true: Tensor, y_pred: Tensor) -> None:
    classes = y_pred.size(-1) if y_pred.dim() > 1 else 1
    if classes > 1 and y_true.shape in (y_pred.shape[:-1], (*y_pred.shape[:-1], 1)):
        raise ShapeError(
            f"{loss.name} compares targets and outputs of one shape, but y_true is "
            f"{tuple(y_true.shape)} and y_pred is {tuple(y_pred.shape)}. For one class out of "
            f"{classes} use sparse_categorical_crossentropy; for yes or no, one unit."
        )
    y_true, y_pred = matched(loss.name, y_true, y_pred)
    low, high = y_true.min().item(), y_true.max().item()
    if low < 0 or high > 1:
        raise DataError(
            f"{loss.name} expects targets from 0 to 1, but y_true goes from {low:.4g} to "
            f"{high:.4g}. Turn -1/1 into 0/1, and use sparse_categorical_crossentropy for "
            f"more than two classes."
        )
    note = logits_of(y_pred)
    if note is not None and note[0] == "softmax":
        _check_one_unit(loss, classes, y_pred)
    _check_probabilities(loss, y_pred, "sigmoid")


def _check_torch(loss: TorchLoss, y_true: Tensor, y_pred: Tensor) -> None:
    note = logits_of(y_pred)
    name = loss._torch_name
    wants_logits = {"CrossEntropyLoss": "softmax", "BCEWithLogitsLoss": "sigmoid"}
    wants_logits |= {
        "cross_entropy": "softmax",
        "binary_cross_entropy_with_logits": "sigmoid",
    }
    if note is not None and note[0] == wants_logits.get(name):
        warnings.warn(
            f"torch's {name} applies {note[0]} itself, but the outputs already went through one. "
            f"Drop the activation of the last layer.",
            UserWarning,
            stacklevel=3,
        )
    targets, outputs = loss._prepared(y_true, y_pred)
    if name in CLASS_LOSSES and not targets.is_floating_point():
        classes = outputs.size(1 if outputs.dim() > 1 else 0)
        check_labels_in_range(name, y_true, classes, getattr(loss.loss, "ignore_index", None))
