"""Torch's own losses, `torch.nn.MSELoss()` or `F.mse_loss`, as nnkit losses."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnkit.errors import ArgumentError, unknown_name
from nnkit.losses.base import Loss
from nnkit.losses.tensors import as_prediction, as_tensor, mask_of, matched
from nnkit.naming import to_snake_case

__all__ = ["TorchLoss", "is_torch_loss"]

CLASS_LOSSES = frozenset({
    "CrossEntropyLoss", "NLLLoss", "NLLLoss2d", "MultiMarginLoss",
    "cross_entropy", "nll_loss", "multi_margin_loss",
})  # fmt: skip
_ENTROPIES = (
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "kl_div",
)  # fmt: skip
_INTEGER_LOSSES = frozenset({"MultiLabelMarginLoss", "multilabel_margin_loss"})
_OTHER_INPUTS = frozenset({
    "CTCLoss", "CosineEmbeddingLoss", "GaussianNLLLoss", "MarginRankingLoss", "TripletMarginLoss",
    "TripletMarginWithDistanceLoss", "AdaptiveLogSoftmaxWithLoss", "ctc_loss",
    "cosine_embedding_loss", "gaussian_nll_loss", "margin_ranking_loss", "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
})  # fmt: skip


def is_torch_loss(item: Any) -> bool:
    """Whether this is a loss of torch.nn (an object or class) or of torch.nn.functional."""
    if isinstance(item, nn.Module) or inspect.isclass(item):
        kind = item if inspect.isclass(item) else type(item)
        return any(c.__module__ == "torch.nn.modules.loss" for c in kind.__mro__)
    item = item.func if isinstance(item, functools.partial) else item
    return callable(item) and getattr(item, "__module__", "") == F.__name__


class TorchLoss(Loss):
    """A torch loss, called as `loss(y_pred, y_true)` the way torch's take their arguments.

    Targets of class losses (CrossEntropyLoss, NLLLoss, ...) lose a last axis of size 1 and are cast
    to int64, unless they are class probabilities; classes on the last axis are moved to where torch
    has them. Other targets get the outputs' dtype and must have the outputs' shape. With sample
    weights the result is the sum or the mean, as the loss has it, of weight times value.

    Args:
        loss: an object or class of torch.nn, or a function of torch.nn.functional.
        name: a word for logs; the loss's own name in snake case when None.

    Raises: ArgumentError for a loss that takes more than outputs and targets.
    Example:
        model.compile(loss=TorchLoss(torch.nn.SmoothL1Loss(beta=0.5)))
    """

    def __init__(self, loss: Any, name: str | None = None) -> None:
        loss = loss() if inspect.isclass(loss) else loss
        function = loss.func if isinstance(loss, functools.partial) else loss
        self._torch_name = getattr(function, "__name__", type(function).__name__)
        if not callable(loss):
            raise ArgumentError(f"TorchLoss needs a loss of torch.nn or a function, got {loss!r}.")
        if self._torch_name in _OTHER_INPUTS:
            raise ArgumentError(
                f"{self._torch_name} takes more than outputs and targets. "
                f"Write a function of (y_true, y_pred) that calls it."
            )
        super().__init__(name or to_snake_case(self._torch_name))
        self.loss = loss
        self.reduction = _reduction(loss)
        self._has_buffers = isinstance(loss, nn.Module) and any(True for _ in loss.buffers())

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The loss of these targets and outputs.

        Raises: ArgumentError for weights or a mask when the loss cannot give unreduced values.
        """
        mask = mask_of(y_pred)
        y_true, y_pred = self._prepared(y_true, y_pred)
        if sample_weight is None and mask is None:
            return self.loss(y_pred, y_true)
        values = _unreduced(self.loss, self._torch_name)(y_pred, y_true)
        return self._reduce(values, sample_weight, mask)

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        """The loss values before they are reduced."""
        y_true, y_pred = self._prepared(y_true, y_pred)
        return _unreduced(self.loss, self._torch_name)(y_pred, y_true)

    def _prepared(self, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
        y_pred = as_prediction(y_pred)
        if self._has_buffers:
            self.loss.to(y_pred.device)
        if self._torch_name in CLASS_LOSSES:
            return _class_targets(as_tensor(y_true, like=y_pred), y_pred)
        if self._torch_name in _INTEGER_LOSSES:
            return as_tensor(y_true, torch.int64, like=y_pred), y_pred
        return matched(self._torch_name, y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this loss again, as plain data."""
        config: dict[str, Any] = {"name": self.name, "loss": self._torch_name}
        if isinstance(self.loss, nn.Module):
            names = inspect.signature(type(self.loss).__init__).parameters
            found = {
                n: getattr(self.loss, n) for n in names if n != "self" and hasattr(self.loss, n)
            }
            config["arguments"] = {
                n: value.tolist() if isinstance(value, Tensor) else value
                for n, value in found.items()
            }
        elif isinstance(self.loss, functools.partial):
            config["arguments"] = dict(self.loss.keywords)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TorchLoss:
        """The loss made of what `get_config` returned."""
        # A config names a loss of torch, and nothing else that torch has.
        name = str(config["loss"])
        home = nn if name in nn.modules.loss.__all__ else F
        if home is F and not name.endswith("_loss") and name not in _ENTROPIES:
            raise unknown_name("loss of torch", name, [*nn.modules.loss.__all__, *_ENTROPIES])
        made: Any = getattr(home, name)
        arguments = {
            n: torch.tensor(value) if isinstance(value, list) else value
            for n, value in config.get("arguments", {}).items()
        }
        loss = made(**arguments) if inspect.isclass(made) else functools.partial(made, **arguments)
        return cls(loss, config["name"])


def _reduction(loss: Any) -> str:
    """Keras's word for how a torch loss reduces its values."""
    if isinstance(loss, functools.partial):
        word = loss.keywords.get("reduction", "mean")
    else:
        word = getattr(loss, "reduction", "mean")
    return "sum_over_batch_size" if word in ("mean", "batchmean") else word


def _unreduced(loss: Any, name: str) -> Callable[..., Tensor]:
    """The same torch loss with reduction="none"."""
    if isinstance(loss, nn.Module) and hasattr(loss, "reduction"):
        loss = copy.copy(loss)
        loss.reduction = "none"
        return loss
    if not isinstance(loss, nn.Module) and "reduction" in inspect.signature(loss).parameters:
        return functools.partial(loss, reduction="none")
    raise ArgumentError(
        f"{name} has no reduction argument, so it cannot be weighted by sample_weight, "
        f"class_weight or a mask. Train without weights, or use a loss of nnkit.losses."
    )


def _class_targets(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    if y_true.shape == y_pred.shape and y_pred.dim() > 1 and y_true.is_floating_point():
        # Probabilities of the classes, which torch wants on axis 1 too.
        if y_pred.dim() > 2:
            return y_true.movedim(-1, 1).to(y_pred.dtype), y_pred.movedim(-1, 1)
        return y_true.to(y_pred.dtype), y_pred
    if y_true.dim() == y_pred.dim() and y_true.dim() > 1 and y_true.size(-1) == 1:
        y_true = y_true.squeeze(-1)
    if y_pred.dim() > 2 and y_true.shape == y_pred.shape[:-1]:
        y_pred = y_pred.movedim(-1, 1)
    return y_true.long(), y_pred
