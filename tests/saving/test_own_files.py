"""Layers of one's own that put arrays and files into a model's file."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nnkit.errors import ArgumentError, FileError, ShapeError
from nnkit.layers import Dense, Input, Layer
from nnkit.models import Model, Sequential, load_model


class Table(Layer):
    """A weight, and an array that is none and of any length."""

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")
        self.table = np.zeros(0)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs * self.scale

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        store["table"] = self.table

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(store)
        self.table = np.array(store["table"])


class Words(Layer):
    """Files in a folder of the layer."""

    def __init__(self, words: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.words = words

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs

    def save_assets(self, dir_path: str) -> None:
        os.mkdir(os.path.join(dir_path, "deep"))
        with open(os.path.join(dir_path, "deep", "words.txt"), "w") as file:
            file.write("\n".join(self.words))

    def load_assets(self, dir_path: str) -> None:
        with open(os.path.join(dir_path, "deep", "words.txt")) as file:
            self.words = ["read", *file.read().split("\n")]


OWN = {"Table": Table, "Words": Words}


def made() -> Sequential:
    model = Sequential([Input((3,)), Dense(3), Table(), Words(["a", "b"])])
    table = model.layers[1]
    table.table = np.arange(5.0)
    table.scale.assign([1.0, 2.0, 3.0])
    return model


def test_in_a_model(tmp_path: Path) -> None:
    model, path = made(), tmp_path / "model.keras"
    model.save(path)
    again = load_model(path, custom_objects=OWN)
    np.testing.assert_array_equal(again.layers[1].table, np.arange(5.0))
    assert again.layers[1].scale.tolist() == [1, 2, 3]
    assert again.layers[2].words == ["read", "a", "b"]
    x = np.ones((2, 3), "float32")
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    with zipfile.ZipFile(path) as archive:
        assert archive.read("assets/layers/words/deep/words.txt") == b"a\nb"


@pytest.mark.parametrize("skip", [False, True])
def test_in_weights(tmp_path: Path, skip: bool) -> None:
    model, other = made(), made()
    model.save_weights(tmp_path / "own.weights.h5")
    other.layers[1].table = np.zeros(2)
    other.load_weights(tmp_path / "own.weights.h5", skip_mismatch=skip)
    np.testing.assert_array_equal(other.layers[1].table, np.arange(5.0))


def test_without_weights(tmp_path: Path) -> None:
    class Plain(Table):
        def build(self, input_shape: Any) -> None:
            self.scale, self.table = 2.0, np.arange(3)  # type: ignore[assignment]

    inputs = Input((3,))
    Model(inputs, Plain()(inputs)).save(tmp_path / "plain.keras")
    again = load_model(tmp_path / "plain.keras", custom_objects={"Plain": Plain})
    assert again.layers[1].table.tolist() == [0, 1, 2]


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    class Lost(Table):
        def save_own_variables(self, store: Any) -> None:
            store["table"] = self.table

    inputs = Input((3,))
    Model(inputs, Lost()(inputs)).save(tmp_path / "lost.keras")
    with pytest.raises(FileError, match=r"needs \(3,\) for 'scale'.*under '0'; the file has none"):
        load_model(tmp_path / "lost.keras", custom_objects={"Lost": Lost})
    layer = Table()
    layer.build((None, 3))
    with pytest.raises(ShapeError, match=r"the file has \(2,\)"):
        layer.load_own_variables({"0": np.zeros(2), "table": np.zeros(1)})


@pytest.mark.parametrize(("key", "value"), [("text", "words"), ("a/b", np.zeros(2)), ("", 1.0)])
def test_what_cannot_be_written_is_told(tmp_path: Path, key: str, value: Any) -> None:
    class Odd(Table):
        def save_own_variables(self, store: Any) -> None:
            store[key] = value

    inputs = Input((3,))
    model = Model(inputs, Odd()(inputs))
    with pytest.raises(ArgumentError, match=r"save_own_variables of Odd .* must put arrays"):
        model.save(tmp_path / "odd.keras")
    assert not list(tmp_path.iterdir())
