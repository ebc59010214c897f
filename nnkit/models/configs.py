"""Functional graphs to plain data and back, in Keras's format of nodes."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from nnkit.errors import ArgumentError, ConfigError
from nnkit.graph import Graph
from nnkit.layers import deserialize
from nnkit.layers.augmentation.base import BaseImagePreprocessingLayer
from nnkit.layers.augmentation.pipeline import Pipeline
from nnkit.masks import mask_of
from nnkit.models.operations import Operation, operation_of, written
from nnkit.serialization import (
    deserialize_keras_object,
    is_object_config,
    serialize_keras_object,
)
from nnkit.symbolic import Function, Node, SymbolicTensor
from nnkit.tree import flatten, map_structure

__all__ = ["graph_config", "layer_of", "own_kwargs", "read_graph"]

_AUGMENTING = (BaseImagePreprocessingLayer, Pipeline)


# -- writing ---------------------------------------------------------------------------------------


def graph_config(graph: Graph) -> dict[str, Any]:
    """The layers with their calls, the inputs and the outputs of a graph.

    Raises: ConfigError, naming the step, for what Keras has no name for.
    """
    nodes = _nodes_by_op(graph)
    place = {id(node): (op, at) for op, own in nodes for at, node in enumerate(own)}
    layers = []
    for op, own in nodes:
        calls = [_call(op, node, place) for node in own if node.inputs]
        if isinstance(op, Function):
            config, *_ = written(op, own[0].args, own[0].kwargs)
        else:
            config = serialize_keras_object(op)
        layers.append({**config, "name": op.name, "inbound_nodes": calls})

    def end(tensor: SymbolicTensor) -> list[Any]:
        op, at = place[id(tensor.node)]
        # Keras's functional models count the call that made them.
        return [op.name, at + _is_functional(op), tensor.index]

    return {
        "layers": layers,
        "input_layers": map_structure(end, graph.inputs),
        "output_layers": map_structure(end, graph.outputs),
    }


def _nodes_by_op(graph: Graph) -> list[tuple[Any, list[Node]]]:
    """Each layer or function in Keras's order with its calls in this graph."""
    used = {id(node): node for node in graph.nodes}
    used |= {id(tensor.node): tensor.node for tensor in graph.flat_inputs}
    needed = _needed(graph)
    found = []
    for op in graph.operations:
        if isinstance(op, Function):
            own = [node for node in used.values() if node.op is op]
        else:
            own = [node for node in op._inbound_nodes if id(node) in used]
        own = [node for node in own if id(node) in needed]
        if own:
            found.append((op, own))
    return found


def _needed(graph: Graph) -> set[int]:
    """The calls that the outputs need; those that only make masks are made again on loading."""
    found: set[int] = set()
    stack = [tensor.node for tensor in graph.flat_outputs]
    given = {id(tensor) for tensor in graph.flat_inputs}
    found |= {id(tensor.node) for tensor in graph.flat_inputs}
    while stack:
        node = stack.pop()
        if id(node) in found:
            continue
        found.add(id(node))
        leaves = flatten((node.args, own_kwargs(node)))
        stack += [v.node for v in leaves if type(v) is SymbolicTensor and id(v) not in given]
    return found


def own_kwargs(node: Node) -> dict[str, Any]:
    """The keyword arguments of a call without a mask that came along with its input."""
    kwargs = dict(node.kwargs)
    carried = mask_of(node.args[0]) if node.args else None
    if "mask" in kwargs and carried is not None and not isinstance(node.op, Function):
        given = flatten(kwargs["mask"])
        if len(given) == len(flatten(carried)) and all(
            a is b for a, b in zip(given, flatten(carried), strict=True)
        ):
            del kwargs["mask"]
    return kwargs


def _call(op: Any, node: Node, place: dict[int, tuple[Any, int]]) -> dict[str, Any]:
    args, kwargs = node.args, own_kwargs(node)
    if isinstance(op, Function):
        _, args, kwargs = written(op, args, kwargs)

    def plain(value: Any) -> Any:
        if isinstance(value, nn.Parameter):
            raise ConfigError(
                f"The step {op.name!r} uses a parameter that belongs to no layer, which a config "
                f"cannot hold. Put it into a layer of your own, with add_weight."
            )
        if type(value) is not SymbolicTensor:
            return value
        maker, at = place[id(value.node)]
        return {
            "class_name": "__keras_tensor__",
            "config": {
                "shape": list(value.shape),
                "dtype": str(value.dtype).removeprefix("torch."),
                "keras_history": [maker.name, at, value.index],
            },
        }

    args, kwargs = map_structure(plain, (list(args), dict(kwargs)))
    return {"args": serialize_keras_object(args), "kwargs": serialize_keras_object(kwargs)}


def _is_functional(op: Any) -> bool:
    return getattr(op, "_graph", None) is not None and not hasattr(op, "_stack")


# -- reading ---------------------------------------------------------------------------------------


class _MissingError(Exception):
    """A call needs a tensor that is not there yet."""


def layer_of(config: Any) -> Any:
    """The layer or operation of one entry in a model's list of layers; not yet built."""
    if not is_object_config(config):
        raise ArgumentError(f"A layer's config must be a dict with 'class_name', got {config!r}.")
    build = config.get("build_config")
    config = {key: value for key, value in config.items() if key != "build_config"}
    if isinstance(build, dict) and "preprocessing" in build:  # of a model inside the model
        config["build_config"] = build
    return operation_of(config) or deserialize(config)


def read_graph(config: dict[str, Any]) -> tuple[Any, Any]:
    """The inputs and outputs of the graph that a config of `graph_config`, or Keras's, describes.

    Raises: ArgumentError for layers that are named nowhere, or calls that wait for one another.
    """
    made: dict[str, Any] = {}
    calls: dict[str, list[Any]] = {}
    results: dict[str, list[list[SymbolicTensor]]] = {}
    for entry in config["layers"]:
        layer = layer_of(entry)
        name = str(entry.get("name") or entry["config"]["name"])
        made[name], calls[name] = layer, list(entry.get("inbound_nodes") or [])
        known = getattr(layer, "_inbound_nodes", None)
        is_input = not calls[name] and bool(known)
        results[name] = [flatten(known[0].outputs)] if is_input and known else []
    while any(calls.values()):
        moved = False
        for name, waiting in calls.items():
            while waiting:
                try:
                    args, kwargs = _arguments(waiting[0], results)
                except _MissingError:
                    break
                if isinstance(made[name], _AUGMENTING) and kwargs.get("training"):
                    del kwargs["training"]  # Keras writes their default, which its models override
                results[name].append(flatten(made[name](*args, **kwargs)))
                _keep_name(made[name], results[name][-1])
                waiting.pop(0)
                moved = True
        if not moved:
            stuck = ", ".join(repr(name) for name, waiting in calls.items() if waiting)
            raise ArgumentError(f"The graph's layers wait for one another: {stuck}.")

    def end(place: list[Any]) -> SymbolicTensor:
        name, at, index = place[0], int(place[1]), int(place[2])
        at -= _is_functional(made.get(name))
        return _tensor(results, name, at, index)

    return _ends(config["input_layers"], end), _ends(config["output_layers"], end)


def _keep_name(layer: Any, outputs: list[Any]) -> None:
    """A step read from a config keeps its name, by which outputs are called."""
    if isinstance(layer, Operation):
        for tensor in outputs:
            if type(tensor) is SymbolicTensor and isinstance(tensor.node.op, Function):
                tensor.node.op.name = layer.name


def _ends(tree: Any, end: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _ends(value, end) for key, value in tree.items()}
    if len(tree) == 3 and isinstance(tree[0], str):
        return end(tree)
    return [_ends(value, end) for value in tree]


def _tensor(results: dict[str, Any], name: Any, at: int, index: int) -> SymbolicTensor:
    if name not in results:
        raise ArgumentError(f"The graph names the layer {name!r}, which it does not hold.")
    if not 0 <= at < len(results[name]):
        raise _MissingError
    outputs = results[name][at]
    if not 0 <= index < len(outputs):
        raise ArgumentError(f"The layer {name!r} has {len(outputs)} outputs, no number {index}.")
    found: SymbolicTensor = outputs[index]
    return found


def _arguments(node: Any, results: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    if isinstance(node, dict):
        args = _filled(node.get("args") or [], results)
        kwargs = _filled(node.get("kwargs") or {}, results)
        # Keras notes that there was no mask, also for layers that do not take one.
        return args, {key: value for key, value in kwargs.items() if (key, value) != ("mask", None)}
    # Before version 3: a list of [layer, call, output, keyword arguments].
    tensors, kwargs = [], {}
    for name, at, index, *more in node:
        tensors.append(_tensor(results, name, int(at), int(index)))
        kwargs = dict(more[0]) if more else {}
    return [tensors[0] if len(tensors) == 1 else tensors], kwargs


def _filled(value: Any, results: dict[str, Any]) -> Any:
    if isinstance(value, (list, tuple)):
        return [_filled(item, results) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "__keras_tensor__":
        name, at, index = value["config"]["keras_history"]
        return _tensor(results, name, int(at), int(index))
    if is_object_config(value):
        made = deserialize_keras_object(value)
        return torch.from_numpy(made) if type(made).__name__ == "ndarray" else made
    return {key: _filled(item, results) for key, item in value.items()}
