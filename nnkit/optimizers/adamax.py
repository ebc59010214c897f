"""Adam with the largest gradient in place of the mean square."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor

from nnkit.optimizers.base import REGISTRY, Optimizer
from nnkit.optimizers.checks import epsilon_of
from nnkit.optimizers.plan import Plan, scale_
from nnkit.optimizers.settings import Common
from nnkit.shapes import number

__all__ = ["Adamax"]


@REGISTRY.add()
class Adamax(Optimizer):
    """Divides the mean gradient by a decaying maximum of its absolute value.

    Args:
        learning_rate: a number, a schedule or a function of the step.
        beta_1: the part (0 to 1) of the mean gradient that stays at each update.
        beta_2: the factor (0 to 1) by which the maximum decays at each update.
        epsilon: added to the maximum.
        weight_decay, common: see `Optimizer`.

    Source: Kingma and Ba, Adam (2014), section 7.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, weight_decay, **common)
        self.beta_1 = number(self, "beta_1", beta_1, 0, below=1)
        self.beta_2 = number(self, "beta_2", beta_2, 0, below=1)
        self.epsilon = epsilon_of(self, epsilon)

    def slots(self) -> dict[str, float]:
        return {"momentum": 0.0, "norm": 0.0}

    def update(self, plan: Plan, grads: list[Tensor], learning_rate: float) -> None:
        momentums, largest = plan.slots
        torch._foreach_lerp_(momentums, grads, 1 - self.beta_1)
        scale_(largest, self.beta_2)
        torch._foreach_maximum_(largest, torch._foreach_abs(grads))
        rate = learning_rate / (1 - self.beta_1 ** (self.iterations + 1))
        divisors = plan.plus_number(largest, self.epsilon)
        torch._foreach_addcdiv_(plan.params, momentums, divisors, -rate)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
