"""Adam, and Adam with weight decay on by default."""

from __future__ import annotations

import math
from typing import Any, Unpack

import torch
from torch import Tensor

from nnkit.arguments import number
from nnkit.optimizers.base import REGISTRY
from nnkit.optimizers.moments import TwoMoments
from nnkit.optimizers.plan import Plan, average_squares_
from nnkit.optimizers.settings import Common

__all__ = ["Adam", "AdamW", "unfused_adam"]


def unfused_adam(
    tensors: tuple[list[Tensor], ...], betas: tuple[float, float], epsilon: float, rate: float
) -> None:
    """Adam's update where the fused kernels cannot be used.

    Args:
        tensors: parameters, gradients, momentums, velocities and, for amsgrad, largest velocities.
        betas: beta_1 and beta_2.
        epsilon: added to the root of the velocity.
        rate: the learning rate with the corrections of both biases.
    """
    params, grads, momentums, velocities, *hats = tensors
    torch._foreach_lerp_(momentums, grads, 1 - betas[0])
    average_squares_(velocities, grads, betas[1])
    for hat in hats:
        torch._foreach_maximum_(hat, velocities)
    roots = torch._foreach_sqrt(hats[0] if hats else velocities)
    torch._foreach_add_(roots, epsilon)
    torch._foreach_addcdiv_(params, momentums, roots, -rate)


@REGISTRY.add()
class Adam(TwoMoments):
    """Steps along the mean gradient, divided by the root of the mean squared gradient.

    Args:
        learning_rate: a number, a schedule or a function of the step.
        beta_1: the part (0 to 1) of the mean gradient that stays at each update.
        beta_2: the same for the mean squared gradient.
        epsilon: added to the root before it is corrected for the first steps' bias.
        amsgrad: divide by the largest root so far.
        weight_decay, common: see `Optimizer`.

    Source: Kingma and Ba, Adam (2014); Reddi et al. (2018) for amsgrad.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        weight_decay: float | None = None,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, weight_decay, **common)
        self.amsgrad = bool(amsgrad)

    def slots(self) -> dict[str, float]:
        return {**super().slots(), **({"velocity_hat": 0.0} if self.amsgrad else {})}

    def decay_weights(self, plan: Plan, learning_rate: float) -> None:
        if not self._kernel_decays(plan):
            super().decay_weights(plan, learning_rate)

    def _kernel_decays(self, plan: Plan) -> bool:
        return plan.fused and len(plan.decayed) == len(plan.params)

    def update(self, plan: Plan, grads: list[Tensor], learning_rate: float) -> None:
        step = self.iterations + 1
        correction = math.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)
        momentums, velocities, *hats = plan.slots
        if plan.fused:
            # At the plan's infinite step the kernel corrects nothing, so Keras's form fits: all
            # corrections in the rate, and epsilon as it is. Its decay takes the corrected rate.
            decay = float(self.weight_decay or 0) if self._kernel_decays(plan) else 0.0
            torch._fused_adamw_(
                plan.params,
                grads,
                momentums,
                velocities,
                hats[0] if hats else [],
                plan.never,
                lr=learning_rate * correction,
                beta1=self.beta_1,
                beta2=self.beta_2,
                weight_decay=decay / correction,
                eps=self.epsilon,
                amsgrad=self.amsgrad,
                maximize=False,
            )
            return
        unfused_adam(
            (plan.params, grads, momentums, velocities, *hats),
            (self.beta_1, self.beta_2),
            self.epsilon,
            learning_rate * correction,
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "amsgrad": self.amsgrad}


@REGISTRY.add()
class AdamW(Adam):
    """`Adam` that shrinks the weights a little at each update.

    Args: those of `Adam`; `weight_decay` (a fraction per update, times the rate) must be a number.

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization (2019).
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(
            learning_rate,
            beta_1,
            beta_2,
            epsilon,
            amsgrad,
            number(self, "weight_decay", weight_decay, 0),
            **common,
        )
