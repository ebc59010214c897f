"""Where models train, and the numbers of the process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from nnkit import config
from nnkit.errors import ArgumentError
from nnkit.layers.core import Dense
from tests.training.conftest import SPARSE, Data, make_classifier


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    config.set_device(None)
    config._best_device.cache_clear()
    config.set_epsilon(1e-7)
    config.set_floatx("float32")


def test_chosen_device(data: Data) -> None:
    config.set_device("cpu")
    assert config.get_device() == torch.device("cpu")
    model = make_classifier()
    model.compile("sgd", SPARSE)
    model.fit(data.x, data.labels, verbose=0)
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}


def test_a_model_on_an_accelerator_stays_there() -> None:
    there = torch.empty(1, device="meta")  # stands for any device but the CPU
    assert config.training_device(there) == torch.device("meta")
    config.set_device("cpu")
    assert config.training_device(there) == torch.device("cpu")


@pytest.mark.parametrize("available", [False, True])
def test_best_device(available: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    config._best_device.cache_clear()
    expected = torch.device("cuda", 1) if available else torch.device("cpu")
    assert config.get_device() == expected
    assert config.training_device(torch.empty(1)) == expected
    assert config.training_device(None) == expected


def test_the_model_follows_the_device(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """`fit` moves model and data to the device it was told; meta stands for an accelerator."""
    model = make_classifier()
    config.set_device("meta")
    assert model._to_device() == torch.device("meta")
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}


@pytest.mark.parametrize("value", ["float64", "float16", "bfloat16", "float32"])
def test_floatx(value: str) -> None:
    config.set_floatx(value)
    assert config.floatx() == value
    layer = Dense(2)
    layer.build((None, 3))
    assert layer.weight.dtype is getattr(torch, value)


def test_settings() -> None:
    assert config.epsilon() == 1e-7
    config.set_epsilon(1e-5)
    assert config.epsilon() == 1e-5
    assert config.image_data_format() == "channels_last"
    with pytest.raises(ArgumentError, match="floatx must be float16"):
        config.set_floatx("int8")


def test_clear_session_counts_names_anew() -> None:
    config.clear_session()
    assert Dense(1).name == "dense"
    assert Dense(1).name == "dense_1"
    config.clear_session()
    assert Dense(1).name == "dense"
