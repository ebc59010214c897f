"""Random numbers for one transformation: on the images' device, from one seed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nnkit.random import Seed, SeedGenerator, generator_for

__all__ = ["Draws"]


class Draws:
    """What an augmentation draws for one batch.

    Args:
        seed: an int or a SeedGenerator, which moves on by one; None, and a SeedGenerator without a
            seed, for torch's global generator.
        device: where the numbers are made. Numbers for Python are drawn on the CPU, so that
            nothing has to be read from an accelerator.
    """

    def __init__(self, seed: Seed, device: torch.device) -> None:
        if isinstance(seed, SeedGenerator) and seed.seed is None:
            seed = None
        self.device = device
        self._generator = generator_for(seed, device)

    def uniform(self, shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> Tensor:
        """Evenly from low (included) to high."""
        drawn = torch.empty(tuple(shape), device=self.device)
        return drawn.uniform_(low, high, generator=self._generator)

    def normal(self, shape: Sequence[int]) -> Tensor:
        """With mean 0 and deviation 1."""
        drawn = torch.empty(tuple(shape), device=self.device)
        return drawn.normal_(generator=self._generator)

    def integers(self, shape: Sequence[int], low: int, high: int) -> Tensor:
        """From low (included) to high (excluded)."""
        return torch.randint(low, high, tuple(shape), device=self.device, generator=self._generator)

    def order(self, count: int) -> Tensor:
        """0 .. count - 1, shuffled."""
        return torch.randperm(count, device=self.device, generator=self._generator)

    def dirichlet(self, alpha: float, shape: Sequence[int]) -> Tensor:
        """Parts of 1 along the last axis; the first of two is a draw from Beta(alpha, alpha)."""
        wide = torch.full(tuple(shape), alpha, dtype=torch.float64, device=self.device)
        return torch._sample_dirichlet(wide, generator=self._generator).float()

    def chances(self, count: int, probability: tuple[float, float]) -> Tensor:
        """Which of `count` images are changed, each with a probability drawn from the range."""
        chance = self.uniform((count,), *probability)
        return self.uniform((count,)) < chance

    def signs(self, shape: Sequence[int]) -> Tensor:
        """-1 or 1."""
        return self.integers(shape, 0, 2) * 2.0 - 1.0
