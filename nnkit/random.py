"""Random numbers with Keras's signatures over torch's generators.

`seed=None` draws from torch's global generator, an int gives the same values at every call, and a
`SeedGenerator` gives new but repeatable values at every call.
"""

from __future__ import annotations

import math
import numbers
import random as python_random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnkit.arguments import number
from nnkit.creation import creation_device
from nnkit.custom_objects import publish
from nnkit.dtypes import to_dtype
from nnkit.errors import ArgumentError, ShapeError

__all__ = [
    "SeedGenerator", "as_seed", "beta", "binomial", "categorical", "check_range", "dropout",
    "fill_truncated_normal", "gamma", "generator_for", "global_seed",
    "normal", "randint", "set_random_seed", "shuffle", "truncated_normal",
    "uniform",
]  # fmt: skip

# Where a normal distribution cut at two standard deviations ends, in units of erf.
_TWO_SIGMA = math.erf(math.sqrt(2.0))


def set_random_seed(seed: int) -> None:
    """Seed Python's, numpy's and torch's generators (on all devices), so that a run repeats.

    Args:
        seed: an integer from 0 to 2**32 - 1 (numpy takes no other).

    Raises: ArgumentError for anything else.
    """
    if not isinstance(seed, numbers.Integral) or not 0 <= seed < 2**32:
        raise ArgumentError(
            f"set_random_seed expects an integer from 0 to 2**32 - 1, got {seed!r}."
        )
    python_random.seed(int(seed))
    np.random.seed(int(seed))
    torch.manual_seed(int(seed))


def as_seed(seed: Any) -> int:
    """Check that `seed` is an integer and return it as an int."""
    if not isinstance(seed, numbers.Integral):
        raise ArgumentError(f"seed must be an integer, a SeedGenerator or None, got {seed!r}.")
    return int(seed)


def global_seed() -> int:
    """A seed drawn from torch's global generator, so that `set_random_seed` decides it."""
    return int(torch.randint(0, 2**32, (), dtype=torch.int64, device="cpu"))


class SeedGenerator:
    """A seed that moves on at every use: repeatable draws that differ from one another.

    Args:
        seed: the start; drawn from torch's global generator at the first use when None.
        name: a name for configs.
        kwargs: `backend` is accepted and ignored, as there is only torch.

    Example:
        seeds = SeedGenerator(42)
        first, second = normal((3,), seed=seeds), normal((3,), seed=seeds)
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any) -> None:
        kwargs.pop("backend", None)
        if kwargs:
            raise ArgumentError(
                f"SeedGenerator expects seed and name, got also {', '.join(sorted(kwargs))}."
            )
        self.name = name or "seed_generator"
        self.seed = None if seed is None else as_seed(seed)
        self._start = self.seed
        self._count = 0

    @property
    def state(self) -> Tensor:
        """The start and the number of draws so far, as an int64 tensor of two elements."""
        if self._start is None:
            self._start = global_seed()
        return torch.tensor([self._start, self._count], dtype=torch.int64, device="cpu")

    @state.setter
    def state(self, value: Any) -> None:
        self._start, self._count = (int(number) for number in value)

    def take(self) -> tuple[int, int]:
        """The state as two integers; then move on."""
        if self._start is None:
            self._start = global_seed()
        self._count += 1
        return self._start, self._count - 1

    def next(self, ordered: bool = True) -> Tensor:
        """The state as a tensor; then move on. `ordered` is Keras's and changes nothing here."""
        return torch.tensor(self.take(), dtype=torch.int64, device="cpu")

    def get_config(self) -> dict[str, Any]:
        """The arguments, as plain data."""
        return {"seed": self.seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        """A new generator from `get_config()`'s data; it starts from the beginning."""
        return cls(**config)


Seed = int | SeedGenerator | None


def generator_for(seed: Seed, device: torch.device | None = None) -> torch.Generator | None:
    """The torch generator for a seed; None, which is torch's global one, for no seed.

    A seed on the meta device gives None too and does not move on: nothing is drawn there.
    """
    device = device or creation_device() or torch.get_default_device()
    if seed is None or device.type == "meta":
        return None
    start, count = seed.take() if isinstance(seed, SeedGenerator) else (as_seed(seed), 0)
    # Mixed, so that the second draw of seed 1 is not the first of seed 2. Torch's CPU generator
    # looks at 32 bits only.
    mixed = np.random.SeedSequence((start % 2**64, count)).generate_state(1)
    generator = torch.Generator(device)
    generator.manual_seed(int(mixed[0]))
    return generator


def _empty(shape: Sequence[int], dtype: Any, function: str) -> Tensor:
    checked = to_dtype(dtype)
    if not checked.is_floating_point:
        raise ArgumentError(f"random.{function} expects a floating point dtype, got {dtype!r}.")
    return torch.empty(tuple(shape), dtype=checked, device=creation_device())


def normal(
    shape: Sequence[int],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: Any = None,
    seed: Seed = None,
) -> Tensor:
    """Draw from a normal distribution."""
    number("normal", "stddev", stddev, 0)
    return _empty(shape, dtype, "normal").normal_(mean, stddev, generator=generator_for(seed))


def uniform(
    shape: Sequence[int],
    minval: float = 0.0,
    maxval: float = 1.0,
    dtype: Any = None,
    seed: Seed = None,
) -> Tensor:
    """Draw evenly from minval (included) to maxval (excluded)."""
    check_range("uniform", minval, maxval)
    return _empty(shape, dtype, "uniform").uniform_(minval, maxval, generator=generator_for(seed))


def truncated_normal(
    shape: Sequence[int],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: Any = None,
    seed: Seed = None,
) -> Tensor:
    """Draw from a normal distribution without what lies beyond two standard deviations."""
    number("truncated_normal", "stddev", stddev, 0)
    values = _empty(shape, dtype, "truncated_normal")
    wide = values.to(torch.promote_types(values.dtype, torch.float32))
    return fill_truncated_normal(wide, mean, stddev, generator_for(seed)).to(values.dtype)


def fill_truncated_normal(
    tensor: Tensor, mean: float, stddev: float, generator: torch.Generator | None
) -> Tensor:
    """Fill a float32 or float64 tensor in place from a normal distribution cut at two sigma."""
    # The inverse distribution function draws each element once, where rejection would redraw.
    tensor.uniform_(-_TWO_SIGMA, _TWO_SIGMA, generator=generator)
    tensor.erfinv_().mul_(math.sqrt(2.0) * stddev).add_(mean)
    return tensor.clamp_(mean - 2 * stddev, mean + 2 * stddev)


def check_range(who: Any, minval: Any, maxval: Any) -> None:
    """Refuse an empty range."""
    if number(who, "minval", minval) > number(who, "maxval", maxval):
        raise ArgumentError(
            f"{who if isinstance(who, str) else type(who).__name__}: minval must not exceed "
            f"maxval, got {minval!r} and {maxval!r}."
        )


def randint(
    shape: Sequence[int], minval: int, maxval: int, dtype: Any = "int32", seed: Seed = None
) -> Tensor:
    """Draw integers from minval (included) to maxval (excluded)."""
    checked = to_dtype(dtype)
    if checked.is_floating_point or checked.is_complex or checked == torch.bool:
        raise ArgumentError(f"random.randint expects an integer dtype, got {dtype!r}.")
    if minval >= maxval:
        raise ArgumentError(f"minval must be below maxval, got {minval!r} and {maxval!r}.")
    return torch.randint(
        minval, maxval, tuple(shape), dtype=checked, device=creation_device(),
        generator=generator_for(seed),
    )  # fmt: skip


def shuffle(x: Tensor, axis: int = 0, seed: Seed = None) -> Tensor:
    """Put the slices of `x` along `axis` in a random order; the slices themselves stay whole."""
    order = torch.randperm(x.shape[axis], device=x.device, generator=generator_for(seed, x.device))
    return x.index_select(axis, order)


def dropout(
    inputs: Tensor,
    rate: float,
    noise_shape: Sequence[int | None] | None = None,
    seed: Seed = None,
) -> Tensor:
    """Set elements to zero at random and scale the others so that the mean stays.

    Args:
        inputs: any float tensor.
        rate: the fraction set to zero, from 0 to 1.
        noise_shape: shape of the mask; elements share a decision along axes of size 1, and None
            stands for the size of `inputs`.
        seed: an unseeded SeedGenerator counts as None, which is the fastest.

    Raises: ArgumentError for a rate outside 0 .. 1, ShapeError for a noise_shape that does not fit.
    """
    number("dropout", "rate", rate, 0, 1)
    if rate == 0:
        return inputs
    unseeded = seed is None or (isinstance(seed, SeedGenerator) and seed.seed is None)
    if noise_shape is None and unseeded:
        return torch.nn.functional.dropout(inputs, rate)
    shape = _mask_shape(inputs, noise_shape)
    if rate == 1:
        return torch.zeros_like(inputs)
    mask = torch.empty(shape, dtype=inputs.dtype, device=inputs.device)
    mask.bernoulli_(1 - rate, generator=None if unseeded else generator_for(seed, inputs.device))
    return inputs * mask.div_(1 - rate)


def _mask_shape(inputs: Tensor, noise_shape: Sequence[int | None] | None) -> tuple[int, ...]:
    sizes = tuple(inputs.shape)
    if noise_shape is None:
        return sizes
    shape = tuple(
        size if wanted is None else wanted for wanted, size in zip(noise_shape, sizes, strict=False)
    )
    fits = all(wanted in (1, size) for wanted, size in zip(shape, sizes, strict=False))
    if len(noise_shape) != len(sizes) or not fits:
        raise ShapeError(
            f"dropout expects a noise_shape of {len(sizes)} sizes, each 1, None or that of the "
            f"inputs {sizes}, got {tuple(noise_shape)}."
        )
    return shape


def categorical(
    logits: Tensor, num_samples: int, dtype: Any = "int32", seed: Seed = None
) -> Tensor:
    """Draw class indices.

    Args:
        logits: unscaled log-probabilities.
        num_samples: draws per row.
        dtype: an integer type.
        seed: see the module.

    Shape: (batch, classes) -> (batch, num_samples)
    Raises: ShapeError unless the logits have two axes.
    """
    if logits.ndim != 2:
        raise ShapeError(
            f"categorical expects logits of shape (batch, classes), got {tuple(logits.shape)}."
        )
    drawn = torch.multinomial(
        torch.softmax(logits, dim=-1),
        num_samples,
        replacement=True,
        generator=generator_for(seed, logits.device),
    )
    return drawn.to(to_dtype(dtype))


def _parameter(value: Any, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    wide = torch.promote_types(dtype, torch.float32)
    return torch.as_tensor(value, dtype=wide, device=creation_device()).broadcast_to(tuple(shape))


def binomial(
    shape: Sequence[int],
    counts: Any,
    probabilities: Any,
    dtype: Any = None,
    seed: Seed = None,
) -> Tensor:
    """Draw the number of successes in `counts` trials that each succeed with `probabilities`."""
    kind = to_dtype(dtype)
    drawn = torch.binomial(
        _parameter(counts, shape, kind),
        _parameter(probabilities, shape, kind),
        generator=generator_for(seed),
    )
    return drawn.to(kind)


def gamma(shape: Sequence[int], alpha: Any, dtype: Any = None, seed: Seed = None) -> Tensor:
    """Draw from a gamma distribution of shape parameter `alpha` and scale 1."""
    kind = to_dtype(dtype)
    drawn = torch._standard_gamma(_parameter(alpha, shape, kind), generator=generator_for(seed))
    return drawn.to(kind)


def beta(
    shape: Sequence[int], alpha: Any, beta: Any, dtype: Any = None, seed: Seed = None
) -> Tensor:
    """Draw from a beta distribution, between 0 and 1 with mean alpha / (alpha + beta)."""
    kind = to_dtype(dtype)
    pair = torch.stack([_parameter(alpha, shape, kind), _parameter(beta, shape, kind)], dim=-1)
    return torch._sample_dirichlet(pair, generator=generator_for(seed))[..., 0].to(kind)


publish("keras.random", ["SeedGenerator"], globals())
