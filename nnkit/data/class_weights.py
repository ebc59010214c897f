"""class_weight: a weight per class, turned into a weight per sample."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnkit.errors import ArgumentError, DataError

__all__ = ["ClassWeights"]


class ClassWeights:
    """Looks up the weight of each label.

    Args:
        class_weight: {class number: weight}; every class in the data needs one.

    Raises: ArgumentError if it is no dict of whole numbers >= 0 to finite weights >= 0.
    """

    def __init__(self, class_weight: Any) -> None:
        if not isinstance(class_weight, dict) or not class_weight:
            raise ArgumentError(
                f"class_weight expects a dict such as {{0: 1.0, 1: 5.0}}, got {class_weight!r}."
            )
        for label, weight in class_weight.items():
            whole = isinstance(label, (int, np.integer))
            whole = whole or (isinstance(label, (float, np.floating)) and label.is_integer())
            if not whole or label < 0 or not isinstance(weight, numbers.Real):
                raise ArgumentError(
                    f"class_weight maps class numbers (0, 1, ...) to numbers, got "
                    f"{label!r}: {weight!r}."
                )
            if not math.isfinite(weight) or weight < 0:
                raise ArgumentError(
                    f"class_weight needs finite weights of at least 0, got {label!r}: {weight!r}."
                )
        self.classes = sorted(int(label) for label in class_weight)
        self._table = torch.full((self.classes[-1] + 1,), math.nan)
        for label, weight in class_weight.items():
            self._table[int(label)] = float(weight)

    def __call__(self, y: Tensor, path: str = "y") -> Tensor:
        """One weight per label.

        Args:
            y: integer or 0/1 labels (batch,) or (batch, 1), or one-hot ones (batch, classes).

        Shape: (batch,) for those; with more axes, the shape of y without its last axis.
        Raises: DataError for a class without a weight, or labels that are neither.
        """
        if y.ndim > 1 and y.shape[-1] > 1:
            if y.min() < 0 or y.max() > 1:
                raise DataError(
                    f"class_weight needs {path} as class numbers (samples,) or one-hot "
                    f"(samples, classes); {path} of shape {tuple(y.shape)} has values outside 0..1."
                )
            classes = y.to(torch.float32).argmax(dim=-1)
        else:
            classes = (y.squeeze(-1) if y.ndim > 1 else y).to(torch.float64).round().to(torch.int64)
        known = (classes >= 0) & (classes < len(self._table))
        weights = self._table.to(y.device)[classes.where(known, torch.zeros_like(classes))]
        weights = weights.where(known, torch.full_like(weights, math.nan))
        missing = torch.isnan(weights)
        if missing.any():
            names = ", ".join(map(str, sorted(set(classes[missing].tolist()))))
            raise DataError(
                f"{path} has the class {names}, but class_weight only has "
                f"{', '.join(map(str, self.classes))}. Give every class a weight."
            )
        return weights.to(torch.get_default_dtype())
