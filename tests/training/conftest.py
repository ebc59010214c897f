"""Small data and models for the tests of training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nnkit.layers.core import Dense
from nnkit.layers.input import Input
from nnkit.models import Model, Sequential

SPARSE = "sparse_categorical_crossentropy"


class Data:
    """50 samples of six features, with labels of three classes, one-hot rows and values."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self.x = random.normal(size=(50, 6)).astype("float32")
        self.labels = (self.x[:, 0] > 0).astype(int) + (self.x[:, 1] > 0.3)
        self.one_hot = np.eye(3, dtype="float32")[self.labels]
        self.values = (self.x @ random.normal(size=(6, 1))).astype("float32")
        self.weights = random.uniform(0.2, 2, 50).astype("float32")


@pytest.fixture
def data() -> Data:
    return Data()


def make_classifier(units: int = 3, activation: str | None = "softmax") -> Sequential:
    return Sequential([Input((6,)), Dense(8, "tanh"), Dense(units, activation)])


def make_two_outputs() -> Model:
    inputs = Input((6,))
    hidden = Dense(5, "tanh")(inputs)
    kind = Dense(3, "softmax", name="kind")(hidden)
    return Model(inputs, [kind, Dense(1, name="amount")(hidden)])


@pytest.fixture
def classifier() -> Sequential:
    """Not compiled."""
    return make_classifier()


@pytest.fixture
def compiled() -> Callable[..., Any]:
    """A classifier, compiled."""

    def make(loss: Any = SPARSE, optimizer: Any = "sgd", **more: Any) -> Sequential:
        model = make_classifier()
        model.compile(optimizer, loss, **more)
        return model

    return make
