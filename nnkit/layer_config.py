"""What a layer's `get_config` and `from_config` do: the constructor's arguments as plain data.

The names of the arguments come from the constructor, their values from the layer's attributes of
these names, which hold them checked and filled in, as Keras writes them. A table says where Keras
writes other keys than nnkit's constructors take.
"""

from __future__ import annotations

import inspect
from typing import Any, Self

from nnkit import activations, dtype_policies
from nnkit.conventions import as_shape
from nnkit.errors import ArgumentError, ConfigError
from nnkit.serialization import (
    deserialize_keras_object,
    is_object_config,
    serialize_keras_object,
)

__all__ = ["Configured", "config_of", "readable", "refuse_computed"]

_BASE = ("name", "trainable", "dtype", "activity_regularizer")
_FIRST_SHAPE = {"input_shape", "input_dim", "input_length", "batch_input_shape", "batch_size"}

# Keys that Keras writes for layers for which nnkit has no such argument, and the only value that
# can be read: anything else asks for what does not exist here.
_KERAS_ONLY: dict[str, dict[str, Any]] = {
    "Dense": {"quantization_config": None},
    "EinsumDense": {"quantization_config": None, "activity_regularizer": None},
    "Embedding": {"quantization_config": None, "activity_regularizer": None},
    "ReversibleEmbedding": {"quantization_config": None, "activity_regularizer": None},
    "InputLayer": {"sparse": False, "ragged": False},
}
# Arguments that Keras takes too, but leaves out of configs.
_UNWRITTEN: dict[str, set[str]] = {
    "ActivityRegularization": {"activity_regularizer"},
    "Bidirectional": {"weights"},
    "CategoryEncoding": {"sparse"},
    "Dense": {"activity_regularizer"},
    "EinsumDense": {"lora_rank", "lora_alpha", "gptq_unpacked_column_size", "quantization_config"},
    "Embedding": {"weights", "lora_rank", "lora_alpha", "quantization_config"},
    "GRU": {"use_cudnn"},
    "GroupedQueryAttention": {"flash_attention"},
    "InputLayer": {"shape", "batch_size", "input_tensor", "sparse", "ragged"},
    "Model": {"inputs", "outputs"},
    "Sequential": {"layers"},
    "LSTM": {"use_cudnn"},
    "MaxNumBoundingBoxes": {"fill_value"},
    "MultiHeadAttention": {"flash_attention"},
    "RandomGrayscale": {"seed"},
    "SimpleRNN": {"seed"},
}
# Attributes that Keras writes although the constructor takes them only among others.
_ALSO: dict[str, tuple[str, ...]] = {"AdditiveAttention": ("seed",)}
# Attributes that hold an argument under a name of their own.
_KEPT_AS = {
    ("EinsumDense", "output_shape"): "partial_output_shape",
    ("MultiHeadAttention", "output_shape"): "_output_shape",
    ("TorchModuleWrapper", "output_shape"): "_output_shape",
}
# Layers for which Keras writes the name of the dtype alone, and not whether they are trainable.
_SHORT = {"Discretization", "HashedCrossing", "InputLayer"}
_SHORT |= {f"SpatialDropout{rank}D" for rank in (1, 2, 3)}
_LAYERS_INSIDE = {"layer", "layers", "backward_layer", "cell", "cells"}
# What older versions of Keras wrote and newer ones ignore; read as if it were not there.
_IGNORED = {"implementation", "time_major", "autocast", "ragged"}


def config_of(layer: Any) -> dict[str, Any]:
    """The config of a layer that does not write its own.

    Where a user's class writes a `get_config` that calls this one by `super()`, these are the
    arguments of the nnkit class it derives from. Otherwise those its own constructor was given.
    """
    refuse_computed(layer)
    above = type(layer).__mro__
    owner = next(base for base in above if base.__module__.startswith("nnkit."))
    users = above[: above.index(owner)]
    own_init = next((base for base in users if "__init__" in vars(base)), None)
    if own_init is not None and not any("get_config" in vars(base) for base in users):
        return {**_base_config(layer, ""), **_given(layer, own_init)}
    base = _base_config(layer, owner.__name__)
    written = {} if _declares(owner) is None else _kept(layer, owner, own_init is None)
    return {**_KERAS_ONLY.get(owner.__name__, {}), **base, **written}


def refuse_computed(layer: Any) -> None:
    """Raise a ConfigError where a config would leave out what torch does to a weight.

    After `weight_norm`, `spectral_norm` or pruning a weight is computed from others at each call.
    """
    for weight in layer.computed():
        raise ConfigError(
            f"{layer.label} cannot be written into a config: torch computes its {weight.name} from "
            f"other weights (a parametrization, weight_norm or pruning). Make that permanent "
            f"(torch.nn.utils.parametrize.remove_parametrizations, prune.remove), or keep the "
            f"weights alone: model.save_weights, state_dict."
        )


def _base_config(layer: Any, owner: str) -> dict[str, Any]:
    """What every layer's config begins with."""
    if owner in _SHORT:
        return {"name": layer.name, "dtype": str(layer.dtype).removeprefix("torch.")}
    policy = dtype_policies.serialize(layer.dtype_policy)
    config = {"name": layer.name, "trainable": layer.trainable, "dtype": policy}
    hidden = "activity_regularizer" in _UNWRITTEN.get(owner, ()) and owner != "Dense"
    if layer.activity_regularizer is not None and not hidden:
        config["activity_regularizer"] = serialize_keras_object(layer.activity_regularizer)
    return config


def _declares(owner: type) -> type | None:
    """The class whose constructor declares the arguments; None if it is that of all layers."""
    found = next(base for base in owner.__mro__ if "__init__" in vars(base))
    return None if found.__module__ == "nnkit.layer" else found


def _kept(layer: Any, owner: type, unchanged: bool) -> dict[str, Any]:
    """The arguments of a constructor, from the attributes of their names."""
    raw = _bound(layer, owner) if unchanged else {}
    left_out = {"name", "trainable", "dtype"} | _UNWRITTEN.get(owner.__name__, set())
    config = {}
    for name, parameter in list(inspect.signature(owner.__init__).parameters.items())[1:]:  # type: ignore[misc]
        if name in left_out or parameter.kind is parameter.VAR_KEYWORD:
            continue
        default = None if parameter.default is parameter.empty else parameter.default
        given = raw.get(name, default)
        value = getattr(layer, _KEPT_AS.get((owner.__name__, name), name), given)
        nothing = given is None and isinstance(value, (list, tuple, dict)) and not value
        config[name] = None if nothing else _plain(name, value)
    return {**config, **{name: getattr(layer, name) for name in _ALSO.get(owner.__name__, ())}}


def _bound(layer: Any, owner: type) -> dict[str, Any]:
    """All arguments of a constructor by name, defaults included; those behind ** too."""
    args, kwargs = layer._init_args
    signature = inspect.signature(owner.__init__)  # type: ignore[misc]
    bound = signature.bind_partial(layer, *args, **kwargs)
    bound.apply_defaults()
    found = dict(list(bound.arguments.items())[1:])
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            found.update(found.pop(name, {}))
        elif parameter.kind is parameter.VAR_POSITIONAL and not found.get(name):
            found.pop(name, None)  # `*args` that are only passed on: nothing was given
    return found


def _given(layer: Any, owner: type) -> dict[str, Any]:
    return {
        name: _plain(name, value)
        for name, value in _bound(layer, owner).items()
        if name not in _BASE and name not in _FIRST_SHAPE
    }


def _plain(name: str, value: Any) -> Any:
    if name.endswith("activation") and (value is None or callable(value)):
        return activations.serialize(activations.get(value))
    return serialize_keras_object(value)


def readable(kind: type, config: dict[str, Any]) -> dict[str, Any]:
    """The arguments for a constructor, from a config that nnkit or any Keras wrote.

    Raises: ArgumentError where the config asks for what does not exist here.
    """
    takes = inspect.signature(kind.__init__).parameters  # type: ignore[misc]
    only = next((_KERAS_ONLY[b.__name__] for b in kind.__mro__ if b.__name__ in _KERAS_ONLY), {})
    found = {}
    for name, value in config.items():
        if name not in _BASE and name in only:
            if value != only[name]:
                raise ArgumentError(
                    f"{kind.__name__} has {name}={value!r} in its config, which nnkit lacks."
                )
            continue
        if name in _IGNORED and name not in takes:
            continue
        if name == "batch_input_shape" and "batch_shape" in takes:
            name = "batch_shape"
        found[name] = _revived(name, value)
    return found


def _revived(name: str, value: Any) -> Any:
    """Layers and other objects in place of their configs; older forms are left to the argument."""
    if isinstance(value, (list, tuple)):
        return type(value)(_revived(name, item) for item in value)
    if not is_object_config(value) or name == "dtype":
        return value
    if name in _LAYERS_INSIDE:  # before version 3 Keras wrote no module
        return deserialize_keras_object({"module": "keras.layers", **value})
    known = "module" in value or str(value["class_name"]).startswith("__")
    return deserialize_keras_object(value) if known else value


class Configured:
    """The part of `Layer` that writes and reads configs."""

    _built_for: dict[str, Any]
    build: Any

    def get_config(self) -> dict[str, Any]:
        """The arguments this layer was made with, as plain data in Keras's form."""
        return config_of(self)

    def get_build_config(self) -> dict[str, Any] | None:
        """The shapes this layer was built for, from which `build_from_config` builds another."""
        shapes = self._built_for
        if not shapes:
            return None
        if len(shapes) > 1:
            return {"shapes_dict": shapes}
        return {"input_shape": next(iter(shapes.values()))}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Make the weights for the shapes of `get_build_config()`, nnkit's or Keras's."""
        shapes = [config["input_shape"]] if config.get("input_shape") else []
        shapes = shapes or list((config.get("shapes_dict") or {}).values())
        if shapes:
            self.build(*map(as_shape, shapes))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A new, unbuilt layer from `get_config()`, nnkit's or Keras's."""
        return cls(**readable(cls, config))
