"""The flat lists that one update works on.

Made once per set of parameters, so that an update is a few calls of torch's multi-tensor kernels
and no Python per parameter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nnkit.errors import ShapeError

__all__ = [
    "Plan",
    "average_squares_",
    "clip_by_global_norm",
    "clip_by_norm",
    "clip_by_value",
    "norms",
    "scale_",
    "times_each",
]


class Plan:
    """Parameters, and for each kind of state the tensors that belong to them, in the same order.

    Args:
        params: parameters with gradients.
        slots: a list of tensors for each kind of state.
        decayed: those of the parameters that weight decay applies to.

    Attributes:
        fused: whether torch's fused kernels can be used: one device, one dtype, one memory layout.
        never: for the fused kernels' step counts. At an infinite step their bias correction is 1,
            and the optimizer puts Keras's own into the learning rate.
    """

    def __init__(
        self, params: list[Tensor], slots: list[list[Tensor]], decayed: list[Tensor]
    ) -> None:
        self.params = params
        self.slots = slots
        self.decayed = decayed
        self.sizes = [param.shape for param in params]
        self.strides = [param.stride() for param in params]
        self.dtypes = [param.dtype for param in params]
        self.devices = [param.device for param in params]
        device = params[0].device
        together = all(
            (tensor.device, tensor.dtype) == (device, params[0].dtype)
            for tensors in (params, *slots)
            for tensor in tensors
        )
        # The first comparison finds parameters with gaps between their elements.
        dense = [torch.empty_like(param).stride() for param in params] == self.strides
        aligned = all([tensor.stride() for tensor in slot] == self.strides for slot in slots)
        self.fused = (
            together
            and dense
            and aligned
            and device.type in ("cpu", "cuda")
            and params[0].dtype.is_floating_point
        )
        self.never = [torch.tensor(math.inf, device=device)] * len(params)
        # On a CPU a list of tensors without axes is added in half the time of a Python number.
        one = torch.tensor(1.0)
        self._ones = [one] * len(params) if together and device.type == "cpu" else []

    def fits(self, grads: Sequence[Any]) -> bool:
        """Whether the gradients lie in memory exactly like the parameters.

        The fused kernels on a CPU read memory without looking at shapes or strides.
        """
        try:
            return (
                [*map(Tensor.stride, grads)] == self.strides
                and [*map(Tensor.stride, self.params)] == self.strides
                and [grad.shape for grad in grads] == self.sizes
                and [grad.dtype for grad in grads] == self.dtypes
                and grads[0].device == self.devices[0]
            )
        except (TypeError, RuntimeError):  # None, or a sparse gradient
            return False

    def conform(self, grads: Sequence[Tensor]) -> list[Tensor]:
        """The gradients in the parameters' dtype, device and memory layout.

        Raises: ShapeError if a gradient has another shape than its parameter.
        """
        conformed = []
        for grad, param in zip(grads, self.params, strict=True):
            if grad.shape != param.shape:
                raise ShapeError(
                    f"A gradient has shape {tuple(grad.shape)} but its parameter "
                    f"{tuple(param.shape)}. Give the gradients in the order of the parameters."
                )
            dense = grad.to_dense() if grad.layout != torch.strided else grad
            if (dense.stride(), dense.dtype, dense.device) != (
                param.stride(),
                param.dtype,
                param.device,
            ):
                dense = torch.empty_like(param, requires_grad=False).copy_(dense)
            conformed.append(dense)
        return conformed

    def is_stale(self) -> bool:
        """Whether a parameter has moved to another device, dtype or memory layout since."""
        return (
            [param.stride() for param in self.params] != self.strides
            or [param.dtype for param in self.params] != self.dtypes
            or [param.device for param in self.params] != self.devices
        )

    def add_number_(self, tensors: list[Tensor], number: float) -> None:
        """Add a number to every element of lists like `params`, in place."""
        if self._ones:
            torch._foreach_add_(tensors, self._ones, alpha=number)
        else:
            torch._foreach_add_(tensors, number)

    def plus_number(self, tensors: list[Tensor], number: float) -> list[Tensor]:
        """New tensors, each element greater by a number."""
        if self._ones:
            return list(torch._foreach_add(tensors, self._ones, alpha=number))
        return list(torch._foreach_add(tensors, number))


def scale_(tensors: list[Tensor], factor: float) -> None:
    """Multiply every element in place."""
    # On a CPU this takes a third of the time of multiplying by a Python number.
    torch._foreach_add_(tensors, tensors, alpha=factor - 1)


def average_squares_(averages: list[Tensor], values: list[Tensor], kept: float) -> None:
    """Move averages towards the squares of the values; the part `kept` (0 to 1) stays."""
    scale_(averages, kept)
    torch._foreach_addcmul_(averages, values, values, 1 - kept)


def clip_by_value(grads: list[Tensor], limit: float) -> list[Tensor]:
    """Every element between -limit and limit."""
    clipped = list(torch._foreach_clamp_min(grads, -limit))
    torch._foreach_clamp_max_(clipped, limit)
    return clipped


def clip_by_norm(grads: list[Tensor], limit: float) -> list[Tensor]:
    """Each tensor scaled down to a Euclidean norm of at most `limit`."""
    return times_each(grads, limit / norms(grads).clamp_min(limit))


def clip_by_global_norm(grads: list[Tensor], limit: float) -> list[Tensor]:
    """All tensors scaled by one factor, so that their common norm is at most `limit`."""
    norm = torch.linalg.vector_norm(norms(grads))
    # The difference makes the factor NaN when the norm is not finite, as in Keras.
    factor = limit / norm.clamp_min(limit) + (norm - norm)
    if _on_one_device(grads):
        return list(torch._foreach_mul(grads, factor))
    return times_each(grads, factor.expand(len(grads)))


def norms(tensors: list[Tensor]) -> Tensor:
    """The Euclidean norms of the tensors, as one vector on the first one's device."""
    found = list(torch._foreach_norm(tensors))
    if not _on_one_device(tensors):
        found = [norm.to(tensors[0].device) for norm in found]
    return torch.stack(found)


def times_each(tensors: list[Tensor], factors: Tensor) -> list[Tensor]:
    """Each tensor times its own entry of a vector."""
    own = list(factors.unbind())
    if not _on_one_device(tensors):
        own = [factor.to(tensor.device) for factor, tensor in zip(own, tensors, strict=True)]
    return list(torch._foreach_mul(tensors, own))


def _on_one_device(tensors: list[Tensor]) -> bool:
    return len({tensor.device for tensor in tensors}) == 1
