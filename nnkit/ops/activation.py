"""Activation functions as operations: those of `nnkit.activations`, for arrays and lists too."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec

from torch import Tensor

from nnkit import activations
from nnkit.ops.recording import as_tensor, floats, recorded

__all__ = [
    "celu", "elu", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish",
    "hard_tanh", "leaky_relu", "log_sigmoid", "log_softmax", "relu", "relu6", "selu", "sigmoid",
    "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid",
    "sparsemax", "squareplus", "swish", "tanh_shrink", "threshold",
]  # fmt: skip

P = ParamSpec("P")


def _of(
    fn: Callable[P, Tensor], name: str = "", prepare: Callable[[Any], Tensor] = floats
) -> Callable[P, Tensor]:
    def call(*args: Any, **kwargs: Any) -> Tensor:
        if args:
            args = (prepare(args[0]), *args[1:])
            return fn(*args, **kwargs)
        return fn(**{**kwargs, "x": prepare(kwargs["x"])})  # type: ignore[call-arg]  # by keyword

    # The wrapped function lends its signature and documentation; the name is for pickling.
    functools.update_wrapper(call, fn)
    call.__module__ = __name__
    call.__name__ = call.__qualname__ = name or fn.__name__
    return recorded(call)


celu = _of(activations.celu)
elu = _of(activations.elu)
glu = _of(activations.glu)
hard_shrink = _of(activations.hard_shrink)
hard_sigmoid = _of(activations.hard_sigmoid)
hard_silu = _of(activations.hard_silu)
hard_swish = _of(activations.hard_silu, "hard_swish")
hard_tanh = _of(activations.hard_tanh)
leaky_relu = _of(activations.leaky_relu)
log_sigmoid = _of(activations.log_sigmoid)
log_softmax = _of(activations.log_softmax)
relu = _of(activations.relu, prepare=as_tensor)
relu6 = _of(activations.relu6, prepare=as_tensor)
selu = _of(activations.selu)
sigmoid = _of(activations.sigmoid)
silu = _of(activations.silu)
softmax = _of(activations.softmax)
softplus = _of(activations.softplus)
softsign = _of(activations.softsign)
soft_shrink = _of(activations.soft_shrink)
sparse_plus = _of(activations.sparse_plus)
sparse_sigmoid = _of(activations.sparse_sigmoid)
sparsemax = _of(activations.sparsemax)
squareplus = _of(activations.squareplus)
swish = _of(activations.silu, "swish")
tanh_shrink = _of(activations.tanh_shrink)
threshold = _of(activations.threshold, prepare=as_tensor)


@recorded
def gelu(x: Any, approximate: bool = True) -> Tensor:
    """x times the normal distribution function of x, by the tanh formula unless told otherwise.

    The activation "gelu" is the exact one; Keras has it so.
    """
    return activations.gelu(floats(x), approximate)
