"""What is checked: how to make one afresh, what to feed it with, how to call it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import nn

from nnkit import naming
from nnkit.dtypes import given_dtype
from nnkit.errors import ArgumentError
from nnkit.layer import Layer
from nnkit.layers.input import Input
from nnkit.shapes import Shape
from nnkit.testing.conformance import Fault

__all__ = ["Caller", "Case", "as_list", "copies", "names_kept", "repeatable"]

SIZES = (6, 9)  # what free sizes are, in the two runs
INTEGERS = 5  # random whole numbers are below this


class Caller(nn.Module):
    """A layer and the way it is called, as one module of several positional inputs."""

    def __init__(self, layer: nn.Module, call: Callable[..., Any]) -> None:
        super().__init__()
        self.layer = layer
        self._call = call
        self.train(layer.training)

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self._call(self.layer, *inputs)


class Case:
    """A layer or model under test.

    Args:
        make: gives a fresh one, unbuilt where that is possible.
        shapes: of its inputs, batch axis included, None where free.
        dtypes: one for each input.
        call: (layer, *inputs) -> outputs; None for layer(x), or layer([x, y]).
        data: for each input None, for random numbers, or a function from shape to tensor.
        without_gradient: parameters, as in `named_parameters()`, that training leaves alone.
    """

    def __init__(
        self,
        make: Callable[[], Layer],
        shapes: Sequence[Shape],
        dtypes: Sequence[Any],
        call: Callable[..., Any] | None,
        data: Sequence[Callable[..., torch.Tensor] | None],
        without_gradient: Sequence[str] = (),
    ) -> None:
        self._make = make
        self._builds = 0
        self.shapes = list(shapes)
        self.dtypes = [given_dtype(dtype) or torch.get_default_dtype() for dtype in dtypes]
        self.call = call or _plain_call
        self.plain = call is None
        self.data = list(data)
        self.without_gradient = tuple(without_gradient)
        fixed = self.shapes[0][0]
        self.batches = (2, 3) if fixed is None else (fixed, fixed)

    def fresh(self) -> Layer:
        """A new one, with the names that every one gets."""
        with names_kept():
            return self._make()

    @cached_property
    def layer(self) -> Layer:
        """A built one, with weights that are neither zeros nor ones."""
        layer = self.built()
        _stir(layer)
        return layer

    def built(self, layer: Layer | None = None) -> Layer:
        """A layer, or a fresh one, that has its weights, never the same ones twice."""
        layer = self.fresh() if layer is None else layer
        self._builds += 1
        torch.manual_seed(self._builds)
        with torch.no_grad():
            self.call(layer, *self.inputs())
        return layer

    @property
    def variations(self) -> list[tuple[int, int]]:
        """(batch, free size) pairs to run with; the free size changes if there is any."""
        free = any(size is None for shape in self.shapes for size in shape[1:])
        return list(zip(self.batches, SIZES if free else SIZES[:1] * 2, strict=True))

    def inputs(self, batch: int | None = None, free: int = SIZES[0]) -> list[torch.Tensor]:
        """Random inputs, the same ones for the same sizes."""
        batch = self.batches[0] if batch is None else batch
        made = []
        for at, (shape, dtype, data) in enumerate(
            zip(self.shapes, self.dtypes, self.data, strict=True)
        ):
            sizes = (batch, *(free if size is None else size for size in shape[1:]))
            if data is not None:
                made.append(torch.as_tensor(data(sizes)).to(dtype))
                continue
            source = torch.Generator("cpu").manual_seed(100 * batch + at)
            if dtype.is_floating_point:
                value = torch.randn(sizes, generator=source, device="cpu")
            else:
                high = 2 if dtype is torch.bool else INTEGERS
                value = torch.randint(0, high, sizes, generator=source, device="cpu")
            made.append(value.to(torch.get_default_device(), dtype))
        return made

    def symbols(self) -> list[Any]:
        """A symbolic tensor for each input."""
        pairs = zip(self.shapes, self.dtypes, strict=True)
        return [Input(batch_shape=shape, dtype=dtype) for shape, dtype in pairs]

    def ready(self, layer: Layer, training: bool = False) -> None:
        """Set its mode, random numbers and, if it keeps any, its states to where calls start."""
        layer.train(training)
        for each in layer.modules():
            reset = getattr(each, "reset_state", None)
            if callable(reset):
                reset()
        torch.manual_seed(0)

    def run(self, layer: Layer, inputs: Sequence[torch.Tensor], training: bool = False) -> Any:
        """Its outputs in a mode, without gradients and with the same random numbers each time."""
        self.ready(layer, training)
        with torch.no_grad():
            return self.call(layer, *inputs)


def _plain_call(layer: Layer, *inputs: Any) -> Any:
    return layer(inputs[0] if len(inputs) == 1 else list(inputs))


def _stir(layer: Layer) -> None:
    """Move all weights up a little: zeros and ones would hide what gets lost."""
    with torch.no_grad():
        for weight in layer.weights:
            if weight.is_floating_point():
                weight.add_(torch.rand_like(weight).mul_(0.1).add_(0.01))


def copies(original: Layer) -> Callable[[], Layer]:
    """What makes copies of a layer that a user gave."""

    def make() -> Layer:
        try:
            return copy.deepcopy(original)
        except Exception as error:
            raise Fault(
                f"copy.deepcopy raised {type(error).__name__}: {error}",
                "Keep only what can be copied in the attributes, or give a function that makes a "
                "new one each time.",
            ) from error

    return make


@contextmanager
def names_kept() -> Iterator[None]:
    """Inside, names are counted on as ever; afterwards from where they were before."""
    before = naming._used.copy()
    try:
        yield
    finally:
        naming._used.clear()
        naming._used.update(before)


@contextmanager
def repeatable() -> Iterator[None]:
    """Inside, random numbers and names are always the same; afterwards both go on as before."""
    with names_kept(), torch.random.fork_rng(devices=[]):
        naming.clear()
        torch.manual_seed(0)
        yield


def as_list(what: str, value: Any, count: int) -> list[Any]:
    """One value for each input, from one for all or a list.

    Raises: ArgumentError for a list of another length.
    """
    values = list(value) if isinstance(value, list) else [value] * count
    if len(values) != count:
        raise ArgumentError(
            f"{what} must be one value or a list of {count}, one an input, got {value!r}."
        )
    return values
