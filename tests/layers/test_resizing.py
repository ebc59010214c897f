"""Resizing and CenterCrop: errors and values; test_normalization_by_data.py compiles them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nnkit.errors import ArgumentError, ShapeError
from nnkit.layers.input import Input
from nnkit.layers.resizing import CenterCrop, Resizing


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Resizing(0, 2), "height must be a whole number of at least 1"),
        (lambda: CenterCrop(2, 2.5), "width must be a whole number"),
        (lambda: Resizing(2, 2, "lanczos3"), "interpolation must be one of 'bilinear', 'nearest'"),
        (lambda: Resizing(2, 2, fill_mode="reflect"), "fill_mode must be one of 'constant'"),
        (lambda: Resizing(2, 2, "nearest", True, True), "crops or pads to the aspect ratio"),
        (lambda: CenterCrop(2, 2, "first"), "data_format must be one of 'channels_last'"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize("layer", [Resizing(2, 2), CenterCrop(2, 2)])
def test_wrong_shapes(layer: Any) -> None:
    said = r"expects images \(batch, height, width, channels\) or one .* received \(2, 5\)"
    with pytest.raises(ShapeError, match=said):
        layer(torch.ones(2, 5))
    with pytest.raises(ShapeError, match=r"received \(batch, 3\)"):
        layer(Input((3,)))
    with pytest.raises(ShapeError, match='needs "images" in the dict'):
        layer({"image": torch.ones(1, 4, 4, 1)})
    with pytest.raises(ShapeError, match=r"\(batch, channels, height, width\)"):
        type(layer)(2, 2, data_format="channels_first")(torch.ones(2, 5))


def test_resizing_is_torchs() -> None:
    x = torch.rand(2, 5, 7, 3)
    expected = F.interpolate(x.permute(0, 3, 1, 2), (3, 9), mode="bilinear", align_corners=False)
    torch.testing.assert_close(Resizing(3, 9)(x), expected.permute(0, 2, 3, 1))
    x = x.requires_grad_()
    Resizing(3, 9)(x).sum().backward()
    assert x.grad.sum() == pytest.approx(2 * 3 * 9 * 3, rel=1e-4)


def test_whole_numbers_stay_in_range() -> None:
    x = torch.zeros(8, 8, 1, dtype=torch.int8)
    x[:, 4:] = 127
    made = Resizing(8, 32, "bicubic")(x)
    assert made.dtype == torch.int8
    assert made[0, :8].amax() <= 0  # no -128 or 127 from wrapping around
    assert made[0, 24:].amin() > 100


def test_borders_and_cuts() -> None:
    x = torch.arange(1.0, 9.0).reshape(1, 2, 4, 1)
    padded = Resizing(4, 4, "nearest", pad_to_aspect_ratio=True, fill_value=-1.0)(x)[0, ..., 0]
    assert padded.tolist() == [[-1.0] * 4, [1, 2, 3, 4], [5, 6, 7, 8], [-1.0] * 4]
    assert Resizing(2, 2, "nearest", crop_to_aspect_ratio=True)(x).flatten().tolist() == [
        2,
        3,
        6,
        7,
    ]
    assert CenterCrop(2, 2)(x).flatten().tolist() == [2, 3, 6, 7]
    assert CenterCrop(1, 3)(x).flatten().tolist() == [1, 2, 3]
    assert CenterCrop(4, 4)(x).shape == (1, 4, 4, 1)
    assert CenterCrop(1, 1)(np.zeros((3, 3, 1), "uint8")).dtype == torch.float32


def test_dtypes() -> None:
    x = torch.rand(1, 4, 4, 1)
    assert Resizing(2, 2, dtype="bfloat16")(x).dtype == torch.bfloat16
    assert Resizing(2, 2)(x > 0.5).dtype == torch.bool
    assert Resizing(2, 2)(Input((4, 4, 1), dtype="uint8")).dtype == torch.uint8
    assert CenterCrop(2, 2)(Input((4, 4, 1), dtype="uint8")).dtype == torch.float32
