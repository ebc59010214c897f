"""The base of all metrics: state in variables, updated batch by batch on the device."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor

from nnkit import initializers
from nnkit.legacy import OldResetStates
from nnkit.losses.tensors import dtype_of
from nnkit.naming import auto_name, to_snake_case
from nnkit.registry import Registry
from nnkit.variable import Variable

__all__ = ["FUNCTIONS", "REGISTRY", "Metric", "registered"]

REGISTRY = Registry("metric", "keras.metrics")
FUNCTIONS = Registry("metric function", "keras.metrics")

C = TypeVar("C", bound=type)


def registered(*names: str) -> Callable[[C], C]:
    """Register a metric class under its name, that name in snake case, and these."""
    return lambda cls: REGISTRY.add(to_snake_case(cls.__name__), *names)(cls)


class Metric(OldResetStates):
    """A number about the outputs, gathered over many batches.

    A subclass makes its state with `add_weight`, changes it in `update_state`, and computes the
    number in `result`. State starts on the CPU and follows the first values to their device.

    Args:
        dtype: of the state; torch's default dtype (float32) when None.
        name: a word for logs; the class name in snake case, counted, when None.

    Example:
        class Largest(Metric):
            def __init__(self):
                super().__init__(name="largest")
                self.top = self.add_weight(name="top")

            def update_state(self, y_true, y_pred, sample_weight=None):
                self.top.assign(torch.maximum(self.top, y_pred.max()))

            def result(self):
                return self.top
    """

    # "up" when more is better, "down" when less is, None when a callback has to guess.
    _direction: str | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "update_state" in vars(cls):
            cls.update_state = _with_values(cls.update_state)  # type: ignore[method-assign]  # wrapped

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self.name = name or auto_name(type(self).__name__)
        self._torch_dtype = dtype_of(dtype)
        self._variables: list[Variable] = []

    @property
    def dtype(self) -> str:
        """The name of the dtype of the state."""
        return str(self._torch_dtype).removeprefix("torch.")

    @property
    def variables(self) -> list[Variable]:
        """The state: this metric's variables, then those of metrics it holds as attributes."""
        inner = [variable for metric in self._inner() for variable in metric.variables]
        return [*self._variables, *inner]

    def _inner(self) -> Iterator[Metric]:
        for value in vars(self).values():
            if isinstance(value, Metric):
                yield value
            elif isinstance(value, (list, tuple, dict)):
                items = value.values() if isinstance(value, dict) else value
                yield from (item for item in items if isinstance(item, Metric))

    def add_variable(
        self,
        shape: tuple[int, ...] | list[int],
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> Variable:
        """A new piece of state.

        Args:
            shape: () for a single number.
            initializer: a name, an initializer or a function of shape and dtype.
            dtype: torch's default dtype (float32) when None.
            aggregation: kept for Keras's signature; has no effect in one process.
            name: a word for listings.
        """
        # State made in inference mode could never be changed outside of it.
        with torch.inference_mode(False), torch.no_grad(), initializers.filled():
            start = initializers.call_initializer(
                initializers.get("zeros" if initializer is None else initializer),
                tuple(shape),
                dtype_of(dtype),
            )
        self._variables.append(Variable(start, name=name, follow=True))
        return self._variables[-1]

    def add_weight(
        self,
        shape: tuple[int, ...] | list[int] = (),
        initializer: Any = "zeros",
        dtype: Any = None,
        name: str | None = None,
    ) -> Variable:
        """A new piece of state, as for `add_variable`."""
        return self.add_variable(shape, initializer, dtype, name=name)

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Take in a batch."""
        raise NotImplementedError(f"{type(self).__name__} has no update_state.")

    def result(self) -> Any:
        """The number over all batches since the last reset, a tensor on the device."""
        raise NotImplementedError(f"{type(self).__name__} has no result.")

    def reset_state(self) -> None:
        """Set the state to zeros."""
        for variable in self.variables:
            with torch.no_grad():
                variable.zero_()

    def to(self, device: torch.device | str) -> Metric:
        """Take the state to a device; returns the metric."""
        for variable in self.variables:
            variable.move(torch.device(device))
        return self

    def _here(self, value: Tensor) -> Tensor:
        """`value` and the state on one device; state on the CPU moves, otherwise the value does."""
        home = self._variables[0].device
        if value.device == home:
            return value
        if home.type == "cpu":
            self.to(value.device)
            return value
        return value.to(home)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take in a batch and give the number so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this metric again, as plain data."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The metric made of what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


def _with_values(update: Callable[..., Any]) -> Callable[..., Any]:
    """Skip what has no values: a layer may update a metric while its shapes are inferred.

    And take the state to where the values are before they meet.
    """

    @functools.wraps(update)
    def update_state(self: Metric, *args: Any, **kwargs: Any) -> Any:
        for value in args:
            if isinstance(value, Tensor) and not value.is_cpu:
                if value.is_meta:
                    return None
                if self._variables:
                    self._here(value)
        return update(self, *args, **kwargs)

    return update_state
