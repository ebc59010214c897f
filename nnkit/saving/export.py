"""Programs for use without this package: ONNX, and torch's own .pt2."""

from __future__ import annotations

import importlib
import os
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nnkit.arguments import path_text
from nnkit.errors import ArgumentError, NotBuiltError
from nnkit.saving.atomic import replacing
from nnkit.symbolic import SymbolicTensor

__all__ = ["export"]

_FORMATS = {".onnx": "onnx", ".pt2": "torch"}
# What the free axes of the example have: no size that a program could take for a fixed one.
_BATCH, _FREE = 3, 64


def export(
    model: Any,
    filepath: str | os.PathLike[str],
    format: str | None = None,
    verbose: bool | None = None,
    input_signature: Any = None,
    **kwargs: Any,
) -> None:
    """Write what the model computes in inference mode as a program, whole or not at all.

    The number of samples stays free, other free axes too where the model allows it.

    Args:
        model: a built model.
        filepath: ends in ".onnx" (for ONNX Runtime and many others; needs the onnx extra) or
            ".pt2" (`torch.export.load(path).module()` runs it).
        format: "onnx" or "torch", when the ending does not say it.
        verbose: whether to tell where the file is.
        input_signature: for a model without symbolic inputs: example tensors, or shapes with the
            batch axis (None where free), nested as the model takes them.
        **kwargs: passed on to `torch.onnx.export` or `torch.export.export`.

    Raises: ArgumentError for another format or a missing package; NotBuiltError when the inputs
        are not known.
    Source: keras.Model.export
    """
    path = Path(path_text("export", "filepath", filepath))
    kind = format or _FORMATS.get(path.suffix)
    if kind not in _FORMATS.values():
        raise ArgumentError(
            f"export writes {' or '.join(map(repr, _FORMATS))}, got {str(filepath)!r} and "
            f"format={format!r}."
        )
    shapes = _signature(model) if input_signature is None else input_signature
    write = _write_onnx if kind == "onnx" else _write_torch
    was = model.training
    model.eval()
    try:
        with replacing(path) as part, torch.no_grad(), warnings.catch_warnings():
            # Of torch's own passing from one release to the next; nothing a user can act on.
            for category in (DeprecationWarning, FutureWarning, UserWarning):
                warnings.simplefilter("ignore", category)
            given = write(model, part, shapes, kwargs)
    finally:
        model.train(was)
    _tell_fixed(model, [_sizes(leaf) for leaf in _leaves(shapes)], given)
    if verbose:
        print(f"The model is in {str(path)!r}.")


def _write_torch(model: Any, part: Path, shapes: Any, kwargs: Any) -> list[list[Any]]:
    dynamic = (_map(_free_axes, shapes),)
    program = torch.export.export(
        model, (_map(_example, shapes),), dynamic_shapes=dynamic, **kwargs
    )
    with open(part, "wb") as file:
        torch.export.save(program, file)
    names = program.graph_signature.user_inputs
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    return [list(nodes[str(name)].meta["val"].shape) for name in names]


def _write_onnx(model: Any, part: Path, shapes: Any, kwargs: Any) -> list[list[Any]]:
    for package in ("onnx", "onnxscript"):
        try:
            importlib.import_module(package)
        except ImportError as exc:
            raise ArgumentError(
                f"Exporting to ONNX needs the package {package!r}: pip install onnx onnxscript."
            ) from exc
    leaves = _leaves(shapes)
    named = all(isinstance(leaf, SymbolicTensor) for leaf in leaves)
    program = torch.onnx.export(
        _Positional(model, shapes),
        tuple(map(_example, leaves)),
        dynamo=True,
        dynamic_shapes=(tuple(map(_free_axes, leaves)),),
        input_names=[leaf.name for leaf in leaves] if named else None,
        verbose=False,
        **kwargs,
    )
    if program is None:
        raise ArgumentError("torch.onnx.export gave no program. Leave out its file argument.")
    program.save(str(part), external_data=False)
    return [list(value.shape or ()) for value in program.model.graph.inputs]


class _Positional(nn.Module):
    """The model with its inputs one by one, as an ONNX program takes them."""

    def __init__(self, model: nn.Module, nesting: Any) -> None:
        super().__init__()
        self.model = model
        self.nesting = nesting
        self.train(model.training)

    def forward(self, *tensors: torch.Tensor) -> Any:
        left = iter(tensors)
        return self.model(_map(lambda _: next(left), self.nesting))


def _tell_fixed(model: Any, wanted: list[Any], given: list[list[Any]]) -> None:
    """Warn of axes that a layer has fixed although the model has them free."""
    for shape, sizes in zip(wanted, given, strict=True):
        for axis, (size, now) in enumerate(zip(shape, sizes, strict=True)):
            if size is None and str(now).isdigit():  # a name where it is free
                warnings.warn(
                    f"The exported program of {model.label} has a fixed size {now} on axis {axis} "
                    f"of an input {shape}: torch cannot keep it free through these layers (of "
                    f"recurrent ones it writes out every step). Give the size you need in "
                    f"input_signature.",
                    stacklevel=3,
                )


# -- examples of the inputs ------------------------------------------------------------------------


def _signature(model: Any) -> Any:
    if not model.built:
        raise NotBuiltError(f"{model.label} cannot be exported before it is built.")
    finish = getattr(model, "_finish", None)
    graph = finish() if finish is not None else getattr(model, "_graph", None)
    if graph is None:
        raise NotBuiltError(
            f"{model.label} has no symbolic inputs to tell its input shapes. Give them: "
            f"export(path, input_signature=(None, 28, 28, 1))."
        )
    return graph.inputs


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and all(size is None or isinstance(size, int) for size in value)


def _map(fn: Any, tree: Any) -> Any:
    if _is_shape(tree):
        return fn(tree)
    if isinstance(tree, (list, tuple)):
        return type(tree)(_map(fn, item) for item in tree)
    return {k: _map(fn, v) for k, v in tree.items()} if isinstance(tree, dict) else fn(tree)


def _leaves(tree: Any) -> list[Any]:
    found: list[Any] = []
    _map(found.append, tree)
    return found


def _sizes(value: Any) -> tuple[int | None, ...]:
    if isinstance(value, torch.Tensor):
        return (None, *value.shape[1:])
    return value if _is_shape(value) else tuple(value.shape)


def _example(value: Any) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value
    dtype = value.dtype if isinstance(value, SymbolicTensor) else torch.get_default_dtype()
    dtype = dtype if isinstance(dtype, torch.dtype) else getattr(torch, str(dtype))
    batch, *others = _sizes(value)
    sizes = [_size(batch, _BATCH), *(_size(size, _FREE) for size in others)]
    return torch.zeros(sizes, dtype=dtype)


def _size(size: int | None, free: int) -> int:
    return free if size is None else size


def _free_axes(value: Any) -> dict[int, Any]:
    dim = torch.export.Dim
    return {
        axis: dim.AUTO if axis else dim.DYNAMIC
        for axis, size in enumerate(_sizes(value))
        if size is None
    }
