"""The same seed gives the same run, bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from nnkit.layers.core import Dense
from nnkit.layers.input import Input
from nnkit.layers.regularization import Dropout, GaussianNoise
from nnkit.models import Sequential
from nnkit.random import set_random_seed
from tests.training.conftest import SPARSE, Data


def run(data: Data, seed: int, **arguments: Any) -> tuple[dict[str, Any], list[np.ndarray]]:
    set_random_seed(seed)
    layers = [Dense(16, "relu"), Dropout(0.3), GaussianNoise(0.1), Dense(3, "softmax")]
    model = Sequential([Input((6,)), *layers] if arguments.pop("built", True) else layers)
    model.compile("adam", SPARSE, metrics=["accuracy"])
    history = model.fit(
        data.x, data.labels, 8, epochs=3, validation_split=0.2, verbose=0, **arguments
    )
    return history.history, [*model.get_weights(), model.predict(data.x, verbose=0)]


def test_runs_repeat(data: Data) -> None:
    for arguments in ({}, {"built": False}, {"shuffle": "batch"}):
        first, second = run(data, 5, **arguments), run(data, 5, **arguments)
        assert first[0] == second[0]
        for one, other in zip(first[1], second[1], strict=True):
            np.testing.assert_array_equal(one, other)


def test_seeds_and_order_matter(data: Data) -> None:
    base = run(data, 5)[0]["loss"]
    assert base != run(data, 6)[0]["loss"]
    assert base != run(data, 5, shuffle=False)[0]["loss"]


def test_evaluate_and_predict_draw_nothing(data: Data) -> None:
    model = Sequential([Input((6,)), Dropout(0.5), Dense(3, "softmax")])
    model.compile("sgd", SPARSE)
    state = torch.random.get_rng_state()
    model.evaluate(data.x, data.labels, verbose=0)
    model.predict(data.x, verbose=0)
    assert torch.equal(state, torch.random.get_rng_state())


def test_unbuilt_and_built_models_start_alike(data: Data) -> None:
    """Building at the first batch draws the same weights as building from an Input."""
    weights = []
    for start in ([Input((6,))], []):
        set_random_seed(3)
        model = Sequential([*start, Dense(4), Dense(3)])
        model.predict(data.x, verbose=0)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)
