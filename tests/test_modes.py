"""What is in training mode when: the switch, and layers that start switched on."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import nnkit
from nnkit import layers
from nnkit.modes import needs_mode


def flip() -> layers.Layer:
    return layers.RandomFlip("horizontal", seed=1)


def test_augmentation_is_on_until_the_model_is_switched() -> None:
    model = nnkit.Sequential([nnkit.Input((2, 2, 1)), flip()])
    images = torch.arange(256.0).reshape(64, 2, 2, 1)
    assert not torch.equal(model(images), images)
    assert torch.equal(model(images, training=False), images)
    assert not torch.equal(model(images), images)  # for that call only
    assert (model.predict(images, verbose=0) == images.numpy()).all()
    assert torch.equal(model(images), images)  # predict has switched it
    assert not torch.equal(model(images, training=True), images)


def test_a_switched_model_is_not_searched_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nnkit.Sequential([nnkit.Input((2, 2, 1)), flip()])
    model.eval()

    def search(self: nn.Module) -> None:
        raise AssertionError("searched")

    monkeypatch.setattr(nn.Module, "modules", search)
    assert not needs_mode(model, False)


class Own(nnkit.Model):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nnkit.Sequential([layers.Flatten()])


def test_what_joins_a_switched_model_is_switched_off() -> None:
    model = Own()
    model.eval()
    late, later = flip(), flip()
    model.late = late
    model.inner.add(later)
    assert not late.training
    assert not later.training
    model.train()
    assert late.training
    assert later.training
    other = Own()
    other.flip = flip()
    assert other.flip.training  # nobody has switched that one
