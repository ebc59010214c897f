"""Learning rates that change with the step, under the names of `keras.optimizers.schedules`.

A schedule is called with the number of updates made so far. The built-in ones are plain Python
arithmetic: an int gives a float, a tensor or an array gives a tensor of the same shape.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnkit.arguments import number
from nnkit.errors import ArgumentError
from nnkit.registry import Registry

__all__ = [
    "SCHEDULES",
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "get",
    "serialize",
]

SCHEDULES = Registry("learning rate schedule", "keras.optimizers.schedules")


class LearningRateSchedule:
    """The base of all schedules; write `__call__(self, step)` to make one.

    `step` arrives as an integer tensor without axes, so torch's functions work on it and
    `step ** -0.5` is infinite at step 0 instead of an error. Add `get_config` to be able to save
    it.

    Example:
        class Halving(LearningRateSchedule):
            def __call__(self, step):
                return 0.1 * 0.5 ** (step / 1000)
    """

    def __call__(self, step: Any) -> Any:
        raise NotImplementedError(
            f"The learning rate schedule {type(self).__name__} needs a method __call__(self, step)."
        )

    def value_at(self, step: int) -> float:
        """The learning rate after `step` updates, as a Python float."""
        return float(self(torch.tensor(step)))

    def get_config(self) -> dict[str, Any]:
        """The arguments this schedule was made with."""
        raise NotImplementedError(
            f"The learning rate schedule {type(self).__name__} needs a method get_config(self), "
            f"returning its arguments as a dict, before it can be saved."
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LearningRateSchedule:
        """The schedule of a config made by `get_config`."""
        return cls(**config)


class _Formula(LearningRateSchedule):
    """A schedule given by a formula on Python floats."""

    def __init__(self, name: str, **config: Any) -> None:
        self.name = name
        self._config = {**config, "name": name}
        vars(self).update(config)

    def _at(self, step: float) -> float:
        raise NotImplementedError

    def __call__(self, step: Any) -> Any:
        if isinstance(step, (int, float)):
            return self._at(step)
        steps = torch.as_tensor(step)
        values = [self._at(value) for value in steps.flatten().tolist()]
        return torch.tensor(values, dtype=torch.float32, device=steps.device).reshape(steps.shape)

    def value_at(self, step: int) -> float:
        return self._at(step)

    def get_config(self) -> dict[str, Any]:
        return dict(self._config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self._config.items())
        return f"{type(self).__name__}({arguments})"


@SCHEDULES.add()
class ExponentialDecay(_Formula):
    """Multiply the rate by `decay_rate` every `decay_steps` updates.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: updates it takes to decay once.
        decay_rate: the factor of one decay.
        staircase: decay at once after `decay_steps` instead of a little at each update.
    """

    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        super().__init__(
            name,
            initial_learning_rate=number(self, "initial_learning_rate", initial_learning_rate, 0),
            decay_steps=number(self, "decay_steps", decay_steps, above=0),
            decay_rate=number(self, "decay_rate", decay_rate, 0),
            staircase=staircase,
        )

    def _at(self, step: float) -> float:
        decays = step / self.decay_steps
        return self.initial_learning_rate * float(
            self.decay_rate ** (math.floor(decays) if self.staircase else decays)
        )


@SCHEDULES.add()
class InverseTimeDecay(_Formula):
    """Divide the rate by `1 + decay_rate * step / decay_steps`.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: updates until the divisor has grown by `decay_rate`.
        decay_rate: growth of the divisor.
        staircase: change only at multiples of `decay_steps`.
    """

    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        super().__init__(
            name,
            initial_learning_rate=number(self, "initial_learning_rate", initial_learning_rate, 0),
            decay_steps=number(self, "decay_steps", decay_steps, above=0),
            decay_rate=number(self, "decay_rate", decay_rate, 0),
            staircase=staircase,
        )

    def _at(self, step: float) -> float:
        decays = step / self.decay_steps
        if self.staircase:
            decays = math.floor(decays)
        return self.initial_learning_rate / (1 + self.decay_rate * decays)


@SCHEDULES.add()
class PiecewiseConstantDecay(_Formula):
    """One rate up to and including each boundary, the last one after the last boundary.

    Args:
        boundaries: rising step numbers.
        values: the rates, one more than there are boundaries.

    Raises: ArgumentError if the lengths do not fit or the boundaries do not rise.
    """

    boundaries: Sequence[float]
    values: Sequence[float]

    def __init__(
        self,
        boundaries: Sequence[float],
        values: Sequence[float],
        name: str = "PiecewiseConstant",
    ) -> None:
        for what, given in (("boundaries", boundaries), ("values", values)):
            if not isinstance(given, (Sequence, np.ndarray, Tensor)) or isinstance(given, str):
                raise ArgumentError(f"{what} must be a list of numbers, received {given!r}.")
            for one in given:
                number(self, f"each of {what}", one, 0)
        if len(boundaries) != len(values) - 1:
            raise ArgumentError(
                f"values needs one entry more than boundaries, received {len(boundaries)} "
                f"boundaries and {len(values)} values."
            )
        if any(low >= high for low, high in itertools.pairwise(boundaries)):
            raise ArgumentError(f"boundaries must rise, received {list(boundaries)}.")
        super().__init__(name, boundaries=boundaries, values=values)

    def _at(self, step: float) -> float:
        return float(self.values[sum(step > boundary for boundary in self.boundaries)])


@SCHEDULES.add()
class PolynomialDecay(_Formula):
    """Go from one rate to another along a polynomial, a straight line by default.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: updates until `end_learning_rate` is reached.
        end_learning_rate: the last rate.
        power: of the polynomial.
        cycle: start again from a higher rate after `decay_steps`, each time for longer, instead of
            staying at the end.
    """

    initial_learning_rate: float
    decay_steps: int
    end_learning_rate: float
    power: float
    cycle: bool

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        super().__init__(
            name,
            initial_learning_rate=number(self, "initial_learning_rate", initial_learning_rate, 0),
            decay_steps=number(self, "decay_steps", decay_steps, above=0),
            end_learning_rate=number(self, "end_learning_rate", end_learning_rate, 0),
            power=number(self, "power", power, 0),
            cycle=cycle,
        )

    def _at(self, step: float) -> float:
        span: float = self.decay_steps
        if self.cycle:
            span *= max(1, math.ceil(step / span))
        left = 1 - min(step, span) / span
        drop = self.initial_learning_rate - self.end_learning_rate
        return float(drop * left**self.power + self.end_learning_rate)


@SCHEDULES.add()
class CosineDecay(_Formula):
    """Fall along half a cosine, after a straight warm-up if there is a `warmup_target`.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: updates of the fall, not counting the warm-up.
        alpha: the last rate as a fraction (0 to 1) of the highest.
        warmup_target: the rate at the end of the warm-up; None for no warm-up.
        warmup_steps: updates of the warm-up.

    Source: Loshchilov and Hutter, SGDR (2016); Goyal et al. (2017) for the warm-up.
    """

    initial_learning_rate: float
    decay_steps: int
    alpha: float
    warmup_target: float | None
    warmup_steps: int

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        if warmup_target is None and warmup_steps:
            warnings.warn(
                f"CosineDecay has warmup_steps={warmup_steps} but no warmup_target, so there is no "
                f"warm-up. Give the rate to reach: warmup_target=1e-3.",
                UserWarning,
                stacklevel=2,
            )
        super().__init__(
            name,
            initial_learning_rate=number(self, "initial_learning_rate", initial_learning_rate, 0),
            decay_steps=number(self, "decay_steps", decay_steps, above=0),
            alpha=number(self, "alpha", alpha, 0),
            warmup_target=None
            if warmup_target is None
            else number(self, "warmup_target", warmup_target, 0),
            warmup_steps=number(self, "warmup_steps", warmup_steps, 0),
        )

    def _at(self, step: float) -> float:
        top = self.initial_learning_rate
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return (self.warmup_target - top) * step / self.warmup_steps + top
            top = self.warmup_target
            step -= self.warmup_steps
        cosine = 0.5 * (1 + math.cos(math.pi * min(step, self.decay_steps) / self.decay_steps))
        return top * ((1 - self.alpha) * cosine + self.alpha)


@SCHEDULES.add()
class CosineDecayRestarts(_Formula):
    """Fall along half a cosine, jump back up, fall again, each time for longer.

    Args:
        initial_learning_rate: the rate at step 0.
        first_decay_steps: updates of the first fall.
        t_mul: each fall takes this many times the updates of the one before (at least 1).
        m_mul: each fall starts at this fraction of the rate the one before started at.
        alpha: the lowest rate as a fraction (0 to 1) of the initial one.

    Source: Loshchilov and Hutter, SGDR (2016).
    """

    initial_learning_rate: float
    first_decay_steps: int
    t_mul: float
    m_mul: float
    alpha: float

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        super().__init__(
            name,
            initial_learning_rate=number(self, "initial_learning_rate", initial_learning_rate, 0),
            first_decay_steps=number(self, "first_decay_steps", first_decay_steps, above=0),
            t_mul=number(self, "t_mul", t_mul, 1),
            m_mul=number(self, "m_mul", m_mul, 0),
            alpha=number(self, "alpha", alpha, 0),
        )

    def _at(self, step: float) -> float:
        done = step / self.first_decay_steps
        if self.t_mul == 1:
            restarts = math.floor(done)
            done -= restarts
        else:
            # The small number keeps a step that is exactly a restart from being rounded down.
            logarithm = math.log1p(done * (self.t_mul - 1)) / math.log(self.t_mul)
            restarts = math.floor(logarithm + 1e-9)
            length = self.t_mul**restarts
            done = (done - (length - 1) / (self.t_mul - 1)) / length
        cosine = 0.5 * self.m_mul**restarts * (1 + math.cos(math.pi * done))
        return float(self.initial_learning_rate * ((1 - self.alpha) * cosine + self.alpha))


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """The config of a schedule, in Keras's form."""
    config: dict[str, Any] = SCHEDULES.serialize(learning_rate_schedule)
    return config


def deserialize(config: dict[str, Any], custom_objects: Any = None) -> LearningRateSchedule:
    """The schedule of a config made by `serialize`, here or in Keras.

    Args:
        config: the dict.
        custom_objects: classes and functions by the names the config has for them.
    """
    schedule: LearningRateSchedule = SCHEDULES.deserialize(config, custom_objects)
    return schedule


def get(identifier: Any) -> Any:
    """A schedule from a config, or the object itself."""
    return SCHEDULES.get(identifier)
