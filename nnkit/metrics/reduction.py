"""Sums and means over batches, and the metric made of a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nnkit import losses
from nnkit.errors import ShapeError
from nnkit.losses.base import check_function
from nnkit.losses.tensors import (
    apply_mask,
    as_tensor,
    divide_or_zero,
    each_tensor,
    mask_of,
    same_rank,
)
from nnkit.metrics.base import FUNCTIONS, Metric, registered
from nnkit.variable import Variable

__all__ = ["Mean", "MeanMetricWrapper", "Sum"]


def _per_sample(
    values: Tensor, weight: Tensor, reduce: Callable[..., Tensor]
) -> tuple[Tensor, Tensor]:
    """Weighted values and the weights, one of each per sample (batch,)."""
    values, weight = same_rank(values, weight)
    if values.dim() > weight.dim():
        values = reduce(values, dim=tuple(range(weight.dim(), values.dim())))
    try:
        weight = weight.broadcast_to(values.shape)
    except RuntimeError as exc:
        raise ShapeError(
            f"sample_weight or mask of shape {tuple(weight.shape)} cannot weight values of shape "
            f"{tuple(values.shape)}. Give one weight per sample, or one per value."
        ) from exc
    values = values * weight
    if weight.dim() > 1:
        rest = tuple(range(1, weight.dim()))
        values, weight = reduce(values, dim=rest), reduce(weight, dim=rest)
    return values, weight


class _Reduction(Metric):
    """What sums and means share: the total of values that may be weighted or masked."""

    def __init__(self, name: str | None, dtype: Any) -> None:
        super().__init__(dtype, name)
        self.total = self.add_weight(dtype=dtype, name="total")

    def _values(self, values: Any, sample_weight: Any) -> tuple[Tensor, Tensor | None]:
        mask = mask_of(values)
        values = self._here(as_tensor(values, self._torch_dtype, like=self.total))
        if sample_weight is None:
            return values, None
        weight = as_tensor(sample_weight, self._torch_dtype).to(values.device)
        return values, apply_mask(weight, mask, self._torch_dtype, "sum")


@registered()
class Sum(_Reduction):
    """The sum of all values.

    Args:
        name: a word for logs.
        dtype: of the state.
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values, times weights if given.

        Raises: ShapeError when the weights do not fit the values.
        """
        with torch.no_grad():
            values, weight = self._values(values, sample_weight)
            if weight is not None:
                values, _ = _per_sample(values, weight, torch.sum)
            self.total.add_(values.sum())

    def result(self) -> Tensor:
        """The sum so far."""
        return self.total.clone().detach()


@registered()
class Mean(_Reduction):
    """The (weighted) mean of all values, sample by sample.

    Args:
        name: a word for logs.
        dtype: of the state.
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self._count = self.add_weight(dtype=dtype, name="count")
        # Samples counted on the host, not yet in the variable: most batches need no tensor for it.
        self._pending = 0

    @property
    def count(self) -> Variable:
        """The number of samples, or the sum of their weights."""
        if self._pending:
            with torch.no_grad():
                self._count.add_(self._pending)
            self._pending = 0
        return self._count

    @property
    def variables(self) -> list[Variable]:
        """The state: total and count."""
        _ = self.count
        return super().variables

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Take in values, each sample's averaged over its further axes.

        Raises: ShapeError when the weights do not fit the values.
        """
        with torch.no_grad():
            values, weight = self._values(values, sample_weight)
            if weight is None:
                self._add(values.sum(), values)
                return
            values, weight = _per_sample(values, weight, torch.mean)
            self.total.add_(values.sum())
            self._count.add_(weight.sum())

    def _add(self, total: Tensor, values: Tensor) -> None:
        """Add the sum of unweighted values, knowing their shape."""
        samples = values.size(0) if values.dim() > 0 else 1
        if values.dim() > 1 and samples and values.numel() != samples:
            total = total * (samples / max(values.numel(), 1))
        self.total.add_(total)
        self._pending += samples

    def result(self) -> Tensor:
        """The mean so far, 0 before any value."""
        return divide_or_zero(self.total, self.count)


@registered()
class MeanMetricWrapper(Mean):
    """The mean of the values of `fn(y_true, y_pred, **kwargs)`.

    Args:
        fn: gives one value per sample, or one for the batch.
        name: a word for logs.
        dtype: of the state.
        kwargs: further arguments of fn.
    """

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(name, dtype)
        self._fn = check_function(self, fn)
        self._fn_kwargs = kwargs
        if isinstance(fn, losses.Loss) or fn in losses.FUNCTIONS:
            self._direction = "down"
        if type(self) is not MeanMetricWrapper:
            # The arguments of a ready-made metric can be read, `metric.threshold`.
            vars(self).update(kwargs)

    def update_state(  # type: ignore[override]  # as in Keras, a Mean that takes two arguments
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Take in a batch.

        Args:
            y_true: targets, a tensor or array.
            y_pred: outputs; a mask on them (`_keras_mask`) leaves out the places it marks False.
            sample_weight: one weight per sample or per value.
        """
        with torch.no_grad():
            mask = mask_of(y_pred)
            y_pred = each_tensor(y_pred, as_tensor)
            like = y_pred if isinstance(y_pred, Tensor) else None
            y_true = each_tensor(y_true, lambda y: as_tensor(y, like=like))
            values = self._fn(y_true, y_pred, **self._fn_kwargs)
            # A mask has nothing to leave out of one value for the whole batch.
            if mask is not None and as_tensor(values).dim() > 0:
                if sample_weight is not None:
                    sample_weight = as_tensor(sample_weight, like=mask)
                sample_weight = apply_mask(sample_weight, mask, self._torch_dtype, "sum")
            super().update_state(values, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this metric again, as plain data."""
        config = {**super().get_config(), **self._fn_kwargs}
        if type(self) is MeanMetricWrapper:
            config["fn"] = losses.serialize(self._fn)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The metric made of what `get_config` returned."""
        config = dict(config)
        fn = config.get("fn")
        if isinstance(fn, (str, dict)):
            found = FUNCTIONS if fn in FUNCTIONS.names() else losses.REGISTRY
            config["fn"] = found.deserialize(fn)
        return cls(**config)
