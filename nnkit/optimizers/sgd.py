"""Gradient descent, with or without momentum."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor

from nnkit.arguments import number
from nnkit.optimizers.base import REGISTRY, Optimizer
from nnkit.optimizers.plan import Plan, scale_
from nnkit.optimizers.settings import Common

__all__ = ["SGD"]


@REGISTRY.add()
class SGD(Optimizer):
    """Stochastic gradient descent: `velocity = momentum * velocity - rate * gradient`.

    Args:
        learning_rate: a number, a schedule or a function of the step.
        momentum: the part (0 to 1) of the velocity that stays at each update.
        nesterov: take the gradient's step from where the velocity leads.
        weight_decay, common: see `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, weight_decay, **common)
        self.momentum = number(self, "momentum", momentum, 0, 1)
        self.nesterov = nesterov

    def slots(self) -> dict[str, float]:
        return {"momentum": 0.0} if self.momentum else {}

    def update(self, plan: Plan, grads: list[Tensor], learning_rate: float) -> None:
        params, rate, momentum = plan.params, learning_rate, self.momentum
        if momentum and plan.fused:
            # The kernel does velocity = momentum * velocity + (1 - dampening) * gradient, then
            # param -= lr * velocity: these numbers make it Keras's, whose velocity holds the rate.
            lead = momentum if self.nesterov else 1.0
            _fused_sgd(params, grads, plan.slots[0], momentum, -lead, dampening=1 + rate)
        elif momentum:
            scale_(plan.slots[0], momentum)
            torch._foreach_add_(plan.slots[0], grads, alpha=-rate)
            torch._foreach_add_(params, plan.slots[0], alpha=momentum if self.nesterov else 1)
        if momentum and not self.nesterov:
            return
        if plan.fused:
            _fused_sgd(params, grads, [], 0.0, rate, dampening=0.0)
        else:
            torch._foreach_add_(params, grads, alpha=-rate)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}


def _fused_sgd(
    params: list[Tensor],
    grads: list[Tensor],
    velocities: list[Tensor],
    momentum: float,
    rate: float,
    dampening: float,
) -> None:
    torch._fused_sgd_(
        params,
        grads,
        velocities,
        weight_decay=0.0,
        momentum=momentum,
        lr=rate,
        dampening=dampening,
        nesterov=False,
        maximize=False,
        is_first_step=False,
    )
