"""Does a layer do what every layer must do? `check_layer` tries it out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from nnkit.custom_objects import custom_object_scope
from nnkit.errors import ArgumentError
from nnkit.layer import Layer
from nnkit.layers.core import Lambda
from nnkit.layers.identity import Masking
from nnkit.layers.input import Input
from nnkit.masks import mask_of
from nnkit.models.model import Model
from nnkit.models.sequential import Sequential
from nnkit.symbolic import SymbolicTensor
from nnkit.testing.case import Case, as_list, copies, repeatable
from nnkit.testing.common import COMMON
from nnkit.testing.conformance import Checklist, Fault, same, tensors
from nnkit.tree import flatten
from nnkit.wrapper import TorchModuleWrapper, as_layer

__all__ = ["LAYER_PROPERTIES", "check_layer"]

LAYER_PROPERTIES = Checklist(COMMON)


def check_layer(
    layer: Any,
    input_shape: Any,
    input_dtype: Any = None,
    *,
    batch_size: int | None = None,
    call: Callable[..., Any] | None = None,
    data: Any = None,
    without_gradient: Sequence[str] = (),
    skip: Mapping[str, str] | None = None,
) -> None:
    """Raise a ConformanceError unless a layer has all the properties of a good layer.

    Args:
        layer: a class or function that makes it, or a layer, which is copied and not changed.
        input_shape: without the batch axis, None for a size that is to be free; a list of shapes
            for several inputs.
        input_dtype: of the inputs, or a list of types; the default float when None.
        batch_size: samples, for a layer that needs a fixed number.
        call: (layer, *inputs) -> outputs, for a layer that is not called layer(x) or layer([x, y]).
        data: a function from a shape, batch included, to a tensor, or a list of them; random
            numbers around 0, or whole numbers from 0 to 4, when None.
        without_gradient: parameters that training is to leave alone.
        skip: {property: reason} for what is not to be checked. The properties are the keys of
            `nnkit.testing.LAYER_PROPERTIES`.

    Raises: ConformanceError saying which property fails, what was expected, what came, what to do.
    Example: `check_layer(lambda: Dense(3, "relu"), input_shape=(8,))`
    """
    LAYER_PROPERTIES.reasons(skip)
    make = _maker(layer)
    shapes = input_shape if isinstance(input_shape, list) else [input_shape]
    full = [(batch_size, s) if isinstance(s, int) else (batch_size, *s) for s in shapes]
    dtypes = as_list("input_dtype", input_dtype, len(full))
    sources = as_list("data", data, len(full))
    with repeatable():
        case = Case(make, full, dtypes, call, sources, without_gradient)
        given = layer if isinstance(layer, torch.nn.Module) else case.fresh()
        LAYER_PROPERTIES.check(as_layer(given).label, case, skip)


def _maker(layer: Any) -> Callable[[], Layer]:
    """What makes a fresh layer."""
    if isinstance(layer, torch.nn.Module):
        return copies(as_layer(layer))
    if not callable(layer):
        raise ArgumentError(
            f"check_layer needs a layer, or a class or function that makes one, got {layer!r}."
        )

    def make() -> Layer:
        made = layer()
        if isinstance(made, torch.nn.Module):
            return as_layer(made)
        raise ArgumentError(
            f"check_layer was given {layer!r}, which made {made!r}. It has to make a layer."
        )

    return make


@LAYER_PROPERTIES.add(
    "config",
    "from_config(get_config()) to give the same kind of layer, with the same weights and outputs",
    "Keep every argument of __init__ under its own name in get_config, or leave get_config out: "
    "the base class knows the arguments.",
)
def _config(case: Case) -> None:
    config = case.layer.get_config()
    with custom_object_scope(_supplied(case.layer)):
        twin = type(case.layer).from_config(copy.deepcopy(config))
    if type(twin) is not type(case.layer):
        raise Fault(f"it gave a {type(twin).__name__}")
    again = twin.get_config()
    config, again = _unbuilt(config), _unbuilt(again)
    changed = [key for key in {**config, **again} if repr(config.get(key)) != repr(again.get(key))]
    if changed:
        key = changed[0]
        raise Fault(f"{key!r} went from {config.get(key)!r} to {again.get(key)!r}")
    inputs = case.inputs()
    shapes = [[w.shape for w in x.get_weights()] for x in (case.built(twin), case.layer)]
    if shapes[0] != shapes[1]:
        raise Fault(f"it made weights {shapes[0]} in place of {shapes[1]}")
    twin.set_weights(case.layer.get_weights())
    same(case.run(twin, inputs), case.run(case.layer, inputs), "the new one, with these weights,")


def _unbuilt(config: Any) -> Any:
    """A config without what layers inside it say of the shapes they were built for."""
    if isinstance(config, dict):
        return {key: _unbuilt(value) for key, value in config.items() if key != "build_config"}
    return [_unbuilt(each) for each in config] if isinstance(config, (list, tuple)) else config


def _supplied(layer: Layer) -> dict[str, Any]:
    """What a config cannot hold and the caller has to supply: functions and torch modules."""
    found: dict[str, Any] = {}
    for module in layer.modules():
        if isinstance(module, Layer) and (held := _held(module)) is not None:
            found[module.name] = held
            found[getattr(held, "__name__", type(held).__name__)] = held
    return found


def _held(layer: Layer) -> Any:
    if isinstance(layer, TorchModuleWrapper):
        return copy.deepcopy(layer.module)
    return layer.function if isinstance(layer, Lambda) else None


@LAYER_PROPERTIES.add(
    "names",
    "a name of its own for each layer, and for each of its weights",
    "Pass name and **kwargs on to super().__init__, and give add_weight different names.",
)
def _names(case: Case) -> None:
    layer = case.layer
    if not isinstance(layer.name, str) or not layer.name:
        raise Fault(f"its name is {layer.name!r}")
    names = [weight.name for weight in layer._own()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Fault(f"two of its weights are called {twice[0]!r}")
    with custom_object_scope({**_supplied(layer), "given_name": _held(layer)}):
        named = type(layer).from_config({**layer.get_config(), "name": "given_name"})
    if named.name != "given_name":
        raise Fault(f"name='given_name' made one called {named.name!r}")


@LAYER_PROPERTIES.add(
    "masks",
    "a mask to reach the same outputs with the same values in a call on data and in a model",
    "Give supports_masking = True or a compute_mask, written with operators and torch functions of "
    "its arguments, that returns booleans for the leading axes of the output.",
)
def _masks(case: Case) -> None:
    layer = case.layer
    if not (layer.supports_masking or layer._makes_mask or "mask" in layer._takes):
        return
    inputs, symbols = [_padded(x) for x in case.inputs()], case.symbols()
    outputs = case.run(layer, _masked(inputs))
    promised = case.call(layer, *_masked(symbols))
    leaves = [leaf for leaf in flatten(promised) if type(leaf) is SymbolicTensor]
    for output, symbol in zip(tensors(outputs), leaves, strict=True):
        _mask_fits(output, symbol)
    model = Model(symbols, promised)
    case.ready(layer)
    with torch.no_grad():
        through = model(inputs)
    same(through, outputs, "the model")
    masks = [mask_of(output) for output in tensors(outputs)]
    same([mask_of(output) for output in tensors(through)], masks, "the model's masks")


def _masked(inputs: list[Any]) -> list[Any]:
    """Sequences of vectors with the mask of their padding, other inputs as they are."""
    steps = [len(x.shape) == 3 and x.dtype.is_floating_point for x in inputs]
    return [Masking()(x) if one else x for x, one in zip(inputs, steps, strict=True)]


def _padded(x: torch.Tensor) -> torch.Tensor:
    """The input with zeros in the last step of the first sample."""
    x = x.clone()
    if x.ndim > 1 and x.shape[1] > 1:
        x[0, -1] = 0
    return x


def _mask_fits(output: torch.Tensor, symbol: SymbolicTensor) -> None:
    mask, promised = mask_of(output), symbol._keras_mask
    if (mask is None) != (promised is None):
        told = ["a mask" if each is not None else "none" for each in (mask, promised)]
        raise Fault(f"a call on data gave {told[0]} and a symbolic call {told[1]}")
    if mask is None or promised is None:
        return
    if mask.dtype is not torch.bool or promised.dtype is not torch.bool:
        raise Fault(f"the mask is of {mask.dtype}, not torch.bool")
    if mask.shape != output.shape[: mask.ndim] or len(promised.shape) != mask.ndim:
        raise Fault(f"the mask is {tuple(mask.shape)} for an output {tuple(output.shape)}")


class _Holder(Model):
    """The layer inside a model of a user's own."""

    def __init__(self, layer: Layer, run: Callable[..., Any]) -> None:
        super().__init__(name="holder")
        self.held = layer
        self._run_held = run

    def call(self, inputs: Any) -> Any:
        parts = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        return self._run_held(self.held, *parts)


@LAYER_PROPERTIES.add(
    "uses",
    "the same outputs alone, in Sequential, in a functional model and inside a subclass of Model",
    "Compute the outputs in call only, from its arguments and the weights.",
)
def _uses(case: Case) -> None:
    symbols = case.symbols()
    models = {
        "the functional model": Model(symbols, case.call(case.layer, *symbols)),
        "the subclassed model": _Holder(case.layer, case.call),
    }
    if len(symbols) == 1 and case.plain:
        entrance = Input(batch_shape=case.shapes[0], dtype=case.dtypes[0])
        models["Sequential"] = Sequential([entrance, case.layer])
    for batch, free in case.variations:
        inputs = case.inputs(batch, free)
        expected = case.run(case.layer, inputs)
        for who, model in models.items():
            case.ready(model)
            with torch.no_grad():
                same(model(inputs if len(inputs) > 1 else inputs[0]), expected, who)
