"""Batches that somebody else makes: DataLoaders, generators and other iterables."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from nnkit.data.batches import Batches, unpack_x_y_sample_weight
from nnkit.data.class_weights import ClassWeights
from nnkit.data.convert import map_data, to_tensor
from nnkit.data.workers import watched
from nnkit.errors import ArgumentError, DataError
from nnkit.tree import flatten

__all__ = ["IteratorBatches", "StreamBatches"]


class StreamBatches(Batches):
    """Batches of an iterable that can be read again from the start, such as a DataLoader.

    Args:
        source: gives x, (x,), (x, y) or (x, y, sample_weight) per step.
        available: batches in one pass, None when unknown.
        limit: batches per epoch, None for a whole pass.
        weights: class weights, looked up batch by batch.
        device: where batches go.
        name: the method the data was given to.
    """

    def __init__(
        self,
        source: Any,
        *,
        available: int | None,
        limit: int | None,
        weights: ClassWeights | None,
        device: torch.device,
        name: str,
    ) -> None:
        super().__init__(available, limit, name)
        self.source = source
        self._weights = weights
        self._device = device

    def _raw_batches(self) -> Iterator[Any]:
        return iter(self.source)

    def _one_pass(self) -> Generator[tuple[Any, ...], None, None]:
        if isinstance(self.source, DataLoader):
            raw_batches: Iterator[Any] = watched(self.source, self._name)
        else:
            raw_batches = self._raw_batches()
        yield from map(self._ready, raw_batches)

    def _ready(self, raw: Any) -> tuple[Any, ...]:
        try:
            x, y, weight = unpack_x_y_sample_weight(raw)
        except DataError as exc:
            raise DataError(f"{self._name}: a batch is not usable. {exc}") from exc
        y = self._tensors(y, "y")
        if self._weights is not None:
            weight = self._class_weight(y, weight)
        parts = [self._tensors(x, "x"), y, self._tensors(weight, "sample_weight")]
        while len(parts) > 1 and parts[-1] is None:
            parts.pop()
        self._check_rows(parts)
        return tuple(parts)

    def _class_weight(self, y: Any, weight: Any) -> Tensor:
        if weight is not None:
            raise ArgumentError(
                f"{self._name}: class_weight was given, but the batches already have sample "
                f"weights. Use one of the two."
            )
        if not isinstance(y, Tensor):
            raise ArgumentError(
                f"{self._name}: class_weight needs batches (x, y) with one array of labels y."
            )
        return self._weights(y) if self._weights else y

    def _tensors(self, value: Any, role: str) -> Any:
        def ready(leaf: Any, path: str) -> Tensor:
            tensor = to_tensor(leaf, path, role)
            if tensor.device == self._device:
                return tensor
            return tensor.to(self._device, non_blocking=self._device.type == "cuda")

        return map_data(ready, value, role)

    def _check_rows(self, parts: list[Any]) -> None:
        counts = [
            (role, leaf.shape[0])
            for role, part in zip(("x", "y", "sample_weight"), parts, strict=False)
            for leaf in flatten(part)
            if leaf is not None
        ]
        if len({count for _, count in counts}) > 1:
            listed = ", ".join(f"{role} has {count}" for role, count in counts)
            raise DataError(
                f"{self._name}: the rows of batch {self._total_seen + 1} do not match: {listed}. "
                f"A source gives whole batches, with one row per sample in every array."
            )


class IteratorBatches(StreamBatches):
    """Batches of a Python generator or other iterator, which goes on from epoch to epoch."""

    restartable = False

    def __init__(self, source: Iterator[Any], **options: Any) -> None:
        super().__init__(source, available=None, **options)
        self.exhausted = False

    def _one_pass(self) -> Generator[tuple[Any, ...], None, None]:
        yield from super()._one_pass()
        self.exhausted = True

    def _nothing_came(self) -> None:
        if self._total_seen == 0:
            super()._nothing_came()
        warnings.warn(
            f"{self._name}: the {type(self.source).__name__} ended after {self._total_seen} "
            f"batches; nothing is left for this epoch. It can be read only once: give fewer "
            f"steps, or a DataLoader or arrays.",
            UserWarning,
            stacklevel=3,
        )
