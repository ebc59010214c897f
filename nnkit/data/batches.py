"""What every source of batches shares: how an epoch begins, ends and goes on."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
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
        source: what gives the batches, None for arrays.
        snapshot: takes the state of all random generators, for `place`; None when nobody asks.
    """

    restartable = True
    """False for a Python iterator, which can be read once: several epochs need `steps`."""

    samples: int | None = None
    batch_size: int | None = None
    source: Any = None
    snapshot: Callable[[], Any] | None = None

    def __init__(self, available: int | None, limit: int | None, name: str) -> None:
        self.steps = available if limit is None else limit
        self._available = available
        self._limit = limit
        self._name = name
        self._rest: Generator[tuple[Any, ...], None, None] | None = None
        self._rest_seen = 0
        self._total_seen = 0
        self._first = 0
        self._random: Any = None
        self._events: list[tuple[str, Any]] = []

    @abstractmethod
    def _one_pass(self) -> Generator[tuple[Any, ...], None, None]:
        """The batches from the beginning of the data to its end."""

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        first, self._first = self._first, 0
        count = first
        epoch = self._whole(first) if self._limit is None else self._limited(first, self._limit)
        try:
            for batch in epoch:
                count += 1
                self._total_seen += 1
                self._rest_seen += 1
                yield batch
        finally:
            if self._limit is None:
                self.close()
        if count == 0:
            self._nothing_came()

    def reset(self) -> None:
        """Start the next epoch at the beginning of the data, also when `steps` cut the last."""
        self.close()
        self._rest_seen = 0

    def close(self) -> None:
        """End a pass that was left in the middle, and the workers that serve it."""
        rest, self._rest = self._rest, None
        if rest is not None:
            rest.close()

    def _begin_pass(self) -> None:
        if self.snapshot is not None and (self.restartable or not self._total_seen):
            self._random = self.snapshot()
        self._rest, self._rest_seen = self._one_pass(), 0

    def _whole(self, first: int) -> Generator[tuple[Any, ...], None, None]:
        if not first or self._rest is None:
            self._begin_pass()
        if self._rest is not None:
            yield from self._rest
        self._rest_seen = 0

    def _limited(self, first: int, limit: int) -> Generator[tuple[Any, ...], None, None]:
        # An epoch goes on where the last one stopped. A pass that ends in mid-epoch ends the epoch
        # too, with a warning; one that ended exactly with the last epoch is followed by a new one.
        for step in range(first, limit):
            if self._rest is None:
                self._begin_pass()
            batch = next(self._rest, None)  # type: ignore[arg-type]
            if batch is None and step == 0 and self._rest_seen and self.restartable:
                self._begin_pass()
                batch = next(self._rest, None)  # type: ignore[arg-type]
            if batch is None:
                self._rest, self._rest_seen = None, 0
                if step:
                    self._ran_dry(step, limit)
                return
            yield batch
        if self._rest_seen == self._available:
            self._rest, self._rest_seen = None, 0

    # -- another run's place -------------------------------------------------------------------

    def place(self) -> dict[str, Any]:
        """Where in the data this is, as plain data; asks for a `snapshot` set at the beginning."""
        taken = self._rest_seen if self.restartable else self._total_seen
        return {
            "taken": taken,
            "random": self._random if taken else None,
            "events": list(self._events),
        }

    def go_to(self, place: dict[str, Any], first: int, put_back: Callable[[Any], None]) -> None:
        """Go on where another run over the same data was.

        The order of the data is drawn again from the random numbers of then. What comes before the
        place is read again unless it can be left out; arrays are cut from the place on.

        Args:
            place: what `place` gave there.
            first: batches that it had taken in its epoch.
            put_back: sets the generators to a `snapshot`.

        Raises: DataError if the data ends before that place.
        """
        for event, random in place["events"]:
            put_back(random)
            getattr(self.source, event)()
        self._events = list(place["events"])
        self._first = first
        if place["taken"]:
            put_back(place["random"])
            self._random = place["random"]
            self._rest = self._pass_after(place["taken"])
            self._rest_seen = self._total_seen = place["taken"]

    def _pass_after(self, taken: int) -> Generator[tuple[Any, ...], None, None]:
        """A pass without its first batches, its order drawn already."""
        rest = self._one_pass()
        for count in range(taken):
            if next(rest, None) is None:
                raise DataError(
                    f"{self._name}: the run to go on with had taken {taken} batches, but the data "
                    f"ends after {count}. Give the same data."
                )
        return rest

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
