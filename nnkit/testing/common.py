"""The properties that layers and models share."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import torch

from nnkit.errors import unknown_name
from nnkit.layer import Layer
from nnkit.symbolic import SymbolicTensor
from nnkit.testing.case import Caller, Case
from nnkit.testing.conformance import Checklist, Fault, same, tensors
from nnkit.tree import flatten

__all__ = ["COMMON"]

COMMON = Checklist()


def _state(layer: Layer) -> dict[str, torch.Tensor]:
    named = [*layer.named_parameters(), *layer.named_buffers()]
    return {name: tensor.detach().clone() for name, tensor in named}


def _unchanged(layer: Layer, before: dict[str, torch.Tensor], by: str) -> None:
    """Raise a Fault if a weight or buffer is not what it was."""
    for name, now in _state(layer).items():
        if name in before and not torch.equal(now, before[name]):
            raise Fault(f"{by} changed {name!r}")


# -- calls -----------------------------------------------------------------------------------------


@COMMON.add(
    "call",
    "a call on data to give tensors",
    "Check input_shape and input_dtype, and give call= if it is not called with layer(x).",
)
def _call(case: Case) -> None:
    if not tensors(case.run(case.layer, case.inputs())):
        raise Fault("it gave none")


@COMMON.add(
    "inputs",
    "a call to leave its inputs as they are",
    "Use functions without a trailing underscore: x + 1 in place of x.add_(1).",
)
def _inputs(case: Case) -> None:
    layer = case.built()
    for training in (False, True):
        inputs = case.inputs()
        case.run(layer, inputs, training)
        for at, (now, before) in enumerate(zip(inputs, case.inputs(), strict=True)):
            if not torch.equal(now, before):
                mode = "training" if training else "inference"
                raise Fault(f"{mode} changed the values of input {at}")


# -- copies: early, since other checks work on copies ----------------------------------------------


@COMMON.add(
    "deepcopy",
    "copy.deepcopy to give one with the same outputs and weights of its own",
    "Keep what the outputs depend on in attributes that can be copied.",
)
def _deepcopy(case: Case) -> None:
    twin = copy.deepcopy(case.layer)
    same(case.run(twin, case.inputs()), case.run(case.layer, case.inputs()), "the copy")
    ours = {tensor.data_ptr() for tensor in case.layer.weights if tensor.numel()}
    for name, tensor in twin.named_parameters():
        if tensor.data_ptr() in ours:
            raise Fault(f"the copy shares the memory of {name!r}")


@COMMON.add(
    "pickle",
    "pickle to give one with the same outputs",
    "Use functions and classes from the top of a module, not lambdas or inner ones, and keep "
    "files, locks and caches out of the attributes.",
)
def _pickle(case: Case) -> None:
    twin = pickle.loads(pickle.dumps(case.layer))  # noqa: S301 - written by this same line
    same(case.run(twin, case.inputs()), case.run(case.layer, case.inputs()), "the unpickled one")


@COMMON.add(
    "state_dict",
    "a fresh one with this state_dict to have the same outputs",
    "Make weights with add_weight, other tensors with register_buffer, in build or __init__.",
)
def _state_dict(case: Case) -> None:
    twin = case.built()
    twin.load_state_dict(case.layer.state_dict())
    same(case.run(twin, case.inputs()), case.run(case.layer, case.inputs()), "the fresh one")


@COMMON.add(
    "weights",
    "a fresh one with set_weights(get_weights()) to have the same weights and outputs",
    "Make weights with add_weight or add_weight_buffer, always in the same order.",
)
def _weights(case: Case) -> None:
    values, inputs = case.layer.get_weights(), case.inputs()
    expected = case.run(case.layer, inputs)
    twin = case.built()
    twin.set_weights(values)
    same([torch.from_numpy(w) for w in twin.get_weights()], _tensors_of(values), "get_weights")
    same(case.run(twin, inputs), expected, "the fresh one")
    for value in values:
        value.fill(0)
    same(case.run(case.layer, inputs), expected, "the layer, with get_weights's arrays zeroed,")


def _tensors_of(arrays: list[Any]) -> list[torch.Tensor]:
    return [torch.from_numpy(array) for array in arrays]


def _stored(weight: torch.Tensor) -> int:
    """The identity of what a layer stores; buffers are listed as views of it."""
    return id(weight if weight._base is None else weight._base)


@COMMON.add(
    "counts",
    "count_params and the lists of weights to agree, and trainable to switch them",
    "Make weights with add_weight; leave count_params, weights and trainable as they are.",
)
def _counts(case: Case) -> None:
    layer = copy.deepcopy(case.layer)
    held, told = sum(array.size for array in layer.get_weights()), layer.count_params()
    if held != told:
        raise Fault(f"count_params says {told} and get_weights holds {held} numbers")
    parts = [*layer.trainable_weights, *layer.non_trainable_weights]
    if set(map(_stored, parts)) != set(map(_stored, layer.weights)) or len(parts) != len(
        layer.weights
    ):
        raise Fault(f"{len(layer.weights)} weights come apart into {len(parts)}")
    known = {id(weight) for weight in layer.weights}
    for name, parameter in layer.named_parameters():
        if id(parameter) not in known:
            raise Fault(f"the parameter {name!r} is not among its weights")
    layer.trainable = False
    if layer.trainable_weights:
        raise Fault(f"{len(layer.trainable_weights)} weights stay trainable with trainable=False")


# -- what a symbolic call does ---------------------------------------------------------------------


@COMMON.add(
    "building",
    "a symbolic call to make real weights, and to leave weights, buffers and random state alone",
    "Make weights with add_weight in build. Draw numbers and update buffers in call only, on the "
    "device of its inputs, so that nothing happens when they are on torch's meta device.",
)
def _building(case: Case) -> None:
    layer, symbols = case.fresh(), case.symbols()
    case.call(layer, *symbols)
    if not layer.built:
        raise Fault("it is still unbuilt")
    for name, tensor in _state(layer).items():
        if tensor.is_meta:
            raise Fault(f"{name!r} has no data: it is on torch's meta device")
    made, known = ([tuple(w.shape) for w in x.get_weights()] for x in (layer, case.layer))
    if made != known:
        raise Fault(f"it made weights {made}, where a call on data makes {known}")
    for training in (False, True):
        layer.train(training)
        before, random = _state(layer), torch.get_rng_state()
        case.call(layer, *symbols)
        _unchanged(layer, before, "a second symbolic call")
        if not torch.equal(random, torch.get_rng_state()):
            raise Fault("a second symbolic call drew random numbers")


@COMMON.add(
    "shapes",
    "symbolic shapes and dtypes to be those of a call on data",
    "Let call take sizes from x.shape, and check infer_output and keeps_shape if it has them.",
)
def _shapes(case: Case) -> None:
    promised = flatten(case.call(case.layer, *case.symbols()))
    symbols = [leaf for leaf in promised if type(leaf) is SymbolicTensor]
    for batch, free in case.variations:
        inputs = case.inputs(batch, free)
        outputs = tensors(case.run(case.layer, inputs))
        if len(outputs) != len(symbols):
            raise Fault(f"{len(symbols)} outputs were promised and {len(outputs)} came")
        given = ", ".join(str(tuple(x.shape)) for x in inputs)
        for symbol, output in zip(symbols, outputs, strict=True):
            fits = len(symbol.shape) == output.ndim and all(
                size in (None, came) for size, came in zip(symbol.shape, output.shape, strict=True)
            )
            if not fits or symbol.dtype != output.dtype:
                raise Fault(
                    f"{symbol.shape} {symbol.dtype} was promised and {tuple(output.shape)} "
                    f"{output.dtype} came for inputs {given}"
                )


# -- training and inference ------------------------------------------------------------------------


@COMMON.add(
    "modes",
    "training and inference to run, and inference to repeat itself and change nothing",
    "Draw random numbers and update buffers only if training.",
)
def _modes(case: Case) -> None:
    layer, inputs = copy.deepcopy(case.layer), case.inputs()
    before = _state(layer)
    expected = case.run(layer, inputs)
    with torch.no_grad():
        same(case.call(layer, *inputs), expected, "a second call in inference")
    _unchanged(layer, before, "inference")
    _finite(expected, "inference")
    trained = tensors(case.run(layer, inputs, training=True))
    _finite(trained, "training")
    shapes = [[tuple(t.shape) for t in each] for each in (trained, tensors(expected))]
    if shapes[0] != shapes[1]:
        raise Fault(f"training gave {shapes[0]} and inference {shapes[1]}")


def _finite(outputs: Any, who: str) -> None:
    for output in tensors(outputs):
        if output.is_floating_point() and not bool(output.isfinite().all()):
            raise Fault(f"{who} gave values that are not finite")


@COMMON.add(
    "gradients",
    "a finite gradient for each trainable parameter",
    "Use every weight in call, without detach(), .data, no_grad() or NumPy on the way. Weights "
    "that are not to be trained are made with trainable=False; name others in without_gradient.",
)
def _gradients(case: Case) -> None:
    layer = copy.deepcopy(case.layer)
    for name in case.without_gradient:
        if name not in dict(layer.named_parameters()):
            raise unknown_name(
                "parameter in without_gradient", name, dict(layer.named_parameters())
            )
    wanted = {n: p for n, p in layer.named_parameters() if p.requires_grad}
    wanted = {n: p for n, p in wanted.items() if n not in case.without_gradient}
    if wanted:
        _backward(case, layer)
    for name, parameter in wanted.items():
        if parameter.grad is None:
            raise Fault(f"no gradient reaches {name!r}")
        if not bool(parameter.grad.isfinite().all()):
            raise Fault(f"the gradient of {name!r} is not finite")


def _backward(case: Case, layer: Layer) -> None:
    """Run in training, and backwards from all outputs at random slopes."""
    layer.train()
    outputs = tensors(case.call(layer, *case.inputs()))
    linked = [output for output in outputs if output.requires_grad]
    if not linked:
        raise Fault("no output depends on a parameter")
    torch.autograd.backward(linked, [torch.randn_like(output) for output in linked])


# -- what torch offers to any module ---------------------------------------------------------------


@COMMON.add(
    "dtypes",
    ".double() to compute the same in float64",
    "Make new tensors with the dtype of the inputs or weights: torch.zeros_like(x), x.new_ones(n).",
)
def _dtypes(case: Case) -> None:
    expected, twin = case.run(case.layer, case.inputs()), copy.deepcopy(case.layer).double()
    inputs = [x.double() if x.is_floating_point() else x for x in case.inputs()]
    wide = case.run(twin, inputs)
    same(wide, expected, "the one in float64", tolerance=1e-3, dtypes=False)
    if not (twin.weights or any(x.is_floating_point() for x in inputs)):
        return  # nothing here is of a type that .double() changes
    for output, narrow in zip(tensors(wide), tensors(expected), strict=True):
        if narrow.dtype is torch.float32 and output.dtype is not torch.float64:
            raise Fault(f"the outputs are {output.dtype}")


@COMMON.add(
    "autocast",
    "torch.autocast in bfloat16 to give finite outputs and gradients of the same shapes",
    "Cast where two tensors meet that autocast gives different types: y.to(x.dtype). Keep small "
    "constants such as epsilons within bfloat16's precision.",
)
def _autocast(case: Case) -> None:
    layer, inputs = copy.deepcopy(case.layer), case.inputs()
    expected = [tuple(t.shape) for t in tensors(case.run(layer, inputs))]
    with torch.autocast(inputs[0].device.type, torch.bfloat16):
        outputs = case.run(layer, inputs)
        layer.train()
        trained = tensors(case.call(layer, *inputs))
    _finite(outputs, "inference")
    _finite(trained, "training")
    came = [tuple(t.shape) for t in tensors(outputs)]
    if came != expected:
        raise Fault(f"the outputs have shapes {came}, not {expected}")
    linked = [output for output in trained if output.requires_grad]
    if linked:
        torch.autograd.backward(linked, [torch.ones_like(output) for output in linked])
    for name, parameter in layer.named_parameters():
        if parameter.grad is not None and not bool(parameter.grad.isfinite().all()):
            raise Fault(f"the gradient of {name!r} is not finite")


@COMMON.add(
    "compile",
    "torch.compile(fullgraph=True) to trace it and give the same outputs",
    "Keep call free of .item(), float(x), bool(x), printing and NumPy; branch on shapes, not on "
    "values. Where that cannot be: skip={'compile': 'the reason'}.",
)
def _compile(case: Case) -> None:
    inputs = case.inputs()
    expected = case.run(case.layer, inputs)
    # All layers share one __call__, and torch limits how often a function is compiled anew.
    torch.compiler.reset()
    try:
        compiled = torch.compile(Caller(case.layer, case.call), fullgraph=True, backend="eager")
        case.ready(case.layer)
        with torch.no_grad():
            same(compiled(*inputs), expected, "the compiled one")
    finally:
        torch.compiler.reset()


@COMMON.add(
    "export",
    "torch.export with a free batch size to give a program with the same outputs",
    "Take the batch size from x.shape[0] each time and never turn it into int or store it; branch "
    "on shapes, not on values. Where that cannot be: skip={'export': 'the reason'}.",
)
def _export(case: Case) -> None:
    fewer, more = (case.inputs(batch) for batch in case.batches)
    expected = case.run(case.layer, fewer)
    free = {0: torch.export.Dim.DYNAMIC} if case.batches[0] != case.batches[1] else None
    with torch.no_grad():
        program = torch.export.export(
            Caller(case.layer, case.call), tuple(more), dynamic_shapes=((free,) * len(more),)
        )
        case.ready(case.layer)
        same(program.module()(*fewer), expected, "the exported program")
