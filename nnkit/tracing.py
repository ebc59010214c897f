"""What a layer does when torch.fx calls it on a proxy: it becomes one call of a module.

A program of torch.fx holds no sizes, so there is nothing to check, and layers that look at sizes
and types cannot be traced through. Layers of this package are therefore leaves of the program, as
torch's own modules are; models and layers of a user's own are traced through.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.fx

from nnkit.errors import NotBuiltError
from nnkit.tree import flatten, is_nested

__all__ = ["is_traced", "trace_call", "unpacked"]


def is_traced(values: Any) -> bool:
    """Whether torch.fx is recording what is done with these (nested) values."""
    if isinstance(values, torch.Tensor):
        return False
    return any(isinstance(leaf, torch.fx.Proxy) for leaf in flatten(values))


def unpacked(proxy: Any, nesting: Any) -> list[Any]:
    """The leaves of what a proxy stands for, which is nested like this."""
    if not is_nested(nesting):
        return [proxy]
    parts = sorted(nesting) if isinstance(nesting, dict) else range(len(nesting))
    return [leaf for part in parts for leaf in unpacked(proxy[part], nesting[part])]


def trace_call(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], training: Any) -> Any:
    """The proxy for the outputs of a layer.

    Args:
        layer: what is called.
        args, kwargs: the arguments, a proxy among them.
        training: the mode that the call asks for, or None.

    Raises: NotBuiltError for a layer without weights: only sizes could say how to make them.
    """
    if not layer.built:
        raise NotBuiltError(
            f"{layer.label} has no weights yet: call the model on data, or build it, before "
            f"torch.fx traces it."
        )
    if training is not None:
        kwargs = {**kwargs, "training": training}
    elif not type(layer).__module__.startswith("nnkit.layers."):
        return layer.forward(*args, **kwargs)
    proxy = next(leaf for leaf in flatten((args, kwargs)) if is_traced(leaf))
    tracer = proxy.tracer
    return tracer.create_proxy("call_module", tracer.path_of_module(layer), args, kwargs)
