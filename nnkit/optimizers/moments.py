"""What optimizers share that keep a mean gradient and a measure of its size."""

from __future__ import annotations

from typing import Any, Unpack

from nnkit.arguments import number
from nnkit.optimizers.base import Optimizer
from nnkit.optimizers.checks import epsilon_of
from nnkit.optimizers.settings import Common

__all__ = ["TwoMoments"]


class TwoMoments(Optimizer):
    """The base of Adam and its kin.

    Args:
        learning_rate: a number, a schedule or a function of the step.
        beta_1: the part (0 to 1) of the mean gradient that stays at each update.
        beta_2: the same for the measure of its size.
        epsilon: keeps a division from being one by zero.
        weight_decay, common: see `Optimizer`.
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

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
