"""FTRL-proximal."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor

from nnkit.arguments import number
from nnkit.errors import ArgumentError
from nnkit.optimizers.base import REGISTRY, Optimizer
from nnkit.optimizers.plan import Plan
from nnkit.optimizers.settings import Common

__all__ = ["Ftrl"]


@REGISTRY.add()
class Ftrl(Optimizer):
    """Follow the regularized leader: sparse weights for wide, shallow models.

    Args:
        learning_rate: a number, a schedule or a function of the step.
        learning_rate_power: how the rate falls with the sum of squared gradients (0 or less).
        initial_accumulator_value: where that sum starts.
        l1_regularization_strength: pushes weights to exactly zero.
        l2_regularization_strength: shrinks weights.
        l2_shrinkage_regularization_strength: shrinks them through the gradient only.
        beta: divided by the learning rate, it adds to the l2 strength.
        weight_decay, common: see `Optimizer`.

    Raises: ArgumentError for a negative strength, and at an update with learning rate 0.
    Source: McMahan et al., Ad Click Prediction (2013).
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        weight_decay: float | None = None,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, weight_decay, **common)
        self.learning_rate_power = number(self, "learning_rate_power", learning_rate_power, most=0)
        self.initial_accumulator_value = number(
            self, "initial_accumulator_value", initial_accumulator_value, 0
        )
        self.l1_regularization_strength = number(
            self, "l1_regularization_strength", l1_regularization_strength, 0
        )
        self.l2_regularization_strength = number(
            self, "l2_regularization_strength", l2_regularization_strength, 0
        )
        self.l2_shrinkage_regularization_strength = number(
            self, "l2_shrinkage_regularization_strength", l2_shrinkage_regularization_strength, 0
        )
        self.beta = number(self, "beta", beta, 0)

    def slots(self) -> dict[str, float]:
        return {"accumulator": self.initial_accumulator_value, "linear": 0.0}

    def update(self, plan: Plan, grads: list[Tensor], learning_rate: float) -> None:
        if not learning_rate:
            raise ArgumentError("Ftrl divides by the learning rate, which is 0 at this update.")
        params = plan.params
        sums, linears = plan.slots
        power, rate = -self.learning_rate_power, learning_rate
        before = torch._foreach_pow(sums, power)
        torch._foreach_addcmul_(sums, grads, grads)
        after = torch._foreach_pow(sums, power)
        torch._foreach_add_(linears, grads)
        shrinkage = 2 * self.l2_shrinkage_regularization_strength
        if shrinkage:
            torch._foreach_add_(linears, params, alpha=shrinkage)
        growth = torch._foreach_sub(after, before)
        torch._foreach_addcmul_(linears, growth, params, -1 / rate)
        torch._foreach_div_(after, rate)
        torch._foreach_add_(after, 2 * self.l2_regularization_strength + self.beta / rate)
        l1 = self.l1_regularization_strength
        nearest = torch._foreach_clamp_max(torch._foreach_clamp_min(linears, -l1), l1)
        torch._foreach_sub_(nearest, linears)
        torch._foreach_copy_(params, torch._foreach_div(nearest, after))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "learning_rate_power": self.learning_rate_power,
            "initial_accumulator_value": self.initial_accumulator_value,
            "l1_regularization_strength": self.l1_regularization_strength,
            "l2_regularization_strength": self.l2_regularization_strength,
            "l2_shrinkage_regularization_strength": self.l2_shrinkage_regularization_strength,
            "beta": self.beta,
        }
