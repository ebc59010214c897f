"""What old scripts make, read and assign: tensors, variables, settings, and what is gone."""

from __future__ import annotations

from collections import Counter
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from nnkit import ops, random
from nnkit.config import floatx
from nnkit.errors import ArgumentError, ShapeError
from nnkit.models import Model
from nnkit.ops.recording import as_tensor, recorded
from nnkit.tree import flatten
from nnkit.utils.sources import standardize_dtype
from nnkit.variable import Variable

__all__ = [
    "arange", "batch_get_value", "batch_set_value", "cast_to_floatx", "constant",
    "eval", "eye", "function", "get_uid", "get_value", "gradients", "in_train_phase",
    "is_float_dtype", "is_int_dtype", "learning_phase",
    "moving_average_update", "ones", "placeholder", "random_bernoulli", "random_normal",
    "random_uniform", "set_learning_phase", "set_value",
    "truncated_normal", "update", "update_add", "update_sub", "variable",
    "zeros",
]  # fmt: skip

_uids: Counter[str] = Counter()


def zeros(shape: Any, dtype: Any = None, name: str | None = None) -> Tensor:
    """A tensor of zeros."""
    return ops.zeros(shape, dtype)


def ones(shape: Any, dtype: Any = None, name: str | None = None) -> Tensor:
    """A tensor of ones."""
    return ops.ones(shape, dtype)


def eye(size: Any, dtype: Any = None, name: str | None = None) -> Tensor:
    """Ones on the diagonal of a square matrix, or of a (rows, columns) one."""
    rows, columns = size if isinstance(size, (list, tuple)) else (size, size)
    return ops.eye(rows, columns, dtype=dtype)


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Tensor:
    """A tensor of these values, repeated to the shape; of the default float when dtype is None."""
    made = ops.convert_to_tensor(value, dtype or floatx())
    return made if shape is None else ops.copy(ops.broadcast_to(made, shape))


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = "int32") -> Tensor:
    """Numbers from `start` (0 when only one is given) to before `stop`."""
    return ops.arange(start, stop, step, dtype)


def variable(
    value: Any, dtype: Any = None, name: str | None = None, constraint: Any = None
) -> Variable:
    """A tensor that can be assigned to and is trained. `constraint` must be None."""
    if constraint is not None:
        raise ArgumentError(
            "K.variable has no constraint. Use Layer.add_weight(constraint=...) instead."
        )
    return Variable(as_tensor(value, dtype or floatx()).clone(), requires_grad=True, name=name)


@recorded
def random_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Tensor:
    """Draw from a normal distribution."""
    return random.normal(tuple(shape), mean, stddev, dtype, seed)


@recorded
def random_uniform(
    shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None
) -> Tensor:
    """Draw evenly from minval (included) to maxval (excluded)."""
    return random.uniform(tuple(shape), minval, maxval, dtype, seed)


@recorded
def truncated_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Tensor:
    """Draw from a normal distribution without what lies beyond two standard deviations."""
    return random.truncated_normal(tuple(shape), mean, stddev, dtype, seed)


def random_bernoulli(shape: Any, p: float = 0.0, dtype: Any = None, seed: Any = None) -> Tensor:
    """Draw ones with probability p, and zeros."""
    return ops.cast(ops.less(random_uniform(shape, seed=seed), p), dtype)


# -- values ----------------------------------------------------------------------------------------


def get_value(x: Any) -> Any:
    """The value of a tensor or variable as a NumPy array; numbers stay numbers."""
    return ops.convert_to_numpy(x) if ops.is_tensor(x) else x


def eval(x: Any) -> Any:
    """The same as `get_value`."""
    return get_value(x)


def batch_get_value(tensors: Any) -> list[Any]:
    """The values of several tensors."""
    return [get_value(each) for each in tensors]


def set_value(x: Any, value: Any) -> None:
    """Replace the value of a weight or variable, in place.

    Raises: ArgumentError for something else, ShapeError for another shape.
    """
    if not isinstance(x, Tensor) and hasattr(x, "assign"):  # an optimizer's learning rate
        x.assign(value)
        return
    if not isinstance(x, Tensor):
        raise ArgumentError(
            f"K.set_value changes weights and variables, not {type(x).__name__} {x!r}."
        )
    new = as_tensor(value, x.dtype, x.device)
    if new.shape != x.shape:
        raise ShapeError(
            f"K.set_value: the variable has shape {tuple(x.shape)}, the value {tuple(new.shape)}."
        )
    with torch.no_grad():
        x.copy_(new)


def batch_set_value(tuples: Any) -> None:
    """`set_value` for each (variable, value)."""
    for variable, value in tuples:
        set_value(variable, value)


def update(x: Any, new_x: Any) -> Any:
    """Replace the value of a variable, which is returned."""
    set_value(x, new_x)
    return x


def update_add(x: Any, increment: Any) -> Any:
    """Add to a variable, which is returned."""
    return update(x, ops.add(ops.stop_gradient(x), increment))


def update_sub(x: Any, decrement: Any) -> Any:
    """Subtract from a variable, which is returned."""
    return update(x, ops.subtract(ops.stop_gradient(x), decrement))


def moving_average_update(x: Any, value: Any, momentum: float) -> Any:
    """x * momentum + value * (1 - momentum) in place of the variable x, which is returned."""
    before = ops.stop_gradient(x)
    return update(x, ops.add(before * momentum, ops.multiply(value, 1 - momentum)))


def cast_to_floatx(x: Any) -> Any:
    """x in the default float: a tensor from a tensor, an array from an array."""
    return ops.cast(x, floatx()) if ops.is_tensor(x) else np.asarray(x, dtype=floatx())


def get_uid(prefix: str = "") -> int:
    """1 at the first call with this prefix, 2 at the second, and so on."""
    _uids[prefix] += 1
    return _uids[prefix]


# -- types -----------------------------------------------------------------------------------------


def is_float_dtype(dtype: Any) -> bool:
    """Whether a dtype holds fractions."""
    return standardize_dtype(dtype).startswith(("float", "bfloat"))


def is_int_dtype(dtype: Any) -> bool:
    """Whether a dtype holds whole numbers; booleans are none."""
    return standardize_dtype(dtype).startswith(("int", "uint"))


# -- settings, and what has no meaning without a session -------------------------------------------


def in_train_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """x (or x()) in training, else alt (or alt()); `training` is that of `call`."""
    if training is None:
        raise _gone("in_train_phase without training=", "Write call(self, inputs, training=None).")
    chosen = x if training else alt
    return chosen() if callable(chosen) and not isinstance(chosen, Tensor) else chosen


def learning_phase() -> NoReturn:
    """Raises: ArgumentError; the mode is a layer's own."""
    raise _gone("learning_phase", "Write call(self, inputs, training=None), or ask self.training.")


def set_learning_phase(value: Any) -> NoReturn:
    """Raises: ArgumentError; the mode is a layer's own."""
    raise _gone("set_learning_phase", "Use model.train(), model.eval() or model(x, training=True).")


def function(inputs: Any, outputs: Any, updates: Any = None, name: Any = None) -> Any:
    """A function from the values of symbolic tensors to those of others, in inference mode.

    Args:
        inputs: a list of symbolic tensors.
        outputs: a list of them, or one.
        updates: must be empty.

    Returns: a function of a list of arrays (or one); it gives arrays, in a list as `outputs` is.
    """
    if updates:
        raise _gone("function with updates", "Write a train_step, or a loop with torch.")
    model = Model(inputs, outputs)

    def run(values: Any) -> Any:
        with torch.no_grad():
            found = [ops.convert_to_numpy(each) for each in flatten(model(values))]
        return found if isinstance(outputs, (list, tuple)) else found[0]

    return run


def gradients(loss: Any, variables: Any) -> NoReturn:
    """Raises: ArgumentError; torch has gradients of values."""
    raise _gone("gradients", "Use torch.autograd.grad(loss, variables) on computed tensors.")


def placeholder(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises: ArgumentError; `Input` is a placeholder."""
    raise _gone("placeholder", "Use nnkit.Input(shape), without the batch axis.")


def _gone(name: str, advice: str) -> ArgumentError:
    return ArgumentError(f"K.{name} belongs to TensorFlow's sessions and is not here. {advice}")
