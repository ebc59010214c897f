"""Adaptive pooling against bare torch in channels-first, and what the layers refuse."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from nnkit.errors import ArgumentError, ShapeError
from nnkit.layers import adaptive_pooling
from nnkit.layers.adaptive_pooling import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveAveragePooling3D,
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
    AdaptiveMaxPooling3D,
)
from nnkit.layers.input import Input

SHAPES = {1: (2, 9, 3), 2: (2, 9, 4, 3), 3: (2, 9, 4, 6, 3)}
TORCH = {"Average": "adaptive_avg_pool", "Max": "adaptive_max_pool"}


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("size", [1, 3, (4, 2, 5), (12, 4, 1)])
@pytest.mark.parametrize("rank", SHAPES)
@pytest.mark.parametrize("kind", TORCH)
def test_equals_torch(kind: str, rank: int, size: Any, data_format: str) -> None:
    size = size if isinstance(size, int) else size[:rank]
    made = getattr(adaptive_pooling, f"Adaptive{kind}Pooling{rank}D")
    layer = made(size, data_format, dtype="float64")
    first = data_format == "channels_first"
    x = torch.randn(SHAPES[rank], dtype=torch.float64)
    theirs = x.movedim(-1, 1).contiguous().requires_grad_()
    ours = (theirs if first else x).detach().clone().requires_grad_()
    expected, actual = getattr(F, f"{TORCH[kind]}{rank}d")(theirs, size), layer(ours)
    assert actual.is_contiguous()
    assert layer(Input(ours.shape[1:])).shape[1:] == actual.shape[1:]
    factors = torch.randn_like(expected)
    (actual * (factors if first else factors.movedim(1, -1))).sum().backward()
    (expected * factors).sum().backward()
    for one, other in ((actual, expected), (ours.grad, theirs.grad)):
        assert one is not None
        assert other is not None
        torch.testing.assert_close(one if first else one.movedim(-1, 1), other)


def test_by_hand() -> None:
    """Windows of 3 steps in twos, and of 2, 3 and 2 in threes: they overlap."""
    x = torch.tensor([1.0, 2.0, 4.0, 9.0, 16.0]).reshape(1, 5, 1)
    assert AdaptiveMaxPooling1D(2)(x).flatten().tolist() == [4, 16]
    assert AdaptiveAveragePooling1D(3)(x).flatten().tolist() == [1.5, 5, 12.5]


@pytest.mark.parametrize("kind", [AdaptiveAveragePooling2D, AdaptiveMaxPooling2D])
def test_whole_numbers_become_floats(kind: Any) -> None:
    x = torch.arange(16).reshape(1, 4, 4, 1)
    y = kind(2)(x)
    torch.testing.assert_close(y, kind(2)(x.float()))
    assert kind(2)(Input((4, 4, 1), dtype="int64")).dtype == y.dtype


@pytest.mark.parametrize(
    ("layer", "shape", "wanted"),
    [
        (AdaptiveAveragePooling1D(3), (None, 4), (3, 4)),
        (AdaptiveMaxPooling2D((3, 1)), (None, None, 4), (3, 1, 4)),
        (AdaptiveMaxPooling2D(2, "channels_first"), (4, None, 7), (4, 2, 2)),
        (AdaptiveMaxPooling3D(2), (None, 6, None, None), (2, 2, 2, None)),
    ],
)
def test_free_sizes(layer: Any, shape: Any, wanted: Any) -> None:
    assert layer(Input(shape)).shape == (None, *wanted)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (AdaptiveMaxPooling1D, {"output_size": 0}, "output_size must be a whole number of at le"),
        (AdaptiveMaxPooling1D, {"output_size": (2, 2)}, "output_size must be an int or 1 ints"),
        (AdaptiveMaxPooling2D, {"output_size": (2, None)}, "output_size must be a whole number"),
        (AdaptiveAveragePooling3D, {"output_size": (2, 2)}, "output_size must be an int or 3 in"),
        (AdaptiveAveragePooling2D, {"output_size": 2, "data_format": "last"}, "data_format must"),
        (AdaptiveAveragePooling2D, {"output_size": 2, "padding": "same"}, "Unknown argument of"),
    ],
)
def test_wrong_arguments(kind: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        kind(**arguments)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (AdaptiveMaxPooling1D(2), (8,), r"expects \(batch, time, channels\) but received"),
        (AdaptiveAveragePooling2D(2), (8, 8), r"expects \(batch, height, width, channels\)"),
        (AdaptiveMaxPooling2D(2, "channels_first"), (8, 8), r"\(batch, channels, height, width"),
        (AdaptiveMaxPooling3D(2), (8, 8, 3), r"expects \(batch, depth, height, width, channels"),
    ],
)
@pytest.mark.parametrize("symbolic", [False, True])
def test_wrong_shapes(layer: Any, shape: Any, message: str, symbolic: bool) -> None:
    with pytest.raises(ShapeError, match=message):
        layer(Input(shape) if symbolic else torch.zeros(2, *shape))


@pytest.mark.parametrize(
    "layer",
    [
        AdaptiveAveragePooling1D(2),
        AdaptiveMaxPooling2D((3, 2), name="pool"),
        AdaptiveAveragePooling3D(2),
        AdaptiveMaxPooling3D((1, 2, 3), data_format="channels_first"),
    ],
)
def test_compiles_and_copies(layer: Any) -> None:
    x = torch.randn(SHAPES[layer.rank])
    expected = layer(x)
    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), expected)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    for other in (again, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.testing.assert_close(other(x), expected)


def test_exports_with_a_free_batch() -> None:
    layer, x = AdaptiveAveragePooling3D(2), torch.randn(2, 5, 4, 6, 3)
    layer(x)
    program = torch.export.export(layer, (x,), dynamic_shapes=[{0: torch.export.Dim("batch")}])
    more = torch.randn(5, 5, 4, 6, 3)
    torch.testing.assert_close(program.module()(more), layer(more))
