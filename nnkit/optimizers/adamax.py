"""Adam with the largest gradient in place of the mean square."""

from __future__ import annotations

import torch
from torch import Tensor

from nnkit.optimizers.base import REGISTRY
from nnkit.optimizers.moments import TwoMoments
from nnkit.optimizers.plan import Plan, scale_

__all__ = ["Adamax"]


@REGISTRY.add()
class Adamax(TwoMoments):
    """Divides the mean gradient by a decaying maximum of its absolute value.

    Args:
        learning_rate: a number, a schedule or a function of the step.
        beta_1: the part (0 to 1) of the mean gradient that stays at each update.
        beta_2: the factor (0 to 1) by which the maximum decays at each update.
        epsilon: added to the maximum.
        weight_decay, common: see `Optimizer`.

    Source: Kingma and Ba, Adam (2014), section 7.
    """

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
