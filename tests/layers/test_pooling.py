"""Pooling against windows cut out by hand, and what the layers refuse."""

from __future__ import annotations

import copy
import itertools
import pickle
from typing import Any

import pytest
import torch

from nnkit.errors import ArgumentError, ShapeError
from nnkit.layers import pooling
from nnkit.layers.input import Input
from nnkit.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)


def by_hand(x: torch.Tensor, window: int, step: int, reduce: Any) -> torch.Tensor:
    """Pool with padding="same": reduce what of each window lies inside the image."""
    sizes = x.shape[1:-1]
    outs = [-(-n // step) for n in sizes]
    first = [max((o - 1) * step + window - n, 0) // 2 for o, n in zip(outs, sizes, strict=True)]
    made = torch.empty(x.shape[0], *outs, x.shape[-1])
    for at in itertools.product(*(range(o) for o in outs)):
        starts = [i * step - before for i, before in zip(at, first, strict=True)]
        cut = tuple(slice(max(s, 0), s + window) for s in starts)
        made[(slice(None), *at)] = reduce(x[(slice(None), *cut)], tuple(range(1, x.ndim - 1)))
    return made


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("window", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("step", [1, 2, 3, 6])
def test_same_padding(rank: int, window: int, step: int) -> None:
    x = torch.randn(2, *(7, 4, 5)[:rank], 3) - 5  # below zero: padding with zeros would win
    layer = getattr(pooling, f"MaxPooling{rank}D")(window, step, "same")
    torch.testing.assert_close(layer(x), by_hand(x, window, step, torch.amax))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_even_padding_does_not_count_in_a_mean(rank: int) -> None:
    x = torch.randn(2, *(7, 4, 5)[:rank], 3)
    layer = getattr(pooling, f"AveragePooling{rank}D")(3, 1, "same")
    torch.testing.assert_close(layer(x), by_hand(x, 3, 1, torch.mean))


def test_uneven_padding_repeats_the_border_in_a_mean() -> None:
    x = torch.tensor([1.0, 2.0, 6.0, 8.0]).reshape(1, 4, 1)
    # Windows of three at 0 and 2, one step of padding behind.
    assert AveragePooling1D(3, 2, "same")(x).flatten().tolist() == pytest.approx([3, 22 / 3])


def test_same_padding_of_a_small_image() -> None:
    x = torch.tensor([[1.0, 2.0], [3.0, 6.0]]).reshape(1, 2, 2, 1)
    assert MaxPooling2D(5, padding="same")(x).flatten().tolist() == [6.0]


@pytest.mark.parametrize("kind", ["Max", "Average"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_nothing_is_copied_between_layers(rank: int, kind: str) -> None:
    layer = getattr(pooling, f"{kind}Pooling{rank}D")(2)
    assert layer(torch.randn(2, *(8, 6, 4)[:rank], 3)).is_contiguous()


def test_defaults() -> None:
    x = torch.arange(16.0).reshape(1, 4, 4, 1)
    assert MaxPooling2D()(x).flatten().tolist() == [5, 7, 13, 15]
    assert AveragePooling2D(2)(x).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert MaxPooling1D()(torch.arange(5.0).reshape(1, 5, 1)).flatten().tolist() == [1, 3]
    assert GlobalMaxPooling2D()(x).tolist() == [[15]]
    assert GlobalAveragePooling2D()(x).tolist() == [[7.5]]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_global_maximum_with_gradient(rank: int, data_format: str, keepdims: bool) -> None:
    x = torch.randn(2, *(4, 3, 5)[:rank], 6, requires_grad=True)
    layer = getattr(pooling, f"GlobalMaxPooling{rank}D")(data_format, keepdims)
    axes = tuple(range(1, rank + 1)) if data_format == "channels_last" else tuple(range(2, x.ndim))
    expected = x.amax(axes, keepdim=keepdims)
    actual = layer(x)
    assert torch.equal(actual, expected)
    (grad,) = torch.autograd.grad(expected.square().sum(), x)
    torch.testing.assert_close(torch.autograd.grad(actual.square().sum(), x)[0], grad)


def test_global_average_of_a_masked_sequence() -> None:
    x = torch.tensor([[1.0, 3.0, 8.0], [5.0, 6.0, 7.0]]).unsqueeze(-1)
    mask = torch.tensor([[True, True, False], [False, False, False]])
    layer = GlobalAveragePooling1D()
    assert layer(x, mask=mask).tolist() == [[2.0], [0.0]]
    assert layer.compute_mask(x, mask) is None


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("MaxPooling2D", {"pool_size": 0}, "pool_size must be a whole number of at least 1"),
        ("MaxPooling2D", {"pool_size": (2, 2, 2)}, "pool_size must be an int or 2 ints"),
        ("AveragePooling1D", {"pool_size": 2, "strides": 0}, "strides must be a whole number"),
        ("MaxPooling3D", {"padding": "causal"}, "padding must be one of 'valid', 'same'"),
        ("GlobalMaxPooling1D", {"data_format": "last"}, "data_format must be one of"),
        ("MaxPooling2D", {"poolsize": 2}, "Did you mean 'pool_size'"),
    ],
)
def test_wrong_arguments(kind: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        getattr(pooling, kind)(**arguments)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (lambda: MaxPooling2D(4), (3, 8, 2), r'windows of 4 x 4.*, 3, 8, 2\).*"same"'),
        (lambda: MaxPooling1D(4), (3, 2), "a smaller pool_size, or a larger sequence"),
        (lambda: MaxPooling3D(), (1, 4, 4, 2), "windows of 2 x 2 x 2"),
        (lambda: AveragePooling2D(2), (8, 2), "expects .batch, height, width, channels."),
        (lambda: GlobalMaxPooling2D(), (8,), "Add Reshape"),
        (lambda: GlobalAveragePooling1D(), (8, 8, 3), "expects .batch, time, channels."),
    ],
)
@pytest.mark.parametrize("symbolic", [False, True])
def test_wrong_shapes(layer: Any, shape: tuple[int, ...], message: str, symbolic: bool) -> None:
    with pytest.raises(ShapeError, match=message):
        layer()(Input(shape) if symbolic else torch.zeros(2, *shape))


LAYERS = [
    ("MaxPooling1D", {"padding": "same"}, (2, 7, 3)),
    ("MaxPooling2D", {"pool_size": 4, "strides": 1, "padding": "same"}, (2, 7, 6, 3)),
    ("MaxPooling3D", {}, (2, 4, 4, 4, 3)),
    ("AveragePooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, (2, 8, 8, 3)),
    ("AveragePooling1D", {"pool_size": 2, "data_format": "channels_first"}, (2, 3, 6)),
    ("GlobalMaxPooling2D", {"keepdims": True}, (2, 4, 4, 3)),
    ("GlobalAveragePooling3D", {}, (2, 4, 4, 4, 3)),
    ("GlobalAveragePooling1D", {}, (2, 4, 3)),
]


@pytest.mark.parametrize(("kind", "arguments", "shape"), LAYERS)
def test_compiles(kind: str, arguments: dict[str, Any], shape: tuple[int, ...]) -> None:
    layer, x = getattr(pooling, kind)(**arguments), torch.randn(shape, requires_grad=True)
    expected = layer(x)
    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), expected)


def test_exports_with_a_free_batch() -> None:
    layer, x = MaxPooling2D(3, 2, "same"), torch.randn(2, 9, 8, 3)
    layer(x)
    program = torch.export.export(layer, (x,), dynamic_shapes=[{0: torch.export.Dim("batch")}])
    more = torch.randn(5, 9, 8, 3)
    torch.testing.assert_close(program.module()(more), layer(more))


@pytest.mark.parametrize(("kind", "arguments", "shape"), LAYERS)
def test_copies_and_config(kind: str, arguments: dict[str, Any], shape: tuple[int, ...]) -> None:
    layer, x = getattr(pooling, kind)(**arguments), torch.randn(shape)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    for other in (again, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.testing.assert_close(other(x), layer(x))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("kind", "short"), [("Max", "Max"), ("Average", "Avg")])
@pytest.mark.parametrize("prefix", ["", "Global"])
def test_aliases(prefix: str, kind: str, short: str, rank: int) -> None:
    layer = getattr(pooling, f"{prefix}{kind}Pooling{rank}D")
    assert getattr(pooling, f"{prefix}{short}Pool{rank}D") is layer
