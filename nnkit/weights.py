"""The weights of a layer: made, listed and exchanged in Keras's order and layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import nn

from nnkit import constraints, initializers, regularizers
from nnkit.creation import creating_on
from nnkit.dtypes import given_dtype
from nnkit.errors import ArgumentError, NotBuiltError, ShapeError
from nnkit.layouts import SAME, Layout
from nnkit.modes import hold_frozen, mark_frozen
from nnkit.precision import PolicyOwner
from nnkit.variable import Assignable, Variable, shown, shown_buffer

__all__ = [
    "Weight", "WeightOwner", "built_for_real", "first_parameter", "keras_view", "on_meta", "thaws",
    "to_numpy",
]  # fmt: skip

# How often `trainable` was set, anywhere: a training step looks here before it looks at weights.
thaws = [0]

# What Keras's add_weight also takes.
_WITHOUT_EFFECT = {"autocast", "aggregation", "synchronization", "overwrite_with_gradient"}

_real_device: list[torch.device] = []


def to_numpy(value: torch.Tensor) -> np.ndarray:
    """An array of a tensor's values; of bfloat16, which NumPy has not, in float32."""
    if value.requires_grad:
        value = value.detach()
    if not value.is_cpu:
        value = value.cpu()
    return value.float().numpy() if value.dtype is torch.bfloat16 else value.numpy()


def first_parameter(module: nn.Module) -> nn.Parameter | None:
    """`next(module.parameters(), None)`, without torch's walk over the names of all modules."""
    for parameter in module._parameters.values():
        if parameter is not None:
            return parameter
    for child in module._modules.values():
        found = None if child is None else first_parameter(child)
        if found is not None:
            return found
    return None


@contextmanager
def on_meta() -> Iterator[None]:
    """Inside, tensors are made without data; layers that build still make real weights."""
    _real_device.append(_real_device[-1] if _real_device else torch.get_default_device())
    try:
        with torch.no_grad(), torch.device("meta"):
            yield
    finally:
        _real_device.pop()


@contextmanager
def built_for_real() -> Iterator[None]:
    """Inside, weights get data even while shapes are being inferred."""
    device = _real_device[-1] if _real_device else torch.get_default_device()
    # Weights born in inference mode could never be trained.
    with torch.inference_mode(False), torch.device(device), creating_on(None):
        yield


class Weight(NamedTuple):
    """One weight: Keras's name, the tensor as torch stores it, its layout, and what acts on it.

    `path` is the name below those of the layers that it was collected from.
    """

    name: str
    tensor: torch.Tensor
    layout: Layout
    regularizer: Any = None
    constraint: Any = None
    path: str = ""

    @property
    def keras_shape(self) -> tuple[int, ...]:
        return tuple(self.layout.to_keras(self.tensor).shape)

    def loss(self) -> Any:
        """What its regularizer adds to the loss."""
        return self.regularizer(self.layout.to_keras(self.tensor))


class WeightOwner(PolicyOwner):
    """The half of `Layer` that has weights."""

    def __init__(self) -> None:
        super().__init__()
        self._trainable = True
        self._about: dict[str, tuple[str, Layout, Any, Any]] = {}
        self._frozen_names: set[str] = set()
        self._weight_buffers: list[str] = []

    def add_weight(
        self,
        shape: Sequence[int] | int = (),
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
        layout: Layout = SAME,
        **kwargs: Any,
    ) -> Variable:
        """Make a weight of this layer.

        Args:
            shape: its shape, in Keras's layout.
            initializer: name, object or callable; glorot_uniform, or zeros for whole numbers.
            dtype: torch's or its name; the layer's variable dtype when None.
            trainable: False for a weight that an optimizer never changes.
            regularizer: gives a loss from the weight in Keras's layout.
            constraint: applied to the weight in Keras's layout after each update.
            name: Keras's name for it, and its key in `state_dict` until it is set as an attribute.
            layout: how torch stores it.

        Returns: the parameter, in torch's layout, with Keras's `value` and `assign`.
        """
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        if any(size is None or size < 0 for size in shape):
            raise ShapeError(f"A weight needs known sizes, got {shape} for {name!r}.")
        for extra in kwargs.keys() - _WITHOUT_EFFECT:
            raise ArgumentError(f"add_weight() has no argument {extra!r}.")
        dtype = given_dtype(dtype) or self._dtype
        if initializer is None:
            initializer = "glorot_uniform" if dtype.is_floating_point else "zeros"
        with torch.no_grad():
            if initializers.room_for(shape, dtype):
                value = layout.empty(shape, dtype)
            else:
                made = initializers.call_initializer(initializers.get(initializer), shape, dtype)
                value = layout.to_torch(made)
        name = name or f"variable_{len(self._about)}"
        weight = Variable(value, requires_grad=trainable and self._trainable, name=name)
        key = name.replace(".", "_").replace("/", "_")
        while key in self._parameters or key in self.__dict__:
            key += "_"
        self._parameters[key] = weight
        self._describe(key, name, layout, regularizer, constraint, trainable)
        return weight

    def set_options(
        self, name: str, initializer: Any, regularizer: Any = None, constraint: Any = None
    ) -> None:
        """Keep how the weight `name` is to be made, as `<name>_initializer` and so on."""
        setattr(self, f"{name}_initializer", initializers.get(initializer))
        setattr(self, f"{name}_regularizer", regularizers.get(regularizer))
        setattr(self, f"{name}_constraint", constraints.get(constraint))

    def add_named_weight(
        self, name: str, shape: Sequence[int], layout: Layout = SAME
    ) -> nn.Parameter:
        """Make the weight `name` as `set_options` said; `shape` is in Keras's layout."""
        return self.add_weight(
            shape,
            getattr(self, f"{name}_initializer"),
            regularizer=getattr(self, f"{name}_regularizer"),
            constraint=getattr(self, f"{name}_constraint"),
            name=name,
            layout=layout,
        )

    def add_weight_buffer(self, key: str, name: str, value: torch.Tensor) -> None:
        """Keep a tensor that training updates by itself, such as a moving mean."""
        self.register_buffer(key, value)
        self._weight_buffers.append(key)
        self._describe(key, name, SAME, None, None, False)

    def _describe(
        self,
        key: str,
        name: str,
        layout: Layout,
        regularizer: Any,
        constraint: Any,
        trainable: bool,
    ) -> None:
        regularizer, constraint = regularizers.get(regularizer), constraints.get(constraint)
        self._about[key] = (name, layout, regularizer, constraint)
        if not trainable:
            self._frozen_names.add(key)

    def __setattr__(self, name: str, value: Any) -> None:
        # A weight is known by its Keras name until `self.kernel = self.add_weight(...)` renames it.
        if isinstance(value, nn.Parameter) and "_about" in self.__dict__:
            for key, known in list(self._parameters.items()):
                if known is value and key != name:
                    del self._parameters[key]
                    if key in self._about:
                        self._about[name] = self._about.pop(key)
                    if key in self._frozen_names:
                        self._frozen_names = self._frozen_names - {key} | {name}
        super().__setattr__(name, value)

    def register_parameter(self, name: str, param: nn.Parameter | None) -> None:
        """As torch; a weight that was taken out, to be computed, comes back to its place."""
        back = name not in self._parameters and name in self.__dict__.get("_about", ())
        super().register_parameter(name, param)
        if back and name != next(reversed(self._about)):
            order = [*(key for key in self._about if key in self._parameters), *self._parameters]
            self._parameters = {key: self._parameters[key] for key in dict.fromkeys(order)}

    def _own(self) -> list[Weight]:
        keys = [key for key, value in self._parameters.items() if value is not None]
        keys.sort(key=lambda key: key in self._frozen_names)
        return [self._weight(key) for key in [*keys, *self._weight_buffers, *self._registered()]]

    def _weight(self, key: str) -> Weight:
        name, *about = self._about.get(key, (key, SAME, None, None))
        return Weight(name, getattr(self, key), *about)

    def _registered(self) -> list[str]:
        """The buffers made by torch's `register_buffer` that hold state, as in a torch module."""
        known = {*self._weight_buffers, *self._non_persistent_buffers_set}
        return [key for key, _ in _float_buffers(self) if key not in known]

    def computed(self) -> list[Weight]:
        """The weights here that torch computes from others: parametrized, normalized, pruned."""
        held = {*self._parameters, *self._buffers}
        return [self._weight(key) for key in self._about if key not in held]

    def trained_through_others(self) -> list[Weight]:
        """The `computed` weights of all trainable layers here and below."""
        owners = [each for each in self.modules() if isinstance(each, WeightOwner)]
        return [weight for each in owners if each._trainable for weight in each.computed()]

    def collect(self, keep: Callable[[WeightOwner], bool] | None = None) -> list[Weight]:
        """All weights here and below, each once, in Keras's order."""
        found: dict[int, Weight] = {}
        for weight in _collect(self, keep):
            found.setdefault(id(weight.tensor), weight)
        return list(found.values())

    @property
    def weights(self) -> list[torch.Tensor]:
        """All weights as torch stores them: each layer's trainable ones first."""
        return [_named(weight) for weight in self.collect()]

    @property
    def trainable_weights(self) -> list[torch.Tensor]:
        """The parameters that an optimizer changes."""
        trainable = self.collect(lambda owner: owner._trainable)
        return [_named(weight) for weight in trainable if weight.tensor.requires_grad]

    @property
    def non_trainable_weights(self) -> list[torch.Tensor]:
        """The other weights: frozen ones and moving statistics."""
        trainable = {id(tensor) for tensor in self.trainable_weights}
        return [tensor for tensor in self.weights if id(tensor) not in trainable]

    variables = weights
    trainable_variables = trainable_weights
    non_trainable_variables = non_trainable_weights

    @property
    def trainable(self) -> bool:
        """Whether an optimizer changes the weights; setting it reaches everything below."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        thaws[0] += 1
        for module in self.modules():
            fixed = module._frozen_names if isinstance(module, WeightOwner) else ()
            if isinstance(module, WeightOwner):
                module._trainable = bool(value)
            else:
                mark_frozen(module, not value)
            for key, parameter in module._parameters.items():
                if parameter is not None and key not in fixed and parameter.is_floating_point():
                    parameter.requires_grad_(bool(value))

    def train(self, mode: bool = True) -> Self:
        """Switch to training or inference mode; frozen batch normalization stays in the latter."""
        super().train(mode)
        self.__dict__["_settled"] = not mode
        for child in self.children() if mode else ():
            if not isinstance(child, WeightOwner):
                hold_frozen(child)
        return self

    def count_params(self) -> int:
        """How many numbers the weights hold; a shared weight counts once."""
        return sum(weight.tensor.numel() for weight in self.collect())

    def get_weights(self) -> list[np.ndarray]:
        """The weights as NumPy arrays, copies, in Keras's order and layout."""
        own = [w.layout.to_keras(w.tensor).detach() for w in self.collect()]
        return [to_numpy(value.to("cpu", copy=True).contiguous()) for value in own]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Take weights from arrays in Keras's order and layout.

        Raises: ShapeError when their number or a shape differs; nothing is changed then.
        """
        own = self.collect()
        name = getattr(self, "name", type(self).__name__)
        if not isinstance(weights, (list, tuple)):
            raise ArgumentError(f"{name!r} takes a list of arrays, got {type(weights).__name__}.")
        if not own and weights and not getattr(self, "built", True):
            raise NotBuiltError(f"{name!r} has no weights yet: build it, or call it on data first.")
        if len(own) != len(weights):
            raise ShapeError(
                f"{name!r} has {len(own)} weights but {len(weights)} were given. "
                f"It needs: {', '.join(f'{w.name} {w.keras_shape}' for w in own) or 'none'}."
            )
        values = [_as_weight(name, value) for value in weights]
        for weight, value in zip(own, values, strict=True):
            if tuple(value.shape) != weight.keras_shape:
                raise ShapeError(
                    f"{name!r} needs {weight.keras_shape} for {weight.name!r} but "
                    f"{tuple(value.shape)} was given."
                )
        with torch.no_grad():
            for weight, value in zip(own, values, strict=True):
                weight.tensor.copy_(weight.layout.to_torch(value))


def _as_weight(owner: str, value: Any) -> torch.Tensor:
    try:
        return torch.as_tensor(np.asarray(value))
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{owner!r} takes arrays of numbers, got {value!r}.") from error


def keras_view(key: str) -> Any:
    """A property that shows the weight stored as `key` in Keras's layout."""

    def view(self: WeightOwner) -> torch.Tensor | None:
        tensor = getattr(self, key)
        if tensor is None:
            return None
        name, layout = self._about[key][:2]
        seen = layout.to_keras(tensor)
        if isinstance(seen, Assignable) or torch.compiler.is_compiling():
            return seen
        if seen is tensor:
            return shown_buffer(tensor, name)
        return shown(seen, name, f"{getattr(self, 'name', '')}/{name}")

    return property(view, doc=f"The weight `{key}` in Keras's layout; a view of the same memory.")


def _named(weight: Weight) -> torch.Tensor:
    """The tensor under its name and path; a buffer with Keras's methods, as a view of it."""
    tensor = weight.tensor
    if isinstance(tensor, Assignable):
        tensor.path = weight.path
    elif not isinstance(tensor, nn.Parameter):
        return shown_buffer(tensor, weight.name, weight.path)
    return tensor


def _collect(
    module: nn.Module, keep: Callable[[WeightOwner], bool] | None, above: str = ""
) -> Iterator[Weight]:
    if isinstance(module, WeightOwner):
        if keep is not None and not keep(module):
            return
        # Layers of a functional model are there before it, and their paths are without it.
        name = getattr(module, "scope", getattr(module, "name", ""))
        above = f"{above}{name}/" if name else above
        own = module._own()
    else:
        own = [Weight(key, value, SAME) for key, value in _tensors(module)]
    for weight in own:
        yield weight if weight.path else weight._replace(path=above + weight.name)
    for child in module._modules.values():
        if child is not None:
            yield from _collect(child, keep, above)


def _tensors(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """The parameters and float buffers of a torch module itself."""
    for key, parameter in module._parameters.items():
        if parameter is not None:
            yield key, parameter
    yield from _float_buffers(module)


def _float_buffers(module: nn.Module) -> list[tuple[str, torch.Tensor]]:
    found = module._buffers.items()
    return [(key, each) for key, each in found if each is not None and each.is_floating_point()]
