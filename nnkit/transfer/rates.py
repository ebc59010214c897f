"""A learning rate for each block of a network."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch

from nnkit.errors import ArgumentError, unknown_name
from nnkit.layer import Layer
from nnkit.models import Model
from nnkit.transfer.freezing import blocks

__all__ = ["block_rates"]


def block_rates(
    model: Model,
    rate: float,
    *,
    decay: float = 0.5,
    rates: Mapping[str, float] | None = None,
    optimizer: Any = torch.optim.Adam,
    **options: Any,
) -> Callable[[Iterable[torch.Tensor]], torch.optim.Optimizer]:
    """An optimizer for `compile` whose learning rate falls from the last block to the first.

    The first layers of a pretrained network hold what all pictures share, and need to move least.

    Args:
        model: the model to train; the blocks of models inside it count one by one.
        rate: of the last block.
        decay: what the rate is multiplied by from one block to the one before it.
        rates: {block: rate} where the rule does not do.
        optimizer: a class of torch.optim.
        options: its other arguments.

    Returns: a function from parameters to an optimizer with one group a block.
    Raises: ArgumentError for unknown blocks or a rate or decay that is no positive number.
    Example: `model.compile(block_rates(model, 1e-3, decay=0.3), "categorical_crossentropy")`
    """
    for word, value in (("rate", rate), ("decay", decay), *(rates or {}).items()):
        if not isinstance(value, (int, float)) or not 0 < value < float("inf"):
            raise ArgumentError(f"block_rates: {word} must be a positive number, got {value!r}.")
    groups = list(_groups(model))
    for name in rates or {}:
        if name not in dict(groups):
            raise unknown_name(f"block of {model.name!r}", name, dict(groups))
    found = {name: rate * decay**away for away, (name, _) in enumerate(reversed(groups))}
    found.update(rates or {})
    owners = {id(p): name for name, group in groups for each in group for p in each.parameters()}
    if "fused" in inspect.signature(optimizer).parameters:
        options.setdefault("fused", True)

    def make(parameters: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
        sorted_by_block: dict[str, list[torch.Tensor]] = {name: [] for name, _ in reversed(groups)}
        for parameter in parameters:
            sorted_by_block.setdefault(owners.get(id(parameter), ""), []).append(parameter)
        return optimizer(
            [
                {"params": held, "lr": found.get(name, rate), "name": name}
                for name, held in sorted_by_block.items()
                if held
            ],
            **options,
        )

    return make


def _groups(model: Model) -> Iterator[tuple[str, list[Layer]]]:
    """The blocks that have weights, those of models inside in their places."""
    for name, group in blocks(model).items():
        for layer in group:
            if isinstance(layer, Model) and len(layer.layers) > 1:
                yield from _groups(layer)
        plain = [layer for layer in group if not isinstance(layer, Model)]
        if any(layer.count_params() for layer in plain):
            yield name, plain
