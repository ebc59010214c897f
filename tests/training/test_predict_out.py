"""predict(out=): into arrays and memory maps, of the shape that is to come."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pytest
import torch

from nnkit.layers.core import Dense, Lambda
from nnkit.layers.input import Input
from nnkit.models import Model, Sequential
from tests.training.conftest import Data, make_classifier


class Own(Model):
    """A model whose output shape nobody knows before it has run."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = Dense(3)

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)


def named() -> Model:
    inputs = Input((6,))
    b, a = Dense(1)(inputs), Dense(2)(inputs)
    return Model(inputs, {"b": b, "a": [a, a * 2]})


@pytest.mark.parametrize("batch_size", [1, 7, 50, 64])
@pytest.mark.parametrize("make", [make_classifier, Own])
def test_rows_are_written_in_their_place(data: Data, make: Any, batch_size: int) -> None:
    model = make()
    out = np.full((50, 3), np.nan, "float32")
    assert model.predict(data.x, batch_size, verbose=0, out=out) is out
    np.testing.assert_allclose(out, model.predict(data.x, verbose=0), rtol=1e-5, atol=1e-6)


def test_a_memory_map_and_an_hdf5_data_set(data: Data, tmp_path: Any) -> None:
    model = make_classifier()
    expected = model.predict(data.x, verbose=0)
    mapped = np.lib.format.open_memmap(tmp_path / "out.npy", "w+", "float64", (50, 3))
    model.predict(data.x, 8, verbose=0, out=mapped).flush()
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-6)
    with h5py.File(tmp_path / "out.h5", "w") as file:
        found = file.create_dataset("out", (50, 3), "float32")
        model.predict(data.x, 8, verbose=0, out=found)
        np.testing.assert_allclose(found[:], expected, atol=1e-6)


def test_nested_outputs(data: Data) -> None:
    out = {"b": np.empty((50, 1)), "a": (np.empty((50, 2)), np.empty((50, 2)))}
    model = named()
    model.predict(data.x, 16, verbose=0, out=out)
    expected = model.predict(data.x, verbose=0)
    np.testing.assert_allclose(out["b"], expected["b"], atol=1e-6)
    np.testing.assert_allclose(out["a"][1], expected["a"][0] * 2, atol=1e-6)


def test_a_stream_may_give_fewer_rows_than_out_takes(data: Data) -> None:
    model, out = make_classifier(), np.zeros((60, 3), "float32")
    source = (data.x[i : i + 20] for i in (0, 20))
    with pytest.warns(UserWarning, match="gave 40 rows, so the other 20 of out stay as they were"):
        model.predict(source, verbose=0, out=out)
    np.testing.assert_allclose(out[:40], model.predict(data.x[:40], verbose=0), atol=1e-6)
    assert not out[40:].any()


def test_steps_say_how_many_rows(data: Data) -> None:
    model, out = make_classifier(), np.empty((20, 3), "float32")
    model.predict(data.x, 10, verbose=0, steps=2, out=out)
    np.testing.assert_allclose(out, model.predict(data.x[:20], verbose=0), atol=1e-6)


def array(*shape: int, dtype: Any = "float32") -> np.ndarray:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("make", "out", "message"),
    [
        (make_classifier, array(49, 3), r"out has shape \(49, 3\), but the data has 50 samples"),
        (make_classifier, array(50, 4), r"out has shape \(50, 4\), but the output is \(50, 3\)"),
        (make_classifier, array(50), r"out has shape \(50,\), but the output is \(50, 3\)"),
        (make_classifier, [array(50, 3)] * 2, r"nested as \['array', 'array'\], but the outputs"),
        (named, {"b": array(50, 1)}, "out is nested as {'b': 'array'}, but the outputs as"),
        (make_classifier, "out.npy", "out expects an array or memory map.* got a str"),
        (make_classifier, torch.zeros(50, 3), r"out expects arrays; give tensor.numpy\(\)"),
    ],
)
def test_an_unfit_out_is_refused_before_data_runs(
    data: Data, make: Any, out: Any, message: str
) -> None:
    model = make()
    model.call = None  # nothing may run
    with pytest.raises(ValueError, match=message):
        model.predict(data.x, verbose=0, out=out)


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (array(50, 4), r"out takes \(8, 4\) for this batch, but the outputs have shape \(8, 3\)"),
        (array(50, 3, dtype=int), "out holds int64, but the outputs are float32"),
        ([array(50, 3)] * 2, "out is nested as"),
    ],
)
def test_an_unknown_output_is_compared_at_the_first_batch(
    data: Data, out: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Own().predict(data.x, 8, verbose=0, out=out)
    assert not np.asarray(out).any()


def test_a_stream_that_gives_too_much(data: Data) -> None:
    with pytest.raises(ValueError, match="out has 30 rows, but the data gives more than that"):
        make_classifier().predict(iter([data.x[:20]] * 2), verbose=0, out=array(30, 3))


def test_outputs_without_a_row_per_sample_are_joined(data: Data) -> None:
    model = Sequential([Input((6,)), Lambda(lambda x: x.sum(0, keepdim=True))])
    found = model.predict(data.x, 20, verbose=0)
    np.testing.assert_allclose(found.sum(0), data.x.sum(0), rtol=1e-4, atol=1e-4)
    assert found.shape == (3, 6)
