"""Which pixels a prediction rests on: Grad-CAM and saliency."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nnkit.activations import keep_logits, logits_of
from nnkit.convert import as_tensor
from nnkit.errors import ArgumentError, ShapeError, unknown_name
from nnkit.layer import Layer
from nnkit.models import Model
from nnkit.shapes import describe
from nnkit.wrapper import as_layer

__all__ = ["grad_cam", "saliency"]


def grad_cam(model: Model, image: Any, class_index: Any = None, layer: str | None = None) -> Any:
    """Where in a picture a class was seen: a heat map from 0 to 1.

    The feature maps of a layer are added, each weighed by how much it raises the score of the class
    on average; what lowers it counts as zero.

    Args:
        model: a classifier; the layer may lie in a model inside it.
        image: one picture as the model takes it, or a batch.
        class_index: the class, or one a picture; the predicted one when None.
        layer: the layer's name; the last one with feature maps when None.

    Shape: (height, width, channels) -> (height, width), an array; a batch likewise
    Raises: ArgumentError for an unknown layer or class; ShapeError if it gives no feature maps.
    Source: https://arxiv.org/abs/1610.02391
    """
    images, single = _batch(model, image)
    target = _find(model, layer, images)
    seen: list[Tensor] = []

    def watch(_: Any, __: Any, output: Tensor) -> Tensor:
        # A tensor to differentiate by, even if all before it is frozen.
        seen.append(output if output.requires_grad else output.detach().requires_grad_())
        return seen[-1]

    handle = target.register_forward_hook(watch)
    try:
        score = _score(model, images, class_index)
    finally:
        handle.remove()
    if not seen or seen[-1].ndim != 4:
        came = describe(seen[-1].shape) if seen else "nothing"
        raise ShapeError(
            f"grad_cam needs feature maps (batch, height, width, channels), but {layer!r} gives "
            f"{came}. Choose a convolution or pooling before the features are flattened."
        )
    maps = seen[-1]
    (gradient,) = torch.autograd.grad(score, maps)
    if getattr(as_layer(target), "channels_first", False):
        maps, gradient = maps.movedim(1, -1), gradient.movedim(1, -1)
    weights = gradient.mean((1, 2), keepdim=True)
    heat = (maps * weights).sum(-1).relu().detach()
    heat = F.interpolate(heat[:, None], images.shape[1:3], mode="bilinear")[:, 0]
    return _scaled(heat, single)


def saliency(model: Model, image: Any, class_index: Any = None) -> Any:
    """How much each pixel moves the score of a class: the size of its gradient, from 0 to 1.

    Args:
        model: a classifier.
        image: one picture as the model takes it, or a batch.
        class_index: the class, or one a picture; the predicted one when None.

    Shape: (height, width, channels) -> (height, width), an array; a batch likewise
    Source: https://arxiv.org/abs/1312.6034
    """
    images, single = _batch(model, image)
    images = images.requires_grad_()
    (gradient,) = torch.autograd.grad(_score(model, images, class_index), images)
    return _scaled(gradient.abs().amax(-1), single)


def _batch(model: Model, image: Any) -> tuple[Tensor, bool]:
    images = as_tensor(np.asarray(image) if isinstance(image, list) else image, model)
    images = images.detach().float()
    if images.ndim not in (3, 4):
        raise ShapeError(
            f"A picture has axes (height, width, channels), a batch one more in front; "
            f"received {tuple(images.shape)}."
        )
    first = next(model.parameters(), images)
    return (images if images.ndim == 4 else images[None]).to(first.device), images.ndim == 3


def _score(model: Model, images: Tensor, class_index: Any) -> Tensor:
    """The sum over the batch of each picture's score: the logit of its class."""
    with torch.enable_grad(), keep_logits():
        outputs = model(images, training=False)
        known = logits_of(outputs)
    logits = outputs if known is None else known[1]
    if logits.ndim != 2:
        raise ShapeError(f"A classifier gives (batch, classes), got {describe(logits.shape)}.")
    classes = logits.shape[1]
    if class_index is None:
        chosen = logits.detach().argmax(1)
    else:
        chosen = torch.as_tensor(class_index, device=logits.device).reshape(-1).long()
        chosen = chosen.expand(len(images)) if chosen.numel() == 1 else chosen
    if len(chosen) != len(images) or bool((chosen < 0).any() | (chosen >= max(classes, 2)).any()):
        raise ArgumentError(
            f"class_index must be from 0 to {max(classes, 2) - 1}, one for all pictures or one "
            f"each, got {class_index!r}."
        )
    if classes == 1:  # yes or no: the score of "no" is the other way round
        return (logits[:, 0] * (chosen * 2 - 1)).sum()
    return logits.gather(1, chosen[:, None]).sum()


def _find(model: Model, name: str | None, images: Tensor) -> torch.nn.Module:
    """The module that gives the feature maps; those of models inside are looked through too."""
    if name is None:
        return _last_with_maps(model, images)
    names = []
    todo = [model]
    for each in todo:  # grows meanwhile: the models inside
        for layer in each.layers:
            names.append(layer.name)
            if layer.name == name:
                return _module(layer)
            if isinstance(layer, Model):
                todo.append(layer)
    raise unknown_name(f"layer of {model.name!r}", name, names)


def _module(layer: Layer) -> torch.nn.Module:
    """What is really called: of a wrapper that models make by themselves, the torch module."""
    plain = type(layer).__name__ == "TorchModuleWrapper" and layer.data_format is None
    module: Any = layer.module if plain else layer
    return module


def _last_with_maps(model: Model, images: Tensor) -> torch.nn.Module:
    found: list[torch.nn.Module] = []
    handles = []

    def note(module: Any, _: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[1:3]) > 1:
            found.append(module)

    todo = [model]
    for each in todo:
        for layer in each.layers:
            if isinstance(layer, Model):
                todo.append(layer)
            else:
                handles.append(_module(layer).register_forward_hook(note))
    try:
        with torch.no_grad():
            model(images[:1], training=False)
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        raise ShapeError(
            f"{model.label} has no layer that gives feature maps (batch, height, width, channels)."
        )
    return found[-1]


def _scaled(heat: Tensor, single: bool) -> Any:
    largest = heat.flatten(1).amax(1)[:, None, None]
    made = (heat / largest.clamp_min(1e-12)).cpu().numpy()
    return made[0] if single else made
