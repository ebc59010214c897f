"""Adam with Nesterov's momentum."""

from __future__ import annotations

import math
from typing import Any, Unpack

import torch
from torch import Tensor

from nnkit.optimizers.base import REGISTRY
from nnkit.optimizers.moments import TwoMoments
from nnkit.optimizers.plan import Plan, average_squares_
from nnkit.optimizers.settings import Common

__all__ = ["Nadam"]


@REGISTRY.add()
class Nadam(TwoMoments):
    """`Adam` that looks one step ahead along the momentum.

    Args:
        learning_rate: a number, a schedule or a function of the step.
        beta_1: the part (0 to 1) of the mean gradient that stays at each update; it grows from half
            of this number in the first updates.
        beta_2: the same for the mean squared gradient.
        epsilon: added to the root of the corrected mean squared gradient.
        weight_decay, common: see `Optimizer`.

    Source: Dozat, Incorporating Nesterov Momentum into Adam (2016).
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
        super().__init__(learning_rate, beta_1, beta_2, epsilon, weight_decay, **common)
        # The product of all momentum factors so far: a number that changes, so it is in the group.
        self.param_groups[0]["u_product"] = 1.0

    @property
    def variables(self) -> list[Tensor]:
        return [*super().variables, torch.tensor(self.param_groups[0]["u_product"])]

    def update(self, plan: Plan, grads: list[Tensor], learning_rate: float) -> None:
        group, step = self.param_groups[0], self.iterations + 1
        now = self.beta_1 * (1 - 0.5 * 0.96**step)
        ahead = self.beta_1 * (1 - 0.5 * 0.96 ** (step + 1))
        group["u_product"] *= now
        product = group["u_product"]
        momentums, velocities = plan.slots
        torch._foreach_lerp_(momentums, grads, 1 - self.beta_1)
        average_squares_(velocities, grads, self.beta_2)
        # Both sides of the division are multiplied by the root of the velocity's correction.
        correction = math.sqrt(1 - self.beta_2**step)
        roots = list(torch._foreach_sqrt(velocities))
        plan.add_number_(roots, self.epsilon * correction)
        rate = -learning_rate * correction
        torch._foreach_addcdiv_(plan.params, momentums, roots, rate * ahead / (1 - product * ahead))
        torch._foreach_addcdiv_(plan.params, grads, roots, rate * (1 - now) / (1 - product))
