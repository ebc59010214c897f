"""Random values scaled by how many inputs and outputs a weight connects."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from nnkit.arguments import number, one_of
from nnkit.initializers.base import REGISTRY, Shape
from nnkit.initializers.random import RandomInitializer
from nnkit.random import fill_truncated_normal

__all__ = [
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "LecunNormal",
    "LecunUniform",
    "VarianceScaling",
    "compute_fans",
]

# The standard deviation of a normal distribution cut at two sigma, in units of sigma.
_CUT_STDDEV = 0.87962566103423978


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
        self.scale = number(self, "scale", scale, above=0)
        self.mode = one_of(self, "mode", mode, ("fan_in", "fan_out", "fan_avg"))
        known = ("truncated_normal", "untruncated_normal", "uniform", "normal")
        found = one_of(self, "distribution", distribution, known)
        self.distribution = "truncated_normal" if found == "normal" else found
        self.input_axes = input_axes
        self.output_axes = output_axes

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        shape = self.sizes(shape)
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
