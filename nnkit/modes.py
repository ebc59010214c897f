"""Training and inference mode for the length of a call."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = [
    "asked_mode", "hold_frozen", "in_mode", "is_marked", "is_settled", "join_mode", "mark_frozen",
    "needs_mode", "note_recorded",
]  # fmt: skip


class _Asked(threading.local):
    """The `training=` of the calls under way in this thread that gave one, the last one last."""

    def __init__(self) -> None:
        self.modes: list[bool] = []


_asked = _Asked()
# Whether a graph has recorded a `training=`: only then the calls of models have to be followed.
_recorded = [False]


def note_recorded() -> None:
    """Say that a graph holds a call that was made with `training=`."""
    _recorded[0] = True


def asked_mode(recorded: Any) -> Any:
    """The mode for a call in a graph: what the call of the model asks for, or what it recorded."""
    return _asked.modes[-1] if _asked.modes else recorded


@contextmanager
def in_mode(module: nn.Module, training: bool) -> Iterator[None]:
    """Inside, the module and all below it are in this mode; afterwards each is as it was."""
    _asked.modes.append(training)
    try:
        if _differs(module, training):
            with _switched(module, training):
                yield
        else:
            yield
    finally:
        _asked.modes.pop()


@contextmanager
def _switched(module: nn.Module, training: bool) -> Iterator[None]:
    before = [(each, each.training, is_settled(each)) for each in module.modules()]
    module.train(training)
    try:
        yield
    finally:
        for each, was, settled in before:
            each.training = was
            if settled != is_settled(each):
                each.__dict__["_settled"] = settled


def needs_mode(module: nn.Module, training: bool) -> bool:
    """Whether a call in this mode has to be made inside `in_mode`."""
    if _recorded[0] and asked_mode(None) is not training:
        return True
    return _differs(module, training)


def _differs(module: nn.Module, training: bool) -> bool:
    if module.training != training:
        return True
    # Augmentation in a model that was never switched is on, though the model is not.
    return not (training or is_settled(module)) and any(m.training for m in module.modules())


def is_settled(module: nn.Module) -> bool:
    """Whether all below the module was switched to inference mode, and joined it since."""
    return bool(module.__dict__.get("_settled", False))


def join_mode(child: nn.Module, parent: nn.Module) -> None:
    """Give a child, and all below it, the mode of what it becomes part of.

    A layer that starts on stays on, with all below it, unless the parent was switched off.
    """
    _join(child, parent.training, not is_settled(parent))


def _join(module: nn.Module, training: bool, may_start: bool) -> None:
    training = training or (may_start and getattr(module, "starts_in_training", False))
    module.training = training and not is_marked(module)
    for below in module.children():
        _join(below, training, may_start)


def mark_frozen(module: nn.Module, frozen: bool) -> None:
    """Note whether torch's batch normalization must stay in inference mode.

    A layer of ours knows by its `trainable`; a torch module has no such word.
    """
    if isinstance(module, _BatchNorm):
        module.__dict__["_frozen"] = frozen
        module.training = module.training and not frozen


def is_marked(module: nn.Module) -> bool:
    """Whether `mark_frozen` said so."""
    return bool(module.__dict__.get("_frozen", False))


def hold_frozen(module: nn.Module) -> None:
    """Take all that is frozen in a torch module back to inference mode."""
    for each in module.modules():
        if is_marked(each):
            each.training = False
