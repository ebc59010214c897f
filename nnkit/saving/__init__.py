"""Whole models and weights in files, Keras's and torch's, and the configs that describe them.

`whole_models` saves and loads models, as an `archive` (.keras) or a `legacy_model` (.h5), which
share `model_parts`. `weights` saves and loads weights, as `keras_weights` (.weights.h5),
`legacy_weights` (.h5) or a `torch_state` (.pt, .safetensors); `places` says what goes where. Below
lie `hdf5` and `hdf5_writer`, `checksum` and `atomic`. `torch_weights` takes over the weights of
other networks, and `export` writes programs.
"""

from __future__ import annotations

from nnkit.custom_objects import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from nnkit.saving.export import export
from nnkit.saving.torch_weights import load_torch
from nnkit.saving.weights import load_weights, save_weights
from nnkit.saving.whole_models import load_model, save_model
from nnkit.serialization import deserialize_keras_object, serialize_keras_object

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "export",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_torch",
    "load_weights",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]
