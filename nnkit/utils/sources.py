"""What a tensor or dtype is."""

from __future__ import annotations

import functools
from typing import Any

import torch

from nnkit.dtypes import given_dtype
from nnkit.symbolic import SymbolicTensor

__all__ = ["get_source_inputs", "is_keras_tensor", "result_type", "standardize_dtype"]


def is_keras_tensor(x: Any) -> bool:
    """Whether x is symbolic: made by `Input`, or by a layer called on such a tensor."""
    return isinstance(x, SymbolicTensor)


def get_source_inputs(tensor: SymbolicTensor) -> list[SymbolicTensor]:
    """The inputs that a symbolic tensor was computed from, each once."""
    found: dict[int, SymbolicTensor] = {}
    seen: set[int] = set()
    stack = [tensor]
    while stack:
        each = stack.pop()
        if id(each.node) in seen:
            continue
        seen.add(id(each.node))
        if not each.node.inputs:
            found[id(each)] = each
        stack.extend(reversed(each.node.inputs))
    return list(found.values())


def standardize_dtype(dtype: Any) -> str:
    """The name of a dtype; the default float for None."""
    return str(given_dtype(dtype) or torch.get_default_dtype()).removeprefix("torch.")


def result_type(*dtypes: Any) -> str:
    """The name of the dtype that values of these dtypes give together, as torch has it."""
    kinds = [getattr(torch, standardize_dtype(getattr(each, "dtype", each))) for each in dtypes]
    return standardize_dtype(functools.reduce(torch.promote_types, kinds))
