"""A parameter that is not trained by default and can be assigned to, Keras's way."""

from __future__ import annotations

import sys
from typing import Any, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from nnkit.errors import ShapeError

__all__ = ["Assignable", "Variable", "shown", "shown_buffer"]

V = TypeVar("V", bound="Variable")

_MAKES_PARAMETERS = nn.Parameter.__new__.__code__


def _rebuild(cls: type[V], data: Tensor, requires_grad: bool, state: dict[str, Any]) -> V:
    variable = cls(data, requires_grad)
    variable.__dict__.update(state)
    return variable


class Assignable(Tensor):
    """A tensor with what Keras's programs do with a weight: its name, new values in place."""

    # Functions of torch give plain tensors.
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    _name: str | None = None
    _path: str | None = None

    @property
    def name(self) -> str | None:
        """What it was called when it was made."""
        return self._name

    @property
    def path(self) -> str | None:
        """The name below those of the layers that it is in, "encoder/dense/kernel"."""
        return self._path if self._path is not None else self._name

    @path.setter
    def path(self, value: str) -> None:
        self._path = value

    @property
    def value(self) -> Self:
        """The variable itself, which is a tensor."""
        return self

    @property
    def trainable(self) -> bool:
        """Whether gradients are computed for it."""
        return self.requires_grad

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self.requires_grad_(value)

    def detach(self) -> Tensor:
        """The values alone, as a plain tensor.

        `torch.nn.Parameter(variable)`, which torch's parametrizations call, demands the
        variable's own type of this method; everybody else, `state_dict` first, wants a tensor.
        """
        plain = super().detach()
        if torch.compiler.is_compiling() or sys._getframe(1).f_code is not _MAKES_PARAMETERS:
            return plain
        made = plain.as_subclass(type(self))
        made._name = self._name
        return made

    def numpy(self, *, force: bool = True) -> np.ndarray:
        """Its value as a numpy array, from any device and without its gradient."""
        return super().numpy(force=force)

    def assign(self, value: Any) -> Self:
        """Replace the value in place by one of the same shape; returns the variable."""
        value = self._incoming(value)
        if value.shape != self.shape:
            raise ShapeError(
                f"Variable {self._name or ''!r} has shape {tuple(self.shape)}, but was assigned "
                f"a value of shape {tuple(value.shape)}. {self._advice(value)}"
            )
        with torch.no_grad():
            self.copy_(value)
        return self

    def assign_add(self, value: Any) -> Self:
        """Add to the value in place; returns the variable."""
        with torch.no_grad():
            self.add_(self._incoming(value))
        return self

    def assign_sub(self, value: Any) -> Self:
        """Subtract from the value in place; returns the variable."""
        with torch.no_grad():
            self.sub_(self._incoming(value))
        return self

    def _incoming(self, value: Any) -> Tensor:
        if not isinstance(value, Tensor):
            return torch.as_tensor(value, dtype=self.dtype, device=self.device)
        return value.to(self.device)

    def _advice(self, value: Tensor) -> str:
        if self.ndim > 1 and sorted(value.shape) == sorted(self.shape):
            return (
                "It lies as torch stores it; set_weights, and the layer's own attribute "
                "(layer.kernel.assign), take Keras's order of axes."
            )
        return "Give a value of the variable's shape."


class _Shown(Assignable):
    """A view of a weight that is no parameter itself: another order of axes, or a buffer."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Assignable:
        copy = self.detach().clone()
        if isinstance(self, nn.Parameter):  # made by torch.nn.Parameter(layer.kernel)
            return Variable(copy, self.requires_grad, name=self._name)
        return shown(copy, self._name, self._path)

    def __reduce_ex__(self, protocol: Any) -> Any:
        if isinstance(self, nn.Parameter):
            return Variable(self, self.requires_grad, name=self._name).__reduce_ex__(protocol)
        plain: Any = self.detach()
        return plain.__reduce_ex__(protocol)


def shown(tensor: Tensor, name: str | None = None, path: str | None = None) -> _Shown:
    """The same memory, with Keras's methods."""
    made = tensor.as_subclass(_Shown)
    made._name, made._path = name, path
    return made


def shown_buffer(buffer: Tensor, name: str | None, path: str | None = None) -> _Shown:
    """A layer's buffer with Keras's methods: for one buffer always the same object."""
    made: _Shown | None = getattr(buffer, "_shown", None)
    # A copy of the buffer brings a copy of this, which belongs to no buffer.
    if made is None or made.data_ptr() != buffer.data_ptr() or made.shape != buffer.shape:
        made = shown(buffer.detach(), name)
        buffer._shown = made  # type: ignore[attr-defined]
    if path is not None:
        made.path = path
    return made


class Variable(Assignable, nn.Parameter):
    """A tensor with state: a metric's total, a moving mean, anything a layer keeps.

    Args:
        data: its first value, a tensor, array or number.
        requires_grad: True lets an optimizer train it.
        dtype: a torch dtype; the one of data when None.
        name: a word for messages and listings.
        follow: True lets it leave the CPU for the device of the values assigned to it.

    Example:
        total = Variable(0.0, name="total")
        total.assign_add(2.5)
    """

    _follow: bool = False

    def __new__(
        cls: type[V],
        data: Any = None,
        requires_grad: bool = False,
        dtype: torch.dtype | None = None,
        name: str | None = None,
        follow: bool = False,
    ) -> V:
        if isinstance(data, Tensor):
            value = data.detach() if dtype is None else data.detach().to(dtype)
        else:
            # A copy, so that assigning never changes the caller's array.
            value = torch.empty(0) if data is None else torch.tensor(data, dtype=dtype)
        variable: V = torch.Tensor._make_subclass(cls, value, requires_grad)
        if name is not None:
            variable._name = name
        if follow:
            variable._follow = True
        return variable

    def move(self: V, device: torch.device) -> V:
        """Take the variable to a device, in place; returns the variable."""
        # Made in inference mode, the copy could never be changed outside of it.
        with torch.inference_mode(False), torch.no_grad():
            self.data = self.data.to(device)
        return self

    def _incoming(self, value: Any) -> Tensor:
        follows = self._follow and self.device.type == "cpu" and isinstance(value, Tensor)
        if follows and value.device != self.device:
            self.move(value.device)
            return value
        return super()._incoming(value)

    def __deepcopy__(self: V, memo: dict[int, Any]) -> V:
        if id(self) not in memo:
            data = self.data.clone(memory_format=torch.preserve_format)
            memo[id(self)] = _rebuild(type(self), data, self.requires_grad, self.__dict__)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuild, (type(self), self.data, self.requires_grad, dict(self.__dict__))
