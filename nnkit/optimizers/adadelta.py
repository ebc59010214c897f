"""Adadelta."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor

from nnkit.arguments import number
from nnkit.optimizers.base import REGISTRY, Optimizer
from nnkit.optimizers.checks import epsilon_of
from nnkit.optimizers.plan import Plan, average_squares_
from nnkit.optimizers.settings import Common

__all__ = ["Adadelta"]


@REGISTRY.add()
class Adadelta(Optimizer):
    """Scales the gradient by how large recent changes were relative to recent gradients.

    Args:
        learning_rate: a number, a schedule or a function of the step.
        rho: the part (0 to 1) of both moving averages that stays at each update.
        epsilon: added to the averages, inside the roots.
        weight_decay, common: see `Optimizer`.

    Source: Zeiler, Adadelta (2012).
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, weight_decay, **common)
        self.rho = number(self, "rho", rho, 0, 1)
        self.epsilon = epsilon_of(self, epsilon)

    def slots(self) -> dict[str, float]:
        return {"accumulated_grad": 0.0, "accumulated_delta_var": 0.0}

    def update(self, plan: Plan, grads: list[Tensor], learning_rate: float) -> None:
        squares, changes = plan.slots
        average_squares_(squares, grads, self.rho)
        deltas = plan.plus_number(changes, self.epsilon)
        torch._foreach_div_(deltas, plan.plus_number(squares, self.epsilon))
        torch._foreach_sqrt_(deltas)
        torch._foreach_mul_(deltas, grads)
        average_squares_(changes, deltas, self.rho)
        torch._foreach_add_(plan.params, deltas, alpha=-learning_rate)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rho": self.rho,
            "epsilon": self.epsilon,
        }
