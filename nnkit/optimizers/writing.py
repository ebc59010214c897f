"""The words that an optimizer written Keras's way is made of: its variables and assignments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from nnkit import initializers
from nnkit.dtypes import to_dtype
from nnkit.errors import ArgumentError
from nnkit.optimizers.stateful import Stateful
from nnkit.variable import Variable

__all__ = ["Writing"]


class Writing(Stateful):
    """The part of `Optimizer` for subclasses with a `build(variables)` and an `update_step`.

    What `add_variable_from_reference` makes belongs to the state of its parameter: it is saved,
    copied and moved to another device with it.
    """

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Variable:
        """A variable of the optimizer itself, such as a count or a product over all updates.

        Args:
            shape: of the variable, () for a number.
            initializer: a name, an object or a function of the shape.
            dtype: torch's or its name; the default float when None.
            aggregation: accepted, and without effect, as is layout.
            name: a word for listings.
        """
        kind = to_dtype(dtype)
        name = name or "variable"
        own = self.param_groups[0].setdefault("variables", {})
        return self._kept(own, name, lambda: _made(initializer, shape, kind, name))

    def add_variable_from_reference(
        self, reference_variable: Tensor, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """A variable of a parameter's shape, dtype and device, such as its momentum.

        Args:
            reference_variable: one of the parameters that `super().build(variables)` was given.
            name: the key in the parameter's state.
            initializer: a name, an object or a function of the shape.

        Raises: ArgumentError for another tensor, or before `super().build(variables)`.
        """
        if reference_variable not in self.state:
            raise ArgumentError(
                f"{type(self).__name__}.add_variable_from_reference was given a tensor of shape "
                f"{tuple(reference_variable.shape)} that is no parameter of this optimizer. Call "
                f"super().build(variables) before it, with that parameter among them."
            )
        name = name or "var"

        def make() -> Variable:
            made = _made(initializer, reference_variable.shape, reference_variable.dtype, name)
            made.data = torch.empty_like(reference_variable, requires_grad=False).copy_(made)
            return made

        return self._kept(self.state[reference_variable], name, make)

    def add_optimizer_variables(
        self, trainable_variables: Iterable[Tensor], name: Any, initializer: Any = "zeros"
    ) -> Any:
        """For each parameter a variable of its shape; a list, or for several names a tuple of them.

        Raises: ArgumentError when there is another number of initializers than of names.
        """
        names = [name] if isinstance(name, str) else list(name)
        alone = isinstance(initializer, str) or not isinstance(initializer, Sequence)
        fills = [initializer] * len(names) if alone else list(initializer)
        if len(fills) != len(names):
            raise ArgumentError(
                f"add_optimizer_variables was given {len(names)} names and {len(fills)} "
                f"initializers. Give one initializer, or one for each name."
            )
        made: tuple[list[Variable], ...] = tuple([] for _ in names)
        for variable in trainable_variables:
            for found, each, fill in zip(made, names, fills, strict=True):
                found.append(self.add_variable_from_reference(variable, each, fill))
        return made[0] if isinstance(name, str) else made

    def _kept(self, variables: dict[str, Any], name: str, make: Callable[[], Variable]) -> Variable:
        """The variable of this name; a new one, unless `build` runs again for more parameters."""
        key, count = name, 0
        while (id(variables), key) in self._made:
            count += 1
            key = f"{name}_{count}"
        self._made.add((id(variables), key))
        if key not in variables:
            variables[key] = make()
        found: Variable = variables[key]
        return found

    def _get_variable_index(self, variable: Tensor) -> int:
        """The place of a parameter in `build`'s list, by which update_step finds its variables."""
        for index, param in enumerate(self.built_params()):
            if param is variable:
                return index
        raise ArgumentError(
            f"{type(self).__name__} was not built with this parameter of shape "
            f"{tuple(variable.shape)}. Call build() with all of them."
        )

    def assign(self, variable: Tensor, value: Any) -> None:
        """Replace a variable's or parameter's value in place."""
        with torch.no_grad():
            variable.copy_(torch.as_tensor(value))

    def assign_add(self, variable: Tensor, value: Any) -> None:
        """Add to a variable or parameter in place."""
        with torch.no_grad():
            variable.add_(value)

    def assign_sub(self, variable: Tensor, value: Any) -> None:
        """Subtract from a variable or parameter in place."""
        with torch.no_grad():
            variable.sub_(value)


def _made(initializer: Any, shape: Sequence[int], dtype: torch.dtype, name: str) -> Variable:
    fill = initializers.get(initializer)
    return Variable(initializers.call_initializer(fill, tuple(shape), dtype), name=name)
