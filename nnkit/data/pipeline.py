"""Pipeline: batches one after the other, with the methods scripts call on tf.data's datasets."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Generator, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import default_collate

from nnkit.data.arrays import check_lengths
from nnkit.data.convert import as_array, map_data
from nnkit.errors import ArgumentError
from nnkit.tree import flatten, map_structure

__all__ = ["Pipeline"]


class Pipeline:
    """Elements that can be gone through again and again: samples, or batches of them.

    Each method gives a new Pipeline and leaves this one alone; nothing is computed before somebody
    iterates. `fit`, `evaluate` and `predict` take one of batches.

    Args:
        start: begins a pass, by giving an iterator over the elements.
        length: elements in a pass; None when unknown.
        **about: attributes that Pipelines made of this one have too, such as class_names.
    """

    def __init__(self, start: Callable[[], Iterator[Any]], length: int | None, **about: Any):
        self._start = start
        self._length = length
        self._about = about
        self._made_of: tuple[Any, ...] = ()
        self.__dict__.update(about)

    def __iter__(self) -> Iterator[Any]:
        return self._start()

    def __len__(self) -> int:
        if self._length is None:
            raise TypeError("This Pipeline does not know how many elements it will give.")
        return self._length

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.cardinality()} elements>"

    def cardinality(self) -> int:
        """The number of elements; -2 when unknown, as in tf.data."""
        return -2 if self._length is None else self._length

    def _of(self, start: Callable[[], Iterator[Any]], length: int | None, *more: Any) -> Pipeline:
        made = Pipeline(start, length, **self._about)
        # Where a training that is gone on with looks for random generators.
        made._made_of = (self, *more)
        return made

    # -- from where ----------------------------------------------------------------------------

    @classmethod
    def from_tensor_slices(cls, tensors: Any, name: str | None = None) -> Pipeline:
        """The rows of arrays or tensors, nested as you like, one after the other."""

        def tensor(leaf: Any, path: str) -> torch.Tensor:
            return torch.as_tensor(leaf if isinstance(leaf, torch.Tensor) else as_array(leaf, path))

        data = map_data(tensor, tensors, "tensors")
        lengths = [(f"tensors[{i}]", len(leaf)) for i, leaf in enumerate(flatten(data))]
        count = check_lengths(lengths, "from_tensor_slices")
        return cls(lambda: (_row(data, row) for row in range(count)), count)

    @classmethod
    def from_generator(
        cls, generator: Callable[..., Any], *signature: Any, args: Any = (), **more: Any
    ) -> Pipeline:
        """What a function yields that is called anew for each pass; types and shapes show."""
        return cls(lambda: iter(generator(*args)), None)

    @classmethod
    def range(cls, *args: int) -> Pipeline:
        """Whole numbers, as Python's range has them."""
        return cls(lambda: map(torch.tensor, range(*args)), len(range(*args)))

    @classmethod
    def zip(cls, *datasets: Any) -> Pipeline:
        """Tuples of an element of each, as long as all have some."""
        parts = datasets[0] if len(datasets) == 1 else datasets
        lengths = [part._length for part in parts]
        known = [length for length in lengths if length is not None]
        made = cls(
            lambda: zip(*parts, strict=False), min(known) if len(known) == len(parts) else None
        )
        made._made_of = tuple(parts)
        return made

    # -- each element --------------------------------------------------------------------------

    def map(
        self,
        map_func: Callable[..., Any],
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
    ) -> Pipeline:
        """Apply a function to each element; the parts of a tuple are its arguments.

        Args:
            map_func: the function.
            num_parallel_calls, deterministic: accepted as tf.data has them, and left alone.
        """
        return self._of(lambda: (_call(map_func, element) for element in self), self._length)

    def filter(self, predicate: Callable[..., Any]) -> Pipeline:
        """Only the elements for which a function gives True."""
        return self._of(lambda: (e for e in self if bool(_call(predicate, e))), None)

    def enumerate(self, start: int = 0) -> Pipeline:
        """Pairs (number, element)."""
        return self._of(lambda: enumerate(self, start), self._length)

    def as_numpy_iterator(self) -> Iterator[Any]:
        """One pass with NumPy arrays instead of tensors."""
        return (map_structure(_to_numpy, element) for element in self)

    # -- which elements ------------------------------------------------------------------------

    def take(self, count: int) -> Pipeline:
        """The first elements; all of them for -1."""
        if count < 0:
            return self
        length = None if self._length is None else min(self._length, count)
        return self._of(lambda: _closing(self, lambda all_: itertools.islice(all_, count)), length)

    def skip(self, count: int) -> Pipeline:
        """All but the first elements."""
        length = None if self._length is None else max(0, self._length - count)
        return self._of(lambda: itertools.islice(iter(self), count, None), length)

    def repeat(self, count: int | None = None) -> Pipeline:
        """Several passes as one; without end for None or -1, then give `fit` steps_per_epoch."""
        if count is None or count < 0:
            return self._of(lambda: _passes(self, itertools.count()), None)
        length = None if self._length is None else self._length * count
        return self._of(lambda: _passes(self, range(count)), length)

    def concatenate(self, dataset: Pipeline) -> Pipeline:
        """These elements, then those of another Pipeline."""
        known = self._length is not None and dataset._length is not None
        length = len(self) + len(dataset) if known else None
        return self._of(lambda: itertools.chain(self, dataset), length, dataset)

    def shuffle(
        self,
        buffer_size: int,
        seed: int | None = None,
        reshuffle_each_iteration: bool = True,
    ) -> Pipeline:
        """Mix the elements through a buffer; mix samples before batching, not whole batches.

        Args:
            buffer_size: elements held at a time.
            seed: for the same orders in each run.
            reshuffle_each_iteration: give another order in each pass.
        """
        if buffer_size < 1:
            raise ArgumentError(f"shuffle expects a buffer_size of at least 1, got {buffer_size}.")
        source = random.Random(random.getrandbits(64) if seed is None else seed)
        fixed = source.getrandbits(64)

        def start() -> Iterator[Any]:
            order = random.Random(source.getrandbits(64) if reshuffle_each_iteration else fixed)
            return _mixed(iter(self), buffer_size, order)

        return self._of(start, self._length, source)

    # -- batches -------------------------------------------------------------------------------

    def batch(
        self,
        batch_size: int,
        drop_remainder: bool = False,
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
    ) -> Pipeline:
        """Put this many elements in a row into one, with a new first axis.

        Args:
            batch_size: elements.
            drop_remainder: leave out a last batch that is not full.
            num_parallel_calls, deterministic: accepted as tf.data has them, and left alone.
        """
        if batch_size < 1:
            raise ArgumentError(f"batch expects a batch_size of at least 1, got {batch_size}.")
        length = None
        if self._length is not None:
            length = (
                self._length // batch_size if drop_remainder else -(-self._length // batch_size)
            )

        def start() -> Iterator[Any]:
            elements = iter(self)
            while group := list(itertools.islice(elements, batch_size)):
                if len(group) == batch_size or not drop_remainder:
                    yield _as_tuples(default_collate(group))

        return self._of(start, length)

    def unbatch(self) -> Pipeline:
        """The samples of the batches, one by one."""

        def start() -> Iterator[Any]:
            for batch in self:
                for row in range(len(flatten(batch)[0])):
                    yield _row(batch, row)

        return self._of(start, None)

    # -- when ----------------------------------------------------------------------------------

    def cache(self, filename: str = "") -> Pipeline:
        """Keep all elements in memory after the first whole pass, in their order.

        Raises: ArgumentError for a file name: this cache is in memory only.
        """
        if filename:
            raise ArgumentError(
                f"cache({filename!r}): the cache is in memory only. Call cache() without a name."
            )
        kept: list[Any] = []
        whole = [False]

        def start() -> Iterator[Any]:
            if whole[0]:
                yield from kept
                return
            fresh = []
            for element in self:
                fresh.append(element)
                yield element
            kept[:] = fresh
            whole[0] = True

        return self._of(start, self._length)

    def prefetch(self, buffer_size: int | None = None) -> Pipeline:
        """This Pipeline: loading ahead is what `num_workers` of the first one is for."""
        return self


def _row(nest: Any, row: int) -> Any:
    return map_structure(lambda leaf: leaf[row], nest)


def _call(function: Callable[..., Any], element: Any) -> Any:
    return function(*element) if isinstance(element, tuple) else function(element)


def _passes(elements: Pipeline, numbers: Any) -> Generator[Any, None, None]:
    for _ in numbers:
        empty = True
        for element in elements:
            empty = False
            yield element
        if empty:
            return


def _closing(elements: Pipeline, choose: Callable[..., Iterator[Any]]) -> Iterator[Any]:
    iterator = iter(elements)
    try:
        yield from choose(iterator)
    finally:
        if hasattr(iterator, "close"):
            iterator.close()


def _mixed(elements: Iterator[Any], size: int, order: random.Random) -> Iterator[Any]:
    held: list[Any] = []
    for element in elements:
        if len(held) < size:
            held.append(element)
            continue
        place = order.randrange(size)
        held[place], element = element, held[place]
        yield element
    order.shuffle(held)
    yield from held


def _as_tuples(batch: Any) -> Any:
    """default_collate turns tuples into lists, which would be several inputs."""
    return tuple(map(_as_tuples, batch)) if isinstance(batch, (list, tuple)) else batch


def _to_numpy(leaf: Any) -> Any:
    return leaf.numpy() if isinstance(leaf, torch.Tensor) else np.asarray(leaf)
