"""One way to build a model, done in Keras and here: twins with the same weights."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np

from nnkit import constraints, initializers, losses, metrics, optimizers, regularizers
from nnkit.callbacks import Callback
from nnkit.layers import (
    batch_normalization,
    core,
    embedding,
    merging,
    pooling,
    recurrent,
    reshaping,
)
from nnkit.layers.convolution import Conv2D
from nnkit.layers.input import Input
from nnkit.layers.regularization import ActivityRegularization
from nnkit.models import Model, Sequential
from nnkit.optimizers import schedules

KERAS = SimpleNamespace(
    Model=keras.Model,
    Sequential=keras.Sequential,
    Input=keras.Input,
    Callback=keras.callbacks.Callback,
    losses=keras.losses,
    metrics=keras.metrics,
    optimizers=keras.optimizers,
    schedules=keras.optimizers.schedules,
    regularizers=keras.regularizers,
    constraints=keras.constraints,
    initializers=keras.initializers,
    **{
        name: getattr(keras.layers, name)
        for name in (
            *("Dense", "Concatenate", "Conv2D", "MaxPooling2D", "GlobalAveragePooling2D"),
            *("BatchNormalization", "Flatten", "LSTM", "Embedding", "ActivityRegularization"),
        )
    },
)
NNKIT = SimpleNamespace(
    Model=Model,
    Sequential=Sequential,
    Input=Input,
    Callback=Callback,
    losses=losses,
    metrics=metrics,
    optimizers=optimizers,
    schedules=schedules,
    regularizers=regularizers,
    constraints=constraints,
    initializers=initializers,
    Dense=core.Dense,
    Concatenate=merging.Concatenate,
    Conv2D=Conv2D,
    MaxPooling2D=pooling.MaxPooling2D,
    GlobalAveragePooling2D=pooling.GlobalAveragePooling2D,
    BatchNormalization=batch_normalization.BatchNormalization,
    Flatten=reshaping.Flatten,
    LSTM=recurrent.LSTM,
    Embedding=embedding.Embedding,
    ActivityRegularization=ActivityRegularization,
)

Build = Callable[[SimpleNamespace], Any]


def compiled_twins(build: Build, settings: Callable[[SimpleNamespace], dict[str, Any]]) -> Any:
    """(Keras's model, ours), compiled with `settings(kit)` and holding the same weights."""
    theirs, mine = build(KERAS), build(NNKIT)
    mine.set_weights(theirs.get_weights())
    theirs.compile(**settings(KERAS))
    mine.compile(**settings(NNKIT))
    return theirs, mine


def assert_same_weights(theirs: Any, mine: Any, tolerance: float = 1e-4) -> None:
    pairs = zip(mine.get_weights(), theirs.get_weights(), strict=True)
    for number, (one, other) in enumerate(pairs):
        np.testing.assert_allclose(
            one, other, rtol=tolerance, atol=tolerance, err_msg=f"weight {number}"
        )


def assert_same_logs(theirs: dict[str, Any], mine: dict[str, Any], tolerance: float = 1e-4) -> None:
    """The same names in the same order, with the same values."""
    assert list(mine) == list(theirs)
    for name, expected in theirs.items():
        np.testing.assert_allclose(
            mine[name], expected, rtol=tolerance, atol=tolerance, err_msg=name
        )


def fit_twins(
    build: Build,
    settings: Callable[[SimpleNamespace], dict[str, Any]],
    *data: Any,
    fits: int = 1,
    **arguments: Any,
) -> Any:
    """Fit both on the same data in the same order, assert that nothing differs, return them."""
    arguments = {"epochs": 3, "batch_size": 16, "shuffle": False, "verbose": 0, **arguments}
    theirs, mine = compiled_twins(build, settings)
    before = mine.get_weights()
    for _ in range(fits):
        expected = theirs.fit(*data, **arguments).history
        assert_same_logs(expected, mine.fit(*data, **arguments).history)
    assert_same_weights(theirs, mine)
    assert any((new != old).any() for new, old in zip(mine.get_weights(), before, strict=True))
    return theirs, mine
