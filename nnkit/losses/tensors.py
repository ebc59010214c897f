"""What losses and metrics share: conversion, ranks, masks, weights and the reduction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnkit.arguments import check_in_range
from nnkit.errors import ArgumentError, DataError, ShapeError

__all__ = [
    "EPSILON",
    "MEANS",
    "apply_mask",
    "as_prediction",
    "as_tensor",
    "check_labels_in_range",
    "check_reduction",
    "divide_or_zero",
    "dtype_of",
    "each_tensor",
    "largest",
    "mask_of",
    "matched",
    "paired",
    "reduce_values",
    "same_rank",
    "told_of_labels",
    "weighted",
]

EPSILON = 1e-7
MEANS = frozenset({"sum_over_batch_size", "mean"})
_REDUCTIONS = (*sorted(MEANS), "mean_with_sample_weight", "sum", "none", None)


def dtype_of(dtype: Any) -> torch.dtype:
    """The torch dtype of a name, a torch dtype or None (torch's default dtype).

    Raises: ArgumentError for a name that is no dtype.
    """
    if dtype is None:
        return torch.get_default_dtype()
    if isinstance(dtype, torch.dtype):
        return dtype
    # Keras's "int" is 32 bits wide, and its policies carry the dtype they compute in.
    name = str(getattr(dtype, "compute_dtype", dtype))
    found = getattr(torch, {"int": "int32", "float": "float32"}.get(name, name), None)
    if not isinstance(found, torch.dtype):
        raise ArgumentError(f"dtype={dtype!r} is not a dtype. Give a name such as 'float32'.")
    return found


def check_reduction(reduction: Any) -> str | None:
    """`reduction` itself. Raises: ArgumentError when there is no such reduction."""
    if reduction not in _REDUCTIONS:
        raise ArgumentError(
            f"reduction={reduction!r} is not a reduction. "
            f"Use one of {', '.join(map(repr, _REDUCTIONS))}."
        )
    return reduction


def as_tensor(value: Any, dtype: torch.dtype | None = None, like: Tensor | None = None) -> Tensor:
    """A tensor from a tensor, array, list or number; new ones go to the device of `like`."""
    if isinstance(value, Tensor):
        return value if dtype is None or value.dtype is dtype else value.to(dtype)
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise DataError(f"Targets, outputs and weights must be numbers, got {value!r}.")
    if dtype is None and array.dtype == np.float64 and not hasattr(value, "dtype"):
        dtype = torch.get_default_dtype()
    if not array.flags.writeable or any(step < 0 for step in array.strides):
        array = array.copy()
    return torch.as_tensor(array, dtype=dtype, device=None if like is None else like.device)


def as_prediction(value: Any, dtype: torch.dtype | None = None) -> Tensor:
    """`as_tensor` for outputs: floating, and still knowing the logits it was made from."""
    tensor = as_tensor(value)
    if dtype is None:
        dtype = tensor.dtype if tensor.is_floating_point() else torch.get_default_dtype()
    return tensor if tensor.dtype is dtype else _with_logits_of(tensor, tensor.to(dtype))


def _with_logits_of(source: Tensor, result: Tensor, squeezed: bool = False) -> Tensor:
    note = getattr(source, "_keras_logits", None)
    # A softmax over an axis that has gone can no longer be computed from its logits.
    if note is not None and not (squeezed and note[0] == "softmax"):
        logits = note[1].squeeze(-1) if squeezed else note[1]
        result._keras_logits = (note[0], logits)  # type: ignore[attr-defined]  # a note on a tensor
    return result


def each_tensor(value: Any, convert: Callable[[Any], Tensor]) -> Any:
    """Convert every tensor of a dict, or of a list that holds tensors; or the one value."""
    if isinstance(value, dict):
        return {key: each_tensor(item, convert) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and any(isinstance(item, Tensor) for item in value):
        return type(value)(each_tensor(item, convert) for item in value)
    return convert(value)


def mask_of(tensor: Any) -> Tensor | None:
    """The mask a tensor carries: True where its values count. None when it has none."""
    return getattr(tensor, "_keras_mask", None)


def same_rank(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both with the same number of axes, where a last axis of size 1 makes the difference.

    Shape: (batch,) with (batch, 1) -> (batch, 1) twice; otherwise the extra axis is dropped.
    """
    difference = a.dim() - b.dim()
    if difference == 1 and a.size(-1) == 1:
        if b.dim() == 1:
            return a, b.unsqueeze(-1)
        return _with_logits_of(a, a.squeeze(-1), squeezed=True), b
    if difference == -1 and b.size(-1) == 1:
        if a.dim() == 1:
            return a.unsqueeze(-1), b
        return a, _with_logits_of(b, b.squeeze(-1), squeezed=True)
    return a, b


def matched(what: str, y_true: Any, y_pred: Any, axis: Any = None) -> tuple[Tensor, Tensor]:
    """Targets and outputs as `paired` gives them, both of the outputs' floating dtype."""
    y_pred = as_prediction(y_pred)
    return paired(what, as_tensor(y_true, y_pred.dtype, like=y_pred), y_pred, axis)


def paired(what: str, y_true: Any, y_pred: Any, axis: Any = None) -> tuple[Tensor, Tensor]:
    """Targets and outputs as tensors of one shape, ready for an elementwise formula.

    Args:
        what: the name of the loss or metric, for the message.
        axis: the axis or axes that the formula works along, which must be there.

    Raises: ShapeError when the shapes differ by more than a last axis of size 1.
    """
    y_pred = as_tensor(y_pred)
    y_true, y_pred = same_rank(as_tensor(y_true, like=y_pred), y_pred)
    if y_true.shape != y_pred.shape:
        raise ShapeError(
            f"{what} compares targets and outputs of one shape, but y_true is "
            f"{tuple(y_true.shape)} and y_pred is {tuple(y_pred.shape)}. "
            f"Give the last layer one unit per target value, or check the targets."
        )
    if axis is not None:
        check_in_range(what, axis, y_pred.shape)
    return y_true, y_pred


def check_labels_in_range(
    what: str, labels: Tensor, classes: int, ignored: int | None = None
) -> None:
    """Raise a DataError for labels that are no whole numbers, or no classes. Reads the device."""
    if labels.is_floating_point() and (labels != labels.round()).any():
        example = labels[labels != labels.round()][0].item()
        raise DataError(
            f"{what} expects whole numbers as labels, but y_true contains {example:.4g}. "
            f"For numbers as targets use a loss such as mean_squared_error."
        )
    labels = labels.long()
    if ignored is not None:
        labels = labels[labels != ignored]
    outside = labels[(labels < 0) | (labels >= classes)]
    if outside.numel():
        label = int(outside[0].item())
        advice = f"Give the last layer at least {int(outside.max().item()) + 1} units"
        if label < 0:
            advice = f"Count labels from 0, or leave these out with ignore_class={label}"
        raise DataError(
            f"{what} found the label {label}, but the outputs have {classes} classes, "
            f"0 to {classes - 1}. {advice}."
        )


def told_of_labels(
    compute: Callable[[], Tensor], what: str, labels: Tensor, classes: int
) -> Tensor:
    """What `compute()` gives; where torch finds a label out of range, an error that says so.

    On the CPU torch itself looks at every label. An accelerator is not asked: it would have to
    wait for the answer.
    """
    try:
        return compute()
    except (IndexError, RuntimeError):
        if labels.device.type == "cpu":
            check_labels_in_range(what, labels, classes)
        raise


def largest(values: Tensor, axis: int = -1) -> Tensor:
    """Where the largest value is: the class of a one-hot vector, of truth values too."""
    return (values.to(torch.uint8) if values.dtype is torch.bool else values).argmax(axis)


def divide_or_zero(a: Tensor, b: Tensor) -> Tensor:
    """`a / b`, and 0 where `b` is 0."""
    empty = b == 0
    return torch.where(empty, 0, a / torch.where(empty, 1, b))


def apply_mask(
    weight: Tensor | None, mask: Tensor | None, dtype: torch.dtype, reduction: str | None
) -> Tensor | None:
    """Fold a mask into sample weights; for means, so that only the True places are counted."""
    if mask is None:
        return weight
    factor = mask.to(dtype)
    if reduction in MEANS:
        factor = factor * (mask.numel() / factor.sum().clamp(min=1))
    if weight is None:
        return factor
    factor, weight = _spread(factor, weight.to(dtype))
    return weight * factor


def _spread(values: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    given = tuple(weight.shape)
    values, weight = same_rank(values, weight)
    # One weight per sample holds for all of the sample's values.
    while weight.dim() < values.dim() and weight.dim() > 0:
        weight = weight.unsqueeze(-1)
    fits = weight.dim() == 0 or (
        weight.dim() == values.dim()
        and all(w in (1, v) for w, v in zip(weight.shape, values.shape, strict=True))
    )
    if not fits:
        raise ShapeError(
            f"sample_weight or mask of shape {given} cannot weight values of shape "
            f"{tuple(values.shape)}. Give one weight per sample, or one per value."
        )
    return values, weight


def weighted(values: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Values times weights, and the weights with the axes they were used with.

    Shape: weights of (batch,), (batch, 1) or the shape of the values.
    Raises: ShapeError for any other shape, and for weights on one value for the whole batch.
    """
    if values.dim() == 0 and weight.numel() != 1:
        raise ShapeError(
            f"The loss is one value for the whole batch, which sample weights of shape "
            f"{tuple(weight.shape)} cannot weight. Return one value per sample."
        )
    values, weight = _spread(values, weight)
    return values * weight, weight


def reduce_values(values: Tensor, weight: Tensor | None, reduction: str | None) -> Tensor:
    """One number from the (weighted) loss values, or the values when reduction is None."""
    if reduction in (None, "none") or values.dim() == 0:
        return values
    if reduction == "mean_with_sample_weight" and weight is not None:
        return divide_or_zero(values.sum(), weight.sum().to(values.dtype))
    return values.sum() if reduction == "sum" or values.numel() == 0 else values.mean()
