"""What every source of batches shares: how an epoch begins, ends and goes on."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from typing import Any

from nnkit.errors import DataError

__all__ = ["Batches", "pack_x_y_sample_weight", "unpack_x_y_sample_weight"]


class Batches(ABC):
    """The batches of a data source; each `for` loop over it is one epoch.

    A batch is a tuple `(x,)`, `(x, y)` or `(x, y, sample_weight)` of tensors on the device, each
    of them nested as the user nested it.

    Args:
        available: batches in one pass over the data, None when unknown.
        limit: batches per epoch the user asked for, None for a whole pass.
        name: the method the data was given to, for messages.

    Attributes:
        steps: batches per epoch, None when unknown.
        samples: samples per epoch, None when unknown.
        batch_size: samples in a full batch, None when unknown.
    """

    restartable = True
    """False for a Python iterator, which can be read once: several epochs need `steps`."""

    samples: int | None = None
    batch_size: int | None = None

    def __init__(self, available: int | None, limit: int | None, name: str) -> None:
        self.steps = available if limit is None else limit
        self._available = available
        self._limit = limit
        self._name = name
        self._rest: Generator[tuple[Any, ...], None, None] | None = None
        self._rest_seen = 0
        self._total_seen = 0

    @abstractmethod
    def _one_pass(self) -> Generator[tuple[Any, ...], None, None]:
        """The batches from the beginning of the data to its end."""

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        count = 0
        if self._limit is None:
            self._rest = epoch = self._one_pass()
        else:
            epoch = self._limited(self._limit)
        try:
            for batch in epoch:
                count += 1
                self._total_seen += 1
                yield batch
        finally:
            if self._limit is None:
                self.close()
        if count == 0:
            self._nothing_came()

    def reset(self) -> None:
        """Start the next epoch at the beginning of the data, also when `steps` cut the last."""
        self.close()

    def close(self) -> None:
        """End a pass that was left in the middle, and the workers that serve it."""
        rest, self._rest = self._rest, None
        if rest is not None:
            rest.close()

    def _limited(self, limit: int) -> Generator[tuple[Any, ...], None, None]:
        # An epoch goes on where the last one stopped. A pass that ends in mid-epoch ends the epoch
        # too, with a warning; one that ended exactly with the last epoch is followed by a new one.
        for step in range(limit):
            if self._rest is None:
                self._rest, self._rest_seen = self._one_pass(), 0
            batch = next(self._rest, None)
            if batch is None and step == 0 and self._rest_seen and self.restartable:
                self._rest, self._rest_seen = self._one_pass(), 0
                batch = next(self._rest, None)
            if batch is None:
                self._rest = None
                if step:
                    self._ran_dry(step, limit)
                return
            self._rest_seen += 1
            yield batch
        if self._rest_seen == self._available:
            self._rest = None

    def _ran_dry(self, came: int, wanted: int) -> None:
        warnings.warn(
            f"{self._name}: the data ran out after {came} of {wanted} batches, so this epoch is "
            f"shorter. Ask for fewer steps or give more data.",
            UserWarning,
            stacklevel=4,
        )

    def _nothing_came(self) -> None:
        raise DataError(f"{self._name}: the data gave no batch. Is it empty?")


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """Split a batch into (x, y, sample_weight), with None for what is missing.

    Args:
        data: x alone, or a tuple or list of one to three parts.

    Raises: DataError for more than three parts, or none.
    """
    if not isinstance(data, (tuple, list)):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise DataError(
            f"Expected (x,), (x, y) or (x, y, sample_weight), got {len(data)} parts. "
            f"Put several inputs or outputs in a tuple or dict of their own: ((x1, x2), y)."
        )
    x, y, sample_weight = (*data, None, None)[:3]
    return x, y, sample_weight


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Put x, y and sample_weight into what a data source yields, leaving off what is None.

    Args:
        x: the inputs; alone, they are wrapped only when they are a tuple or list themselves.
        y: the targets.
        sample_weight: one weight per sample.
    """
    if y is None:
        return (x,) if isinstance(x, (tuple, list)) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)
