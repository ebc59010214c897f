"""Want of memory: the error names a batch size that fits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import nnkit
from nnkit import layers

X = np.zeros((64, 3), "float32")
CPU = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes."


class Greedy(nnkit.Layer):
    """Takes a few samples at once, in training or always."""

    def __init__(self, error: BaseException, most: int, only_training: bool = False) -> None:
        super().__init__()
        self.error, self.most, self.only_training = error, most, only_training

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if (
            inputs.shape[0] > self.most
            and not inputs.is_meta
            and (training or not self.only_training)
        ):
            raise self.error
        return inputs

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


def make(error: BaseException, most: int = 8, **options: Any) -> Any:
    inputs = nnkit.Input((3,))
    hidden = layers.BatchNormalization()(Greedy(error, most, **options)(inputs))
    model = nnkit.Model(inputs, layers.Dense(1)(layers.Dropout(0.5)(hidden)))
    model.compile("sgd", "mse", metrics=["mae"])
    return model


ERRORS = [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError(CPU), MemoryError()]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_fit(error: BaseException) -> None:
    model = make(error)
    before = [each.clone() for each in (*model.parameters(), *model.buffers())]
    with pytest.raises(
        type(error), match=r"ran out of memory on 64 samples. batch_size=8 fits."
    ) as e:
        model.fit(X, X[:, :1], batch_size=64, verbose=0)
    assert e.value.__cause__ is error
    after = [*model.parameters(), *model.buffers()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert not model.training
    model.fit(X, X[:, :1], batch_size=8, verbose=0)


def test_evaluate() -> None:
    with pytest.raises(RuntimeError, match=r"on 32 samples. batch_size=8 fits."):
        make(RuntimeError(CPU)).evaluate(X, X[:, :1], verbose=0)


def test_predict() -> None:
    with pytest.raises(RuntimeError, match=r"on 32 samples. batch_size=4 fits."):
        make(RuntimeError(CPU), 7).predict(X, verbose=2)


def test_training_needs_more() -> None:
    with pytest.raises(MemoryError, match=r"on 32 samples. batch_size=16 fits."):
        make(MemoryError(), 16, only_training=True).fit(X, X[:, :1], verbose=0)


def test_nothing_fits() -> None:
    with pytest.raises(RuntimeError, match="Not even one sample fits"):
        make(RuntimeError(CPU), 0).fit(X, X[:, :1], verbose=0)


def test_other_errors_come_as_they_are() -> None:
    error = RuntimeError("something else")
    with pytest.raises(RuntimeError, match=r"^something else$") as caught:
        make(error).fit(X, X[:, :1], verbose=0)
    assert caught.value is error


@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("train_step", lambda model: model.fit(X, X[:, :1], verbose=0)),
        ("test_step", lambda model: model.evaluate(X, X[:, :1], verbose=0)),
        ("predict_step", lambda model: model.predict(X, verbose=2)),
    ],
)
def test_of_a_step_of_ones_own_only_what_is_known_is_said(
    name: str, run: Callable[[Any], Any]
) -> None:
    calls = []

    def step(self: Any, data: Any) -> Any:
        calls.append(data)
        raise MemoryError

    inputs = nnkit.Input((3,))
    model = type("Own", (nnkit.Model,), {name: step})(inputs, layers.Dense(1)(inputs))
    model.compile("sgd", "mse")
    message = rf"Own '.*' ran out of memory on 32 samples in its own {name}. Give a smaller batch_"
    with pytest.raises(MemoryError, match=message):
        run(model)
    assert len(calls) == 1  # it was not tried on fewer samples
