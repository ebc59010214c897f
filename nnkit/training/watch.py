"""Keep a model from being spoilt when its loss is no longer a number."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from nnkit.errors import warn_user
from nnkit.optimizers import Optimizer

__all__ = ["LossWatch"]

_SECONDS_BETWEEN_LOOKS = 1.0
# Copies of the weights take at most one part in so many of the time.
_TIMES_THE_COST = 200


class LossWatch:
    """Stops `fit` at the first batch whose loss is NaN or infinite, with finite weights.

    On a CPU, where a look at the loss costs next to nothing, it is looked at before the update,
    which is then not made. Losses on an accelerator are collected and looked at once a second and
    at the end of an epoch, so that no step waits for the device. Bad gradients of a good loss, and
    updates made before the look, are undone with a copy of the weights: it is made at the first
    batch and again from time to time, as long as that takes under half a percent of the time.

    Args:
        model: whose stop_training is set.

    Attributes:
        found: the loss, the epoch and the batch (from 0) at which it was found, or None.
    """

    def __init__(self, model: Any) -> None:
        self.found: tuple[float, int, int] | None = None
        self._model = model
        self._epoch = 0
        self._batch = -1
        self._kept_at = (0, 0)
        self._waiting: list[Tensor] = []
        self._trained: list[Tensor] = []
        self._tensors: list[Tensor] = []
        self._copies: list[Tensor] = []
        self._due = 0.0

    def begin_epoch(self, epoch: int, batch: int) -> None:
        """An epoch begins, with this batch."""
        self._epoch, self._batch = epoch, batch - 1

    def see(self, loss: Tensor) -> bool:
        """Take the loss of a batch; whether the weights may be updated by it."""
        self._batch += 1
        if self._can_wait_for(loss):
            value = loss.item()
            if not math.isfinite(value):
                self._stop(value, self._batch)
        else:
            self._waiting.append(loss.detach())
        if perf_counter() >= self._due:
            self._look()
        return self.found is None

    @staticmethod
    def _can_wait_for(loss: Tensor) -> bool:
        """Whether its value is there already: on a CPU to read it is no more than a call."""
        return loss.is_cpu

    def around(self, own_step: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """A step of the user's own, with a look at the loss it returns."""

        def run(data: Any) -> Any:
            logs = own_step(data)
            loss = logs.get("loss") if isinstance(logs, dict) else None
            if isinstance(loss, (float, Tensor)):
                self.see(torch.as_tensor(loss).reshape(-1)[0])
            return logs

        return run

    def look(self) -> None:
        """See to the losses that came since the last look."""
        losses, self._waiting = self._waiting, []
        if losses and self.found is None:
            values = torch.stack([loss.reshape(()) for loss in losses]).tolist()
            bad = next((at for at, value in enumerate(values) if not math.isfinite(value)), None)
            if bad is not None:
                self._stop(values[bad], self._batch - len(losses) + 1 + bad)

    def _look(self) -> None:
        self.look()
        begin = perf_counter()
        if self.found is None:
            self._keep()
        now = perf_counter()
        self._due = now + max(_SECONDS_BETWEEN_LOOKS, _TIMES_THE_COST * (now - begin))

    def _keep(self) -> None:
        """Copy the weights, if they are finite."""
        # What does not change cannot be spoilt, and a frozen base may be most of the memory.
        trained = [parameter for parameter in self._model.parameters() if parameter.requires_grad]
        if [*map(id, trained)] != [*map(id, self._trained)] or not self._tensors:
            buffers = [b for b in self._model.buffers() if b.is_floating_point() and _finite([b])]
            self._trained = trained
            self._tensors = [*(parameter.detach() for parameter in trained), *buffers]
            self._copies = []
        if not _finite(self._tensors):
            return
        with torch.no_grad():
            if not self._copies:
                # In the host's memory: an accelerator's is scarce.
                self._copies = [torch.empty_like(each, device="cpu") for each in self._tensors]
            for copy, tensor in zip(self._copies, self._tensors, strict=True):
                copy.copy_(tensor)
        self._kept_at = (self._epoch, max(self._batch, 0))

    def _stop(self, loss: float, batch: int) -> None:
        if self.found is not None:
            return
        self.found = (loss, self._epoch, batch)
        self._model.stop_training = True
        kept = "from before that batch"
        if self._put_back():
            epoch, at = self._kept_at
            kept = f"from before batch {at + 1} of epoch {epoch + 1}, the last copy of finite ones"
        warn_user(
            f"The loss became {loss} in epoch {self._epoch + 1} at batch {batch + 1}: fit stops. "
            f"The weights are {kept}. Try a smaller learning rate or clipnorm=1.0, and look for "
            f"extreme values in that batch. fit(stop_on_nan=False) goes on regardless."
        )

    def _put_back(self) -> bool:
        """Make the weights finite again; whether parameters had to be changed."""
        model = self._model
        parameters = [p.detach() for p in model.parameters() if p.is_floating_point()]
        spoilt = not _finite(parameters)
        with torch.no_grad():
            for copy, tensor in zip(self._copies, self._tensors, strict=False):
                if spoilt or not _finite([tensor]):
                    tensor.copy_(copy)
        if spoilt:
            self._renew_optimizer()
        return spoilt

    def _renew_optimizer(self) -> None:
        """Give parameters whose state is no longer finite a new one."""
        optimizer = self._model.optimizer
        for parameter, state in list(getattr(optimizer, "state", {}).items()):
            tensors = [v for v in state.values() if isinstance(v, Tensor) and v.is_floating_point()]
            if _finite(tensors):
                continue
            if isinstance(optimizer, Optimizer):
                with torch.no_grad():
                    for name, value in optimizer.new_state(parameter).items():
                        state[name].copy_(value)
                    if "average" in state:
                        state["average"].copy_(parameter)
                    if "gradient_accumulator" in state:
                        state["gradient_accumulator"].zero_()
            else:
                del optimizer.state[parameter]


def _finite(tensors: list[Tensor]) -> bool:
    filled = [tensor for tensor in tensors if tensor.numel()]
    if not filled:
        return True
    if _all_finite([tensor.sum() for tensor in filled]):
        return True
    # Sums of finite numbers may overflow, the largest absolute values do not; they take longer.
    return _all_finite(list(torch._foreach_norm(filled, ord=math.inf)))


def _all_finite(values: list[Tensor]) -> bool:
    return bool(torch.stack([each.double().cpu() for each in values]).isfinite().all())
