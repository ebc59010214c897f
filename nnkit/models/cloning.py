"""Models made again: from a config, from JSON, or like another model with new weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from nnkit.custom_objects import supplying
from nnkit.errors import ArgumentError
from nnkit.layers.input import InputLayer
from nnkit.models.model import Model
from nnkit.models.sequential import Sequential
from nnkit.serialization import deserialize_keras_object, is_object_config, sharing_objects
from nnkit.symbolic import Function, SymbolicTensor, record
from nnkit.tree import flatten, map_structure
from nnkit.wrapper import TorchModuleWrapper

__all__ = ["clone_model", "model_from_config", "model_from_json"]


def model_from_config(config: Any, custom_objects: Any = None) -> Any:
    """A new model from the dict that `to_json` writes, here, in Keras 3 or before.

    Args:
        config: with "class_name" and "config".
        custom_objects: classes and functions by the names the config has for them.

    Raises: ArgumentError for something else, or a class that is not known here.
    """
    if not is_object_config(config):
        raise ArgumentError(
            f"A model's config is a dict with 'class_name' and 'config': {config!r}."
        )
    with supplying(custom_objects), sharing_objects():
        if "module" not in config:
            config = {"module": "keras.models", **config}
        return deserialize_keras_object(config)


def model_from_json(json_string: str, custom_objects: Any = None) -> Any:
    """A new model, with new weights, from what `model.to_json()` gave.

    Args:
        json_string: the text.
        custom_objects: classes and functions by the names the text has for them.

    Raises: ArgumentError for text that is no such thing.
    """
    try:
        config = json.loads(json_string)
    except (ValueError, RecursionError) as error:
        raise ArgumentError(f"The text is no JSON of a model: {error}.") from error
    return model_from_config(config, custom_objects)


def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable[[Any], Any] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
    **kwargs: Any,
) -> Any:
    """A model of the same layers with weights of its own, newly made.

    Args:
        model: made of inputs and outputs, or a Sequential; one of a class of your own is made
            again from its config.
        input_tensors: symbolic tensors to build on, instead of new inputs.
        clone_function: gives the new layer for each layer; `layer.from_config(layer.get_config())`
            when None.
        call_function: called with (new layer, *args, **kwargs) in place of the layer.
        recursive: whether clone_function also is asked for the layers inside inner models.

    Raises: ArgumentError for arguments that this kind of model does not take.
    Source: keras.models.clone_model
    """
    if kwargs:
        raise ArgumentError(f"clone_model() has no argument {min(kwargs)!r}.")
    make = clone_function or _clone

    def clone(layer: Any) -> Any:
        if recursive and isinstance(layer, Model) and (layer._graph or hasattr(layer, "_stack")):
            return clone_model(layer, None, clone_function, call_function, True)
        return make(layer)

    if isinstance(model, Sequential):
        if call_function is not None:
            raise ArgumentError("call_function is for models made of inputs and outputs.")
        return _clone_stack(model, input_tensors, clone)
    if getattr(model, "_graph", None) is None:
        given = (input_tensors, clone_function, call_function)
        if any(argument is not None for argument in given):
            raise ArgumentError(
                f"{model.label} computes by a call of its own, so it can only be cloned from its "
                f"config: give no further arguments."
            )
        return _clone(model)
    return _clone_graph(model, input_tensors, clone, call_function)


def _clone(layer: Any) -> Any:
    if isinstance(layer, TorchModuleWrapper):
        raise ArgumentError(
            f"{layer.label} cannot be cloned: how the module was made is not known. Give a "
            f"clone_function that makes it."
        )
    with sharing_objects():
        return type(layer).from_config(layer.get_config())


def _clone_stack(model: Sequential, input_tensors: Any, clone: Callable[[Any], Any]) -> Sequential:
    layers = [clone(layer) for layer in model.layers]
    entrance = model._entrance
    if input_tensors is not None:
        [given] = flatten(input_tensors)
        if not isinstance(given.node.op, InputLayer):
            raise ArgumentError("input_tensors of a Sequential must be made by Input().")
        entrance = given.node.op
    elif entrance is not None:
        entrance = InputLayer.from_config(entrance.get_config())
    return type(model)([entrance, *layers] if entrance is not None else layers, name=model.name)


def _clone_graph(
    model: Any, input_tensors: Any, clone: Callable[[Any], Any], call: Callable[..., Any] | None
) -> Any:
    graph = model._graph
    now: dict[int, Any] = {}
    if input_tensors is not None:
        given = flatten(input_tensors)
        if len(given) != len(graph.flat_inputs):
            raise ArgumentError(
                f"{model.label} has {len(graph.flat_inputs)} inputs, got {len(given)} tensors."
            )
        ends = given
    else:
        copies = [InputLayer.from_config(t.node.op.get_config()) for t in graph.flat_inputs]
        ends = [layer.output for layer in copies]
    for old, new in zip(graph.flat_inputs, ends, strict=True):
        now[id(old)] = new
    made: dict[int, Any] = {}
    for node in graph.nodes:
        if any(id(tensor) in now for tensor in flatten(node.outputs)):
            continue
        args, kwargs = map_structure(lambda v: now.get(id(v), v), (node.args, node.kwargs))
        if isinstance(node.op, Function):
            outputs = record(Function(node.op.fn), args, kwargs)
        else:
            layer = made.setdefault(id(node.op), None) or clone(node.op)
            made[id(node.op)] = layer
            outputs = layer(*args, **kwargs) if call is None else call(layer, *args, **kwargs)
        for before, after in zip(flatten(node.outputs), flatten(outputs), strict=True):
            if type(before) is SymbolicTensor:
                now[id(before)] = after
    new = iter(ends)
    inputs = map_structure(lambda _: next(new), graph.inputs)
    outputs = map_structure(lambda v: now[id(v)], graph.outputs)
    return type(model)(inputs, outputs, name=model.name)
