"""Names of `keras` itself and of keras.config, beside Keras's."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import pytest
import torch

import nnkit
from nnkit.errors import ArgumentError


@pytest.mark.parametrize("module", [nnkit, keras], ids=["nnkit", "keras"])
def test_settings(module: object) -> None:
    config = module.config  # type: ignore[attr-defined]
    assert config.backend() == "torch"
    assert config.image_data_format() == "channels_last"
    config.set_image_data_format("channels_last")
    before = config.is_interactive_logging_enabled()
    config.disable_interactive_logging()
    assert not config.is_interactive_logging_enabled()
    config.enable_interactive_logging()
    assert config.is_interactive_logging_enabled()
    assert before
    config.disable_traceback_filtering()
    assert not config.is_traceback_filtering_enabled()
    if module is keras:
        config.enable_traceback_filtering()


@pytest.mark.parametrize("module", [nnkit, keras], ids=["nnkit", "keras"])
def test_devices_scopes_and_tensors(module: object) -> None:
    with module.device("cpu:0"), module.name_scope("block"):  # type: ignore[attr-defined]
        assert torch.ones(1).device.type == "cpu"
    inputs = module.Input((3,))  # type: ignore[attr-defined]
    assert isinstance(inputs, module.KerasTensor)  # type: ignore[attr-defined]


def test_devices_by_tensorflows_names() -> None:
    assert nnkit.device("/device:GPU:1") == torch.device("cuda:1")
    assert nnkit.device("gpu") == torch.device("cuda")


def test_versions() -> None:
    assert nnkit.version() == nnkit.__version__


def test_flash_attention_is_torchs_setting() -> None:
    try:
        nnkit.config.disable_flash_attention()
        assert not nnkit.config.is_flash_attention_enabled()
        assert not torch.backends.cuda.flash_sdp_enabled()
    finally:
        nnkit.config.enable_flash_attention()
    assert torch.backends.cuda.flash_sdp_enabled()


@pytest.mark.parametrize(
    "dtypes",
    [
        ("float32", "float16"),
        ("int32", "float32"),
        ("int8", "int32"),
        ("bool", "int32"),
        ("uint8",),
    ],
)
def test_result_types(dtypes: tuple[str, ...]) -> None:
    assert nnkit.backend.result_type(*dtypes) == keras.backend.result_type(*dtypes)


def test_what_cannot_be_set() -> None:
    nnkit.config.set_backend("torch")
    with pytest.raises(ArgumentError, match="cannot become 'jax'"):
        nnkit.config.set_backend("jax")
    with pytest.raises(ArgumentError, match="channels last"):
        nnkit.config.set_image_data_format("channels_first")


def arguments_of_call(kind: Any) -> list[str]:
    names = list(inspect.signature(kind.call).parameters)[1:]
    return [name for name in names if name not in ("args", "kwargs")]


# Their calls have another name for it, or none.
NAMED_OTHERWISE = {
    "InputLayer", "Layer", "Pipeline", "SimpleRNNCell", "TorchModuleWrapper", "Wrapper",
}  # fmt: skip
SHARED = sorted(
    name
    for name in set(dir(keras.layers)) & set(nnkit.layers.__all__) - NAMED_OTHERWISE
    if hasattr(getattr(keras.layers, name), "call")
)


@pytest.mark.parametrize("name", SHARED)
def test_the_arguments_of_a_layers_call(name: str) -> None:
    expected = arguments_of_call(getattr(keras.layers, name))
    found = arguments_of_call(getattr(nnkit.layers, name))
    assert found[:1] == expected[:1]
    assert set(expected) - set(found) <= {"training"}  # which every layer takes
