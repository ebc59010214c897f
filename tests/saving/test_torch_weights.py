"""Weights of plain torch models in models of this package: the same outputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import nnkit
from nnkit import layers
from nnkit.errors import ArgumentError, FileError, NotBuiltError
from nnkit.saving import load_torch


def torch_cnn() -> nn.Sequential:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Dropout(), nn.Linear(4 * 7 * 6, 10), nn.ReLU(), nn.Linear(10, 2),
    )  # fmt: skip
    model[1].running_mean.normal_()
    model[1].running_var.uniform_(0.5, 2)
    return model.eval()


def cnn() -> nnkit.Sequential:
    return nnkit.Sequential(
        [
            nnkit.Input((16, 14, 3)), layers.Conv2D(4, 3), layers.BatchNormalization(epsilon=1e-5),
            layers.ReLU(), layers.MaxPooling2D(), layers.Flatten(), layers.Dropout(0.5),
            layers.Dense(10, activation="relu"), layers.Dense(2),
        ]
    )  # fmt: skip


def channels_first() -> nnkit.Sequential:
    return nnkit.Sequential(
        [
            nnkit.Input((3, 16, 14)), layers.Conv2D(4, 3, data_format="channels_first"),
            layers.BatchNormalization(axis=1, epsilon=1e-5), layers.ReLU(),
            layers.MaxPooling2D(data_format="channels_first"), layers.Flatten(),
            layers.Dense(10, activation="relu"), layers.Dense(2),
        ]
    )  # fmt: skip


class TorchSequences(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.lstm = nn.LSTM(8, 6, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(12, 6, batch_first=True)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.norm = nn.LayerNorm(6)
        self.rnn = nn.RNN(6, 4, batch_first=True)
        self.head = nn.Linear(4 * 9, 2)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        x, _ = self.gru(self.lstm(self.embedding(words))[0])
        x = self.norm(self.attention(x, x, x)[0])
        return self.head(self.rnn(x)[0].flatten(1))


def sequences() -> nnkit.Model:
    words = nnkit.Input((9,), dtype="int64")
    x = layers.Embedding(20, 8)(words)
    x = layers.Bidirectional(layers.LSTM(6, return_sequences=True))(x)
    x = layers.GRU(6, return_sequences=True)(x)
    x = layers.MultiHeadAttention(2, 3)(x, x)
    x = layers.SimpleRNN(4, return_sequences=True)(layers.LayerNormalization(epsilon=1e-5)(x))
    return nnkit.Model(words, layers.Dense(2)(layers.Flatten()(x)))


class TorchSequence(nn.Module):
    """A convolution over time, flattened: (batch, channels, time) in torch."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(3, 5, 2)
        self.head = nn.Linear(5 * 6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.convolution(x.movedim(-1, 1)).flatten(1))


def sequence() -> nnkit.Sequential:
    return nnkit.Sequential(
        [nnkit.Input((7, 3)), layers.Conv1D(5, 2), layers.Flatten(), layers.Dense(2)]
    )


def separable() -> nnkit.Sequential:
    return nnkit.Sequential(
        [nnkit.Input((8, 8, 3)), layers.SeparableConv2D(5, 3), layers.Flatten(), layers.Dense(2)]
    )


def torch_separable() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 3, 3, groups=3, bias=False), nn.Conv2d(3, 5, 1), nn.Flatten(),
        nn.Linear(5 * 36, 2),
    )  # fmt: skip


def image(*shape: int) -> torch.Tensor:
    return torch.randn(2, *shape)


CASES = {
    "cnn": (torch_cnn, cnn, image(16, 14, 3), True),
    "channels_first": (torch_cnn, channels_first, image(3, 16, 14), False),
    "sequences": (TorchSequences, sequences, torch.randint(0, 20, (3, 9)), False),
    "sequence": (TorchSequence, sequence, image(7, 3), False),
    "separable": (torch_separable, separable, image(8, 8, 3), True),
}


@pytest.mark.parametrize(("theirs", "ours", "x", "first"), CASES.values(), ids=CASES)
def test_outputs_are_those_of_the_torch_model(
    theirs: Callable[[], nn.Module], ours: Callable[[], nnkit.Model], x: torch.Tensor, first: bool
) -> None:
    source, model = theirs().eval(), ours()
    load_torch(model, source.state_dict())
    expected = source(x.movedim(-1, 1) if first else x)
    torch.testing.assert_close(model(x), expected, rtol=1e-5, atol=1e-6)


def test_from_a_file_and_the_report(tmp_path: Path) -> None:
    source, model = torch_cnn(), cnn()
    torch.save(source.state_dict(), tmp_path / "net.pt")
    report = load_torch(model, tmp_path / "net.pt")
    assert [(p.source, p.layer) for p in report.matched] == [
        ("0", model.layers[0].name), ("1", model.layers[1].name),
        ("6", model.layers[6].name), ("8", model.layers[7].name),
    ]  # fmt: skip
    assert str(report).splitlines()[0].split() == [
        "0", "->", model.layers[0].name, "(4,", "3,", "3,", "3)",
    ]  # fmt: skip


def test_a_file_with_code_is_refused(tmp_path: Path) -> None:
    torch.save(torch_cnn(), tmp_path / "net.pt")  # the pickled model itself
    with pytest.raises(FileError, match="cannot be read as weights"):
        load_torch(cnn(), tmp_path / "net.pt")


def test_all_that_does_not_fit_is_listed_and_nothing_loaded() -> None:
    model = cnn()
    before = model.get_weights()
    source = torch_cnn()
    source[8] = nn.Linear(10, 3)
    with pytest.raises(
        FileError, match=r"(?s)no weights for \(1\):.*\(2, 10\).*no layer for \(1\)"
    ):
        load_torch(model, source.state_dict())
    for old, new in zip(before, model.get_weights(), strict=True):
        assert (old == new).all()


def two_of_a_shape() -> tuple[nnkit.Model, dict[str, torch.Tensor]]:
    """Two layers of one shape; torch has them the other way round, around another one."""
    inputs = nnkit.Input((4,))
    x = layers.Dense(4, name="first")(inputs)
    x = layers.Dense(3, name="narrow")(x)
    x = layers.Dense(4, name="wide")(x)
    model = nnkit.Model(inputs, layers.Dense(4, name="second")(x))
    parts = {"b": (4, 4), "wide": (4, 3), "narrow": (3, 4), "a": (4, 4)}
    state = {}
    for name, shape in parts.items():
        state[f"{name}.weight"], state[f"{name}.bias"] = torch.randn(shape), torch.randn(shape[0])
    return model, state


def test_order_that_does_not_decide_is_an_error() -> None:
    model, state = two_of_a_shape()
    with pytest.raises(FileError, match=r"(?s)another order.*b -> first\?.*mapping="):
        load_torch(model, state)
    load_torch(model, state, mapping={"a": "first", "b": "second"})
    assert torch.equal(model.get_layer("first").weight, state["a.weight"])
    assert torch.equal(model.get_layer("second").weight, state["b.weight"])
    assert torch.equal(model.get_layer("narrow").weight, state["narrow.weight"])


def test_bad_arguments() -> None:
    model, state = two_of_a_shape()
    with pytest.raises(ArgumentError, match="Unknown torch module 'c'"):
        load_torch(model, state, {"c": "first"})
    with pytest.raises(ArgumentError, match=r"Unknown layer of Model .* 'frist'. Did you mean"):
        load_torch(model, state, {"a": "frist"})
    with pytest.raises(FileError, match=r"(?s)of other shapes \(1\):.*wide.*first"):
        load_torch(model, state, {"wide": "first"})
    with pytest.raises(ArgumentError, match="mapping must be"):
        load_torch(model, state, "by name")
    with pytest.raises(NotBuiltError, match="Build it first"):
        load_torch(nnkit.Sequential([layers.Dense(2)]), state)
