"""What a layer would give for inputs of some shape, found by running it without data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from nnkit.modes import in_mode
from nnkit.shapes import Shape
from nnkit.symbolic import Node, SymbolicTensor, placeholder
from nnkit.tree import map_structure
from nnkit.variable import Variable
from nnkit.weights import built_for_real, on_meta

__all__ = ["is_meta", "like", "placeholders", "run_on_meta", "shape_of"]


def run_on_meta(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The outputs of a module for meta tensors: shapes and dtypes, no data.

    Its weights and buffers are stood in for by meta tensors and stay untouched. Code that looks at
    values cannot run so; it is then run once on zeros.

    Raises: what the module raises for shapes it does not take.
    """
    if any(isinstance(p, UninitializedParameter) for p in module.parameters()):
        _settle(module, args, kwargs)
    with on_meta():
        try:
            return _call_with(module, _stand_ins(module), args, kwargs)
        except (RuntimeError, NotImplementedError, TypeError) as error:
            problem = error
    if "meta" not in str(problem).lower():
        raise problem  # a mistake in the call; otherwise the code wants to see values
    try:
        return _on_zeros(module, args, kwargs)
    except Exception:
        raise problem from None


def _call_with(module: nn.Module, state: dict[str, Any], args: Any, kwargs: Any) -> Any:
    # Ties are kept by `state` itself: one weight under two names is one stand-in.
    return torch.func.functional_call(module, state, args, kwargs, tie_weights=False)


def _tensors(module: nn.Module) -> list[tuple[str, torch.Tensor]]:
    """Parameters and buffers of each module below, also those that several modules share."""
    return [
        (f"{path}.{key}" if path else key, tensor)
        for path, each in module.named_modules()
        for key, tensor in [*each._parameters.items(), *each._buffers.items()]
        if tensor is not None
    ]


def _stand_ins(module: nn.Module) -> dict[str, torch.Tensor]:
    made: dict[int, torch.Tensor] = {}
    for _, tensor in _tensors(module):
        if id(tensor) not in made:
            made[id(tensor)] = _like(tensor, torch.empty_like(tensor, device="meta"))
    return {name: made[id(tensor)] for name, tensor in _tensors(module)}


def _like(tensor: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """A stand-in that can be assigned to if the tensor can."""
    return Variable(made) if isinstance(tensor, Variable) else made


def _on_zeros(module: nn.Module, args: Any, kwargs: Any) -> Any:
    """Run on real zeros; random state and buffers are as before afterwards."""

    def zeros(value: Any) -> Any:
        return torch.zeros(value.shape, dtype=value.dtype) if is_meta(value) else value

    copies = {id(t): _like(t, t.detach().clone()) for _, t in _tensors(module)}
    state = {name: copies[id(t)] for name, t in _tensors(module)}
    real_args, real_kwargs = map_structure(zeros, (args, kwargs))
    with torch.no_grad(), torch.random.fork_rng():
        outputs = _call_with(module, state, real_args, real_kwargs)
    return map_structure(lambda v: v.to("meta") if isinstance(v, torch.Tensor) else v, outputs)


def _settle(module: nn.Module, args: Any, kwargs: Any) -> None:
    """Let torch's lazy modules see sizes: they make their weights when they first run."""

    def one_zero(value: Any) -> Any:
        if not is_meta(value):
            return value
        return torch.zeros((1, *value.shape[1:]), dtype=value.dtype)

    with torch.no_grad(), in_mode(module, False), built_for_real():
        module.forward(*map_structure(one_zero, args), **map_structure(one_zero, kwargs))


def is_meta(value: Any) -> bool:
    """Whether this is a tensor without data."""
    return isinstance(value, torch.Tensor) and value.is_meta


def like(x: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """A tensor for `infer_output` to give: on x's device, of a float type."""
    return x.new_empty(
        tuple(shape), dtype=x.dtype if x.is_floating_point() else torch.get_default_dtype()
    )


def shape_of(value: Any) -> Shape | None:
    """The shape of a tensor, real or symbolic, as a tuple; None for anything else."""
    if isinstance(value, (torch.Tensor, SymbolicTensor)):
        return tuple(value.shape)
    return None


def placeholders(shape: Any) -> Any:
    """A symbolic tensor for each shape (batch axis included) in a nesting of shapes."""
    if isinstance(shape, dict):
        return {key: placeholders(value) for key, value in shape.items()}
    if isinstance(shape, list) and shape and isinstance(shape[0], (list, tuple)):
        return [placeholders(value) for value in shape]
    if isinstance(shape, tuple) and shape and isinstance(shape[0], (list, tuple)):
        return tuple(placeholders(value) for value in shape)
    return placeholder(Node(_Outside, (), {}), tuple(shape), torch.get_default_dtype())


class _Outside:
    """The maker of a symbolic tensor that belongs to no model."""

    name = "input"
