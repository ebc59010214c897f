"""Rescaling: errors, values, and life as a torch module."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nnkit.errors import ArgumentError, ShapeError
from nnkit.layers.identity import Masking
from nnkit.layers.input import Input
from nnkit.layers.preprocessing import Rescaling
from tests.layers.life import goes_through_life


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rescaling("a"), "Rescaling '.*': scale must be a number or an array of numbers"),
        (lambda: Rescaling(None), "scale must be a number or an array of numbers, got None"),
        (lambda: Rescaling(1, [[1], [2, 3]]), "offset must be a number or an array of numbers"),
        (lambda: Rescaling(True), "scale must be a number"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Rescaling([1, 2, 3]), (4, 4, 1), r"scale of shape \(3,\), .* \(batch, 4, 4, 1\)"),
        (Rescaling(1, [1, 2]), (4, 3), r"offset of shape \(2,\), .*Give one number, or one a"),
        (Rescaling([[[1.0]]]), (3,), r"scale of shape \(1, 1, 1\)"),
    ],
)
def test_wrong_shapes(layer: Rescaling, shape: tuple, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        layer(Input(shape))
    with pytest.raises(ShapeError, match=message.replace("batch", "2")):
        layer(torch.ones(2, *shape))


def test_values_and_dtypes() -> None:
    layer = Rescaling(1 / 127.5, offset=-1)
    result = layer(np.array([[0, 51, 255]], dtype="uint8"))
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, torch.tensor([[-1.0, -0.6, 1.0]]))
    assert layer(torch.ones(2, dtype=torch.bfloat16)).dtype == torch.float32
    assert Rescaling(2, dtype="float16")(torch.tensor([3])).dtype == torch.float16
    assert Rescaling([2, 3])(torch.tensor([[3, 4]])).tolist() == [[6, 12]]
    assert layer(Input((3,), dtype="uint8")).dtype == torch.float32


def test_vectors_are_no_weights_but_move_with_the_layer() -> None:
    layer = Rescaling([1.0, 2.0])
    layer(torch.ones(1, 2))
    assert layer.get_weights() == []
    assert layer.count_params() == 0
    assert not layer.state_dict()
    assert layer.to(torch.float64)(torch.ones(1, 2).double()).dtype == torch.float64


def test_masks_pass() -> None:
    assert Rescaling(2.0)(Masking()(torch.ones(1, 2, 3)))._keras_mask.tolist() == [[True, True]]


LAYERS = [Rescaling(1 / 255), Rescaling([1.0, 2.0, 3.0], 1), Rescaling(2, np.ones((2, 3)))]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_module_life(layer: Rescaling, dtype: torch.dtype) -> None:
    x = torch.arange(12).reshape(2, 2, 3).to(dtype)
    goes_through_life(layer, x)
