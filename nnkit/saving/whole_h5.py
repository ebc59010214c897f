"""Whole models in the .h5 files of Keras before version 3, which Keras still reads and writes.

The file has the architecture in the attribute "model_config", how it is trained in
"training_config", the weights in the group "model_weights" and the optimizer's variables in
"optimizer_weights".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import torch

from nnkit.custom_objects import supplying
from nnkit.errors import ArgumentError, FileError
from nnkit.saving import legacy_h5
from nnkit.saving.hdf5 import datasets, group_at, read_dataset, read_text, size_of, write_dataset
from nnkit.saving.weights import compare, fill
from nnkit.saving.whole import (
    CONFIG_LIMIT,
    assets,
    check_declared,
    made,
    optimizer_values,
    read_config,
    take_values,
)
from nnkit.serialization import is_object_config, serialize_keras_object, sharing_objects

__all__ = ["load", "save"]

_VERSION, _OPTIMIZER = "3.15.1", "optimizer_weights"


def save(model: Any, path: Path, config: dict[str, Any], compiled: Any) -> None:
    """Write a model whose config is given; `compiled` is its compile config, or None.

    Raises: ArgumentError for weights or vocabularies that have no place in this layout.
    """
    learned = sorted(assets(model))
    if learned:
        raise ArgumentError(
            f"The .h5 layout has no place for what layers of {model.label} have learned from data "
            f"({learned[0].removeprefix('layers/')}). Save as '.keras'."
        )
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = _VERSION, "torch"
        whole = {"class_name": config["class_name"], "config": config["config"]}
        file.attrs["model_config"] = json.dumps(whole).encode()
        legacy_h5.write_group(file.create_group("model_weights"), model)
        if not compiled:
            return
        training = {key: compiled[key] for key in ("loss", "metrics", "weighted_metrics")}
        optimizer = serialize_keras_object(model.optimizer)
        training["loss_weights"] = compiled["loss_weights"]
        training["optimizer_config"] = {key: optimizer[key] for key in ("class_name", "config")}
        file.attrs["training_config"] = json.dumps(training).encode()
        for _, known, values in list(optimizer_values(model))[:1]:
            names = [f"{known.name}/variable_{number}" for number in range(len(values))]
            group = file.create_group(_OPTIMIZER)
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, (tensor, layout) in zip(names, values, strict=True):
                write_dataset(group, name, layout.to_keras(tensor))


def load(path: Path, size: int, custom_objects: Any, compile: bool) -> Any:
    """The model in a file.

    Raises: FileError when it holds no model, or one that does not fit its weights.
    """
    with datasets(path) as (file, found):
        declared = sum(map(size_of, found.values()))
        check_declared(declared, size)
        config, training = (
            _config(file, name, size) for name in ("model_config", "training_config")
        )
        states = _states(path, file, found)
    if not isinstance(config, dict):
        raise FileError("it holds weights only: make the model, and call load_weights on it.")
    with supplying(custom_objects), sharing_objects():
        model = made({"module": "keras.models", **config}, declared, size)
        places = legacy_h5.places(model)
        with legacy_h5.opened(path) as stored:
            report, misfits = compare(places, stored)
            if misfits:
                raise FileError(f"its weights do not fit {model.label}:\n{report}")
            fill(model, places, {key: stored[key].read() for key in places})
        if compile and training:
            _compile(model, training, states)
    return model


def _compile(model: Any, training: dict[str, Any], states: list[torch.Tensor]) -> None:
    wanted = ("loss", "metrics", "weighted_metrics", "loss_weights")
    homes = {
        "loss": "keras.losses",
        "metrics": "keras.metrics",
        "weighted_metrics": "keras.metrics",
    }
    config = {key: _with_module(training.get(key), homes.get(key)) for key in wanted}
    optimizer = {"module": "keras.optimizers", **training["optimizer_config"]}
    model.compile_from_config({"optimizer": optimizer, **config})
    for _, known, slots in list(optimizer_values(model))[:1] if states else ():
        take_values(known, slots, states)


def _with_module(value: Any, module: str | None) -> Any:
    """Configs of objects as Keras writes them now, with the module that they are from."""
    if isinstance(value, list):
        return [_with_module(item, module) for item in value]
    if not isinstance(value, dict):
        return value
    if is_object_config(value):
        return {"module": module, **value}
    return {key: _with_module(item, module) for key, item in value.items()}


def _config(file: Any, name: str, size: int) -> Any:
    text = read_text(file, name, min(CONFIG_LIMIT, size))
    return None if text is None else read_config(text)


def _states(path: Path, file: Any, found: Mapping[str, Any]) -> list[torch.Tensor]:
    """The optimizer's variables, in their order."""
    group = group_at(file, _OPTIMIZER)
    names = [] if group is None else legacy_h5.listed_names(group, "weight")
    keys = [f"{_OPTIMIZER}/{name}" for name in names]
    return [read_dataset(path, found[key]) for key in keys if key in found]
