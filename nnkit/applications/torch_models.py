"""Torchvision's and timm's own networks as models of named layers."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from nnkit import layers
from nnkit.applications.input_range import watch_range
from nnkit.arguments import one_of
from nnkit.errors import ArgumentError, NnkitError, unknown_name
from nnkit.models import Model
from nnkit.symbolic import Function, SymbolicTensor
from nnkit.tree import flatten
from nnkit.utils.download import get_file
from nnkit.wrapper import TorchModuleWrapper

__all__ = ["from_torchvision"]

# How networks name what comes after the features.
_POOLS = ("avgpool", "global_pool", "adaptive_avg_pool")
_TOPS = ("classifier", "fc", "head", "input_layer")


def from_torchvision(
    module: str | nn.Module,
    weights: Any = None,
    include_top: bool = True,
    input_shape: tuple[int | None, ...] = (224, 224, 3),
    pooling: str | None = None,
    name: str | None = None,
    **options: Any,
) -> Model:
    """A torch network for pictures as a model: channels last, with layers by their torch names.

    What its `forward` calls becomes the model's layers: "conv1", "layer4.1", "fc". Each is the
    torch module itself, so `summary`, freezing and feature extraction work on it. A network whose
    code cannot be followed becomes one layer.

    Args:
        module: a name that torchvision knows, or any torch module that takes (batch, channels,
            height, width), such as one of timm's.
        weights: for a name: None, "DEFAULT", another member's name, or a member of torchvision's
            weights; fetched once and checked.
        include_top: False stops at the last feature map.
        input_shape: (height, width, channels).
        pooling: without the top: None, "avg" or "max" over all pixels.
        name: of the model; the network's when None.
        options: for torchvision's function, such as num_classes.

    Returns: a Model (batch, height, width, channels) -> (batch, classes), or feature maps with
        channels last.
    Raises: ArgumentError for an unknown name; DownloadError if weights cannot be fetched.
    Example: `base = from_torchvision("resnet18", weights="DEFAULT", include_top=False)`
    """
    if pooling is not None:
        one_of("from_torchvision", "pooling", pooling, ("avg", "max"))
    trained = False
    if isinstance(module, str):
        name = name or module
        module, trained = _named(module, weights, options)
    elif weights is not None or options:
        raise ArgumentError("from_torchvision: weights and options go with a name, not a module.")
    name = name or type(module).__name__.lower()
    module.eval()
    images = layers.Input(shape=input_shape)
    x = images.movedim(-1, 1)
    outputs = _followed(module, x, name)
    if isinstance(outputs, dict):
        outputs = outputs.get("out", outputs)
    if not include_top:
        outputs = _last_map(outputs, x, name)
    if isinstance(outputs, SymbolicTensor) and outputs.ndim == 4:
        outputs = outputs.movedim(1, -1)
        if pooling == "avg":
            outputs = layers.GlobalAveragePooling2D(name="avg_pool")(outputs)
        elif pooling == "max":
            outputs = layers.GlobalMaxPooling2D(name="max_pool")(outputs)
    model = Model(images, outputs, name=name)
    if trained:
        model.preprocessing = "torch"
        watch_range(model)
    return model


def _named(name: str, weights: Any, options: dict[str, Any]) -> tuple[nn.Module, bool]:
    models = importlib.import_module("torchvision.models")
    known = models.list_models(module=models)
    if name not in known:
        raise unknown_name(
            "network of torchvision (give other networks as a torch module)", name, known
        )
    if isinstance(weights, str):
        members = models.get_model_weights(name)
        if weights != "DEFAULT" and weights not in members.__members__:
            raise unknown_name(f"weights of {name}", weights, ["DEFAULT", *members.__members__])
        weights = members[weights]
    if weights is not None:
        # Into torch's own cache, where torchvision will look for it.
        file = weights.url.rsplit("/", 1)[1]
        start = file.removesuffix(".pth").rpartition("-")[2]
        get_file(
            file, weights.url, cache_dir=Path(torch.hub.get_dir()), cache_subdir="checkpoints",
            file_hash=start if len(start) == 8 else None, hash_algorithm="sha256",
        )  # fmt: skip
    return models.get_model(name, weights=weights, **options), weights is not None


class _Open:
    """Stands for a torch Sequential while code is followed: its members are called instead."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.training = module.training

    def __call__(self, x: Any) -> Any:
        return self.module.forward(x)


def _followed(module: nn.Module, x: Any, name: str) -> Any:
    """Call the code of a module on a symbolic tensor; the module as a whole if that fails."""
    below = {path: each for path, each in module.named_modules() if path}
    for path, each in below.items():
        layer = _Open(each) if type(each) is nn.Sequential else _wrapped(each, path)
        each.__dict__["_nnkit_layer"] = layer
    try:
        outputs = module.forward(x)
    except (NnkitError, TypeError, ValueError, RuntimeError, AttributeError):
        outputs = _wrapped(module, f"{name}_network")(x)
    finally:
        for each in below.values():
            if isinstance(each.__dict__["_nnkit_layer"], _Open):
                del each.__dict__["_nnkit_layer"]
    for node in _nodes(outputs):
        if isinstance(node.op, Function) and node.op.fn is F.dropout:
            # Written with `training=self.training`, which the recorded call would not follow.
            dropout = layers.Dropout(node.kwargs["p"], name=node.op.name)
            dropout._inbound_nodes.append(node)
            dropout.built = True
            node.op, node.args, node.kwargs = dropout, node.args[:1], {}
        elif isinstance(node.op, Function) and "inplace" in node.kwargs:
            node.kwargs["inplace"] = False
    return outputs


def _wrapped(module: nn.Module, name: str) -> TorchModuleWrapper:
    return TorchModuleWrapper(module, name=name).of_network()


def _nodes(outputs: Any) -> list[Any]:
    """All calls that led to the outputs, the last ones first."""
    todo = flatten(outputs)
    found: dict[int, Any] = {}
    while todo:
        node = todo.pop(0).node
        if id(node) not in found:
            found[id(node)] = node
            todo.extend(node.inputs)
    return list(found.values())


def _last_map(outputs: Any, start: Any, name: str) -> Any:
    """What the last pooling reads, or else the last feature map before the classifier."""
    nodes = _nodes(outputs)
    pooled = [n.inputs[0] for n in nodes if n.op.name.startswith(_POOLS) and n.inputs[0].ndim == 4]
    made = [n.outputs for n in nodes if not n.op.name.startswith(_TOPS)]
    for found in [*pooled, *made]:
        if isinstance(found, SymbolicTensor) and found.ndim == 4 and found is not start:
            return found
    raise ArgumentError(
        f"{name} has no feature map to stop at with include_top=False; transformers have none. Put "
        f"torch.nn.Identity() in the place of the module's classifier, and keep include_top=True."
    )
