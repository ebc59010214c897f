"""Whole models in the .h5 files of Keras before version 3, which Keras still reads and writes.

The file has the architecture in the attribute "model_config", how it is trained in
"training_config", the weights in the group "model_weights" and the optimizer's variables in
"optimizer_weights".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nnkit.custom_objects import supplying
from nnkit.errors import ArgumentError, FileError
from nnkit.saving.hdf5 import Reader, group_at, reading
from nnkit.saving.hdf5_writer import new_file
from nnkit.saving.legacy_weights import listed_names, numbered, places, write_group
from nnkit.saving.model_parts import (
    CONFIG_LIMIT,
    assets,
    fill,
    made,
    optimizer_values,
    read_config,
    take_values,
)
from nnkit.saving.places import Stored
from nnkit.serialization import is_object_config, serialize_keras_object, sharing_objects

__all__ = ["load", "save"]

_VERSION, _OPTIMIZER = "3.15.1", "optimizer_weights"


def save(model: Any, path: Path, config: dict[str, Any], optimizer: bool) -> None:
    """Write a model whose config is given; `optimizer` is whether its state is wanted.

    Raises: ArgumentError for weights or vocabularies that have no place in this layout.
    """
    learned = sorted(assets(model))
    if learned:
        raise ArgumentError(
            f"The .h5 layout has no place for what layers of {model.label} have learned from data "
            f"({learned[0].removeprefix('layers/')}). Save as '.keras'."
        )
    with new_file(path) as file:
        root = file.root
        root.attrs["keras_version"], root.attrs["backend"] = _VERSION, "torch"
        whole = {"class_name": config["class_name"], "config": config["config"]}
        root.attrs["model_config"] = json.dumps(whole).encode()
        write_group(file, root.create_group("model_weights"), model)
        compiled = config.get("compile_config")
        if not compiled:
            return
        training = {key: compiled[key] for key in ("loss", "metrics", "weighted_metrics")}
        method = serialize_keras_object(model.optimizer)
        training["loss_weights"] = compiled["loss_weights"]
        training["optimizer_config"] = {key: method[key] for key in ("class_name", "config")}
        root.attrs["training_config"] = json.dumps(training).encode()
        for _, known, values in list(optimizer_values(model))[:1]:
            names = [f"{known.name}/variable_{number}" for number in range(len(values))]
            group = root.create_group(_OPTIMIZER)
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, (tensor, layout) in zip(names, values, strict=True):
                file.add(group, name, tensor, layout)


def load(path: Path, size: int, custom_objects: Any, compile: bool) -> Any:
    """The model in a file.

    Raises: FileError when it holds no model, or one that does not fit its weights.
    """
    with reading(path) as reader:
        config, training = (
            _config(reader, name, size) for name in ("model_config", "training_config")
        )
        if not isinstance(config, dict):
            raise FileError("it holds weights only: make the model, and call load_weights on it.")
        declared = sum(array.size for array in reader.arrays.values())
        with supplying(custom_objects), sharing_objects():
            model = made({"module": "keras.models", **config}, declared, size)
            fill(model, numbered(reader), places(model))
            if compile and training:
                _compile(model, training, _states(reader))
    return model


def _compile(model: Any, training: dict[str, Any], states: list[Stored]) -> None:
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


def _config(reader: Reader, name: str, size: int) -> Any:
    text = reader.text(reader.root, name, min(CONFIG_LIMIT, size))
    return None if text is None else read_config(text)


def _states(reader: Reader) -> list[Stored]:
    """The optimizer's variables, in their order."""
    group = group_at(reader.root, _OPTIMIZER)
    names = [] if group is None else listed_names(reader, group, "weight")
    keys = [f"{_OPTIMIZER}/{name}" for name in names]
    return [reader.arrays[key] for key in keys if key in reader.arrays]
