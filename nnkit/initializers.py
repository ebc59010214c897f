"""Initializers: where weights start.

An initializer is called with a shape in Keras's layout, (inputs, outputs) for Dense and
(height, width, inputs, outputs) for Conv2D, and returns a tensor on torch's default device.
The same instance returns the same values at every call, with or without a seed.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnkit.errors import ArgumentError
from nnkit.random import (
    SeedGenerator,
    as_seed,
    check_range,
    check_stddev,
    fill_truncated_normal,
    generator_for,
    global_seed,
    to_dtype,
)
from nnkit.registry import Registry

__all__ = [
    "REGISTRY", "Constant", "GivenValues", "GlorotNormal", "GlorotUniform", "HeNormal",
    "HeUniform", "Identity", "IdentityInitializer", "Initializer", "LecunNormal",
    "LecunUniform", "Ones", "Orthogonal", "OrthogonalInitializer", "RandomInitializer",
    "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Zeros",
    "call_initializer", "compute_fans", "constant", "deserialize", "get", "glorot_normal",
    "glorot_uniform", "he_normal", "he_uniform", "identity", "lecun_normal", "lecun_uniform",
    "ones", "orthogonal", "random_normal", "random_uniform", "serialize", "truncated_normal",
    "variance_scaling", "zeros",
]  # fmt: skip

REGISTRY = Registry("initializer", "keras.initializers")

Shape = Sequence[int]
Fill = Callable[[Tensor, torch.Generator | None], Any]

# The standard deviation of a normal distribution cut at two sigma, in units of sigma.
_CUT_STDDEV = 0.87962566103423978


class Initializer:
    """The base of initializers: give a subclass `__call__` and, to be saved, `get_config`."""

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        """A new tensor of this shape (Keras's layout) and dtype."""
        raise NotImplementedError(f"{type(self).__name__} has no __call__(self, shape, dtype).")

    def get_config(self) -> dict[str, Any]:
        """The arguments, as plain data."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        """An initializer with the arguments of `get_config()`."""
        return cls(**config)

    def clone(self) -> Initializer:
        """A new initializer with the same arguments; without a seed it draws other values."""
        return type(self).from_config(self.get_config())


@REGISTRY.add("zeros", "zero")
class Zeros(Initializer):
    """All zeros."""

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        return torch.zeros(tuple(shape), dtype=to_dtype(dtype))


@REGISTRY.add("ones", "one")
class Ones(Initializer):
    """All ones."""

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        return torch.ones(tuple(shape), dtype=to_dtype(dtype))


def _plain_value(value: Any) -> Any:
    if isinstance(value, dict):  # Keras's form for arrays
        return value["config"]["value"]
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


@REGISTRY.add("constant")
class Constant(Initializer):
    """The same value everywhere.

    Args:
        value: a number, or an array or nested list that broadcasts to the weight's shape.

    Raises: ArgumentError when called if the value does not fit the shape.
    """

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        if isinstance(self.value, (int, float)):
            return torch.full(tuple(shape), self.value, dtype=to_dtype(dtype))
        value = torch.as_tensor(self.value, dtype=to_dtype(dtype))
        value = value.detach().to(torch.get_default_device())
        try:
            return value.broadcast_to(tuple(shape)).clone()
        except RuntimeError as exc:
            raise ArgumentError(
                f"Constant holds a value of shape {tuple(value.shape)}, "
                f"which does not broadcast to the weight's shape {tuple(shape)}."
            ) from exc

    def get_config(self) -> dict[str, Any]:
        return {"value": _plain_value(self.value)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        return cls(_plain_value(config.get("value", 0.0)))


@REGISTRY.add()
class GivenValues(Constant):
    """Exactly these values: what `get` makes of an array or tensor.

    Args:
        value: an array of the weight's own shape.

    Raises: ArgumentError when called for another shape.
    """

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        if tuple(np.shape(self.value)) != tuple(shape):
            raise ArgumentError(
                f"The array given as initializer has shape {tuple(np.shape(self.value))}, "
                f"but the weight has shape {tuple(shape)}."
            )
        return super().__call__(shape, dtype)


@REGISTRY.add("identity", "IdentityInitializer")
class Identity(Initializer):
    """The identity matrix times `gain`, with zeros in surplus rows or columns.

    Raises: ArgumentError when called for anything but a matrix.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        if len(shape) != 2:
            raise ArgumentError(
                f"Identity expects a matrix (rows, columns), got shape {tuple(shape)}."
            )
        kind = to_dtype(dtype)
        return (torch.eye(shape[0], shape[1], dtype=kind) * self.gain).to(kind)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}


class RandomInitializer(Initializer):
    """The base of initializers that draw.

    Args:
        seed: an int; a SeedGenerator, which gives new values at every call; or None for a seed
            drawn from torch's global generator at the first call.
    """

    def __init__(self, seed: Any = None) -> None:
        if isinstance(seed, dict):
            seed = SeedGenerator.from_config(seed["config"])
        elif seed is not None and not isinstance(seed, SeedGenerator):
            seed = as_seed(seed)
        self.seed = seed
        self._drawn: int | None = None

    def _draw(self, shape: Shape, dtype: Any, fill: Fill) -> Tensor:
        kind = to_dtype(dtype)
        if not kind.is_floating_point:
            raise ArgumentError(
                f"{type(self).__name__} expects a floating point dtype, got {dtype!r}."
            )
        device = torch.get_default_device()
        if device.type == "meta":
            return torch.empty(tuple(shape), dtype=kind)
        # On the CPU and at least in float32, so that a seed means the same values everywhere.
        wide = torch.promote_types(kind, torch.float32)
        values = torch.empty(tuple(shape), dtype=wide, device="cpu")
        if self.seed is None and self._drawn is None:
            self._drawn = global_seed()
        seed = self._drawn if self.seed is None else self.seed
        fill(values, generator_for(seed, values.device))
        return values.to(device, kind)

    def get_config(self) -> dict[str, Any]:
        if not isinstance(self.seed, SeedGenerator):
            return {"seed": self.seed}
        return {
            "seed": {
                "module": "keras.random",
                "class_name": "SeedGenerator",
                "config": self.seed.get_config(),
                "registered_name": None,
            }
        }


@REGISTRY.add("random_normal", "normal")
class RandomNormal(RandomInitializer):
    """Draws from a normal distribution.

    Args:
        mean: the mean.
        stddev: the standard deviation.
        seed: see RandomInitializer.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        super().__init__(seed)
        check_stddev(stddev)
        self.mean = mean
        self.stddev = stddev

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        return self._draw(
            shape, dtype, lambda values, g: values.normal_(self.mean, self.stddev, generator=g)
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


@REGISTRY.add("truncated_normal")
class TruncatedNormal(RandomNormal):
    """Draws from a normal distribution without what lies beyond two standard deviations.

    Args:
        mean: the mean.
        stddev: the standard deviation before cutting; the values' own is 0.88 times that.
        seed: see RandomInitializer.
    """

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        return self._draw(
            shape, dtype, lambda values, g: fill_truncated_normal(values, self.mean, self.stddev, g)
        )


@REGISTRY.add("random_uniform", "uniform")
class RandomUniform(RandomInitializer):
    """Draws evenly between two bounds.

    Args:
        minval: the lower bound.
        maxval: the upper bound.
        seed: see RandomInitializer.
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None) -> None:
        super().__init__(seed)
        check_range(minval, maxval)
        self.minval = minval
        self.maxval = maxval

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        return self._draw(
            shape, dtype, lambda values, g: values.uniform_(self.minval, self.maxval, generator=g)
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


def compute_fans(
    shape: Shape, input_axes: Shape | None = None, output_axes: Shape | None = None
) -> tuple[int, int]:
    """The number of inputs and outputs each unit of a weight is connected to.

    Args:
        shape: of the weight, in Keras's layout.
        input_axes: the axes that count as inputs, if they are not the usual ones.
        output_axes: the same for outputs; both must be given to have effect.
    """
    shape = tuple(shape)
    if input_axes is not None and output_axes is not None:
        return (
            math.prod(shape[axis] for axis in input_axes),
            math.prod(shape[axis] for axis in output_axes),
        )
    if len(shape) < 2:
        return (shape or (1,))[0], (shape or (1,))[0]
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


@REGISTRY.add("variance_scaling")
class VarianceScaling(RandomInitializer):
    """Draws with the variance scale / fan, which keeps signals the same size through layers.

    Args:
        scale: factor on the variance.
        mode: "fan_in" (inputs of a unit), "fan_out" or "fan_avg" (the mean of both).
        distribution: "truncated_normal" (or "normal"), "untruncated_normal" or "uniform".
        seed: see RandomInitializer.
        input_axes: see compute_fans.
        output_axes: see compute_fans.

    Raises: ArgumentError for scale <= 0, or an unknown mode or distribution.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Shape | None = None,
        output_axes: Shape | None = None,
    ) -> None:
        super().__init__(seed)
        if not 0 < scale < math.inf:
            raise ArgumentError(f"VarianceScaling expects a finite scale > 0, got {scale!r}.")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ArgumentError(
                f"VarianceScaling expects mode 'fan_in', 'fan_out' or 'fan_avg', got {mode!r}."
            )
        wanted = str(distribution).lower()
        wanted = "truncated_normal" if wanted == "normal" else wanted
        if wanted not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise ArgumentError(
                f"VarianceScaling expects distribution 'truncated_normal', 'untruncated_normal' "
                f"or 'uniform', got {distribution!r}."
            )
        self.scale = scale
        self.mode = mode
        self.distribution = wanted
        self.input_axes = input_axes
        self.output_axes = output_axes

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        inputs, outputs = compute_fans(shape, self.input_axes, self.output_axes)
        fan = {"fan_in": inputs, "fan_out": outputs, "fan_avg": (inputs + outputs) / 2}[self.mode]
        stddev = math.sqrt(self.scale / max(1.0, fan))

        def fill(values: Tensor, generator: torch.Generator | None) -> None:
            if self.distribution == "uniform":
                limit = math.sqrt(3.0) * stddev
                values.uniform_(-limit, limit, generator=generator)
            elif self.distribution == "truncated_normal":
                fill_truncated_normal(values, 0.0, stddev / _CUT_STDDEV, generator)
            else:
                values.normal_(0.0, stddev, generator=generator)

        return self._draw(shape, dtype, fill)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


class _Preset(VarianceScaling):
    """VarianceScaling with its first three arguments fixed by the class."""

    fixed: tuple[float, str, str]

    def __init__(
        self,
        seed: Any = None,
        input_axes: Shape | None = None,
        output_axes: Shape | None = None,
    ) -> None:
        super().__init__(*self.fixed, seed, input_axes, output_axes)

    def get_config(self) -> dict[str, Any]:
        kept = ("seed", "input_axes", "output_axes")
        return {key: value for key, value in super().get_config().items() if key in kept}


@REGISTRY.add("glorot_uniform")
class GlorotUniform(_Preset):
    """Uniform with variance 2 / (inputs + outputs). Source: Glorot and Bengio, 2010."""

    fixed = (1.0, "fan_avg", "uniform")


@REGISTRY.add("glorot_normal")
class GlorotNormal(_Preset):
    """Cut normal with variance 2 / (inputs + outputs). Source: Glorot and Bengio, 2010."""

    fixed = (1.0, "fan_avg", "truncated_normal")


@REGISTRY.add("he_uniform")
class HeUniform(_Preset):
    """Uniform with variance 2 / inputs, for relu layers. Source: He et al., 1502.01852."""

    fixed = (2.0, "fan_in", "uniform")


@REGISTRY.add("he_normal")
class HeNormal(_Preset):
    """Cut normal with variance 2 / inputs, for relu layers. Source: He et al., 1502.01852."""

    fixed = (2.0, "fan_in", "truncated_normal")


@REGISTRY.add("lecun_uniform")
class LecunUniform(_Preset):
    """Uniform with variance 1 / inputs. Source: LeCun et al., Efficient BackProp, 1998."""

    fixed = (1.0, "fan_in", "uniform")


@REGISTRY.add("lecun_normal")
class LecunNormal(_Preset):
    """Cut normal with variance 1 / inputs, for selu layers. Source: 1706.02515."""

    fixed = (1.0, "fan_in", "truncated_normal")


@REGISTRY.add("orthogonal", "OrthogonalInitializer")
class Orthogonal(RandomInitializer):
    """A random orthogonal matrix; all axes but the last count as rows.

    Args:
        gain: factor on the matrix.
        seed: see RandomInitializer.

    Raises: ArgumentError when called for fewer than two axes.
    Source: Saxe et al., 1312.6120.
    """

    def __init__(self, gain: float = 1.0, seed: Any = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        if len(shape) < 2:
            raise ArgumentError(
                f"Orthogonal expects a shape of at least two axes, got {tuple(shape)}."
            )
        return self._draw(shape, dtype, self._fill)

    def _fill(self, values: Tensor, generator: torch.Generator | None) -> None:
        matrix = values.view(-1, values.shape[-1])
        tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
        q, r = torch.linalg.qr(torch.empty_like(tall).normal_(generator=generator))
        # Without the signs the matrices would not be spread evenly.
        tall.copy_(q * r.diagonal().sign() * self.gain)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gain": self.gain}


zeros = Zeros
ones = Ones
constant = Constant
identity = IdentityInitializer = Identity
random_normal = RandomNormal
random_uniform = RandomUniform
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
glorot_uniform = GlorotUniform
glorot_normal = GlorotNormal
he_uniform = HeUniform
he_normal = HeNormal
lecun_uniform = LecunUniform
lecun_normal = LecunNormal
orthogonal = OrthogonalInitializer = Orthogonal


def get(identifier: Any) -> Any:
    """Turn what a user wrote as `kernel_initializer=` into an initializer.

    Args:
        identifier: None (stays None), a name such as "he_normal", an object, a class, a config, a
            function `f(shape, dtype)`, or an array with the weight's values.

    Raises: ArgumentError for an unknown name or a value that cannot be called.
    """
    if isinstance(identifier, (Tensor, np.ndarray, np.generic)):
        return GivenValues(identifier)
    return REGISTRY.get(identifier)


def serialize(initializer: Any) -> Any:
    """Plain data from which `deserialize` makes the same initializer."""
    return REGISTRY.serialize(initializer)


def deserialize(config: Any) -> Any:
    """The initializer for what `serialize` gave."""
    return REGISTRY.get(config)


def call_initializer(initializer: Callable[..., Any], shape: Shape, dtype: Any = None) -> Tensor:
    """Make a weight with any initializer, a user's function included, and check what came.

    Args:
        initializer: called with (shape, dtype), or with the shape alone if that is all it takes.
        shape: in Keras's layout.
        dtype: of the result; torch's default when None.

    Raises: ArgumentError unless the result has this shape.
    """
    kind = to_dtype(dtype)
    values = _call(initializer, tuple(shape), kind)
    if type(initializer).__module__ != __name__:
        # A user's function may hand out an array of its own, which training must not change.
        values = torch.as_tensor(values).detach().clone()
    if tuple(values.shape) != tuple(shape):
        name = getattr(initializer, "__name__", type(initializer).__name__)
        raise ArgumentError(
            f"Initializer {name} was asked for shape {tuple(shape)} "
            f"but returned {tuple(values.shape)}."
        )
    return values.to(torch.get_default_device(), kind)


def _call(initializer: Callable[..., Any], shape: tuple[int, ...], dtype: torch.dtype) -> Any:
    try:
        parameters = list(inspect.signature(initializer).parameters.values())
    except ValueError:  # torch's built-in functions do not tell their arguments
        return initializer(shape, dtype=dtype)
    names = [parameter.name for parameter in parameters]
    if "dtype" in names or any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return initializer(shape, dtype=dtype)
    required = [parameter for parameter in parameters if parameter.default is parameter.empty]
    return initializer(shape, dtype) if len(required) > 1 else initializer(shape)
