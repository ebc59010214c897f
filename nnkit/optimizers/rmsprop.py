"""RMSprop."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor

from nnkit.arguments import number
from nnkit.optimizers.base import REGISTRY, Optimizer
from nnkit.optimizers.checks import epsilon_of
from nnkit.optimizers.plan import Plan, average_squares_, scale_
from nnkit.optimizers.settings import Common

__all__ = ["RMSprop"]


@REGISTRY.add()
class RMSprop(Optimizer):
    """Divides the gradient by the root of a moving average of its square.

    Args:
        learning_rate: a number, a schedule or a function of the step.
        rho: the part (0 to 1) of the average that stays at each update.
        momentum: the part (0 to 1) of the previous step added to the next.
        epsilon: added to the average, inside the root.
        centered: use the variance instead of the mean square.
        weight_decay, common: see `Optimizer`.

    Source: Hinton, Neural Networks for Machine Learning, lecture 6 (2012).
    """

    interleaved: ClassVar[int] = 1

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        weight_decay: float | None = None,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, weight_decay, **common)
        self.rho = number(self, "rho", rho, 0, 1)
        self.momentum = number(self, "momentum", momentum, 0, 1)
        self.epsilon = epsilon_of(self, epsilon)
        self.centered = centered

    def slots(self) -> dict[str, float]:
        kept = {"velocity": True, "momentum": self.momentum, "average_gradient": self.centered}
        return {name: 0.0 for name, wanted in kept.items() if wanted}

    def update(self, plan: Plan, grads: list[Tensor], learning_rate: float) -> None:
        velocities = plan.slots[0]
        average_squares_(velocities, grads, self.rho)
        if self.centered:
            means = plan.slots[-1]
            torch._foreach_lerp_(means, grads, 1 - self.rho)
            roots = list(torch._foreach_addcmul(velocities, means, means, -1))
            plan.add_number_(roots, self.epsilon)
        else:
            roots = plan.plus_number(velocities, self.epsilon)
        torch._foreach_sqrt_(roots)
        if self.momentum:
            scale_(plan.slots[1], self.momentum)
            torch._foreach_addcdiv_(plan.slots[1], grads, roots, learning_rate)
            torch._foreach_add_(plan.params, plan.slots[1], alpha=-1)
        else:
            torch._foreach_addcdiv_(plan.params, grads, roots, -learning_rate)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
        }
