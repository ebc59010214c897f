"""The same fit from every source of data, in Keras and here."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from nnkit.data import PyDataset
from tests.parity.twins import KERAS, Build, assert_same_logs, assert_same_weights, compiled_twins

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RANDOM = np.random.default_rng(5)
X, OTHER = (RANDOM.normal(size=(20, n)).astype("float32") for n in (4, 3))
Y = RANDOM.normal(size=(20, 1)).astype("float32")
LABELS = RANDOM.integers(0, 3, 20)
WEIGHTS = RANDOM.uniform(0.5, 2, 20).astype("float32")
STEPS = RANDOM.normal(size=(20, 5, 2)).astype("float32")
STEP_LABELS = RANDOM.integers(0, 3, (20, 5))
STEP_WEIGHTS = RANDOM.uniform(0, 2, (20, 5)).astype("float32")
FRAME = pd.DataFrame(X, columns=list("abcd"), index=RANDOM.permutation(20))
SERIES = pd.Series(Y[:, 0], index=range(100, 120))
CLASS_WEIGHT = {0: 0.5, 1: 2.0, 2: 3.0}


def regressor(kit: Any) -> Any:
    return kit.Sequential([kit.Input((4,)), kit.Dense(5, activation="tanh"), kit.Dense(1)])


def classifier(kit: Any) -> Any:
    return kit.Sequential([kit.Input((4,)), kit.Dense(3, activation="softmax")])


def binary(kit: Any) -> Any:
    return kit.Sequential([kit.Input((4,)), kit.Dense(1, activation="sigmoid")])


def per_step(kit: Any) -> Any:
    return kit.Sequential([kit.Input((5, 2)), kit.Dense(3, activation="softmax")])


def two_inputs(kit: Any, named: bool = False) -> Any:
    a, b = kit.Input((4,), name="a"), kit.Input((3,), name="b")
    joined = kit.Concatenate()([kit.Dense(2)(a), kit.Dense(3)(b)])
    return kit.Model({"a": a, "b": b} if named else [a, b], kit.Dense(1)(joined))


def named_inputs(kit: Any) -> Any:
    return two_inputs(kit, named=True)


def two_outputs(kit: Any, named: bool = False) -> Any:
    inputs = kit.Input((4,), name="a")
    hidden = kit.Dense(4, activation="tanh")(inputs)
    p = kit.Dense(1, name="p")(hidden)
    q = kit.Dense(3, activation="softmax", name="q")(hidden)
    return kit.Model(inputs, {"p": p, "q": q} if named else [p, q])


def named_outputs(kit: Any) -> Any:
    return two_outputs(kit, named=True)


SPARSE = "sparse_categorical_crossentropy"
LOSSES: dict[Build, Any] = {
    regressor: "mse",
    classifier: SPARSE,
    binary: "binary_crossentropy",
    per_step: SPARSE,
    two_inputs: "mse",
    named_inputs: "mse",
    two_outputs: ["mse", SPARSE],
    named_outputs: {"p": "mse", "q": SPARSE},
}


def batches(*parts: Any, count: int | None = None) -> Iterator[Any]:
    """Batches of eight rows, round and round."""

    def rows(part: Any, start: int) -> Any:
        if isinstance(part, dict):
            return {key: rows(item, start) for key, item in part.items()}
        if isinstance(part, tuple):
            return tuple(rows(item, start) for item in part)
        return part[start : start + 8]

    number = 0
    while count is None or number < count:
        yield tuple(rows(part, number % 3 * 8) for part in parts)
        number += 1


def numbered(kit: Any, *parts: Any, **options: Any) -> Any:
    """A PyDataset that mixes its batches at the end of each epoch."""
    base: Any = keras.utils.PyDataset if kit is KERAS else PyDataset

    class Numbered(base):
        def __init__(self) -> None:
            super().__init__(**options)
            self.random = np.random.default_rng(0)
            self.order = [0, 1, 2]

        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> Any:
            start = self.order[index] * 8
            return tuple(part[start : start + 8] for part in parts)

        def on_epoch_end(self) -> None:
            self.random.shuffle(self.order)

    return Numbered()


class Rows(Dataset):
    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> Any:
        return X[index], Y[index], WEIGHTS[index]


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[Any]:
        return iter(zip(X, Y, strict=True))


def on_disk(kit: Any, folder: Any) -> dict[str, Any]:
    np.save(folder / "x.npy", X)
    with h5py.File(folder / f"{id(kit)}.h5", "w") as file:
        file["y"] = Y
    y = h5py.File(folder / f"{id(kit)}.h5")["y"]
    return {"x": np.load(folder / "x.npy", mmap_mode="r"), "y": y}


Make = Callable[[Any, Any], dict[str, Any]]
CASES: dict[str, tuple[Build, Make]] = {
    "float64": (regressor, lambda k, t: {"x": X.astype("float64"), "y": Y.astype("float64")}),
    "tensors": (
        regressor,
        lambda k, t: {"x": torch.tensor(X), "y": torch.tensor(Y), "validation_split": 0.2},
    ),
    "frames": (regressor, lambda k, t: {"x": FRAME, "y": SERIES, "validation_split": 0.3}),
    "whole numbers": (regressor, lambda k, t: {"x": (FRAME * 9).astype(int), "y": SERIES}),
    "frame of y": (
        regressor,
        lambda k, t: {"x": FRAME, "y": SERIES.to_frame(), "sample_weight": pd.Series(WEIGHTS)},
    ),
    "csr": (regressor, lambda k, t: {"x": scipy.sparse.csr_matrix(X), "y": Y}),
    "csc": (
        regressor,
        lambda k, t: {"x": scipy.sparse.csc_matrix(X), "y": Y, "validation_split": 0.25},
    ),
    "coo": (
        regressor,
        lambda k, t: {
            "x": scipy.sparse.coo_matrix(X),
            "y": Y,
            "validation_data": (scipy.sparse.csc_matrix(X[:6]), Y[:6]),
        },
    ),
    "on disk": (regressor, on_disk),
    "endless generator": (
        regressor,
        lambda k, t: {"x": batches(X, Y, WEIGHTS), "steps_per_epoch": 2, "epochs": 4},
    ),
    "generator and arrays": (
        regressor,
        lambda k, t: {
            "x": batches(X, Y),
            "steps_per_epoch": 2,
            "validation_data": (X, Y),
            "validation_steps": 1,
            "validation_batch_size": 5,
        },
    ),
    "generator once": (regressor, lambda k, t: {"x": batches(X, Y, count=5), "epochs": 1}),
    "validation generator": (
        regressor,
        lambda k, t: {"x": X, "y": Y, "epochs": 1, "validation_data": batches(X, Y, count=2)},
    ),
    "PyDataset": (regressor, lambda k, t: {"x": numbered(k, X, Y, WEIGHTS)}),
    "PyDatasets": (
        regressor,
        lambda k, t: {
            "x": numbered(k, X, Y),
            "validation_data": numbered(k, X, Y),
            "validation_steps": 2,
        },
    ),
    "PyDataset, steps": (regressor, lambda k, t: {"x": numbered(k, X, Y), "steps_per_epoch": 2}),
    "PyDataset, class_weight": (
        classifier,
        lambda k, t: {"x": numbered(k, X, LABELS), "class_weight": CLASS_WEIGHT},
    ),
    "DataLoader": (
        regressor,
        lambda k, t: {
            "x": DataLoader(Rows(), batch_size=8),
            "validation_data": DataLoader(Rows(), batch_size=3),
        },
    ),
    "DataLoader of a stream": (regressor, lambda k, t: {"x": DataLoader(Stream(), batch_size=8)}),
    "sample_weight": (
        regressor,
        lambda k, t: {"x": X, "y": Y, "sample_weight": WEIGHTS, "validation_split": 0.2},
    ),
    "validation triple": (
        regressor,
        lambda k, t: {"x": X, "y": Y, "validation_data": (X, Y, WEIGHTS), "validation_freq": [2]},
    ),
    "class_weight": (
        classifier,
        lambda k, t: {"x": X, "y": LABELS, "class_weight": CLASS_WEIGHT},
    ),
    "class_weight, binary": (
        binary,
        lambda k, t: {"x": X, "y": (LABELS > 0) * 1.0, "class_weight": CLASS_WEIGHT},
    ),
    "weights of steps": (
        per_step,
        lambda k, t: {"x": STEPS, "y": STEP_LABELS, "sample_weight": STEP_WEIGHTS},
    ),
    "inputs by position": (
        two_inputs,
        lambda k, t: {"x": (X, OTHER), "y": Y, "validation_split": 0.2},
    ),
    "inputs by name": (two_inputs, lambda k, t: {"x": {"b": OTHER, "a": X}, "y": Y}),
    "named inputs": (named_inputs, lambda k, t: {"x": {"b": OTHER, "a": X}, "y": Y}),
    "more than the inputs": (
        two_inputs,
        lambda k, t: {"x": {"b": OTHER, "a": X, "c": Y}, "y": Y},
    ),
    "inputs of two kinds": (
        two_inputs,
        lambda k, t: {"x": {"b": scipy.sparse.csr_matrix(OTHER), "a": FRAME}, "y": SERIES},
    ),
    "inputs from a generator": (
        two_inputs,
        lambda k, t: {"x": batches({"b": OTHER, "a": X}, Y), "steps_per_epoch": 2},
    ),
    "outputs by position": (
        two_outputs,
        lambda k, t: {"x": X, "y": [Y, LABELS], "validation_data": (X, [Y, LABELS])},
    ),
    "outputs, one weight": (
        two_outputs,
        lambda k, t: {"x": X, "y": (Y, LABELS), "sample_weight": WEIGHTS},
    ),
    "outputs, a weight each": (
        two_outputs,
        lambda k, t: {"x": X, "y": [Y, LABELS], "sample_weight": [WEIGHTS, WEIGHTS**2]},
    ),
    "outputs by name": (
        named_outputs,
        lambda k, t: {"x": FRAME, "y": {"q": pd.Series(LABELS), "p": SERIES}},
    ),
    "outputs from a generator": (
        named_outputs,
        lambda k, t: {"x": batches({"a": X}, {"q": LABELS, "p": Y}), "steps_per_epoch": 2},
    ),
    "too many steps": (regressor, lambda k, t: {"x": X, "y": Y, "steps_per_epoch": 4}),
    "steps of odd size": (
        regressor,
        lambda k, t: {"x": X, "y": Y, "steps_per_epoch": 2, "epochs": 5},
    ),
    "steps without a batch size": (
        regressor,
        lambda k, t: {"x": X, "y": Y, "steps_per_epoch": 3, "batch_size": None},
    ),
    "initial_epoch": (
        regressor,
        lambda k, t: {
            "x": X,
            "y": Y,
            "initial_epoch": 2,
            "epochs": 5,
            "validation_data": (X, Y),
            "validation_freq": 2,
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_fit(name: str, tmp_path: Any) -> None:
    build, make = CASES[name]
    kits: list[Any] = []

    def settings(kit: Any) -> dict[str, Any]:
        kits.append(kit)
        several = not isinstance(LOSSES[build], str)
        metric = "mae" if LOSSES[build] == "mse" else "accuracy"
        return {
            "optimizer": kit.optimizers.SGD(0.1),
            "loss": LOSSES[build],
            **({} if several else {"metrics": [metric], "weighted_metrics": [metric]}),
        }

    histories = []
    models = compiled_twins(build, settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras's own, and of data that ends early
        for kit, model in zip(kits, models, strict=True):
            given = {"epochs": 3, "shuffle": False, "verbose": 0, **make(kit, tmp_path)}
            if not any(hasattr(given["x"], n) for n in ("__next__", "num_batches", "dataset")):
                given.setdefault("batch_size", 8)
            histories.append(model.fit(**given).history)
    assert_same_logs(*histories)
    assert_same_weights(*models)
