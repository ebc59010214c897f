"""AdamW that needs no schedule, since it averages the parameters as it goes."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor

from nnkit.arguments import number
from nnkit.optimizers.base import REGISTRY, Optimizer
from nnkit.optimizers.plan import Plan, scale_
from nnkit.optimizers.settings import Common

__all__ = ["ScheduleFreeAdamW"]


@REGISTRY.add()
class ScheduleFreeAdamW(Optimizer):
    """Adam on a fast sequence, while the parameters lie between it and its running mean.

    Keras on torch reads the fast sequence after it has moved, by mistake. The numbers here are
    those of the paper, and of Keras's other backends.

    Args:
        learning_rate: a number, a schedule or a function of the step.
        beta_1: how near (above 0, to 1) the parameters are to the mean.
        beta_2: the part (0 to 1) of the mean squared gradient that stays at each update.
        epsilon: added to the root of the squares.
        warmup_steps: updates over which the learning rate rises from 0.
        weight_decay, common: see `Optimizer`.

    Source: Defazio et al., 2024, arXiv:2405.15682.
    """

    def __init__(
        self,
        learning_rate: Any = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
        weight_decay: float | None = None,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, weight_decay, **common)
        self.beta_1 = number(self, "beta_1", beta_1, above=0, most=1)
        self.beta_2 = number(self, "beta_2", beta_2, 0, below=1)
        self.epsilon = number(self, "epsilon", epsilon, 0)
        self.warmup_steps = number(self, "warmup_steps", warmup_steps, 0)

    def slots(self) -> dict[str, float]:
        return {"momentum": 0.0, "velocity": 0.0}

    def new_state(self, param: Tensor) -> dict[str, Tensor]:
        # The fast sequence begins where the parameters are.
        return {**super().new_state(param), "momentum": param.detach().clone()}

    def update(self, plan: Plan, grads: list[Tensor], learning_rate: float) -> None:
        fast, squares = plan.slots
        step = self.iterations + 1
        rate = learning_rate * min(step / (self.warmup_steps or 1), 1.0)
        torch._foreach_lerp_(squares, torch._foreach_mul(grads, grads), 1 - self.beta_2)
        divisors = torch._foreach_div(squares, 1 - self.beta_2**step)
        torch._foreach_sqrt_(divisors)
        torch._foreach_add_(divisors, self.epsilon)
        # The mean, found back from where the parameters lie between the two.
        means = plan.params
        torch._foreach_sub_(means, fast, alpha=1 - self.beta_1)
        scale_(means, 1 / self.beta_1)
        torch._foreach_addcdiv_(fast, grads, divisors, -rate)
        torch._foreach_lerp_(means, fast, 1 / step)
        torch._foreach_lerp_(means, fast, 1 - self.beta_1)

    def get_config(self) -> dict[str, Any]:
        names = ("beta_1", "beta_2", "epsilon", "warmup_steps")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
