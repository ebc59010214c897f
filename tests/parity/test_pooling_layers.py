"""The pooling layers against real Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnkit.layers import pooling as ours
from tests.parity.compare import compare_layer

SHAPES = {1: (2, 11, 3), 2: (2, 9, 8, 3), 3: (2, 7, 6, 5, 2)}
GLOBAL = [f"Global{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3)]


def first(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], shape[-1], *shape[1:-1])


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("pool_size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("strides", [None, 1, 2, 3, 6])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_max(rank: int, strides: int | None, pool_size: int, padding: str) -> None:
    arguments = {"pool_size": pool_size, "strides": strides, "padding": padding}
    compare_layer(getattr(ours, f"MaxPooling{rank}D"), arguments, SHAPES[rank])


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("pool_size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("strides", [None, 1, 2, 3])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_average(rank: int, strides: int | None, pool_size: int, padding: str) -> None:
    arguments = {"pool_size": pool_size, "strides": strides, "padding": padding}
    compare_layer(getattr(ours, f"AveragePooling{rank}D"), arguments, SHAPES[rank])


@pytest.mark.parametrize("arguments", [{"pool_size": (3, 4), "strides": (2, 1)}, {"pool_size": 3}])
@pytest.mark.parametrize("order", ["channels_first", "channels_last"])
def test_average_over_uneven_borders(arguments: dict[str, Any], order: str) -> None:
    arguments = {**arguments, "padding": "same", "data_format": order}
    compare_layer(ours.AveragePooling2D, arguments, (2, 8, 7, 4))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("pool_size", "strides"), [((2, 3), (3, 1)), ((3, 2), None), ([1, 4], 1)])
def test_max_uneven(pool_size: Any, strides: Any, padding: str) -> None:
    arguments = {"pool_size": pool_size, "strides": strides, "padding": padding}
    compare_layer(ours.MaxPooling2D, arguments, SHAPES[2])


@pytest.mark.parametrize("kind", ["Max", "Average"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_channels_first(rank: int, kind: str) -> None:
    layer = getattr(ours, f"{kind}Pooling{rank}D")
    compare_layer(layer, {"pool_size": 2, "data_format": "channels_first"}, first(SHAPES[rank]))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("data_format", [None, "channels_last", "channels_first"])
@pytest.mark.parametrize("kind", GLOBAL)
def test_global(kind: str, data_format: str | None, keepdims: bool) -> None:
    shape = SHAPES[int(kind[-2])]
    shape = first(shape) if data_format == "channels_first" else shape
    arguments = {"data_format": data_format, "keepdims": keepdims}
    compare_layer(getattr(ours, kind), arguments, shape)


@pytest.mark.parametrize(
    ("kind", "arguments", "wanted"),
    [
        ("MaxPooling1D", {}, (None, 3)),
        ("MaxPooling2D", {"padding": "same"}, (None, None, 3)),
        ("AveragePooling2D", {"pool_size": 2}, (None, 8, 3)),
        ("MaxPooling3D", {"pool_size": 3, "strides": 2}, (None, None, None, 2)),
        ("GlobalMaxPooling2D", {}, (None, None, 3)),
        ("GlobalAveragePooling1D", {"keepdims": True}, (None, 3)),
    ],
)
def test_free_sizes(kind: str, arguments: dict[str, Any], wanted: tuple[int | None, ...]) -> None:
    shape = SHAPES[int(kind[-2])]
    compare_layer(getattr(ours, kind), arguments, shape, symbolic=wanted)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_global_average_mask(data_format: str, keepdims: bool) -> None:
    shape = (3, 5, 4) if data_format == "channels_last" else (3, 4, 5)
    compare_layer(
        ours.GlobalAveragePooling1D,
        {"data_format": data_format, "keepdims": keepdims},
        shape,
        call={"mask": np.arange(5) < np.array([[5], [1], [3]])},
    )


@pytest.mark.parametrize("dtype", ["int32", "uint8"])
@pytest.mark.parametrize("kind", ["MaxPooling2D", *GLOBAL[1:6:3]])
def test_whole_numbers(kind: str, dtype: str) -> None:
    data = np.random.default_rng(0).integers(0, 200, SHAPES[2]).astype(dtype)
    compare_layer(getattr(ours, kind), {}, SHAPES[2], dtype=dtype, data=data, gradients=False)
