"""Fill a model with the weights of a plain torch model that has the same layers.

Torch and this package store most weights alike, so the work is to find which belongs where. A
state_dict is cut into *units*, the weights of one torch module ("features.0"); a model into the
weights of one layer. Units that hold the same kinds of weights in the same shapes are paired in
their order.
"""

from __future__ import annotations

import math
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nnkit.errors import ArgumentError, FileError, NotBuiltError, unknown_name
from nnkit.layer import Layer
from nnkit.layers.core import Dense
from nnkit.layers.einsum_dense import EinsumDense
from nnkit.saving.weights import read_state
from nnkit.shapes import axes
from nnkit.symbolic import SymbolicTensor
from nnkit.weights import WeightOwner

__all__ = ["Matched", "Report", "load_torch"]


class Matched(NamedTuple):
    """One pair: the torch module, the layer, and the shape of the layer's first weight."""

    source: str
    layer: str
    shape: tuple[int, ...]


class Report(NamedTuple):
    """What `load_torch` has loaded; print it for a table."""

    matched: list[Matched]

    def __str__(self) -> str:
        width = max((len(pair.source) for pair in self.matched), default=0)
        layer = max((len(pair.layer) for pair in self.matched), default=0)
        rows = [f"{p.source:{width}}  ->  {p.layer:{layer}}  {p.shape}" for p in self.matched]
        return "\n".join(rows)


class _Unit(NamedTuple):
    """Weights that belong together: its name, and tensors by kind, as this package names them."""

    name: str
    weights: dict[str, Tensor]

    @property
    def key(self) -> tuple[Any, ...]:
        return tuple(sorted((kind, tuple(tensor.shape)) for kind, tensor in self.weights.items()))

    def __str__(self) -> str:
        told = ", ".join(f"{kind} {tuple(t.shape)}" for kind, t in self.weights.items())
        return f"{self.name} ({told})"


def load_torch(
    model: Layer,
    source: Mapping[str, Any] | str | os.PathLike[str],
    mapping: str | Mapping[str, str] = "auto",
) -> Report:
    """Fill a model with the weights of a torch model made of the same layers.

    Layouts are converted: a Dense after a Flatten of images gets its columns from (channels,
    height, width) into (height, width, channels); torch's two biases of an LSTM become one;
    nn.MultiheadAttention's joint projection becomes three.

    Args:
        model: a built model or layer.
        source: a state_dict, or the path of one: .pt, .pth or .safetensors. Pickled objects other
            than tensors are refused.
        mapping: "auto" pairs by order and shape; a dict {torch module: layer}, such as
            {"layer1.0.downsample.0": "shortcut"}, says some pairs, or all.

    Returns: a Report of what was paired with what.
    Raises: FileError that lists all that is left over on both sides, or pairs that order and shape
        do not decide; the model is unchanged then. NotBuiltError before there are weights.

    Example:
        import torchvision
        report = load_torch(model, torchvision.models.vgg16().state_dict())
        print(report)
    """
    if not model.built:
        raise NotBuiltError(f"{model.label} has no weights to fill yet. Build it first.")
    if mapping != "auto" and not isinstance(mapping, Mapping):
        raise ArgumentError(f"mapping must be 'auto' or a dict, got {mapping!r}.")
    state = source if isinstance(source, Mapping) else read_state(source)
    units = list(_units_of_state(state))
    layers = list(_units_of_model(model))
    pairs = _paired(units, layers, {} if isinstance(mapping, str) else mapping, model.label)
    images = _flattened_images(model)
    with torch.no_grad():
        for unit, layer in pairs:
            for kind, target in layer.weights.items():
                value = unit.weights[kind]
                if id(target) in images:
                    value = _channels_last_columns(value, images[id(target)])
                target.copy_(value.reshape(target.shape))
    return Report([Matched(u.name, n.name, tuple(_first(n).shape)) for u, n in pairs])


# -- pairing ---------------------------------------------------------------------------------------


def _paired(
    units: list[_Unit], layers: list[_Unit], mapping: Mapping[str, str], label: str
) -> list[tuple[_Unit, _Unit]]:
    by_name = {unit.name: unit for unit in units}
    by_layer = {layer.name: layer for layer in layers}
    for source, target in mapping.items():
        if source not in by_name:
            raise unknown_name("torch module", source, by_name)
        if target not in by_layer:
            raise unknown_name(f"layer of {label}", target, by_layer)
    given = [(by_name[source], by_layer[target]) for source, target in mapping.items()]
    misfits = [f"{unit} and {layer}" for unit, layer in given if unit.key != layer.key]
    taken = {unit.name for unit, _ in given}, {layer.name for _, layer in given}
    left = [unit for unit in units if unit.name not in taken[0]]
    open_layers = [layer for layer in layers if layer.name not in taken[1]]
    queues: dict[Any, list[_Unit]] = defaultdict(list)
    for unit in left:
        queues[unit.key].append(unit)
    found, lacking = [], []
    for layer in open_layers:
        queue = queues[layer.key]
        if queue:
            found.append((queue.pop(0), layer))
        else:
            lacking.append(str(layer))
    extra = [str(unit) for queue in queues.values() for unit in queue]
    report = _told({"of other shapes": misfits, "no weights for": lacking, "no layer for": extra})
    if report:
        raise FileError(f"These torch weights do not fit {label}:\n{report}\nNothing was loaded.")
    _refuse_doubt(found, left, label)
    order = {layer.name: number for number, layer in enumerate(layers)}
    return sorted([*given, *found], key=lambda pair: order[pair[1].name])


def _refuse_doubt(found: list[tuple[_Unit, _Unit]], left: list[_Unit], label: str) -> None:
    """Where both sides have another order, equal shapes do not tell which belongs to which."""
    place = {unit.name: number for number, unit in enumerate(left)}
    places = [place[unit.name] for unit, _ in found]
    if places == sorted(places):
        return
    counts = Counter(unit.key for unit, _ in found)
    doubtful = [f"{u.name} -> {layer.name}?" for u, layer in found if counts[u.key] > 1]
    if doubtful:
        raise FileError(
            f"The torch weights come in another order than the layers of {label}, and these have "
            f"the shape of others:\n{_told({'not certain': doubtful})}\nNothing was loaded. Say "
            f"which is which with mapping={{torch module: layer}}."
        )


def _told(kinds: Mapping[str, list[str]]) -> str:
    return "\n".join(
        line
        for title, items in kinds.items()
        if items
        for line in (f"  {title} ({len(items)}):", *(f"    {item}" for item in items))
    )


# -- the two sides ---------------------------------------------------------------------------------

_RECURRENT = re.compile(r"(weight|bias)_(ih|hh)(?:_l(\d+)(_reverse)?)?")


def _units_of_state(state: Mapping[str, Any]) -> Iterator[_Unit]:
    groups: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for key, value in state.items():
        prefix, _, kind = key.rpartition(".")
        if isinstance(value, Tensor) and kind != "num_batches_tracked":
            groups[prefix][kind] = value
    for prefix, weights in groups.items():
        if prefix.endswith(".out_proj") and "in_proj_weight" in groups[prefix[: -len(".out_proj")]]:
            continue  # comes with the projections before it
        if "in_proj_weight" in weights:
            yield from _attention(prefix, weights, groups[f"{prefix}.out_proj"])
        elif all(_RECURRENT.fullmatch(kind) for kind in weights):
            yield from _recurrent(prefix, weights)
        else:
            yield _Unit(prefix, weights)


def _attention(
    prefix: str, weights: Mapping[str, Tensor], out: Mapping[str, Tensor]
) -> Iterator[_Unit]:
    parts = weights["in_proj_weight"].chunk(3)
    biases = weights["in_proj_bias"].chunk(3) if "in_proj_bias" in weights else (None,) * 3
    for name, weight, bias in zip(("query", "key", "value"), parts, biases, strict=True):
        unit = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
        yield _Unit(f"{prefix}.{name}", unit)
    yield _Unit(f"{prefix}.out_proj", dict(out))


def _recurrent(prefix: str, weights: Mapping[str, Tensor]) -> Iterator[_Unit]:
    runs: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for kind, value in weights.items():
        what, side, number, reverse = _RECURRENT.fullmatch(kind).groups()  # type: ignore[union-attr]
        runs[f"l{number}{reverse or ''}" if number else ""][f"{what}_{side}"] = value
    for run, found in runs.items():
        two = [found.pop(name) for name in ("bias_ih", "bias_hh") if name in found]
        if two:
            gates = found["weight_ih"].shape[0] // found["weight_hh"].shape[1]
            # A GRU needs both; in the others only their sum counts.
            found["bias"] = torch.stack(two) if gates == 3 else two[0] + two[1]
        yield _Unit(".".join(part for part in (prefix, run) if part), found)


def _units_of_model(model: Layer) -> Iterator[_Unit]:
    for path, module in _in_order(model):
        if not isinstance(module, WeightOwner):
            weights = {**module._parameters, **module._buffers}
            weights.pop("num_batches_tracked", None)
            own = {kind: value for kind, value in weights.items() if value is not None}
        else:
            keys = [key for key, value in module._parameters.items() if value is not None]
            own = {key: getattr(module, key) for key in [*keys, *module._weight_buffers]}
        if isinstance(module, EinsumDense):  # attention's projections are matrices, cut in heads
            split = 1 if path.endswith("output_dense") else 2
            own["weight"] = own["weight"].flatten(0, split - 1).flatten(1)
            own.update({"bias": own["bias"].flatten()} if "bias" in own else {})
        if "depthwise_weight" in own:
            yield _Unit(f"{path}.depthwise", {"weight": own.pop("depthwise_weight")})
            own["weight"] = own.pop("pointwise_weight")
            path = f"{path}.pointwise"
        if own:
            yield _Unit(path, own)


def _in_order(model: Layer) -> Iterable[tuple[str, Any]]:
    """All modules below, by path, in the order in which they stand."""
    return ((path or model.name, module) for path, module in model.named_modules())


def _first(unit: _Unit) -> Tensor:
    return next(iter(unit.weights.values()))


# -- images that are flattened ---------------------------------------------------------------------


def _flattened_images(model: Layer) -> dict[int, tuple[int, ...]]:
    """For each weight of a Dense that sees a flattened image: (height, width, channels)."""
    found = {}
    for module in model.modules():
        finish = getattr(module, "_finish", None)  # a Sequential makes its graph when asked
        graph = finish() if finish is not None else getattr(module, "_graph", None)
        for node in graph.nodes if graph is not None else ():
            if isinstance(node.op, Dense) and len(node.inputs) == 1:
                shape = _shape_before_flatten(node.inputs[0])
                if shape is not None:
                    found[id(node.op.weight)] = shape
    return found


def _shape_before_flatten(tensor: SymbolicTensor) -> tuple[int, ...] | None:
    shape: tuple[Any, ...] | None = None
    while True:
        node = tensor.node
        names = axes(getattr(node.op, "accepts", None) or "()")
        if shape is not None and "channels" in names:
            return shape if names[-1] == "channels" else None
        if shape is not None and "features" in names:
            return None  # a sequence of features, which torch keeps in this order too
        if len(node.inputs) != 1:
            return shape if shape is not None and len(shape) > 2 else None
        before = node.inputs[0]
        if shape is None and tensor.shape != before.shape:
            sizes = before.shape[1:]
            if tensor.ndim != 2 or len(sizes) < 2 or None in sizes:
                return None
            if math.prod(size or 0 for size in sizes) != tensor.shape[1]:
                return None  # pooled, not flattened
            if getattr(node.op, "data_format", None) == "channels_first":
                sizes = (*sizes[1:], sizes[0])
            shape = tuple(sizes)
        tensor = before


def _channels_last_columns(weight: Tensor, shape: tuple[int, ...]) -> Tensor:
    *sizes, channels = shape
    return weight.view(len(weight), channels, *sizes).movedim(1, -1).flatten(1)
