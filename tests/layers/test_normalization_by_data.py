"""Normalization and how layers read data: errors, values by hand, life as a torch module."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from nnkit.errors import ArgumentError, DataError, NotBuiltError, ShapeError
from nnkit.layers.core import Dense
from nnkit.layers.identity import Masking
from nnkit.layers.input import Input
from nnkit.layers.normalization_by_data import Normalization
from nnkit.layers.raw_data import as_rows
from nnkit.layers.resizing import CenterCrop, Resizing
from nnkit.models.sequential import Sequential

X = np.array([[1.0, 10.0], [2.0, 30.0], [6.0, 20.0], [3.0, 40.0]])
MEAN, VARIANCE = [3.0, 25.0], [3.5, 125.0]


def adapted(data: Any = X, **arguments: Any) -> Normalization:
    layer = Normalization(**arguments)
    layer.adapt(data)
    return layer


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Normalization("last"), "axis must be a whole number, several or None"),
        (lambda: Normalization(True), "axis must be a whole number"),
        (lambda: Normalization(mean=1.0), "mean and variance go together"),
        (lambda: Normalization(mean=[1.0], variance=1.0), "need one shape .* got \\(1,\\) and"),
        (lambda: Normalization(mean=[[1.0]], variance=[[1.0]]), "with at most 1 axes"),
        (lambda: Normalization(mean=0.0, variance=-1.0), "a variance is never negative"),
        (lambda: adapted(mean=0.0, variance=1.0), "was given mean and variance; it cannot adapt"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: adapted()(torch.ones(2, 3)), r"has statistics for \(2,\) .* received \(2, 3\)"),
        (lambda: adapted()(Input((3,))), r"has statistics for \(2,\) along axis=\(-1,\)"),
        (lambda: adapted(axis=3), r"keeps axis=\(3,\), which \(4, 2\) does not have"),
        (lambda: Normalization()(Input((None,))), "needs to know the sizes along axis"),
        (lambda: Normalization(mean=[1.0], variance=[1.0], axis=(1, 2))([[1.0]]), "keeps axis"),
        (lambda: Normalization(mean=[1.0] * 3, variance=[1.0] * 3)(X), "does not fit \\(2,\\)"),
        (lambda: adapted([X, X[:, :1]]), r"has statistics for \(2,\) .* received \(4, 1\)"),
    ],
)
def test_wrong_shapes(make: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        make()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "was given no data"),
        (np.empty((0, 2)), "was given no data"),
        (iter([]), "was given no data"),
        ("text", "takes an array, a list or batches, got 'text'"),
        (7, "cannot read a int"),
        ([["1", "2"]], "needs numbers, got an array of object"),
        ([[1.0], [1.0, 2.0]], "rows of different lengths"),
        ([[1.0, np.nan]], "NaN or infinite"),
    ],
)
def test_wrong_data(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"Normalization '.*{message}"):
        adapted(data)


def test_must_be_adapted() -> None:
    layer = Normalization()
    model = Sequential([Input((2,)), layer, Dense(1)])  # may be built before
    assert layer.mean.tolist() == [[0.0, 0.0]]
    with pytest.raises(NotBuiltError, match=r"'normalization.*' has no statistics .* adapt\(data"):
        model(torch.ones(1, 2))
    layer.set_weights([np.array(MEAN), np.array(VARIANCE), np.array(0)])  # as a weights file does
    torch.testing.assert_close(layer(X).mean(0), torch.zeros(2))
    assert Normalization().mean is None


class Sequence:
    def __len__(self) -> int:
        return 2

    def __getitem__(self, at: int) -> Any:
        return X[2 * at : 2 * at + 2], np.zeros(2)


def generator() -> Iterator[Any]:
    yield X[:1], 0
    yield X[1:], 0


T = torch.tensor(X, dtype=torch.float32)


@pytest.mark.parametrize(
    "data",
    [
        X,
        X.astype("int64"),
        X[::-1],
        np.broadcast_to(X, (3, 4, 2)),
        T,
        T.requires_grad_(),
        X.tolist(),
        [list(T.detach()[i]) for i in range(4)],
        pd.DataFrame(X, columns=["a", "b"]),
        pd.DataFrame({"a": X[:, 0].astype(int), "b": X[:, 1]}),
        [X[:3], T[3:]],
        generator(),
        Sequence(),
        DataLoader(TensorDataset(T.detach(), T.detach()), batch_size=3),
        TensorDataset(T.detach()),
    ],
    ids=lambda data: type(data).__name__,
)
def test_sources(data: Any) -> None:
    layer = adapted(data)
    mean, variance, count = layer.get_weights()
    np.testing.assert_allclose(mean, MEAN)
    np.testing.assert_allclose(variance, VARIANCE)
    assert count == 0
    assert layer.mean.flatten().tolist() == pytest.approx(MEAN)
    assert layer.variance.shape == (1,) * (layer.mean.ndim - 1) + (2,)


def test_large_data_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnkit.layers.normalization_by_data._CHUNK", 7)
    x = np.random.default_rng(0).normal(1e4, 1, (25, 3))
    mean, variance, _ = adapted(x).get_weights()
    np.testing.assert_allclose(mean, x.mean(0), rtol=1e-6)
    np.testing.assert_allclose(variance, x.var(0), rtol=1e-6)


def test_values() -> None:
    layer = adapted(axis=None)
    x = torch.tensor([[14.0, 14.0 + X.std()]], dtype=torch.float32)
    torch.testing.assert_close(layer(x), torch.tensor([[0.0, 1.0]]))
    torch.testing.assert_close(adapted(axis=None, invert=True)(layer(x)), x)
    assert layer(torch.tensor([14])).tolist() == [0.0]
    assert layer([[14, 14]]).dtype == torch.float32
    assert layer(Input((3, 4), dtype="int64")).dtype == torch.float32
    assert adapted(np.full((3, 1), 5.0))([[5.0], [6.0]]).tolist() == [[0.0], [pytest.approx(1e7)]]
    assert adapted()(Masking()(torch.ones(1, 3, 2)))._keras_mask.all()


def test_statistics_of_each_sample_are_a_mistake() -> None:
    with pytest.warns(UserWarning, match="statistics of its own for each sample .* axis=None"):
        adapted(np.arange(4.0))


def test_adapting_again_starts_anew() -> None:
    layer = adapted(X * 100)
    layer.adapt(X)
    np.testing.assert_allclose(layer.get_weights()[0], MEAN)


def test_rows() -> None:
    assert as_rows([["a", b"bc"]], "x").dtype == object
    assert as_rows([[1, torch.tensor(2)]], "x").tolist() == [[1, 2]]
    assert as_rows([torch.ones(2)], "x").shape == (1, 2)
    assert as_rows(pd.Series(["a", "b"]), "x").tolist() == ["a", "b"]


IMAGES = np.arange(120.0).reshape(2, 4, 5, 3)
LAYERS = [
    (Normalization(mean=1.0, variance=4.0), IMAGES),
    (adapted(IMAGES, axis=(1, -1), invert=True), IMAGES),
    (Resizing(3, 7, "bicubic", crop_to_aspect_ratio=True), IMAGES),
    (Resizing(6, 3, pad_to_aspect_ratio=True, fill_value=2.0), IMAGES.astype("uint8")),
    (CenterCrop(2, 3), IMAGES),
    (CenterCrop(8, 2), IMAGES.astype("int32")),
]


@pytest.mark.parametrize(("layer", "x"), LAYERS, ids=lambda v: getattr(v, "name", ""))
def test_module_life(layer: Any, x: np.ndarray) -> None:
    x = torch.tensor(x)
    x = x.float() if x.dtype == torch.float64 else x
    expected = layer(x)
    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), expected)
    torch.testing.assert_close(copy.deepcopy(layer)(x), expected)
    torch.testing.assert_close(pickle.loads(pickle.dumps(layer))(x), expected)
    again = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
    assert again.get_config() == layer.get_config()
    if layer.get_weights():
        again.build(tuple(x.shape))
        again.load_state_dict(layer.state_dict())
    torch.testing.assert_close(again(x), expected)


def test_export_with_a_free_batch() -> None:
    layer, x = adapted(), torch.tensor(X, dtype=torch.float32)
    batch = torch.export.Dim("batch")
    exported = torch.export.export(layer, (x,), dynamic_shapes=({0: batch},), strict=False)
    torch.testing.assert_close(exported.module()(x[:3]), layer(x[:3]))
