"""Whole models in the .h5 files of Keras before version 3, which Keras still reads and writes.

The file has the architecture in the attribute "model_config", how it is trained in
"training_config", the weights in the group "model_weights" and the optimizer's variables in
"optimizer_weights".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import torch

from nnkit.custom_objects import supplying
from nnkit.errors import FileError
from nnkit.initializers import left_empty
from nnkit.saving import legacy_h5
from nnkit.saving.hdf5 import datasets, read_dataset, write_dataset
from nnkit.saving.weights import compare, fill
from nnkit.saving.whole import optimizer_values, take_values
from nnkit.serialization import deserialize_keras_object, serialize_keras_object, sharing_objects

__all__ = ["load", "save"]

_VERSION, _WEIGHTS = "3.15.1", "optimizer_weights"


def save(model: Any, path: Path, config: dict[str, Any], compiled: Any) -> None:
    """Write a model whose config is given; `compiled` is its compile config, or None."""
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
            group = file.create_group(_WEIGHTS)
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, (tensor, layout) in zip(names, values, strict=True):
                write_dataset(group, name, layout.to_keras(tensor))


def load(path: Path, size: int, custom_objects: Any, compile: bool) -> Any:
    """The model in a file.

    Raises: FileError when it holds no model, or one that does not fit its weights.
    """
    with datasets(path) as (file, found):
        config, training = (_text(file, name) for name in ("model_config", "training_config"))
        names = file[_WEIGHTS].attrs["weight_names"] if _WEIGHTS in file else []
        keys = [f"{_WEIGHTS}/{_plain(name)}" for name in names]
        states = [read_dataset(path, found[key]) for key in keys if key in found]
    if config is None:
        raise FileError("it holds weights only: make the model, and call load_weights on it.")
    with supplying(custom_objects), sharing_objects():
        with left_empty(4 * size + 2**20):
            model = deserialize_keras_object({"module": "keras.models", **config})
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
    config = {key: training.get(key) for key in wanted}
    optimizer = {"module": "keras.optimizers", **training["optimizer_config"]}
    model.compile_from_config({"optimizer": optimizer, **config})
    for _, known, slots in list(optimizer_values(model))[:1] if states else ():
        take_values(known, slots, states)


def _text(file: Any, name: str) -> Any:
    value = file.attrs.get(name)
    return None if value is None else json.loads(_plain(value))


def _plain(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
