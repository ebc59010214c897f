"""What is in training mode when: the switch, and layers that start switched on."""

from __future__ import annotations

import contextlib
from typing import Any

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


@pytest.mark.parametrize("recorded", [False, True])
def test_a_switched_model_is_not_searched_at_each_call(
    recorded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor when some graph of the process has recorded a `training=`."""
    model = nnkit.Sequential([nnkit.Input((2, 2, 1)), flip()])
    model.eval()
    monkeypatch.setattr("nnkit.modes._recorded", [recorded])

    def search(self: nn.Module) -> None:
        raise AssertionError("searched")

    monkeypatch.setattr(nn.Module, "modules", search)
    images = torch.rand(4, 2, 2, 1)
    assert torch.equal(model(images, training=False), images)
    assert needs_mode(model, False) == recorded


class Tells(layers.Layer):
    """1 in training, 2 in inference."""

    def call(self, inputs: torch.Tensor, training: bool = False) -> torch.Tensor:
        return inputs * 0 + (1 if training else 2)


class Holds(nnkit.Model):
    """Not a graph, but with one inside."""

    def __init__(self, inner: nnkit.Model) -> None:
        super().__init__()
        self.inner = inner

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.inner(inputs)


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("kind", ["layer", "inner", "outer", "held"])
def test_a_call_of_the_model_overrides_the_mode_that_a_graph_recorded(
    kind: str, recorded: bool
) -> None:
    x = nnkit.Input((1,))
    part: nnkit.Layer = nnkit.Sequential([nnkit.Input((1,)), Tells()])
    model = nnkit.Model(x, (Tells() if kind == "layer" else part)(x, training=recorded))
    if kind == "outer":
        y = nnkit.Input((1,))
        model = nnkit.Model(y, model(y))
    if kind == "held":
        model = Holds(model)
    ones = torch.ones(4, 1)
    assert (model(ones) == (1 if recorded else 2)).all()
    assert (model(ones, training=True) == 1).all()
    assert (model(ones, training=False) == 2).all()
    assert (model.predict(ones, verbose=0) == 2).all()
    assert (model(ones) == (1 if recorded else 2)).all()
    model.compile("sgd", "mse")
    assert model.evaluate(ones, ones, verbose=0) == 1  # (2 - 1) ** 2
    model.train()
    assert (model(ones) == (1 if recorded else 2)).all()


def test_fit_trains_what_a_graph_recorded_as_resting() -> None:
    """As Keras does, but not in silence; `trainable = False` keeps batch normalization at rest."""
    for trainable in (True, False):
        x = nnkit.Input((3,))
        norm = layers.BatchNormalization(trainable=trainable)
        model = nnkit.Model(x, layers.Dense(3)(norm(x, training=False)))
        model.compile("sgd", "mse")
        data = torch.rand(8, 3) + 3
        told = pytest.warns(UserWarning, match=r"training=False, but fit .* trainable = False")
        with told if trainable else contextlib.nullcontext():
            model.fit(data, data, verbose=0)
        assert (norm.moving_mean != 0).all() == trainable


def test_functions_of_torch_keep_their_own_argument() -> None:
    x = nnkit.Input((200,))
    model = nnkit.Model(x, torch.nn.functional.dropout(x, 0.5, training=True))
    assert (model.predict(torch.ones(1, 200), verbose=0) == 0).any()


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


class Doubling(nnkit.Layer):
    """On where nobody says otherwise, as its `call` says."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = layers.Dropout(0.5)

    def call(self, inputs: Any, training: bool = True, factor: float = 1.0) -> Any:
        return self.drop(inputs) * (2.0 if training else 1.0) * factor


def test_a_call_that_says_training_true_starts_so() -> None:
    x = torch.ones(1, 64)
    inputs = nnkit.Input((64,))
    for run in (
        Doubling(),
        nnkit.Sequential([Doubling()]),
        nnkit.Model(inputs, Doubling()(inputs)),
    ):
        assert sorted(run(x).unique().tolist()) == [0, 4]
        assert run(x, training=False).unique().tolist() == [1]
        assert sorted(run(x, training=True).unique().tolist()) == [0, 4]
        run.eval()
        assert run(x).unique().tolist() == [1]


def test_the_mode_by_position_reaches_all_below() -> None:
    layer, x = Doubling().eval(), torch.ones(1, 64)
    assert sorted(layer(x, True).unique().tolist()) == [0, 4]
    assert layer(x, False, 3.0).unique().tolist() == [3]
    assert layer(inputs=x, training=False, factor=2.0).unique().tolist() == [2]


def test_what_joins_a_layer_that_trains_trains() -> None:
    layer = Doubling().train()
    layer.drop = layers.Dropout(0.25)
    assert layer.drop.training
    layer.eval()
    layer.drop = layers.Dropout(0.25)
    assert not layer.drop.training
