"""Reshaping layers: errors, values, views, and life as a torch module."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from nnkit.errors import ArgumentError, ShapeError
from nnkit.layer import Layer
from nnkit.layers import (
    Cropping1D,
    Cropping2D,
    Cropping3D,
    Flatten,
    Permute,
    RepeatVector,
    Reshape,
    UpSampling1D,
    UpSampling2D,
    UpSampling3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
from nnkit.layers.input import Input
from tests.layers.life import goes_through_life


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Reshape((4, 5)), (21,), r"Reshape '.*' cannot turn \(batch, 21\) into \(batch, 4, 5\): "
         r"the input has 21 elements a sample, the target 20 elements"),
        (Reshape((4, -1)), (21,), "has 21 elements a sample, the target a multiple of 4 elements"),
        (Reshape((2, 3, 4)), (3, 4), "12 elements a sample, the target 24 elements"),
        (Permute((2, 1)), (3,), r"has dims=\(2, 1\) for 2 axes .*received \(batch, 3\)"),
        (RepeatVector(2), (3, 4), r"expects \(batch, features\) but received \(batch, 3, 4\)"),
        (ZeroPadding1D(), (3,), r"expects \(batch, time, channels\) but received \(batch, 3\)"),
        (ZeroPadding2D(), (28, 28), r"Add the channels axis with Reshape\(\(28, 28, 1\)\)"),
        (ZeroPadding2D(1, "channels_first"), (3, 3), r"\(batch, channels, height, width\)"),
        (Cropping1D(3), (6, 2), r"cuts 3 \+ 3 from axis 1, .* nothing of \(batch, 6, 2\)"),
        (Cropping2D(((0, 0), (4, 4))), (9, 8, 1), r"cuts 4 \+ 4 from axis 2"),
        (Cropping2D(2, data_format="channels_first"), (9, 4, 9), r"cuts 2 \+ 2 from axis 2"),
        (Cropping3D(2), (9, 9, 4, 1), r"cuts 2 \+ 2 from axis 3"),
        (UpSampling1D(), (4, 4, 1), r"expects \(batch, time, channels\)"),
        (UpSampling2D(), (784,), r"Add Reshape\(\(28, 28, 1\)\) before it"),
        (UpSampling3D(), (4, 4, 4), r"expects \(batch, depth, height, width, channels\)"),
    ],
)  # fmt: skip
def test_wrong_shapes(layer: Layer, shape: tuple, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        layer(Input(shape))
    with pytest.raises(ShapeError):
        layer(torch.ones(2, *shape))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Flatten("last"), "data_format must be one of 'channels_last', 'channels_first'"),
        (lambda: Reshape((-1, -1)), r"may have one -1, and no 0 beside it, got \(-1, -1\)"),
        (lambda: Reshape((-1, 0)), "may have one -1, and no 0 beside it"),
        (lambda: Reshape((2, -3)), "a target size must be a whole number of at least 0, got -3"),
        (lambda: Permute((0, 1)), r"each of 1 to the number of axes once.*got \(0, 1\)"),
        (lambda: Permute((1, 3)), r"got \(1, 3\)"),
        (lambda: RepeatVector(0), "n must be a whole number of at least 1, got 0"),
        (lambda: RepeatVector(True), "n must be a whole number"),
        (lambda: ZeroPadding1D((1, 2, 3)), "padding must be an int or 2 ints"),
        (lambda: ZeroPadding2D(-1), "padding must be a whole number of at least 0, got -1"),
        (lambda: ZeroPadding2D((1, 2, 3)), r"int or 2 entries, each an int or \(before, after\)"),
        (lambda: ZeroPadding2D("same"), "padding must be an int or 2 entries.*got 'same'"),
        (lambda: Cropping2D(((1, 2, 3), 1)), "cropping must be an int or 2 ints"),
        (lambda: Cropping3D((1, 2)), "cropping must be an int or 3 entries"),
        (lambda: UpSampling1D(0), "size must be a whole number of at least 1, got 0"),
        (lambda: UpSampling2D((1, 2, 3)), "size must be an int or 2 ints"),
        (lambda: UpSampling2D(interpolation="cubic"), "interpolation must be one of 'nearest'"),
        (lambda: UpSampling3D(data_format="x"), "data_format must be one of"),
    ],
)
def test_wrong_arguments(make: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "symbolic", "expected"),
    [
        (Flatten(), (None, None, 3), (None, None)),
        (Reshape((-1, 4)), (None, 8), (None, None, 4)),
        (Reshape((10, 8)), (None, 8), (None, 10, 8)),
        (Reshape((None, 4)), (3, 8), (None, 6, 4)),
        (Permute((2, 1)), (None, 3), (None, 3, None)),
        (UpSampling2D(3, interpolation="lanczos3"), (None, 4, 2), (None, None, 12, 2)),
        (Cropping2D(((1, 0), (2, 2))), (None, 9, 1), (None, None, 5, 1)),
    ],
)
def test_free_sizes(layer: Layer, symbolic: tuple, expected: tuple) -> None:
    assert layer(Input(symbolic)).shape == expected


@pytest.mark.parametrize("kind", [lambda k: k((12,)), lambda k: k((-1,))])
def test_a_users_subclass_may_give_another_shape(kind: object) -> None:
    class Wide(Reshape):
        def call(self, inputs: torch.Tensor) -> torch.Tensor:
            return super().call(inputs).unsqueeze(-1)

    assert kind(Wide)(Input((3, 4))).shape == (None, 12, 1)


@pytest.mark.parametrize("layer", [Flatten(), Reshape((2, -1)), Reshape((-1,)), Permute((2, 1))])
def test_no_samples_and_no_copies(layer: Layer) -> None:
    full = torch.arange(24.0).reshape(2, 4, 3)
    assert layer(full).data_ptr() == full.data_ptr()
    assert layer(torch.ones(0, 4, 3)).shape[0] == 0
    assert layer(torch.ones(0, 4, 3)).shape[1:] == layer(full).shape[1:]


def test_repeated_vectors_can_be_changed_in_place() -> None:
    repeated = RepeatVector(3)(torch.ones(2, 4))
    repeated[:, 0] += 1
    assert repeated.sum(dim=(0, 2)).tolist() == [16, 8, 8]


def test_nearest_keeps_the_channels_last_layout() -> None:
    enlarged = UpSampling2D()(torch.randn(2, 4, 5, 8))
    assert enlarged.is_contiguous()
    assert UpSampling1D()(torch.randn(2, 4, 8)).is_contiguous()


@pytest.mark.parametrize("factor", [2, 3, 7, 41, 47, 61, 122])
def test_nearest_repeats_every_pixel_exactly(factor: int) -> None:
    x = torch.arange(50.0).reshape(1, 1, 50, 1)
    expected = x.repeat_interleave(factor, dim=2)
    assert torch.equal(UpSampling2D((1, factor))(x), expected)
    assert torch.equal(UpSampling1D(factor)(x[0]), expected[0])


@pytest.mark.parametrize("size", [(2, 2), (3, 1), (1, 5)])
def test_lanczos3_is_pillows(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).normal(size=(9, 11)).astype("float32")
    target = (11 * size[1], 9 * size[0])
    expected = np.asarray(Image.fromarray(image).resize(target, Image.Resampling.LANCZOS))
    actual = UpSampling2D(size, interpolation="lanczos3")(image[None, :, :, None])
    np.testing.assert_allclose(actual[0, :, :, 0], expected, atol=1e-5)


def test_lanczos5_by_hand() -> None:
    values = np.random.default_rng(0).normal(size=7)
    expected = []
    for i in range(14):
        distance = np.abs((i + 0.5) / 2 - 0.5 - np.arange(7))
        weights = np.where(distance < 5, np.sinc(distance) * np.sinc(distance / 5), 0)
        expected.append(weights @ values / weights.sum())
    layer = UpSampling2D((1, 2), interpolation="lanczos5", data_format="channels_first")
    actual = layer(values.reshape(1, 1, 1, 7).astype("float32"))
    np.testing.assert_allclose(actual.flatten(), expected, atol=1e-5)


LAYERS = [
    (Flatten(), (2, 3, 4)),
    (Flatten("channels_first"), (2, 3, 4)),
    (Reshape((2, -1)), (2, 3, 4)),
    (Permute((2, 1)), (2, 3, 4)),
    (RepeatVector(3), (2, 4)),
    (ZeroPadding1D(), (2, 3, 4)),
    (ZeroPadding2D(((1, 2), 3)), (2, 3, 4, 2)),
    (ZeroPadding3D(), (2, 3, 4, 2, 1)),
    (Cropping1D((1, 0)), (2, 3, 4)),
    (Cropping2D(1), (2, 3, 4, 2)),
    (Cropping3D((1, 1, 0)), (2, 3, 4, 2, 1)),
    (UpSampling1D(3), (2, 3, 4)),
    (UpSampling2D(), (2, 3, 4, 2)),
    (UpSampling2D((3, 2), "channels_first", "bilinear"), (2, 3, 4, 2)),
    (UpSampling2D(2, interpolation="lanczos5"), (2, 3, 4, 2)),
    (UpSampling3D(), (2, 3, 4, 2, 1)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda value: getattr(value, "name", ""))
def test_module_life(layer: Layer, shape: tuple) -> None:
    x = torch.randn(shape)
    goes_through_life(layer, x)


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda value: getattr(value, "name", ""))
def test_export_with_a_free_batch(layer: Layer, shape: tuple) -> None:
    x = torch.randn(shape)
    layer(x)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(layer, (x,), dynamic_shapes=({0: batch},))
    more = torch.cat([x, x, x])
    torch.testing.assert_close(program.module()(more), layer(more))
