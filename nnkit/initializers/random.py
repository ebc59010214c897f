"""Normal, uniform and orthogonal random values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnkit.arguments import number
from nnkit.dtypes import to_dtype
from nnkit.errors import ArgumentError
from nnkit.initializers.base import REGISTRY, Fill, Initializer, Shape
from nnkit.random import (
    SeedGenerator,
    as_seed,
    check_range,
    fill_truncated_normal,
    generator_for,
    global_seed,
)

__all__ = ["Orthogonal", "RandomInitializer", "RandomNormal", "RandomUniform", "TruncatedNormal"]


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
        kind, shape = to_dtype(dtype), self.sizes(shape)
        if not kind.is_floating_point:
            raise ArgumentError(
                f"{type(self).__name__} expects a floating point dtype, got {dtype!r}."
            )
        device = torch.get_default_device()
        if device.type == "meta":
            return torch.empty(shape, dtype=kind)
        # On the CPU and at least in float32, so that a seed means the same values everywhere.
        wide = torch.promote_types(kind, torch.float32)
        values = torch.empty(shape, dtype=wide, device="cpu")
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
        self.mean = number(self, "mean", mean)
        self.stddev = number(self, "stddev", stddev, 0)

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
        check_range(self, minval, maxval)
        self.minval = minval
        self.maxval = maxval

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        return self._draw(
            shape, dtype, lambda values, g: values.uniform_(self.minval, self.maxval, generator=g)
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


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
        self.gain = number(self, "gain", gain)

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        if len(shape := self.sizes(shape)) < 2:
            raise ArgumentError(f"Orthogonal expects a shape of at least two axes, got {shape}.")
        return self._draw(shape, dtype, self._fill)

    def _fill(self, values: Tensor, generator: torch.Generator | None) -> None:
        matrix = values.view(-1, values.shape[-1])
        tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
        # In float32 at least: there is no decomposition in half precision.
        wide = torch.promote_types(tall.dtype, torch.float32)
        noise = torch.empty_like(tall, dtype=wide).normal_(generator=generator)
        q, r = torch.linalg.qr(noise)
        # Without the signs the matrices would not be spread evenly.
        tall.copy_(q * r.diagonal().sign() * self.gain)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gain": self.gain}
