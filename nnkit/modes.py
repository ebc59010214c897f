"""Training and inference mode for the length of a call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

__all__ = ["in_mode"]


@contextmanager
def in_mode(module: nn.Module, training: bool) -> Iterator[None]:
    """Inside, the module and all below it are in this mode; afterwards each is as it was."""
    before = [(each, each.training) for each in module.modules()]
    module.train(training)
    try:
        yield
    finally:
        for each, was in before:
            each.training = was
