"""Features from inside a network, and features computed once for all epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from nnkit.data import make_batches, unpack_x_y_sample_weight
from nnkit.errors import ArgumentError, unknown_name
from nnkit.models import Model
from nnkit.symbolic import SymbolicTensor

__all__ = ["Cached", "cached_features", "feature_extractor", "find_path"]


def feature_extractor(model: Model, layer: str | Sequence[str], name: str | None = None) -> Model:
    """A model that ends at a layer of another, with the same weights.

    Args:
        model: a network with a graph: from `Input`, an application, a Sequential.
        layer: the name of a layer, also one of a model inside; or several names.
        name: of the new model.

    Returns: a Model from the same inputs to the layer's output, images with channels last.
    Raises: ArgumentError for an unknown name, with the nearest ones.
    Example: `feature_extractor(VGG16(), "block5_pool").predict(pictures)`
    """
    names = [layer] if isinstance(layer, str) else list(layer)
    if not names:
        raise ArgumentError("feature_extractor needs the name of a layer.")
    outputs = [_output(model, each) for each in names]
    label = name or f"{model.name}_to_{'_'.join(names)}"
    made = Model(model.input, outputs if not isinstance(layer, str) else outputs[0], name=label)
    made.preprocessing = model.preprocessing
    made.eval()
    return made


def _output(model: Model, name: str) -> SymbolicTensor:
    """What a layer of the model gave when the model was made."""
    path = find_path(model, name)
    tensor = model.get_layer(path[0])
    found = _node_output(model, tensor)
    if len(path) > 1:
        inner: Any = tensor
        part = feature_extractor(inner, name)
        arguments = _node(model, tensor).args
        found = part(*arguments)
    if getattr(tensor, "channels_first", False) and found.ndim == 4:
        found = found.movedim(1, -1)
    return found


def find_path(model: Model, name: str) -> list[str]:
    """The names of the models that a layer lies in, the outermost first, and its own.

    Raises: ArgumentError when there is none.
    """
    known = {layer.name: layer for layer in model.layers}
    if name in known:
        return [name]
    for layer in model.layers:
        if isinstance(layer, Model):
            try:
                return [layer.name, *find_path(layer, name)]
            except ArgumentError:
                continue
    inside = [x.name for layer in model.layers if isinstance(layer, Model) for x in layer.layers]
    raise unknown_name(f"layer of {model.name!r}", name, [*known, *inside])


def _node(model: Model, layer: Any) -> Any:
    """The call of a layer that belongs to this model's graph."""
    nodes = model._need_graph("graph").nodes
    found = [node for node in nodes if node.op is layer]
    if found:
        return found[0]
    raise ArgumentError(f"{layer.label} is no part of the graph of {model.label}.")


def _node_output(model: Model, layer: Any) -> Any:
    for tensor in model.inputs:
        if tensor.node.op is layer:
            return tensor
    return _node(model, layer).outputs


class Cached(NamedTuple):
    """Features, and the labels and weights that belong to them; None where there were none."""

    x: Any
    y: Any
    sample_weight: Any


def cached_features(
    model: Model, x: Any, y: Any = None, sample_weight: Any = None, *, batch_size: int | None = None
) -> Cached:
    """Run a frozen network over all pictures once.

    A head trained on the result sees what it would see behind the frozen network, without running
    that in every epoch. Pictures that are augmented anew in each epoch have no such features.

    Args:
        model: the frozen network, such as a `feature_extractor`.
        x: pictures, or a source of batches (x, y) that comes to an end; its order is kept.
        y, sample_weight: for arrays.
        batch_size: pictures at a time, for arrays; 32 when None.

    Returns: Cached(x, y, sample_weight), tensors in the memory of the computer.
    Example: `head.fit(*cached_features(base, pictures, labels)[:2], epochs=50)`
    """
    device = model._to_device()
    batches = make_batches(
        x, y, sample_weight, batch_size=batch_size, device=device, name="cached_features"
    )
    parts: list[tuple[Any, Any, Any]] = []
    for data in batches:  # a source may keep what it gives, to be trained on later
        images, labels, weights = unpack_x_y_sample_weight(data)
        with torch.inference_mode():
            features = model(images, training=False)
        parts.append((features, labels, weights))
    return Cached(*(_joined([part[i] for part in parts]) for i in range(3)))


def _joined(values: list[Any]) -> Any:
    """One tensor (or nesting of them) from those of the batches; a copy that can be trained on."""
    first = values[0]
    if first is None:
        return None
    if isinstance(first, (torch.Tensor, np.ndarray)):
        return torch.cat([torch.as_tensor(value).cpu() for value in values]).clone()
    if isinstance(first, dict):
        return {key: _joined([value[key] for value in values]) for key in first}
    return type(first)(_joined(list(column)) for column in zip(*values, strict=True))
