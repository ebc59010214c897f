"""Lion."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor

from nnkit.arguments import number
from nnkit.optimizers.base import REGISTRY, Optimizer
from nnkit.optimizers.plan import Plan
from nnkit.optimizers.settings import Common

__all__ = ["Lion"]


@REGISTRY.add()
class Lion(Optimizer):
    """Steps of one size, in the direction of the sign of the momentum.

    Args:
        learning_rate: a number, a schedule or a function of the step.
        beta_1: the part (above 0, to 1) of the momentum in a step; the rest is the gradient.
        beta_2: the part (0 to 1) of the momentum that stays at each update.
        weight_decay, common: see `Optimizer`.

    Source: Chen et al., Symbolic Discovery of Optimization Algorithms (2023).
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        weight_decay: float | None = None,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, weight_decay, **common)
        self.beta_1 = number(self, "beta_1", beta_1, above=0, most=1)
        self.beta_2 = number(self, "beta_2", beta_2, 0, 1)

    def slots(self) -> dict[str, float]:
        return {"momentum": 0.0}

    def update(self, plan: Plan, grads: list[Tensor], learning_rate: float) -> None:
        momentums = plan.slots[0]
        signs = torch._foreach_lerp(momentums, grads, 1 - self.beta_1)
        torch._foreach_sign_(signs)
        torch._foreach_add_(plan.params, signs, alpha=-learning_rate)
        torch._foreach_lerp_(momentums, grads, 1 - self.beta_2)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
        }
