"""Lamb."""

from __future__ import annotations

import math
from typing import Any, Unpack

import torch
from torch import Tensor

from nnkit.optimizers.base import REGISTRY, Optimizer
from nnkit.optimizers.checks import epsilon_of
from nnkit.optimizers.plan import Plan, average_squares_, norms, scale_, times_each
from nnkit.optimizers.settings import Common
from nnkit.shapes import number

__all__ = ["Lamb"]


@REGISTRY.add()
class Lamb(Optimizer):
    """`Adam` with steps proportional to the size of each weight, for very large batches.

    Args:
        learning_rate: a number, a schedule or a function of the step.
        beta_1: the part (0 to 1) of the mean gradient that stays at each update.
        beta_2: the same for the mean squared gradient.
        epsilon: added to the root of the corrected mean squared gradient.
        weight_decay, common: see `Optimizer`.

    Source: You et al., Large Batch Optimization for Deep Learning (2019).
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
        return {"momentum": 0.0, "velocity": 0.0}

    def update(self, plan: Plan, grads: list[Tensor], learning_rate: float) -> None:
        step = self.iterations + 1
        momentums, velocities = plan.slots
        torch._foreach_lerp_(momentums, grads, 1 - self.beta_1)
        average_squares_(velocities, grads, self.beta_2)
        # Both sides of the division are multiplied by the root of the velocity's correction.
        correction = math.sqrt(1 - self.beta_2**step)
        roots = list(torch._foreach_sqrt(velocities))
        plan.add_number_(roots, self.epsilon * correction)
        directions = list(torch._foreach_div(momentums, roots))
        scale_(directions, correction / (1 - self.beta_1**step))
        weights, steps = norms(plan.params), norms(directions)
        ratios = torch.where((weights > 0) & (steps > 0), weights / steps, 1.0)
        torch._foreach_add_(plan.params, times_each(directions, ratios), alpha=-learning_rate)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
