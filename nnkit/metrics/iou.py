"""Intersection over union, from a confusion matrix: for segmentation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from nnkit.arguments import check_axes, check_in_range, number, positive
from nnkit.errors import ArgumentError, ShapeError
from nnkit.losses.base import check_ignored
from nnkit.losses.tensors import EPSILON, as_tensor, largest
from nnkit.metrics.base import Metric, registered

__all__ = ["BinaryIoU", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"]


@registered()
class IoU(Metric):
    """Overlap over union of targets and outputs, the mean over some classes.

    Args:
        num_classes: how many classes there are.
        target_class_ids: the classes that count.
        name: a word for logs.
        dtype: of the state, int32 when None; float weights make it float32.
        ignore_class: a label whose places do not count.
        sparse_y_true: False when targets are one-hot.
        sparse_y_pred: False when outputs are class values.
        axis: where the classes are, if one-hot.

    Raises: ArgumentError for a class id out of range.
    """

    _direction = "up"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(dtype or "int32", name)
        num_classes = positive(self, "num_classes", num_classes)
        self.target_class_ids = _classes(self, target_class_ids, num_classes)
        self.ignore_class = check_ignored(self, ignore_class)
        self.num_classes, self.axis = num_classes, check_axes(self, axis)
        self.sparse_y_true, self.sparse_y_pred = sparse_y_true, sparse_y_pred
        self.total_cm = self.add_weight(
            (num_classes, num_classes), dtype=self._torch_dtype, name="total_confusion_matrix"
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch; places whose target or output is no class are left out.

        Raises: ShapeError unless there is one target and weight per output.
        """
        with torch.no_grad():
            y_pred = self._here(as_tensor(y_pred))
            y_true = as_tensor(y_true, like=y_pred)
            if not self.sparse_y_true:
                check_in_range(self.name, self.axis, y_true.shape)
                y_true = largest(y_true, self.axis)
            if not self.sparse_y_pred:
                check_in_range(self.name, self.axis, y_pred.shape)
                y_pred = largest(y_pred, self.axis)
            true, pred = y_true.reshape(-1).long(), y_pred.reshape(-1).long()
            if true.shape != pred.shape:
                raise ShapeError(
                    f"{self.name} expects one target per output, but y_true is "
                    f"{tuple(y_true.shape)} and y_pred is {tuple(y_pred.shape)}."
                )
            inside = (true >= 0) & (true < self.num_classes)
            inside &= (pred >= 0) & (pred < self.num_classes)
            if self.ignore_class is not None:
                inside &= true != self.ignore_class
            cells = torch.where(inside, true * self.num_classes + pred, 0)
            weight = self._weight(sample_weight, inside, y_true.shape)
            self.total_cm.view(-1).scatter_add_(0, cells, weight.to(self.total_cm.dtype))

    def _weight(self, sample_weight: Any, inside: Tensor, shape: torch.Size) -> Tensor:
        if sample_weight is None:
            return inside
        weight = as_tensor(sample_weight, like=inside).to(inside.device)
        if weight.is_floating_point() and not self.total_cm.is_floating_point():
            # Cut to integers, weights such as 0.5 would be lost.
            self.total_cm.data = self.total_cm.data.to(torch.float32)
        while 0 < weight.dim() < len(shape):
            weight = weight.unsqueeze(-1)
        try:
            weight = weight.expand(shape) if weight.numel() != inside.numel() else weight
        except RuntimeError as exc:
            raise ShapeError(
                f"sample_weight of shape {tuple(weight.shape)} cannot weight targets of shape "
                f"{tuple(shape)}. Give one weight per sample, or one per target."
            ) from exc
        return torch.where(inside, weight.reshape(-1), 0)

    def result(self) -> Tensor:
        """The mean over the classes that occurred, 0 before any batch."""
        cm = self.total_cm
        hits = cm.diagonal()
        union = cm.sum(0) + cm.sum(1) - hits
        hits, union = (part[self.target_class_ids].float() for part in (hits, union))
        occurred = union > 1e-9
        ratio = torch.where(occurred, hits / (union + EPSILON), 0)
        return ratio.sum() / (occurred.sum() + EPSILON)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this metric again, as plain data."""
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "target_class_ids": self.target_class_ids,
            "ignore_class": self.ignore_class,
            "sparse_y_true": self.sparse_y_true,
            "sparse_y_pred": self.sparse_y_pred,
            "axis": self.axis,
        }

    def _config_without(self, *names: str) -> dict[str, Any]:
        return {key: value for key, value in IoU.get_config(self).items() if key not in names}


def _classes(who: IoU, given: Any, num_classes: int) -> list[int]:
    """The classes that count, as a list."""
    found = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    ids = [positive(who, "a class in target_class_ids", one, least=0) for one in found]
    if any(one >= num_classes for one in ids) or not ids:
        raise ArgumentError(
            f"{type(who).__name__}: target_class_ids must be classes from 0 to {num_classes - 1} "
            f"for num_classes={num_classes}, got {given!r}."
        )
    return ids


@registered()
class BinaryIoU(IoU):
    """Intersection over union of yes/no outputs.

    Args:
        target_class_ids: (0, 1) for the mean over background and foreground, (1,) for one.
        threshold: outputs of at least this are foreground.
        name: a word for logs.
        dtype: of the state, int32 when None.
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = number(self, "threshold", threshold)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch."""
        super().update_state(y_true, as_tensor(y_pred) >= self.threshold, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this metric again, as plain data."""
        kept = self._config_without(
            "num_classes", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis"
        )
        return {**kept, "threshold": self.threshold}


@registered()
class MeanIoU(IoU):
    """Intersection over union, the mean over all classes.

    Args: as for `IoU`, without target_class_ids.
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        every = range(positive(self, "num_classes", num_classes))
        super().__init__(
            num_classes, every, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this metric again, as plain data."""
        return self._config_without("target_class_ids")


@registered()
class OneHotIoU(IoU):
    """Intersection over union of one-hot targets and class values.

    Args: as for `IoU`, with targets always one-hot.
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this metric again, as plain data."""
        return self._config_without("sparse_y_true")


@registered()
class OneHotMeanIoU(MeanIoU):
    """Intersection over union of one-hot targets and class values, the mean over all classes.

    Args: as for `MeanIoU`, with targets always one-hot.
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this metric again, as plain data."""
        return self._config_without("target_class_ids", "sparse_y_true")
