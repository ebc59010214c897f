"""Images pulled about and scaled along axes, compared with Keras on the same numbers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch

from nnkit import ops, random
from nnkit.errors import ArgumentError, ShapeError

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

METHODS = ["linear", "bilinear", "cubic", "bicubic", "lanczos3", "lanczos5"]
MOVES: list[tuple[Any, Any, tuple[int, ...]]] = [
    ((0.5, 2.0), (0.3, -1.2), (2, 5, 12, 3)),
    ((1.7, 0.6), (0.0, 0.0), (2, 12, 5, 3)),
    ((1.0, 1.0), (2.5, -3.0), (2, 7, 9, 3)),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize(("scale", "shift", "shape"), MOVES)
def test_scale_and_translate(
    method: str, antialias: bool, scale: Any, shift: Any, shape: tuple[int, ...]
) -> None:
    x = np.random.rand(2, 7, 9, 3).astype("float32")
    moves = [np.array(each, "float32") for each in (scale, shift)]
    theirs = keras.ops.image.scale_and_translate(x, shape, *moves, (1, 2), method, antialias)
    ours = ops.image.scale_and_translate(x, shape, scale, shift, (1, 2), method, antialias)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("fill_mode", ["reflect", "wrap", "constant", "nearest", "mirror"])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("batch", [True, False])
def test_elastic_transform(
    monkeypatch: pytest.MonkeyPatch, fill_mode: str, interpolation: str, data_format: str,
    batch: bool,
) -> None:  # fmt: skip
    shape = (2, 8, 10, 3) if data_format == "channels_last" else (2, 3, 8, 10)
    images = np.random.rand(*shape).astype("float32")[slice(None) if batch else 0]
    noise = torch.randn(2, 2 if batch else 1, 8, 10)
    drawn = iter(noise)
    monkeypatch.setattr(torch, "normal", lambda *_, **__: next(drawn))
    monkeypatch.setattr(random, "normal", lambda *_, **__: noise)
    arguments = {
        "alpha": 6.0, "sigma": 1.5, "interpolation": interpolation, "fill_mode": fill_mode,
        "fill_value": 0.25, "data_format": data_format,
    }  # fmt: skip
    theirs = keras.ops.image.elastic_transform(images, **arguments)
    ours = ops.image.elastic_transform(images, **arguments)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_elastic_transform_is_seeded_and_moves_nothing_in_an_even_image() -> None:
    image = torch.rand(8, 10, 3)
    pulled = [ops.image.elastic_transform(image, 9.0, 1.0, seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(pulled[0], pulled[1])
    assert not torch.equal(pulled[0], pulled[2])
    torch.testing.assert_close(
        ops.image.elastic_transform(torch.ones(8, 8, 1)), torch.ones(8, 8, 1)
    )


def test_mistakes() -> None:
    x = torch.zeros(1, 4, 4, 1)
    with pytest.raises(ArgumentError, match="fill_mode"):
        ops.image.elastic_transform(x, fill_mode="around")
    with pytest.raises(ArgumentError, match="method"):
        ops.image.scale_and_translate(x, (1, 4, 4, 1), (1.0,), (0.0,), (1,), "nearest")
    with pytest.raises(ShapeError, match="one scale and one translation"):
        ops.image.scale_and_translate(x, (1, 4, 4, 1), (1.0,), (0.0,), (1, 2), "linear")


TURNED = [0.8, -0.6, 1.5, 0.6, 0.8, -2.5, 0.0, 0.0]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64", "float16"])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("fill_mode", ["constant", "nearest", "wrap", "mirror", "reflect"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_affine_transform_keeps_the_dtype(
    dtype: str, interpolation: str, fill_mode: str, data_format: str
) -> None:
    """Among whole numbers the constant is one too: 3.5 counts as 3."""
    images = np.random.default_rng(2).integers(0, 100, (2, 6, 7, 5)).astype(dtype)
    rows = np.array([TURNED, TURNED], "float32")
    more = {"interpolation": interpolation, "fill_mode": fill_mode, "fill_value": 3.5}
    theirs = keras.ops.image.affine_transform(images, rows.copy(), data_format=data_format, **more)
    ours = ops.image.affine_transform(images, rows, data_format=data_format, **more)
    assert ours.dtype is theirs.dtype
    difference = (ours.double() - theirs.double()).abs()
    assert float((difference > (0.1 if dtype == "float16" else 0)).double().mean()) < 0.02


def test_affine_transform_divides_where_it_is_asked_to() -> None:
    """As Keras documents the last two numbers; with torch, it adds them by channel instead."""
    images = torch.rand(2, 9, 8, 3)
    corners = torch.tensor([[0.0, 0], [7, 0], [0, 8], [7, 8]])
    moved = corners + torch.tensor([[0.5, 1], [-1, 0.2], [0.3, -0.6], [-0.2, -1]])
    x, y = corners.T.double(), moved.T.double()
    # Eight equations for the eight numbers: k x = a0 u + a1 v + a2, k y = b0 u + b1 v + b2.
    u, v = y
    one, none = torch.ones(4, dtype=torch.double), torch.zeros(4, dtype=torch.double)
    above = torch.stack([u, v, one, none, none, none, -x[0] * u, -x[0] * v], 1)
    below = torch.stack([none, none, none, u, v, one, -x[1] * u, -x[1] * v], 1)
    numbers = torch.linalg.solve(torch.cat([above, below]), torch.cat([x[0], x[1]])).float()
    affine = ops.image.affine_transform(images, numbers, fill_value=0.5)
    whole = ops.image.perspective_transform(
        images, corners.expand(2, 4, 2), moved.expand(2, 4, 2), fill_value=0.5
    )
    torch.testing.assert_close(affine, whole, rtol=1e-3, atol=1e-3)
