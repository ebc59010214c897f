"""Muon."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor

from nnkit.arguments import number, positive
from nnkit.errors import ArgumentError
from nnkit.optimizers.adam import unfused_adam
from nnkit.optimizers.base import REGISTRY, Optimizer
from nnkit.optimizers.checks import epsilon_of
from nnkit.optimizers.plan import Plan
from nnkit.optimizers.settings import Common
from nnkit.optimizers.stateful import names_of

__all__ = ["Muon"]


@REGISTRY.add()
class Muon(Optimizer):
    """Momentum made orthogonal, for matrices; `AdamW` for all other weights.

    Args:
        learning_rate: a number, a schedule or a function of the step.
        adam_beta_1, adam_beta_2, epsilon, adam_weight_decay: of the Adam part.
        weight_decay: of the matrices.
        exclude_layers: matrices with one of these texts in their name use Adam; name the output
            layer here. Needs names, see `build`.
        exclude_embeddings: so do those with "embedding" in their name.
        muon_a, muon_b, muon_c: coefficients of the iteration that makes a matrix orthogonal.
        adam_lr_ratio: the Adam part's learning rate, relative to the other.
        momentum: the part (0 to 1) of the momentum that stays at each update.
        ns_steps: iterations.
        nesterov: look ahead along the momentum.
        rms_rate: size of a step's elements, relative to the rate; None for steps as they come.
        common: see `Optimizer`.

    Source: Jordan et al., Muon (2024); Liu et al., Muon is Scalable (2025).
    """

    interleaved: ClassVar[int] = 3

    def __init__(
        self,
        learning_rate: Any = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float | None = 0.004,
        *,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.7750,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, weight_decay, **common)
        self.adam_beta_1 = number(self, "adam_beta_1", adam_beta_1, 0, below=1)
        self.adam_beta_2 = number(self, "adam_beta_2", adam_beta_2, 0, below=1)
        self.adam_weight_decay = (
            number(self, "adam_weight_decay", adam_weight_decay, 0) if adam_weight_decay else None
        )
        self.epsilon = epsilon_of(self, epsilon)
        words = () if exclude_layers is None else exclude_layers
        if not isinstance(words, (list, tuple)) or not all(isinstance(w, str) for w in words):
            raise ArgumentError(
                f"Muon: exclude_layers must be a list of words, got {exclude_layers!r}."
            )
        self.exclude_layers = list(words)
        self.exclude_embeddings = exclude_embeddings
        self.muon_a = number(self, "muon_a", muon_a)
        self.muon_b = number(self, "muon_b", muon_b)
        self.muon_c = number(self, "muon_c", muon_c)
        self.adam_lr_ratio = number(self, "adam_lr_ratio", adam_lr_ratio, 0)
        self.momentum = number(self, "momentum", momentum, 0, 1)
        self.ns_steps = positive(self, "ns_steps", ns_steps)
        self.nesterov = nesterov
        self.rms_rate = rms_rate if rms_rate is None else number(self, "rms_rate", rms_rate, 0)
        self._with_adam: list[Tensor] = []

    @property
    def decaying(self) -> bool:
        return bool(self.weight_decay or self.adam_weight_decay)

    def build(self, params: Iterable[Tensor], names: Iterable[str] | None = None) -> None:
        params = list(params)
        named = names_of(params, names)
        if self.exclude_layers and named is None:
            raise ArgumentError(
                "Muon(exclude_layers=...) needs the parameters' names: build(params, names)."
            )
        self._with_adam = [
            param
            for param, name in zip(params, named or [""] * len(params), strict=False)
            if param.ndim != 2
            or (self.exclude_embeddings and "embedding" in name.lower())
            or any(re.search(text, name) for text in self.exclude_layers)
        ]
        super().build(params, named)

    def new_state(self, param: Tensor) -> dict[str, Tensor]:
        adam = any(param is other for other in self._with_adam)
        names = ["momentum", "velocity"] if adam else ["momentum"]
        return {name: torch.zeros_like(param, requires_grad=False) for name in names}

    def decay_weights(self, plan: Plan, learning_rate: float) -> None:
        for param in plan.decayed:
            adam = "velocity" in self.state[param]
            decay = self.adam_weight_decay if adam else self.weight_decay
            if decay:
                param.mul_(1 - decay * learning_rate)

    def update(self, plan: Plan, grads: list[Tensor], learning_rate: float) -> None:
        adam = []
        for param, grad in zip(plan.params, grads, strict=True):
            state = self.state[param]
            if "velocity" in state:
                adam.append((param, grad, state["momentum"], state["velocity"]))
                continue
            momentum = state["momentum"].mul_(self.momentum).add_(grad)
            ahead = grad.add(momentum, alpha=self.momentum) if self.nesterov else momentum
            size = 1.0 if self.rms_rate is None else self.rms_rate * math.sqrt(max(param.shape))
            param.add_(self._orthogonal(ahead), alpha=-learning_rate * size)
        if adam:
            step, betas = self.iterations + 1, (self.adam_beta_1, self.adam_beta_2)
            correction = math.sqrt(1 - betas[1] ** step) / (1 - betas[0] ** step)
            rate = learning_rate * self.adam_lr_ratio * correction
            params, own, momentums, velocities = (
                list(column) for column in zip(*adam, strict=True)
            )
            unfused_adam((params, own, momentums, velocities), betas, self.epsilon, rate)

    def _orthogonal(self, matrix: Tensor) -> Tensor:
        """Roughly the nearest matrix with orthonormal rows or columns, by Newton and Schulz."""
        tall = matrix.shape[0] > matrix.shape[1]
        x = matrix.T if tall else matrix
        x = x / (torch.linalg.matrix_norm(x) + 1e-7)
        for _ in range(self.ns_steps):
            square = x @ x.T
            x = self.muon_a * x + (self.muon_b * square + self.muon_c * square @ square) @ x
        return x.T if tall else x

    def get_config(self) -> dict[str, Any]:
        names = (
            "adam_beta_1 adam_beta_2 epsilon exclude_layers muon_a muon_b muon_c adam_lr_ratio "
            "momentum ns_steps nesterov exclude_embeddings adam_weight_decay rms_rate"
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}
