"""Does a model do what every model must do? `check_model` tries it out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nnkit.errors import ArgumentError, NotBuiltError
from nnkit.models.model import Model
from nnkit.shapes import Shape
from nnkit.testing.case import Case, as_list, copies, names_kept, repeatable
from nnkit.testing.common import COMMON
from nnkit.testing.conformance import Checklist, Fault, same
from nnkit.tree import flatten, map_structure

__all__ = ["MODEL_PROPERTIES", "check_model"]

MODEL_PROPERTIES = Checklist(COMMON)


class _ModelCase(Case):
    """A model under test, and what it learns; see `check_model`."""

    targets: Callable[[int], Any] | None = None

    def fed(self, inputs: Sequence[torch.Tensor]) -> Any:
        """The inputs as fit and predict take them."""
        return inputs[0] if len(inputs) == 1 else list(inputs)


def check_model(
    model: Any,
    input_shape: Any = None,
    input_dtype: Any = None,
    *,
    targets: Callable[[int], Any] | None = None,
    data: Any = None,
    without_gradient: Sequence[str] = (),
    skip: Mapping[str, str] | None = None,
) -> None:
    """Raise a ConformanceError unless a model has all the properties of a good model.

    Args:
        model: a model, which is copied and not changed, or a class or function that makes it.
        input_shape: without the batch axis, or a list of shapes; the model's own when None.
        input_dtype: of the inputs, or a list of types; the model's own, or float, when None.
        targets: gives the targets for a number of samples; the model is trained as it was
            compiled. When None it is trained by "sgd" towards zeros, or, if it is compiled and
            has a train_step of its own, without targets.
        data: a function from a shape, batch included, to a tensor, or a list of them; random
            numbers around 0, or whole numbers from 0 to 4, when None.
        without_gradient: parameters that training is to leave alone.
        skip: {property: reason} for what is not to be checked. The properties are the keys of
            `nnkit.testing.MODEL_PROPERTIES`.

    Raises: ConformanceError saying which property fails, what was expected, what came, what to do.
    """
    MODEL_PROPERTIES.reasons(skip)
    with repeatable():
        with names_kept():
            made = not isinstance(model, nn.Module) and callable(model)
            first = model() if made else model
        if not isinstance(first, Model):
            raise ArgumentError(
                f"check_model needs a model, or a class or function that makes one, got {model!r}."
            )
        make = model if made else copies(first)
        shapes, dtypes = _entrances(first, input_shape, input_dtype)
        sources = as_list("data", data, len(shapes))
        case = _ModelCase(make, shapes, dtypes, None, sources, without_gradient)
        case.targets = targets
        MODEL_PROPERTIES.check(first.label, case, skip)


def _entrances(model: Model, shape: Any, dtype: Any) -> tuple[list[Shape], list[Any]]:
    """The shapes, batch included, and the types of a model's inputs."""
    if shape is not None:
        shapes = shape if isinstance(shape, list) else [shape]
        full = [(None, s) if isinstance(s, int) else (None, *s) for s in shapes]
        return full, as_list("input_dtype", dtype, len(full))
    try:
        inputs = model.inputs
    except NotBuiltError as error:
        raise ArgumentError(
            f"{model.label} does not tell its inputs. Give check_model(..., input_shape=...)."
        ) from error
    own = [tensor.dtype for tensor in inputs]
    known = own if dtype is None else as_list("input_dtype", dtype, len(own))
    return [tensor.shape for tensor in inputs], known


@MODEL_PROPERTIES.add(
    "names",
    "each layer to have a name of its own, by which get_layer finds it",
    "Give the layers different names with name=.",
)
def _names(case: _ModelCase) -> None:
    model: Any = case.layer
    names = [layer.name for layer in model.layers]
    for layer in model.layers:
        if names.count(layer.name) > 1:
            raise Fault(f"{names.count(layer.name)} layers are called {layer.name!r}")
        if model.get_layer(layer.name) is not layer:
            raise Fault(f"get_layer({layer.name!r}) gave another layer")


@MODEL_PROPERTIES.add(
    "summary",
    "summary() to name each layer and to count all weights",
    "Make the layers in __init__, as attributes or lists of layers.",
)
def _summary(case: _ModelCase) -> None:
    model: Any = case.layer
    told: list[str] = []
    model.summary(line_length=200, print_fn=told.append)
    text = "\n".join(told)
    for layer in model.layers:
        if layer.name not in text:
            raise Fault(f"the layer {layer.name!r} is not in it")
    held = sum(weight.numel() for weight in model.trainable_weights)
    if f"Trainable params: {held:,}" not in text:
        raise Fault(f"it does not tell of {held:,} trainable numbers")


@MODEL_PROPERTIES.add(
    "files",
    "a fresh model that loads what save_weights wrote to have the same weights and outputs",
    "Make the layers in __init__, always in the same order, and weights with add_weight.",
)
def _files(case: _ModelCase) -> None:
    model: Any = case.layer
    twin: Any = case.built()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.weights.h5"
        model.save_weights(path)
        twin.load_weights(path)
    same(case.run(twin, case.inputs()), case.run(model, case.inputs()), "the model that loaded")


@MODEL_PROPERTIES.add(
    "predict",
    "predict to give what a call gives, however the samples are divided into batches",
    "In inference, let each sample's output depend on that sample only, on no other of its batch.",
)
def _predict(case: _ModelCase) -> None:
    model: Any = case.layer
    size = case.batches[0]
    fixed = case.shapes[0][0] is not None
    inputs = case.inputs(2 * size if fixed else 2 * size + 1)
    if fixed:
        halves = [case.run(model, [x[at : at + size] for x in inputs]) for at in (0, size)]
        expected = map_structure(lambda *parts: torch.cat(parts), *halves)
    else:
        expected = case.run(model, inputs)
    given = case.fed(inputs)
    torch.manual_seed(0)
    came = [
        model.predict(given, batch_size=size, verbose=0),
        model.predict(given, batch_size=2 * size + 1, verbose=0) if not fixed else None,
    ]
    for outputs in came:
        if outputs is not None:
            arrays = [torch.as_tensor(array) for array in flatten(outputs)]
            same(arrays, expected, "predict")


@MODEL_PROPERTIES.add(
    "training",
    "fit and evaluate to give finite numbers, to train weights, and to end in inference mode",
    "Compute the outputs from the weights in call; return a dict of logs from a train_step.",
)
def _training(case: _ModelCase) -> None:
    model: Any = case.fresh()
    size = case.batches[0]
    inputs = case.inputs(2 * size)
    x, y = case.fed(inputs), None
    parts = [[part[:size] for part in inputs], [part[size:] for part in inputs]]
    outputs = [case.run(model, part) for part in parts]
    if case.targets is not None:
        if not model.compiled:
            raise Fault("targets were given for a model without a loss", "Compile it first.")
        y = case.targets(2 * size)
    elif not model.compiled or type(model).train_step is Model.train_step:
        model.compile("sgd", "mse")
        y = map_structure(lambda *both: torch.zeros_like(torch.cat(both)), *outputs)
    before = [weight.detach().clone() for weight in model.trainable_weights]
    run = model.fit(x, y, batch_size=size, shuffle=False, verbose=0, stop_on_nan=False)
    history = run.history
    results = model.evaluate(x, y, batch_size=size, verbose=0, return_dict=True)
    for who, logs in (("fit", history), ("evaluate", results)):
        for name, value in logs.items():
            if not np.isfinite(np.asarray(value, dtype=float)).all():
                raise Fault(f"{who} gave {name}={value}")
    changed = [
        not torch.equal(old, new) for old, new in zip(before, model.trainable_weights, strict=True)
    ]
    if before and not any(changed):
        raise Fault("no weight changed")
    if model.training:
        raise Fault("it is left in training mode")
