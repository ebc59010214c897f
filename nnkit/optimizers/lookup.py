"""Turn what a user gives `compile` as the optimizer into one, torch's own included."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from nnkit.errors import ArgumentError
from nnkit.optimizers.base import REGISTRY, Optimizer

__all__ = ["TorchFactory", "deserialize", "get", "serialize"]


class TorchFactory:
    """A torch optimizer that waits for its parameters.

    Args:
        make: a class of `torch.optim`, or a function from parameters to an optimizer, such as
            `functools.partial(torch.optim.AdamW, lr=1e-4)`.
    """

    def __init__(self, make: Callable[[list[Tensor]], Any]) -> None:
        self.make = make

    def build(self, params: Iterable[Tensor]) -> torch.optim.Optimizer:
        """The optimizer of these parameters.

        Raises: ArgumentError if the function returns something else.
        """
        made = self.make(list(params))
        if not isinstance(made, torch.optim.Optimizer):
            raise ArgumentError(
                f"The function given as optimizer must return a torch.optim.Optimizer, but "
                f"{self.make!r} returned {made!r}."
            )
        return made

    def __repr__(self) -> str:
        return f"TorchFactory({self.make!r})"


def get(identifier: Any) -> Any:
    """An optimizer, from anything that names or makes one.

    Args:
        identifier: None (stays None), a name in any case ("adam"), an optimizer of nnkit or torch
            (returned as it is), a class of nnkit, a config, or a torch class or a function from
            parameters to a torch optimizer (these give a `TorchFactory`).

    Raises: ArgumentError for an unknown name or anything else.
    """
    if isinstance(identifier, (torch.optim.Optimizer, TorchFactory)):
        return identifier
    is_class = inspect.isclass(identifier)
    if is_class and not issubclass(identifier, torch.optim.Optimizer):
        raise ArgumentError(f"{identifier.__name__} is not an optimizer.")
    if callable(identifier) and not (is_class and issubclass(identifier, Optimizer)):
        return TorchFactory(identifier)
    return REGISTRY.get(identifier)


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """The config of an optimizer, in Keras's form."""
    config: dict[str, Any] = REGISTRY.serialize(optimizer)
    return config


def deserialize(config: dict[str, Any], custom_objects: Any = None) -> Optimizer:
    """The optimizer of a config made by `serialize`, here or in Keras.

    Args:
        config: the dict.
        custom_objects: classes and functions by the names the config has for them.
    """
    optimizer: Optimizer = REGISTRY.deserialize(config, custom_objects)
    return optimizer
