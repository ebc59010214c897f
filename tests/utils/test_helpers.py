"""Config, Progbar and the questions about tensors."""

from __future__ import annotations

import json

import keras
import pytest

import nnkit
from nnkit import layers, utils
from nnkit.errors import ArgumentError, MissingNameError


@pytest.mark.parametrize("kind", [utils.Config, keras.utils.Config])
def test_config_is_keras_own(kind: type) -> None:
    config = kind(rate=0.1)
    config.epochs = 3
    config["seed"] = 5
    config.update({"rate": 0.2}, name="run")
    assert (config.rate, config["epochs"], config.get("none", 9), config.pop("seed")) == (
        0.2, 3, 9, 5,
    )  # fmt: skip
    assert config.as_dict() == json.loads(config.to_json()) == dict(config.items())
    assert list(config.keys()) == ["rate", "epochs", "name"]
    assert "rate" in config
    assert len(config) == 3
    assert not config.frozen
    config.freeze()
    with pytest.raises(ValueError, match="frozen"):
        config.rate = 1
    with pytest.raises(ValueError, match="frozen"):
        config["rate"] = 1
    config.unfreeze()
    config.rate = 1
    del config["name"]
    assert config.as_dict() == {"rate": 1, "epochs": 3}
    with pytest.raises(AttributeError, match="rat"):
        _ = config.rat


def test_config_names_the_nearest_value() -> None:
    with pytest.raises(MissingNameError, match="Did you mean 'epochs'"):
        _ = utils.Config(epochs=3).epoch


def test_progbar_averages(capsys: pytest.CaptureFixture[str]) -> None:
    bar = utils.Progbar(4, verbose=2, stateful_metrics=["rate"])
    bar.update(1, [("loss", 4.0), ("rate", 0.5)])
    bar.add(2, [("loss", 1.0), ("rate", 0.25)])
    assert bar._told() == "loss: 2.0000 - rate: 0.2500"
    bar.update(4, [("loss", 1.5)])
    assert capsys.readouterr().out.startswith("4/4 - ")


def test_progbar_is_silent_or_plain(capsys: pytest.CaptureFixture[str]) -> None:
    for verbose in (0, 1):
        bar = utils.Progbar(2, verbose=verbose, stateless_metrics=["loss"])
        bar.add(2, [("loss", 1.0)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert lines[0].endswith("loss: 1.0000")
    with pytest.raises(ArgumentError, match="not both"):
        utils.Progbar(2, stateful_metrics=["a"], stateless_metrics=["b"])


def test_sources() -> None:
    one, two = nnkit.Input((2,)), nnkit.Input((2,))
    joined = layers.add([layers.Dense(2)(one), two, one])
    assert [id(each) for each in utils.get_source_inputs(joined)] == [id(one), id(two)]
    assert utils.is_keras_tensor(joined)
    assert not utils.is_keras_tensor(1)
    assert utils.standardize_dtype("float16") == "float16"


def test_interactive_logging() -> None:
    assert utils.is_interactive_logging_enabled()
    utils.disable_interactive_logging()
    assert not nnkit.config.is_interactive_logging_enabled()
    utils.enable_interactive_logging()
    assert utils.is_interactive_logging_enabled()
