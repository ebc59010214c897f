"""Evaluate with the averages of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from nnkit.callbacks.base import Callback
from nnkit.errors import ArgumentError

__all__ = ["SwapEMAWeights"]


class SwapEMAWeights(Callback):
    """Put the optimizer's moving averages in place of the weights while a model is evaluated.

    Args:
        swap_on_epoch: whether the averages stand there at the end of each epoch as well, for
            callbacks that come after this one, such as ModelCheckpoint.

    The weights that are trained come back after that. They are kept meanwhile: one more copy.

    Raises: ArgumentError if the optimizer keeps no averages; make it with use_ema=True.
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        self.swap_on_epoch = swap_on_epoch
        self._trained: list[Tensor] | None = None
        self._passing = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._trained = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._put_back()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.swap_on_epoch:
            self._put_averages()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._begin_pass()

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        self._end_pass()

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._begin_pass()

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        self._end_pass()

    def close(self) -> None:
        """Put the trained weights back if an evaluation was broken off."""
        self._end_pass()

    def _begin_pass(self) -> None:
        self._passing = self._trained is None
        self._put_averages()

    def _end_pass(self) -> None:
        if self._passing:
            self._put_back()
        self._passing = False

    def _put_averages(self) -> None:
        if self._trained is None:
            pairs = list(self._pairs())
            self._trained = [weight.detach().clone() for weight, _ in pairs]
            with torch.no_grad():
                for weight, average in pairs:
                    weight.copy_(average)

    def _put_back(self) -> None:
        if self._trained is not None:
            with torch.no_grad():
                for (weight, _), trained in zip(self._pairs(), self._trained, strict=True):
                    weight.copy_(trained)
            self._trained = None

    def _pairs(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Each weight with its average."""
        optimizer = self.model.optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # one that scales the loss
        if not getattr(optimizer, "use_ema", False):
            raise ArgumentError(
                f"SwapEMAWeights needs the averages of an optimizer with use_ema=True, but the "
                f"model has {'none' if optimizer is None else optimizer!r}. Write "
                f"Adam(use_ema=True), for example."
            )
        for weight, state in optimizer.state.items():
            yield weight, state["average"]
