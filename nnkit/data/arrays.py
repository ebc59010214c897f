"""Batches of arrays: cut from memory many at a time, without Python work per sample."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch
from torch import Tensor

from nnkit.data.batches import Batches
from nnkit.data.class_weights import ClassWeights
from nnkit.data.columns import Column, SlicedColumn, make_column
from nnkit.data.convert import map_data
from nnkit.errors import ArgumentError, DataError
from nnkit.tree import flatten, map_structure

__all__ = ["ArrayBatches", "check_lengths"]

# One index_select serves this many batches, as long as its result stays this small: larger blocks
# are mapped and unmapped by the allocator every time, which costs more than the copy.
_CHUNK_BATCHES = 64
_CHUNK_BYTES = 1 << 19
# Transfers to an accelerator have a fixed cost and want larger blocks.
_ACCELERATOR_CHUNK_BATCHES = 16
_ACCELERATOR_CHUNK_BYTES = 1 << 25


class ArrayBatches(Batches):
    """Batches of in-memory or sliceable arrays.

    Args:
        x, y, sample_weight: arrays, or tuples, lists and dicts of them; None where missing.
        batch_size: samples per batch; the last batch may be smaller.
        shuffle: True draws a new order each pass, "batch" only mixes within each batch.
        limit: batches per epoch; None for all.
        weights: class weights, which become the sample weights.
        device: where batches go.
        name: the method the data was given to.
    """

    batch_size: int

    def __init__(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        *,
        batch_size: int | None,
        shuffle: bool | str,
        limit: int | None,
        weights: ClassWeights | None,
        device: torch.device,
        name: str,
    ) -> None:
        parts = [_columns(x, "x"), _columns(y, "y"), None]
        if weights is not None:
            parts[2] = _class_columns(parts[1], weights)
        elif sample_weight is not None:
            parts[2] = _columns(_per_output(sample_weight, y), "sample_weight")
        while len(parts) > 1 and parts[-1] is None:
            parts.pop()
        leaves = [leaf for leaf in flatten(tuple(parts)) if leaf is not None]
        samples = check_lengths([(leaf.path, leaf.length) for leaf in leaves], name)
        if batch_size is None:
            batch_size = -(-samples // limit) if limit else 32
        self.batch_size = batch_size
        self._rows = samples
        self.samples = min(samples, limit * batch_size) if limit else samples
        super().__init__(-(-samples // batch_size), limit, name)
        self._columns: list[Column | SlicedColumn] = leaves
        self._shuffle = shuffle
        self._device = device
        # A plain (x, y) needs no rebuilding: zip already gives that tuple.
        self._flat = all(isinstance(part, (Column, SlicedColumn)) for part in parts)
        slots = iter(range(len(leaves)))
        order = {id(leaf): next(slots) for leaf in leaves}
        self._nest = map_structure(lambda leaf: order.get(id(leaf)), tuple(parts))
        views = not shuffle and all(
            leaf.in_memory and leaf.dtype == leaf.tensor.dtype and leaf.tensor.device == device
            for leaf in leaves
        )
        per_chunk = _CHUNK_BATCHES if views else _batches_per_chunk(leaves, batch_size, device)
        self._chunk = batch_size * per_chunk

    def _order(self) -> Tensor | None:
        if not self._shuffle:
            return None
        if self._shuffle != "batch":
            return torch.randperm(self._rows)
        full = self._rows // self.batch_size
        inside = torch.rand(full, self.batch_size).argsort(dim=1)
        starts = torch.arange(full).unsqueeze(1) * self.batch_size
        rest = torch.randperm(self._rows - full * self.batch_size) + full * self.batch_size
        return torch.cat([(inside + starts).flatten(), rest])

    def _one_pass(self) -> Generator[tuple[Any, ...], None, None]:
        yield from self._cut(self._order(), 0)

    def _pass_after(self, taken: int) -> Generator[tuple[Any, ...], None, None]:
        return self._cut(self._order(), taken * self.batch_size)

    def _cut(self, order: Tensor | None, first: int) -> Generator[tuple[Any, ...], None, None]:
        """The batches in this order, from this sample on."""
        for start in range(first, self._rows, self._chunk):
            stop = min(start + self._chunk, self._rows)
            if order is None:
                chunks = [column.span(start, stop) for column in self._columns]
            else:
                index = order[start:stop]
                chunks = [column.pick(index) for column in self._columns]
            pieces = [torch.split(self._move(chunk), self.batch_size) for chunk in chunks]
            if self._flat:
                yield from zip(*pieces, strict=True)
            else:
                for batch in zip(*pieces, strict=True):
                    yield self._rebuild(batch)

    def _rebuild(self, batch: tuple[Tensor, ...]) -> tuple[Any, ...]:
        parts: tuple[Any, ...] = map_structure(
            lambda slot: None if slot is None else batch[slot], self._nest
        )
        return parts

    def _move(self, chunk: Tensor) -> Tensor:
        if chunk.device == self._device:
            return chunk
        if self._device.type == "cuda" and chunk.device.type == "cpu":
            return chunk.pin_memory().to(self._device, non_blocking=True)
        return chunk.to(self._device)


def _columns(value: Any, role: str) -> Any:
    return map_data(lambda leaf, path: make_column(leaf, path, role), value, role)


def _batches_per_chunk(leaves: list[Any], batch_size: int, device: torch.device) -> int:
    batches, room = _CHUNK_BATCHES, _CHUNK_BYTES
    if device.type not in ("cpu", "meta"):
        batches, room = _ACCELERATOR_CHUNK_BATCHES, _ACCELERATOR_CHUNK_BYTES
    largest: int = max(1, max(leaf.row_bytes for leaf in leaves)) * batch_size
    return max(1, min(batches, room // largest))


def _class_columns(y: Any, weights: ClassWeights) -> Column | SlicedColumn:
    if y is None:
        raise ArgumentError("class_weight needs labels, but y is None.")
    if not isinstance(y, (Column, SlicedColumn)):
        raise ArgumentError(
            "class_weight only works with one output; y has several. Use sample_weight, with one "
            "array per output."
        )
    return Column(weights(y.span(0, y.length)), "sample_weight", "sample_weight")


def _per_output(sample_weight: Any, y: Any) -> Any:
    """sample_weight nested like y: one array serves every output, as in Keras."""
    outputs = map_data(lambda leaf, path: True, y, "y")
    given = map_data(lambda leaf, path: True, sample_weight, "sample_weight")
    if outputs is True or outputs is None:
        if given is True:
            return sample_weight
    elif given is True:
        return map_structure(lambda leaf: None if leaf is None else sample_weight, outputs)
    elif isinstance(outputs, dict) or isinstance(given, dict):
        if isinstance(outputs, dict) and isinstance(given, dict) and given.keys() == outputs.keys():
            return sample_weight
    elif len(outputs) == len(given):
        return sample_weight
    raise ArgumentError(
        "sample_weight expects one array per output, nested like y, or one array for all outputs."
    )


def check_lengths(lengths: list[tuple[str, int]], name: str) -> int:
    """The number of samples all arrays share.

    Args:
        lengths: (name of the array, its length).

    Raises: DataError if they differ, or there is no array.
    """
    if not lengths:
        raise DataError(f"{name}: x is None. Give arrays, tensors, a DataLoader or a generator.")
    if len({length for _, length in lengths}) > 1:
        (first, length), *others = lengths[:8]
        listed = ", ".join([f"{first} has {length} samples", *(f"{p} has {n}" for p, n in others)])
        hint = "All need one row per sample."
        if len(lengths) > 8:
            hint = "A list of arrays means several inputs; np.stack it if they are samples."
        raise DataError(f"{name}: {listed}. {hint}")
    return lengths[0][1]
