"""Adafactor."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor

from nnkit.arguments import number
from nnkit.layouts import Layout
from nnkit.optimizers.base import REGISTRY, Optimizer
from nnkit.optimizers.plan import Plan
from nnkit.optimizers.settings import Common

__all__ = ["Adafactor"]


@REGISTRY.add()
class Adafactor(Optimizer):
    """`Adam` with little memory: the mean square of a matrix is kept as one row and one column.

    Args:
        learning_rate: a number, a schedule or a function of the step.
        beta_2_decay: how fast (0 or less) the mean squared gradient becomes long-term.
        epsilon_1: added to the squared gradient.
        epsilon_2: the least size of a weight when steps are made proportional to it.
        clip_threshold: the largest root mean square of a step, before the learning rate.
        relative_step: kept for Keras's sake; the rate is at most `1 / sqrt(step)` in any case.
        weight_decay, common: see `Optimizer`.

    Source: Shazeer and Stern, Adafactor (2018).
    """

    interleaved: ClassVar[int] = 3

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
        weight_decay: float | None = None,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, weight_decay, **common)
        self.beta_2_decay = number(self, "beta_2_decay", beta_2_decay, most=0)
        self.epsilon_1 = number(self, "epsilon_1", epsilon_1, 0)
        self.epsilon_2 = number(self, "epsilon_2", epsilon_2, 0)
        self.clip_threshold = number(self, "clip_threshold", clip_threshold, 0)
        self.relative_step = relative_step

    def new_state(self, param: Tensor) -> dict[str, Tensor]:
        shape = _layout(param).to_keras(param).shape
        if len(shape) < 2:
            return {"velocity": torch.zeros_like(param, requires_grad=False)}
        row, column = shape[:-1], shape[:-2] + shape[-1:]
        return {"row": param.detach().new_zeros(row), "column": param.detach().new_zeros(column)}

    def update(self, plan: Plan, grads: list[Tensor], learning_rate: float) -> None:
        step = self.iterations + 1
        rate = min(learning_rate, 1 / math.sqrt(step))
        new = step**self.beta_2_decay
        for param, grad in zip(plan.params, grads, strict=True):
            state = self.state[param]
            squares = grad.square().add_(self.epsilon_1)
            if "velocity" in state:
                velocity = state["velocity"].lerp_(squares, new)
            else:
                layout = _layout(param)
                squares = layout.to_keras(squares)
                row = state["row"].lerp_(squares.mean(-1), new)
                column = state["column"].lerp_(squares.mean(-2), new)
                share = row / row.mean(-1, keepdim=True)
                velocity = layout.as_torch(share.unsqueeze(-1) * column.unsqueeze(-2))
            change = grad / velocity.sqrt()
            size = _rms(param).clamp_min(self.epsilon_2) * -rate
            param.addcmul_(change, size / (_rms(change) / self.clip_threshold).clamp_min(1))

    @property
    def variables(self) -> list[Tensor]:
        """As of any optimizer, with what only Keras keeps: row, column and velocity in any case.

        It has numbers for those of a vector, and makes the velocity of a matrix anew in each step.
        """
        owners = {id(tensor): p for p, state in self.state.items() for tensor in state.values()}
        found = []
        for tensor in super().variables:
            param = owners.get(id(tensor))
            state = {} if param is None else self.state[param]
            if tensor is state.get("velocity"):
                found += [tensor.new_zeros(()), tensor.new_zeros(())]
            found.append(tensor)
            if param is not None and tensor is state.get("column"):
                found.append(tensor.new_zeros(()).expand(_layout(param).to_keras(param).shape))
        return found

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_2_decay": self.beta_2_decay,
            "epsilon_1": self.epsilon_1,
            "epsilon_2": self.epsilon_2,
            "clip_threshold": self.clip_threshold,
            "relative_step": self.relative_step,
        }


def _layout(param: Tensor) -> Layout:
    """In which the last two axes are those of the rows and columns.

    `fit` marks the weights of layers. Of any other tensor the first two are the channels.
    """
    first = tuple(range(min(param.ndim, 2)))
    layout: Layout = getattr(param, "keras_layout", Layout(*range(2, param.ndim), *first))
    return layout


def _rms(values: Tensor) -> Tensor:
    return values.square().mean().sqrt()
