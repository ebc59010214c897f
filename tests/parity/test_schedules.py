"""Learning rate schedules against real Keras, at many steps."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np
import pytest
import torch

from nnkit.optimizers import schedules as ours

CASES: list[tuple[str, dict[str, Any]]] = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9}),
    (
        "ExponentialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5, "staircase": True},
    ),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 4, "decay_rate": 0.5}),
    (
        "InverseTimeDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 4, "decay_rate": 0.5, "staircase": True},
    ),
    ("PiecewiseConstantDecay", {"boundaries": [5, 20], "values": [1.0, 0.5, 0.1]}),
    ("PiecewiseConstantDecay", {"boundaries": [3], "values": [1e-3, 1e-4]}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 30}),
    (
        "PolynomialDecay",
        {
            "initial_learning_rate": 0.1,
            "decay_steps": 9,
            "end_learning_rate": 0.01,
            "power": 0.5,
            "cycle": True,
        },
    ),
    (
        "PolynomialDecay",
        {"initial_learning_rate": 0.01, "decay_steps": 9, "end_learning_rate": 0.1, "power": 2.0},
    ),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 40}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 40, "alpha": 0.2}),
    (
        "CosineDecay",
        {
            "initial_learning_rate": 0.01,
            "decay_steps": 30,
            "alpha": 0.1,
            "warmup_target": 0.1,
            "warmup_steps": 8,
        },
    ),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 5}),
    (
        "CosineDecayRestarts",
        {
            "initial_learning_rate": 0.1,
            "first_decay_steps": 7,
            "t_mul": 1.0,
            "m_mul": 0.8,
            "alpha": 0.1,
        },
    ),
    (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.1, "first_decay_steps": 7, "t_mul": 1.5, "m_mul": 0.5},
    ),
]
STEPS = [*range(120), 1000]


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_values(name: str, arguments: dict[str, Any]) -> None:
    theirs = getattr(keras.optimizers.schedules, name)(**arguments)
    schedule = getattr(ours, name)(**arguments)
    expected = [float(theirs(torch.tensor(step))) for step in STEPS]
    # Keras computes in float32, where the number of falls so far and the part of the last one
    # share the digits.
    np.testing.assert_allclose([schedule(step) for step in STEPS], expected, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_config(name: str, arguments: dict[str, Any]) -> None:
    theirs = getattr(keras.optimizers.schedules, name)(**arguments)
    schedule = getattr(ours, name)(**arguments)
    assert schedule.get_config() == theirs.get_config()
    serialized = keras.optimizers.schedules.serialize(theirs)
    assert ours.serialize(schedule) == serialized
    assert ours.deserialize(serialized)(13) == schedule(13)


@pytest.mark.parametrize("name", sorted({name for name, _ in CASES}))
def test_arguments_and_defaults(name: str) -> None:
    def defaults(schedule: type) -> list[tuple[str, Any]]:
        arguments = inspect.signature(schedule).parameters.values()
        return [(argument.name, argument.default) for argument in arguments]

    assert defaults(getattr(ours, name)) == defaults(getattr(keras.optimizers.schedules, name))
