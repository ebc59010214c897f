"""Lamb."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nnkit.optimizers.base import REGISTRY
from nnkit.optimizers.moments import TwoMoments
from nnkit.optimizers.plan import Plan, average_squares_, norms, scale_, times_each

__all__ = ["Lamb"]


@REGISTRY.add()
class Lamb(TwoMoments):
    """`Adam` with steps proportional to the size of each weight, for very large batches.

    Args:
        learning_rate: a number, a schedule or a function of the step.
        beta_1: the part (0 to 1) of the mean gradient that stays at each update.
        beta_2: the same for the mean squared gradient.
        epsilon: added to the root of the corrected mean squared gradient.
        weight_decay, common: see `Optimizer`.

    Source: You et al., Large Batch Optimization for Deep Learning (2019).
    """

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
