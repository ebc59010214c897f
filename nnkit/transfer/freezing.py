"""Which layers of a pretrained network learn."""

from __future__ import annotations

import re

from torch.nn.modules.batchnorm import _BatchNorm

from nnkit.errors import ArgumentError, unknown_name
from nnkit.layer import Layer
from nnkit.layers import BatchNormalization
from nnkit.models import Model
from nnkit.modes import mark_frozen
from nnkit.naming import to_snake_case

__all__ = ["blocks", "freeze", "unfreeze"]

# What the networks call their blocks: block5_conv1, conv4_block6_2_bn, block_16_expand, block7a_bn,
# expanded_conv_3_project, stage_2_block_8_gelu, conv_pw_13_relu, layer4.1, features.denseblock2.
_BLOCK = re.compile(
    r"^(block(?:35|17|8)_\d+|conv_[dp]w_\d+|"
    r".*?(?:block_?\d+[a-z]?|expanded_conv_\d+|layer\d+\.\d+|denselayer\d+))"
)
# How a block ends that has no name before: mixed7, mixed_6a, block17_3_mixed.
_END = re.compile(r"(mixed_?\d+[a-z]?|block\d+_\d+)(?:_mixed)?")


def blocks(model: Model) -> dict[str, list[Layer]]:
    """The blocks of a network in order: layers that stand together and share the start of a name.

    A layer of another name is a block of its own, together with what follows it and has no weights
    or only normalizes. Where networks name the end of a block, as InceptionV3 does with "mixed7",
    that is the block's name.

    Example: `list(blocks(VGG16(include_top=False)))` gives `["block1", ..., "block5"]`.
    """
    layers = model.layers
    matches = [_BLOCK.match(layer.name) for layer in layers]
    named = [match[1] if match else None for match in matches]
    begin = 0
    for at, layer in enumerate(layers):
        if end := _END.fullmatch(layer.name):
            named[begin : at + 1] = [name or end[1] for name in named[begin : at + 1]]
            begin = at + 1
    counted = any(named)
    found: dict[str, list[Layer]] = {}
    last = ""
    for layer, name in zip(layers, named, strict=True):
        if name is None:
            joins = _only_follows(layer) or (counted and _is_counted(layer))
            if joins and not last:
                continue  # inputs, rescaling and padding before the first block
            name = last if joins else layer.name
        last = name.replace("conv_dw", "conv_pw")
        found.setdefault(last, []).append(layer)
    return found


def _only_follows(layer: Layer) -> bool:
    """Whether a layer belongs to what comes before it."""
    module = getattr(layer, "module", layer)
    return not layer.count_params() or isinstance(module, (BatchNormalization, _BatchNorm))


def _is_counted(layer: Layer) -> bool:
    """Whether the name was made from the class: "conv2d_3"."""
    return re.fullmatch(to_snake_case(type(layer).__name__) + r"(_\d+)?", layer.name) is not None


def freeze(model: Layer) -> Layer:
    """Let a network learn nothing more: weights stay, batch normalization uses its statistics.

    Nothing of it changes in `fit`, neither parameters nor buffers, and the optimizer holds none of
    its parameters.

    Returns: the same model.
    """
    model.trainable = False
    return model


def unfreeze(
    model: Model,
    start: str | None = None,
    *,
    last: int | None = None,
    batch_normalization: bool = False,
) -> list[str]:
    """Let the end of a network learn, and freeze what comes before it.

    Args:
        model: a network; its layers in order.
        start: the layer or block to start from: "block5_conv1", "block5", "conv5_block1". All of
            the network when this and `last` are None.
        last: how many of the last blocks instead.
        batch_normalization: whether its layers learn too. Their statistics are of many more
            pictures than a small data set has, so they stay as they are by default.

    Returns: the names of the layers with weights that learn now.
    Raises: ArgumentError for an unknown name, or more blocks than there are.
    """
    if start is not None and last is not None:
        raise ArgumentError("unfreeze takes start or last, not both.")
    layers = model.layers
    at = 0
    if last is not None:
        at = layers.index(_last_blocks(model, last)[0])
    elif start is not None:
        at = layers.index(_first_layer(model, start))
    model.trainable = True
    for number, layer in enumerate(layers):
        layer.trainable = number >= at
        if number >= at and not batch_normalization:
            _hold_normalization(layer)
    return [layer.name for layer in layers[at:] if layer.trainable_weights]


def _last_blocks(model: Model, count: int) -> list[Layer]:
    with_weights = [group for group in blocks(model).values() if any(_sized(group))]
    if not 1 <= count <= len(with_weights):
        raise ArgumentError(
            f"unfreeze: last must be from 1 to {len(with_weights)}, the blocks of "
            f"{model.name!r}, got {count!r}."
        )
    return with_weights[-count]


def _sized(group: list[Layer]) -> list[int]:
    return [layer.count_params() for layer in group]


def _first_layer(model: Model, name: str) -> Layer:
    names = [layer.name for layer in model.layers]
    if name in names:
        return model.get_layer(name)
    known = blocks(model)
    if name in known:
        return known[name][0]
    # A stage: the blocks whose names go on after a mark, "conv5" or "layer4".
    for block, group in known.items():
        if re.match(re.escape(name) + r"[._a-z]", block):
            return group[0]
    raise unknown_name(f"layer or block of {model.name!r}", name, [*known, *names])


def _hold_normalization(layer: Layer) -> None:
    for module in layer.modules():
        if isinstance(module, BatchNormalization):
            module.trainable = False
        elif isinstance(module, _BatchNorm):
            mark_frozen(module, True)
            for parameter in module.parameters():
                parameter.requires_grad_(False)
