"""The base of all losses, and the loss made of a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from nnkit.arguments import number, whole
from nnkit.errors import ArgumentError
from nnkit.losses.tensors import (
    MEANS,
    apply_mask,
    as_prediction,
    as_tensor,
    check_reduction,
    dtype_of,
    each_tensor,
    mask_of,
    reduce_values,
    same_rank,
    weighted,
)
from nnkit.naming import auto_name
from nnkit.registry import Registry

__all__ = [
    "REGISTRY", "Loss", "LossFunctionWrapper", "check_function", "check_ignored",
    "check_smoothing", "fusible",
]  # fmt: skip

REGISTRY = Registry("loss", "keras.losses")


def check_smoothing(who: Any, value: Any) -> Any:
    """`label_smoothing`, if it is a fraction from 0 (none) to 1."""
    return number(who, "label_smoothing", value, 0, 1)


def check_ignored(who: Any, value: Any) -> Any:
    """`ignore_class`, if it is a label or None."""
    return value if value is None else whole(who, "ignore_class", value)


def check_function(who: Any, value: Any) -> Any:
    """A function of targets and outputs, if it can be called."""
    if not callable(value):
        raise ArgumentError(
            f"{type(who).__name__} needs a function of (y_true, y_pred), got {value!r}."
        )
    return value


def fusible(loss: Loss, y_true: Any, y_pred: Any) -> bool:
    """Whether targets and outputs are tensors that need no conversion."""
    tensors = isinstance(y_pred, Tensor) and isinstance(y_true, Tensor)
    return tensors and y_pred.dtype is loss._torch_dtype and y_pred.numel() > 0


class Loss:
    """A function of targets and outputs that training makes small.

    A subclass gives `call(y_true, y_pred)`, one value per sample; calling the loss reduces them.

    Args:
        name: a word for logs; the class name in snake case when None.
        reduction: "sum_over_batch_size" or "mean" (over all values), "sum",
            "mean_with_sample_weight" (divided by the sum of the weights), "none" or None.
        dtype: what it is computed in; torch's default dtype (float32) when None.

    Raises: ArgumentError for an unknown reduction or dtype.
    """

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        self.name = name or auto_name(type(self).__name__)
        self.reduction = check_reduction(reduction)
        self._torch_dtype = dtype_of(dtype)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A class with a formula of its own must not inherit the shortcut of another formula.
        if "call" in vars(cls) and "_fused_mean" not in vars(cls):
            cls._fused_mean = Loss._fused_mean  # type: ignore[method-assign]  # on purpose, see above

    @property
    def dtype(self) -> str:
        """The name of the dtype the loss is computed in."""
        return str(self._torch_dtype).removeprefix("torch.")

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        """One loss value per sample, from targets and outputs."""
        raise NotImplementedError(f"{type(self).__name__} has no call(y_true, y_pred).")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The reduced loss.

        Args:
            y_true: targets, a tensor or array.
            y_pred: outputs; a mask on them (`_keras_mask`) leaves out the places it marks False.
            sample_weight: one weight per sample or per loss value.
        """
        mask, dtype = mask_of(y_pred), self._torch_dtype
        if not isinstance(y_pred, Tensor) or y_pred.dtype is not dtype:
            y_pred = each_tensor(y_pred, lambda y: as_prediction(y, dtype))
        if sample_weight is None and mask is None and self.reduction in MEANS:
            fused = self._fused_mean(y_true, y_pred)
            if fused is not None:
                return fused
        values = self.call(self._targets(y_true, y_pred), y_pred)
        return self._reduce(values, sample_weight, mask)

    def _fused_mean(self, y_true: Any, y_pred: Any) -> Tensor | None:
        """The plain mean in as few torch calls as possible, or None where that does not apply."""
        return None

    def _targets(self, y_true: Any, y_pred: Any) -> Any:
        like = y_pred if isinstance(y_pred, Tensor) else None
        return each_tensor(y_true, lambda y: as_tensor(y, self._torch_dtype, like=like))

    def _reduce(self, values: Any, sample_weight: Any, mask: Tensor | None) -> Tensor:
        own = mask_of(values)
        if own is not None:
            mask = own if mask is None else mask & own
        dtype = self._torch_dtype
        values = as_tensor(values, dtype)
        weight = None
        if sample_weight is not None:
            weight = as_tensor(sample_weight, dtype, like=values)
        # A mask has nothing to leave out of one value for the whole batch.
        if values.dim() > 0:
            weight = apply_mask(weight, mask, dtype, self.reduction)
        if weight is not None:
            values, weight = weighted(values, weight)
        return reduce_values(values, weight, self.reduction)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this loss again, as plain data."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The loss made of what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}, reduction={self.reduction!r}>"


@REGISTRY.add()
class LossFunctionWrapper(Loss):
    """A loss that reduces the values of `fn(y_true, y_pred, **kwargs)`.

    Args:
        fn: gives one value per sample.
        reduction: as for `Loss`.
        name: a word for logs.
        dtype: as for `Loss`.
        kwargs: further arguments of fn.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.fn = check_function(self, fn)
        self._fn_kwargs = kwargs
        if type(self) is not LossFunctionWrapper:
            # The arguments of a ready-made loss can be read, `loss.from_logits`.
            vars(self).update(kwargs)

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        """One loss value per sample."""
        if isinstance(y_true, Tensor) and isinstance(y_pred, Tensor):
            y_true, y_pred = same_rank(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this loss again, as plain data."""
        config = {**super().get_config(), **self._fn_kwargs}
        if type(self) is LossFunctionWrapper:
            config["fn"] = REGISTRY.serialize(self.fn)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The loss made of what `get_config` returned."""
        config = dict(config)
        if isinstance(config.get("fn"), (str, dict)):
            config["fn"] = REGISTRY.deserialize(config["fn"])
        return cls(**config)
