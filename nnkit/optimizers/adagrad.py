"""Adagrad."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor

from nnkit.arguments import number
from nnkit.optimizers.base import REGISTRY, Optimizer
from nnkit.optimizers.checks import epsilon_of
from nnkit.optimizers.plan import Plan
from nnkit.optimizers.settings import Common

__all__ = ["Adagrad"]


@REGISTRY.add()
class Adagrad(Optimizer):
    """Divides the gradient by the root of the sum of all its squares.

    Args:
        learning_rate: a number, a schedule or a function of the step.
        initial_accumulator_value: where the sum starts.
        epsilon: added to the sum, inside the root.
        weight_decay, common: see `Optimizer`.

    Source: Duchi, Hazan and Singer, Adaptive Subgradient Methods (2011).
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, weight_decay, **common)
        self.initial_accumulator_value = number(
            self, "initial_accumulator_value", initial_accumulator_value, 0
        )
        self.epsilon = epsilon_of(self, epsilon)

    def slots(self) -> dict[str, float]:
        return {"accumulator": self.initial_accumulator_value}

    def update(self, plan: Plan, grads: list[Tensor], learning_rate: float) -> None:
        sums = plan.slots[0]
        torch._foreach_addcmul_(sums, grads, grads)
        roots = plan.plus_number(sums, self.epsilon)
        torch._foreach_sqrt_(roots)
        torch._foreach_addcdiv_(plan.params, grads, roots, -learning_rate)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }
