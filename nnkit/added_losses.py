"""Losses that layers add to the training loss: by `add_loss` in a call, and by regularizers."""

from __future__ import annotations

import threading
from typing import Any

import torch

from nnkit.probing import is_meta
from nnkit.tree import flatten
from nnkit.weights import Weight, WeightOwner

__all__ = ["LossOwner", "calls"]


class _Calls(threading.local):
    """The calls under way in this thread."""

    def __init__(self) -> None:
        # The layer called from outside any other: it owns what add_loss collects meanwhile.
        self.outermost: list[LossOwner] = []


calls = _Calls()


class LossOwner(WeightOwner):
    """The half of `Layer` that has losses."""

    def __init__(self) -> None:
        super().__init__()
        self._losses: list[torch.Tensor] = []
        self._lossy: list[LossOwner] = []  # below this layer, those that added losses

    @property
    def losses(self) -> list[torch.Tensor]:
        """Scalars to add to the loss: add_loss of the last call, and regularized weights."""
        return self.added_losses() + self.weight_losses()

    def added_losses(self) -> list[torch.Tensor]:
        """What `add_loss` was given in the last call, here and below."""
        owners = [module for module in self.modules() if isinstance(module, LossOwner)]
        return [loss for owner in owners for loss in owner._losses]

    def weight_losses(self) -> list[torch.Tensor]:
        """One scalar for each trainable weight with a regularizer."""
        return [weight.loss() for weight in self.regularized()]

    def regularized(self) -> list[Weight]:
        """The weights with a regularizer that an optimizer changes, also through others."""
        held = [w for w in self.collect(lambda owner: owner._trainable) if w.tensor.requires_grad]
        weights = [*held, *self.trained_through_others()]
        return [weight for weight in weights if weight.regularizer is not None]

    def add_loss(self, loss: Any) -> None:
        """Add scalars to the training loss; call it inside `call`."""
        if torch.compiler.is_exporting():
            return  # a program has no use for losses
        root = calls.outermost[0] if calls.outermost else self
        if self not in root._lossy:
            root._lossy.append(self)
            self._losses.clear()  # of an earlier call that had another root
        self._losses.extend(value for value in flatten(loss) if not is_meta(value))

    def _forget_losses(self) -> None:
        for owner in self._lossy:
            owner._losses.clear()
        self._lossy.clear()
