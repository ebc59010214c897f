"""The dtypes of a layer: what it computes in, what its weights are kept in, and who casts."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from nnkit import dtype_policies
from nnkit.dtype_policies import DTypePolicy, DTypePolicyMap
from nnkit.errors import ArgumentError
from nnkit.tree import flatten, map_structure

__all__ = ["PolicyOwner", "in_region"]


class _Regions(threading.local):
    """What the layer above computes in, if it has turned torch's autocast on, in this thread."""

    dtype: torch.dtype | None = None


_regions = _Regions()


class PolicyOwner(nn.Module):
    """The half of `Layer` that knows dtypes.

    Inputs are cast to the compute dtype. Under a mixed policy a layer with weights then runs in
    torch's autocast, which casts the weights, and its outputs have the compute dtype; a layer
    without weights just computes on what it is given.
    """

    autocast: bool = True
    _name: str
    _dtype: torch.dtype
    _compute: Any = None  # a dtype, once the layer is made
    _mixed: bool = False
    _seen_dtype: torch.dtype | None = None

    def _take_policy(self, identifier: Any) -> None:
        policy = given = dtype_policies.get(identifier)
        if isinstance(given, DTypePolicyMap):
            policy = given[self._name]
        kept, compute = policy.variable_type, policy.compute_type
        found = {
            "_policy": given,
            "_dtype": kept,
            "_compute": compute,
            "_mixed": kept is not compute,
            "_seen_dtype": None,  # of the last input, if it is computed on as it is
        }
        self.__dict__.update(found)  # past torch's slow __setattr__

    @property
    def dtype_policy(self) -> DTypePolicy:
        """The dtypes this layer computes and keeps its weights in."""
        policy: DTypePolicy = self.__dict__["_policy"]
        return policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        if getattr(self, "_inbound_nodes", None):
            raise ArgumentError(
                f"{self.label} is part of a graph already. Give it the dtype policy when it is "
                f"made, dtype={value!r}."
            )
        self._take_policy(value)

    @property
    def dtype(self) -> str:
        """The dtype of the weights, by name."""
        return str(self._dtype).removeprefix("torch.")

    @property
    def variable_dtype(self) -> str:
        """The dtype of the weights, by name."""
        return str(self._dtype).removeprefix("torch.")

    @property
    def compute_dtype(self) -> str:
        """The dtype of the computation, by name."""
        return str(self._compute).removeprefix("torch.")

    input_dtype = compute_dtype

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch's is untyped
        now = fn(torch.empty(0, dtype=self._dtype)).dtype
        if now is not self._dtype:  # after .double(), .half() or .to(torch.bfloat16)
            self._take_policy(now)
        return self

    # -- casting -------------------------------------------------------------------------------

    def takes(self, dtype: torch.dtype) -> bool:
        """Whether the layer computes on this dtype as it is."""
        return dtype is self._compute or not dtype.is_floating_point or not self.autocast

    def _cast(self, value: Any) -> Any:
        """A float tensor in the dtype of the computation; anything else as it is."""
        if not isinstance(value, torch.Tensor) or self.takes(value.dtype):
            return value
        target = self._compute
        if not self._mixed:
            kind = value.device.type
            ambient = not (value.is_meta or in_region()) and torch.is_autocast_enabled(kind)
            if ambient and value.dtype is torch.get_autocast_dtype(kind):
                return value  # the caller's own torch.autocast
            first = next((p for p in self.parameters() if p.is_floating_point()), None)
            target = target if first is None else first.dtype
        return _float(value, target) if target.is_floating_point else value

    def _cast_all(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        if not kwargs and all(isinstance(value, torch.Tensor) for value in args):
            return tuple([self._cast(value) for value in args]), kwargs
        cast: tuple[Any, Any] = map_structure(self._cast, (args, kwargs))
        return cast

    def casts(self, symbolic: Any) -> bool:
        """Whether a call on these symbolic tensors needs anything cast."""
        kinds = [leaf.dtype for leaf in flatten(symbolic) if hasattr(leaf, "dtype")]
        return self._mixed or not all(map(self.takes, kinds))

    def cast_and_call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute as the policy asks, in a graph: the shapes are known to fit there."""
        args, kwargs = self._cast_all(args, kwargs)
        run: Any = self._compiled_call_impl or self._call_impl
        if not (self._mixed or in_region()):
            return run(*args, **kwargs)
        return self._in_policy(run, *args, **kwargs)

    def _in_policy(self, run: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """The outputs of `run`, computed as a mixed policy, or a layer above that has one, asks."""
        first = args[0] if args else None
        if not isinstance(first, torch.Tensor):
            found = (v for v in flatten((args, kwargs)) if isinstance(v, torch.Tensor))
            first = next(found, None)
        if first is None:
            return run(*args, **kwargs)
        wanted = self._mixed and self._reads
        if first.is_meta:
            # Torch has no autocast without data; shapes and dtypes are found in the weights' own.
            if wanted:
                args, kwargs = map_structure(lambda v: _float(v, self._dtype), (args, kwargs))
            outputs = run(*args, **kwargs)
        else:
            device = first.device.type
            outputs = self._autocast(
                wanted and self._can_autocast(device), device, run, args, kwargs
            )
        if not wanted:
            return outputs
        if isinstance(outputs, torch.Tensor):
            return _float(outputs, self._compute)
        return map_structure(lambda v: _float(v, self._compute), outputs)

    @property
    def _reads(self) -> bool:
        """`_reads_weights`, remembered once the layer is built."""
        known: bool | None = self.__dict__.get("_known_reads")
        if known is None:
            known = self._reads_weights()
            if getattr(self, "built", False):
                self.__dict__["_known_reads"] = known
        return known

    def _autocast(
        self, wanted: bool, device: str, run: Callable[..., Any], args: Any, kwargs: Any
    ) -> Any:
        before = _regions.dtype
        now = self._compute if wanted else None
        if now is before:
            return run(*args, **kwargs)
        _regions.dtype = now
        try:
            if torch.compiler.is_compiling():  # which knows torch's own class only
                with torch.autocast(device, now, enabled=wanted):
                    return run(*args, **kwargs)
            with _switched(device, now):
                return run(*args, **kwargs)
        finally:
            _regions.dtype = before

    def _can_autocast(self, device: str) -> bool:
        """Whether its kernels exist in the compute dtype; else it computes as its weights are."""
        return True

    def _reads_weights(self) -> bool:
        """Whether this layer itself computes with float weights, not only layers inside it."""
        if type(self).__module__.startswith("nnkit.layers."):
            held = itertools.chain(self.parameters(), self.buffers())
            return any(tensor.is_floating_point() for tensor in held)
        return _holds_weights(self)


class _switched:  # noqa: N801 - used like a function
    """torch.autocast on (with a dtype) or off (None), by the same calls without its checks."""

    def __init__(self, device: str, dtype: torch.dtype | None) -> None:
        self.device, self.dtype = device, dtype

    def __enter__(self) -> None:
        device, dtype = self.device, self.dtype
        self.before = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
        torch.set_autocast_enabled(device, dtype is not None)
        if dtype is not None:
            torch.set_autocast_dtype(device, dtype)
        torch.autocast_increment_nesting()

    def __exit__(self, *error: Any) -> None:
        if torch.autocast_decrement_nesting() == 0:
            torch.clear_autocast_cache()
        enabled, dtype = self.before
        torch.set_autocast_enabled(self.device, enabled)
        torch.set_autocast_dtype(self.device, dtype)


def in_region() -> bool:
    """Whether a layer above has turned autocast on."""
    return _regions.dtype is not None


def _holds_weights(module: nn.Module) -> bool:
    return any(
        parameter is not None and parameter.is_floating_point()
        for parameter in module._parameters.values()
    ) or any(
        _holds_weights(child)
        for child in module._modules.values()
        if child is not None and not isinstance(child, PolicyOwner)
    )


def _float(value: Any, dtype: torch.dtype) -> Any:
    """A float tensor in this dtype, with what is noted on it; anything else as it is."""
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return value
    if value.dtype is dtype:
        return value
    cast = value.to(dtype)
    for note in ("_keras_mask", "_keras_logits"):
        if hasattr(value, note):
            setattr(cast, note, getattr(value, note))
    return cast
