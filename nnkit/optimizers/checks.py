"""Checks of what a user gives an optimizer."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor

from nnkit import config
from nnkit.arguments import number, positive
from nnkit.errors import ArgumentError, unknown_name
from nnkit.legacy import warn_once
from nnkit.optimizers.schedules import SCHEDULES, LearningRateSchedule

__all__ = [
    "check_clipping",
    "count_of",
    "epsilon_of",
    "learning_rate",
    "of_step",
    "reject_unknown",
]

_DECAY = (
    "it is ignored, as in Keras 3. For a rate that falls with each update write "
    "learning_rate=schedules.InverseTimeDecay(rate, decay_steps=1, decay_rate=decay); for decay "
    "of the weights use weight_decay=."
)


def learning_rate(owner: str, value: Any) -> float | Callable[..., Any]:
    """The value as a Python float, a schedule or a function.

    Args:
        owner: the optimizer's class, for messages.
        value: a number, a schedule, its config, or a function of the step or of nothing.

    Raises: ArgumentError if it is none of them, or a number that is NaN, infinite or negative.
    """
    if isinstance(value, dict) and "class_name" in value:
        value = SCHEDULES.deserialize(value)
    if isinstance(value, LearningRateSchedule):
        return value
    if getattr(value, "ndim", None) == 0 or (
        hasattr(value, "dtype") and not hasattr(value, "ndim")
    ):
        value = value.item()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not math.isfinite(value) or value < 0:
            raise ArgumentError(
                f"The learning rate must be finite and at least 0, received {value!r}."
            )
        return float(value)
    if isinstance(value, (Tensor, Iterable)) and not isinstance(value, (str, dict)):
        raise ArgumentError(
            f"{owner} is made without parameters, {owner}(learning_rate=0.001): compile() or "
            f"build(parameters) gives them later. For torch's own way use torch.optim."
        )
    if callable(value):
        return value
    raise ArgumentError(
        f"The learning rate must be a number, a LearningRateSchedule or a function of the step; "
        f"received {value!r}."
    )


def of_step(function: Callable[..., Any]) -> Callable[[int], float]:
    """A schedule or a user's function, of the step or of nothing, as one from step to float."""
    if isinstance(function, LearningRateSchedule):
        return function.value_at
    needed = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if needed:
        return lambda step: float(function(step))
    return lambda step: float(function())


def epsilon_of(who: Any, value: Any) -> float:
    """A small number, not negative; None, as programs for Keras 2 write it, is the default."""
    if value is None:
        warn_once("epsilon=None", "leave it out.")
        return config.epsilon()
    return float(number(who, "epsilon", value, 0))


def check_clipping(who: Any, **limits: Any) -> None:
    """At most one way of clipping, with a positive limit."""
    given = {name: limit for name, limit in limits.items() if limit is not None}
    if len(given) > 1:
        written = ", ".join(f"{name}={limit!r}" for name, limit in given.items())
        raise ArgumentError(f"Choose one of {', '.join(limits)}; received {written}.")
    for name, limit in given.items():
        number(who, name, limit, above=0)


def count_of(who: Any, name: str, value: Any, least: int) -> int | None:
    """A whole number from `least`, or None."""
    return None if value is None else positive(who, name, value, least=least)


def reject_unknown(owner: type, arguments: dict[str, Any]) -> None:
    """Raise for the first argument the optimizer does not have."""
    if arguments.pop("decay", None):
        warn_once(f"{owner.__name__}(decay=)", _DECAY)
    for name in arguments:
        known = [known for known in inspect.signature(owner).parameters if known != "kwargs"]
        raise unknown_name(f"argument of {owner.__name__}", name, known)
