"""Reshaping layers against Keras."""

from __future__ import annotations

import pytest

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
from tests.parity.compare import compare_layer

SEQUENCE = (2, 6, 3)
IMAGE = (2, 5, 6, 3)
VOLUME = (2, 3, 4, 5, 2)
FIRST = {"data_format": "channels_first"}

CASES = [
    (Flatten, {}, IMAGE, None),
    (Flatten, {}, (4,), None),
    (Flatten, {}, (4, 3), None),
    (Flatten, {}, IMAGE, (None, None, 3)),
    (Flatten, {}, IMAGE, (None, 6, 3)),
    (Flatten, FIRST, IMAGE, None),
    (Flatten, FIRST, (4, 3), None),
    (Flatten, FIRST, (4,), None),
    (Reshape, {"target_shape": (9, 10)}, IMAGE, None),
    (Reshape, {"target_shape": (90,)}, IMAGE, None),
    (Reshape, {"target_shape": (-1,)}, IMAGE, (None, None, 3)),
    (Reshape, {"target_shape": (2, -1, 9)}, IMAGE, None),
    (Reshape, {"target_shape": (-1, 9)}, IMAGE, (5, None, 3)),
    (Reshape, {"target_shape": (15, 6)}, IMAGE, (None, None, 3)),
    (Reshape, {"target_shape": [-1, 1]}, (4,), None),
    (Permute, {"dims": (2, 1)}, SEQUENCE, (None, 3)),
    (Permute, {"dims": (3, 1, 2)}, IMAGE, (None, 6, 3)),
    (RepeatVector, {"n": 4}, (3, 5), None),
    (ZeroPadding1D, {}, SEQUENCE, (None, 3)),
    (ZeroPadding1D, {"padding": (2, 0)}, SEQUENCE, None),
    (ZeroPadding1D, {"padding": 3, **FIRST}, SEQUENCE, None),
    (ZeroPadding2D, {}, IMAGE, (None, None, 3)),
    (ZeroPadding2D, {"padding": 2}, IMAGE, None),
    (ZeroPadding2D, {"padding": (1, 3)}, IMAGE, None),
    (ZeroPadding2D, {"padding": ((1, 0), (2, 3))}, IMAGE, None),
    (ZeroPadding2D, {"padding": (0, (2, 3)), **FIRST}, IMAGE, None),
    (ZeroPadding3D, {}, VOLUME, None),
    (ZeroPadding3D, {"padding": ((1, 0), (2, 3), (0, 1)), **FIRST}, VOLUME, None),
    (Cropping1D, {}, SEQUENCE, (None, 3)),
    (Cropping1D, {"cropping": (0, 2)}, SEQUENCE, None),
    (Cropping1D, {"cropping": (3, 0)}, SEQUENCE, None),
    (Cropping2D, {}, IMAGE, (None, None, 3)),
    (Cropping2D, {"cropping": 1}, IMAGE, None),
    (Cropping2D, {"cropping": (2, 1)}, IMAGE, None),
    (Cropping2D, {"cropping": ((1, 0), (0, 3))}, IMAGE, None),
    (Cropping2D, {"cropping": ((0, 2), (1, 1)), **FIRST}, (2, 3, 5, 6), None),
    (Cropping3D, {}, VOLUME, None),
    (Cropping3D, {"cropping": (0, 1, (2, 1))}, VOLUME, None),
    (UpSampling1D, {}, SEQUENCE, (None, 3)),
    (UpSampling1D, {"size": 3}, SEQUENCE, None),
    (UpSampling2D, {}, IMAGE, (None, None, 3)),
    (UpSampling2D, {"size": 1}, IMAGE, None),
    (UpSampling2D, {"size": (1, 4)}, IMAGE, None),
    (UpSampling2D, {"size": (2, 3), **FIRST}, IMAGE, None),
    (UpSampling2D, {"size": (47, 41)}, (1, 2, 3, 1), None),
    (UpSampling2D, {"interpolation": "bilinear"}, IMAGE, (None, 6, 3)),
    (UpSampling2D, {"size": (3, 1), "interpolation": "bilinear"}, IMAGE, None),
    (UpSampling2D, {"size": (2, 5), "interpolation": "bicubic"}, IMAGE, None),
    (UpSampling2D, {"interpolation": "Bicubic", **FIRST}, IMAGE, None),
    (UpSampling3D, {}, VOLUME, None),
    (UpSampling3D, {"size": (1, 2, 3)}, VOLUME, (None, None, 5, 2)),
    (UpSampling3D, {"size": 2, **FIRST}, VOLUME, None),
]


@pytest.mark.parametrize(("kind", "arguments", "shape", "symbolic"), CASES)
def test_reshaping(kind: type, arguments: dict, shape: tuple, symbolic: tuple | None) -> None:
    compare_layer(kind, arguments, shape, symbolic=symbolic)


@pytest.mark.parametrize(
    ("kind", "arguments", "shape"),
    [
        (Flatten, {}, IMAGE),
        (Reshape, {"target_shape": (-1, 2)}, IMAGE),
        (ZeroPadding2D, {}, IMAGE),
        (UpSampling1D, {"size": 3}, SEQUENCE),
        (UpSampling2D, {}, IMAGE),
        (RepeatVector, {"n": 2}, (2, 3)),
    ],
)
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_integers(kind: type, arguments: dict, shape: tuple, dtype: str) -> None:
    compare_layer(kind, arguments, shape, dtype=dtype)
