"""Layers that act in training only, against overfitting.

With a seed the draws repeat from one run to the next. Compiled or exported code draws from torch's
global generator instead, which `nnkit.random.set_random_seed` seeds: a generator cannot be traced.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from nnkit import random, regularizers
from nnkit.arguments import image_format, number, positive
from nnkit.errors import ArgumentError, ShapeError
from nnkit.layer import Layer
from nnkit.layers.identity import SameShape
from nnkit.shapes import axes, check, describe

__all__ = [
    "ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise",
    "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
]  # fmt: skip


class _Noise(Layer):
    """What layers with a seed share."""

    supports_masking = True

    def __init__(self, seed: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = random.SeedGenerator(seed)

    def draws(self) -> random.SeedGenerator | None:
        """Where random numbers come from; None for torch's global generator."""
        return None if self.seed is None or torch.compiler.is_compiling() else self.seed_generator

    def normal(self, inputs: torch.Tensor, mean: float, stddev: float) -> torch.Tensor:
        """Noise of the shape, memory format and device of the inputs."""
        noise = torch.empty_like(
            inputs, dtype=inputs.dtype if inputs.is_floating_point() else self._compute
        )
        seeds = self.draws()
        generator = None if seeds is None else random.generator_for(seeds, inputs.device)
        return noise.normal_(mean, stddev, generator=generator)


class Dropout(_Noise):
    """Set elements to zero at random in training and scale the others up, so that the mean stays.

    Args:
        rate: the fraction set to zero, 0 to 1.
        noise_shape: shape of the random mask: 1 for an axis whose elements share their fate, None
            for the input's own size; (None, 1, None) drops features for all time steps.
        seed: an int for draws that repeat.

    Shape: any -> the same; in inference the input itself
    Raises: ArgumentError for a rate outside 0 to 1, ShapeError if noise_shape does not fit.
    Source: Srivastava et al., JMLR 15 (2014).
    """

    def __init__(self, rate: float, noise_shape: Any = None, seed: Any = None, **kwargs: Any):
        super().__init__(seed, **kwargs)
        self.rate = float(number(self, "rate", rate, 0, 1))
        if noise_shape is not None and not isinstance(noise_shape, (list, tuple)):
            raise ArgumentError(
                f"{self.label}: noise_shape must be a tuple of sizes or None, got {noise_shape!r}."
            )
        self.noise_shape = noise_shape and tuple(
            size if size is None else positive(self.label, "a size in noise_shape", size)
            for size in noise_shape
        )

    def check_input(self, shape: Any) -> None:
        super().check_input(shape)
        wanted = self.noise_shape
        if wanted is None:
            return
        # The batch axis is left to the draw: in inference any number of samples will do.
        pairs = list(zip(wanted, shape, strict=False))[1:]
        if len(wanted) != len(shape) or any(
            size is not None and own not in (None, 1, size) for own, size in pairs
        ):
            raise ShapeError(
                f"{self.label} has noise_shape={wanted}, which does not fit {describe(shape)}. "
                f"Give one entry an axis, batch included: 1, None, or the axis's size."
            )

    def mask_shape(self, inputs: torch.Tensor) -> Any:
        """The shape of the random mask."""
        return self.noise_shape

    def call(self, inputs: torch.Tensor, training: bool | None = None) -> torch.Tensor:
        if not training or self.rate == 0:
            return inputs
        return random.dropout(inputs, self.rate, self.mask_shape(inputs), self.draws())


class AlphaDropout(Dropout):
    """Dropout for selu networks: keeps mean 0 and variance 1 by dropping to selu's lower end.

    Args:
        rate: the fraction dropped, 0 to below 1.
        noise_shape: shape of the random mask, see Dropout.
        seed: an int for draws that repeat.

    Shape: any -> the same; in inference the input itself
    Raises: ArgumentError for a rate outside 0 to 1.
    Source: Klambauer et al., 1706.02515.
    """

    def __init__(self, rate: float, noise_shape: Any = None, seed: Any = None, **kwargs: Any):
        super().__init__(rate, noise_shape, seed, **kwargs)
        number(self, "rate", rate, 0, below=1)

    def call(self, inputs: torch.Tensor, training: bool | None = None) -> torch.Tensor:
        if not training or self.rate == 0:
            return inputs
        low = -1.0507009873554805 * 1.6732632423543772  # selu of minus infinity
        scale = ((1 - self.rate) * (1 + self.rate * low**2)) ** -0.5
        # Dropout of ones gives 0 where dropped, with a noise_shape as without.
        ones = torch.ones_like(inputs)
        kept = random.dropout(ones, self.rate, self.noise_shape, self.draws()) > 0
        return torch.where(kept, inputs, low) * scale - scale * low * self.rate


class _SpatialDropout(Dropout):
    """Dropout whose mask has size 1 along the axes between batch and channels."""

    def __init__(self, rate: float, data_format: Any, seed: Any, **kwargs: Any) -> None:
        super().__init__(rate, None, seed, **kwargs)
        self.data_format = image_format(self.label, data_format)

    def check_input(self, shape: Any) -> None:
        names = axes(self.accepts or "")
        if self.data_format == "channels_first":
            names = (names[0], names[-1], *names[1:-1])
        check(self.label, f"({', '.join(names)})", shape)

    def mask_shape(self, inputs: torch.Tensor) -> Any:
        ones = (1,) * (inputs.ndim - 2)
        return (None, None, *ones) if self.data_format == "channels_first" else (None, *ones, None)


class SpatialDropout1D(_SpatialDropout):
    """Drop whole features of a sequence: a feature is zero at all time steps or at none.

    Args:
        rate: the fraction of features dropped, 0 to 1.
        seed: an int for draws that repeat.

    Shape: (batch, time, features) -> the same; in inference the input itself
    Raises: ArgumentError for a rate outside 0 to 1.
    Source: Tompson et al., 1411.4280.
    """

    accepts = "(batch, time, features)"

    def __init__(self, rate: float, seed: Any = None, **kwargs: Any) -> None:
        super().__init__(rate, None, seed, **kwargs)


class SpatialDropout2D(_SpatialDropout):
    """Drop whole channels of an image: a channel is zero at all pixels or at none.

    Args:
        rate: the fraction of channels dropped, 0 to 1.
        data_format: "channels_last" (also None) or "channels_first".
        seed: an int for draws that repeat.

    Shape: (batch, height, width, channels) -> the same; in inference the input itself
    Raises: ArgumentError for a rate outside 0 to 1.
    Source: Tompson et al., 1411.4280.
    """

    accepts = "(batch, height, width, channels)"

    def __init__(self, rate: float, data_format: Any = None, seed: Any = None, **kwargs: Any):
        super().__init__(rate, data_format, seed, **kwargs)


class SpatialDropout3D(_SpatialDropout):
    """Drop whole channels of a volume; the arguments are those of SpatialDropout2D.

    Shape: (batch, depth, height, width, channels) -> the same; in inference the input itself
    """

    accepts = "(batch, depth, height, width, channels)"

    def __init__(self, rate: float, data_format: Any = None, seed: Any = None, **kwargs: Any):
        super().__init__(rate, data_format, seed, **kwargs)


class GaussianNoise(_Noise):
    """Add random numbers of mean 0 in training.

    Args:
        stddev: standard deviation of the noise, 0 to 1.
        seed: an int for draws that repeat.

    Shape: any -> the same; in inference the input itself
    Raises: ArgumentError for a stddev outside 0 to 1.
    """

    def __init__(self, stddev: float, seed: Any = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.stddev = float(number(self, "stddev", stddev, 0, 1))

    def call(self, inputs: torch.Tensor, training: bool | None = None) -> torch.Tensor:
        if not training or self.stddev == 0:
            return inputs
        return inputs + self.normal(inputs, 0.0, self.stddev)


class GaussianDropout(_Noise):
    """Multiply by random numbers of mean 1 in training.

    Args:
        rate: as strong as dropping this fraction: the deviation is sqrt(rate / (1 - rate)).
        seed: an int for draws that repeat.

    Shape: any -> the same; in inference the input itself
    Raises: ArgumentError for a rate outside 0 to below 1.
    Source: Srivastava et al., JMLR 15 (2014).
    """

    def __init__(self, rate: float, seed: Any = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.rate = float(number(self, "rate", rate, 0, below=1))

    def call(self, inputs: torch.Tensor, training: bool | None = None) -> torch.Tensor:
        if not training or self.rate == 0:
            return inputs
        return inputs * self.normal(inputs, 1.0, math.sqrt(self.rate / (1 - self.rate)))


class ActivityRegularization(SameShape):
    """Return the input, and add a penalty on its size to the loss.

    Args:
        l1: factor of the sum of absolute values; both sums are divided by the batch size.
        l2: factor of the sum of squares.

    Shape: any -> the same
    Raises: ArgumentError for a negative factor.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1, l2), **kwargs)
        self.l1 = l1
        self.l2 = l2

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs
