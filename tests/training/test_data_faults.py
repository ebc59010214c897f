"""Data that fit cannot use: an error that names the argument, and nothing left behind."""

from __future__ import annotations

import multiprocessing
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from torch.utils.data import DataLoader

from nnkit.callbacks import Callback
from nnkit.data import PyDataset
from nnkit.layers.core import Dense
from nnkit.layers.input import Input
from nnkit.layers.merging import concatenate
from nnkit.models import Model, Sequential

X, Y = np.ones((8, 4), "float32"), np.ones((8, 1), "float32")
OTHER = np.ones((8, 3), "float32")
NAN = np.where(np.arange(8)[:, None] == 5, np.nan, Y)


def one() -> Model:
    return Sequential([Input((4,), name="a"), Dense(1)])


def two_inputs() -> Model:
    a, b = Input((4,), name="a"), Input((3,), name="b")
    return Model([a, b], Dense(1)(concatenate([a, b])))


def two_outputs() -> Model:
    a = Input((4,), name="a")
    return Model(a, [Dense(1, name="p")(a), Dense(1, name="q")(a)])


def compiled(make: Any) -> Model:
    model = make()
    model.compile("sgd", "mse")
    return model


def objects(*rows: Any) -> np.ndarray:
    array = np.empty(len(rows), object)
    array[:] = rows
    return array


CATEGORIES = pd.DataFrame({"a": [1, 2], "b": pd.Categorical(["u", "v"])})


@pytest.mark.parametrize(
    ("make", "x", "y", "message"),
    [
        (one, X, Y[:5], "fit: x has 8 samples, y has 5"),
        (one, X[:0], Y[:0], r"x is empty: its shape is \(0, 4\)"),
        (one, [[1.0, 2.0], [3.0]], Y[:2], "x has rows of different lengths. Pad them"),
        (one, objects(X[0], X[1][:2]), Y[:2], "x has dtype object.*pad_sequences"),
        (one, X[:2].astype(object), Y[:2], r"x has dtype object.*astype\('float32'\)"),
        (one, X[:2], np.array(["cat", "dog"]), "y has dtype <U3. Turn text into numbers first"),
        (one, X, NAN, "y has NaN or infinite values in 1 of these 8 rows, first in row 5"),
        (one, iter([(X, Y), (X, NAN)][1:]), None, "targets y_true contain NaN"),
        (one, CATEGORIES, Y[:2], "x has a column 'b' of dtype category.*cat.codes"),
        (one, [X, X], Y, r"takes 1 input \(a\) but received 2"),
        (one, {"z": X}, Y, "takes inputs named a, but received z: 'a' is missing"),
        (one, OTHER, Y, r"expects \(batch, 4\) at its input 'a' but received \(8, 3\)"),
        (two_inputs, X, Y, r"takes 2 inputs \(a, b\) but received 1"),
        (two_inputs, [X, OTHER, X], Y, r"takes 2 inputs \(a, b\) but received 3"),
        (two_inputs, {"a": X, "c": OTHER}, Y, "inputs named a, b, but received a, c: 'b' is mis"),
        (two_inputs, iter([(X, OTHER, Y)]), None, r"takes 2 inputs \(a, b\) but received 1"),
        (two_inputs, iter([(X, OTHER, Y, Y)]), None, "got 4 parts. Put several inputs"),
        (two_outputs, X, Y, "y holds 1 arrays, but the model has 2 outputs: p, q"),
        (two_outputs, X, [Y, Y, Y], "y holds 3 arrays, but the model has 2 outputs: p, q"),
        (two_outputs, X, {"p": Y, "r": Y}, "y names the output 'r', but the outputs are: p, q"),
        (two_outputs, X, {"p": Y}, "output 'q' has the loss 'mse', but y has no targets"),
    ],
)
def test_unfit_data(make: Any, x: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){message}"):
        compiled(make).fit(x, y, verbose=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation_data": (X, Y[:3])}, "validation: x has 8 samples, y has 3"),
        ({"validation_data": (X, Y, Y, Y)}, "got 4 parts"),
        ({"validation_data": (X,)}, r"fit \(validation_data\) was given x but no y"),
        ({"sample_weight": np.ones((8, 3))}, r"sample_weight or mask of shape \(8, 3\) cannot"),
        ({"sample_weight": np.ones(3)}, "y has 8, sample_weight has 3"),
        ({"class_weight": {0: 1.0, 1: 2.0}, "sample_weight": np.ones(8)}, "were both given"),
    ],
)
def test_unfit_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compiled(one).fit(X, Y, verbose=0, **options)


class Broken(PyDataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        return (X, Y) if index < 2 else read_row()


def read_row() -> Any:
    raise OSError("the disk is gone")


def broken_generator(closed: list[str]) -> Iterator[Any]:
    try:
        yield X, Y
        read_row()
    finally:
        closed.append("file")


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
@pytest.mark.parametrize("kind", ["generator", "threads", "one thread"])
def test_an_error_in_the_data_keeps_its_traceback(method: str, kind: str) -> None:
    closed: list[str] = []
    source = broken_generator(closed) if kind == "generator" else Broken(workers=len(kind) % 3)
    with pytest.raises(OSError, match="the disk is gone") as caught:
        getattr(compiled(one), method)(source, verbose=0)
    assert "read_row" in "".join(traceback.format_tb(caught.tb))
    assert not [t for t in threading.enumerate() if t.name.startswith("nnkit-data")]
    assert closed == (["file"] if kind == "generator" else [])


@pytest.mark.parametrize("role", ["x", "validation_data"])
def test_a_callback_that_raises_leaves_no_worker(role: str) -> None:
    """Also while the exception, which holds all frames, is alive."""

    def stop(batch: int, logs: Any) -> None:
        raise KeyError("enough")

    loader = DataLoader(list(zip(X, Y, strict=True)), batch_size=2, num_workers=1)  # type: ignore
    hook = "on_train_batch_end" if role == "x" else "on_test_batch_end"
    given = {"x": loader} if role == "x" else {"x": X, "y": Y, "validation_data": loader}
    callback = Callback()
    setattr(callback, hook, stop)
    with pytest.raises(KeyError, match="enough") as caught:
        compiled(one).fit(**given, verbose=0, callbacks=[callback])
    assert caught.tb
    assert not multiprocessing.active_children()


def test_a_generator_that_runs_out_warns() -> None:
    with pytest.warns(UserWarning, match="fit: the data ran out after 3 of 5 batches"):
        history = compiled(one).fit(iter([(X, Y)] * 3), steps_per_epoch=5, verbose=0)
    assert len(history.history["loss"]) == 1
