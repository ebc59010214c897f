"""Exported programs give the model's numbers without this package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

import nnkit
from nnkit import layers
from nnkit.errors import ArgumentError, NotBuiltError


def cnn() -> nnkit.Model:
    return nnkit.Sequential(
        [
            nnkit.Input((12, 12, 1)), layers.Conv2D(4, 3, padding="same", strides=2),
            layers.BatchNormalization(), layers.MaxPooling2D(padding="same"),
            layers.Dropout(0.5), layers.Flatten(), layers.Dense(10, activation="softmax"),
        ]
    )  # fmt: skip


def any_size() -> nnkit.Model:
    image = nnkit.Input((None, None, 3))
    x = layers.UpSampling2D()(layers.Conv2D(4, 3, strides=2, padding="same")(image))
    return nnkit.Model(image, layers.GlobalAveragePooling2D()(x))


def by_name() -> nnkit.Model:
    a, b = nnkit.Input((5,), name="a"), nnkit.Input((7,), name="b")
    both = layers.Concatenate()([a, b])
    return nnkit.Model({"a": a, "b": b}, [layers.Dense(3)(both), layers.Dense(2)(a)])


def attention() -> nnkit.Model:
    x = nnkit.Input((6, 8))
    y = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4)(x, x))
    return nnkit.Model(x, layers.GlobalAveragePooling1D()(y))


def recurrent() -> nnkit.Model:
    words = nnkit.Input((None,), dtype="int64")
    return nnkit.Model(words, layers.LSTM(3)(layers.Embedding(20, 4)(words)))


def batch(model: nnkit.Model, samples: int) -> list[torch.Tensor]:
    def one(tensor: Any) -> torch.Tensor:
        shape = [samples, *(22 if size is None else size for size in tensor.shape[1:])]
        whole = not tensor.dtype.is_floating_point
        return torch.randint(0, 20, shape) if whole else torch.rand(shape)

    return [one(tensor) for tensor in model.inputs]


def as_given(model: nnkit.Model, values: list[torch.Tensor]) -> Any:
    if isinstance(model.input, dict):
        return dict(zip(model.input, values, strict=True))
    return values[0]


def listed(outputs: Any) -> list[Any]:
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


@pytest.mark.parametrize(
    "make", [cnn, any_size, by_name, attention, pytest.param(recurrent, marks=pytest.mark.slow)]
)
def test_onnx(make: Callable[[], nnkit.Model], tmp_path: Path) -> None:
    model = make()
    model.export(tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    assert [value.name for value in session.get_inputs()] == model.input_names
    for samples in (1, 5):
        values = batch(model, samples)
        feed = {v.name: x.numpy() for v, x in zip(session.get_inputs(), values, strict=True)}
        expected = listed(model.predict(as_given(model, values), verbose=0))
        for got, want in zip(session.run(None, feed), expected, strict=True):
            np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("make", [cnn, any_size, by_name, attention])
def test_torch_program(make: Callable[[], nnkit.Model], tmp_path: Path) -> None:
    model = make()
    model.train()
    model.export(tmp_path / "m.pt2")
    assert model.training  # as it was; the program is of inference
    program = torch.export.load(tmp_path / "m.pt2").module()
    for samples in (1, 5):
        values = as_given(model, batch(model, samples))
        expected = listed(model.predict(values, verbose=0))
        for got, want in zip(listed(program(values)), expected, strict=True):
            np.testing.assert_allclose(got.detach().numpy(), want, atol=1e-6)


def test_an_axis_that_torch_fixes_is_told(tmp_path: Path) -> None:
    model = recurrent()
    with pytest.warns(UserWarning, match=r"fixed size 64 on axis 1 .* input_signature"):
        model.export(tmp_path / "m.pt2")
    model.export(tmp_path / "m.pt2", input_signature=torch.zeros(2, 7, dtype=torch.int64))
    words = torch.randint(0, 20, (4, 7))
    program = torch.export.load(tmp_path / "m.pt2").module()
    torch.testing.assert_close(program(words), model(words))


class Own(nnkit.Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(x) ** 2


def test_a_model_without_symbolic_inputs(tmp_path: Path) -> None:
    model = Own()
    with pytest.raises(NotBuiltError, match="before it is built"):
        model.export(tmp_path / "m.pt2")
    x = torch.randn(4, 5)
    expected = model(x)
    with pytest.raises(NotBuiltError, match=r"Give them: export\(path, input_signature="):
        model.export(tmp_path / "m.pt2")
    model.export(tmp_path / "m.pt2", input_signature=(None, 5))
    torch.testing.assert_close(torch.export.load(tmp_path / "m.pt2").module()(x), expected)
    assert [path.name for path in tmp_path.iterdir()] == ["m.pt2"]


def test_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"export writes '\.onnx' or '\.pt2'"):
        cnn().export(tmp_path / "folder")
    with pytest.raises(ArgumentError, match="format='tf_saved_model'"):
        cnn().export(tmp_path / "m.onnx", format="tf_saved_model")
