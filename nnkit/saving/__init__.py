"""Whole models and weights in files, Keras's and torch's, and the configs that describe them."""

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
