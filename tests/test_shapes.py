"""Named axes, sizes and padding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from nnkit.errors import ShapeError
from nnkit.shapes import axes, check, describe, same_padding, window_output

IMAGE = "(batch, height, width, channels)"
SEQUENCE = "(batch, time, features)"


def test_axes() -> None:
    assert axes(SEQUENCE) == ("batch", "time", "features")
    assert axes("(batch, ..., features)") == ("batch", "...", "features")


@pytest.mark.parametrize(
    ("shape", "names", "text"),
    [
        ((None, 28, 28), (), "(batch, 28, 28)"),
        ((None, None, 3), (), "(batch, None, 3)"),
        ((None, None, 3), axes(SEQUENCE), "(batch, time, 3)"),
        ((5,), (), "(5,)"),
        ((), (), "()"),
        ((None, 4), axes("(batch, ..., features)"), "(batch, 4)"),
    ],
)
def test_describe(shape: Any, names: Any, text: str) -> None:
    assert describe(shape, names) == text


@pytest.mark.parametrize(
    ("accepts", "shape", "fixed"),
    [
        (IMAGE, (None, 28, 28, 1), {"channels": 1}),
        (IMAGE, (2, None, None, None), {"channels": 3}),
        ("(batch, ..., features)", (None, 4), {"features": 4}),
        ("(batch, ..., features)", (None, 2, 3, 4), {"features": 4}),
        ("(batch, channels, ...)", (None, 4, 9), {"channels": 4}),
    ],
)
def test_what_fits(accepts: str, shape: Any, fixed: dict[str, int]) -> None:
    check("Layer 'a'", accepts, shape, fixed)


@pytest.mark.parametrize(
    ("accepts", "shape", "fixed", "message"),
    [
        (IMAGE, (None, 784), {}, r"received \(batch, 784\). Add Reshape\(\(28, 28, 1\)\)"),
        (IMAGE, (None, 3072), {}, r"Add Reshape\(\(32, 32, 3\)\) before it"),
        (IMAGE, (None, 50), {}, r"Add Reshape\(\(height, width, channels\)\)"),
        (IMAGE, (None, None, 28), {}, r"channels axis with Reshape\(\(-1, 28, 1\)\)"),
        (IMAGE, (None, 9, 28, 28, 1), {}, r"leaves out the batch axis: give \(height,"),
        (SEQUENCE, (None, 7), {}, "or Embedding for integer tokens"),
        (SEQUENCE, (None, 2, 3, 4), {}, "TimeDistributed or Reshape fold it"),
        ("(batch, features)", (None, 2, 3), {}, r"Add Flatten\(\) before it, and leave the batch"),
        ("(batch, ..., features)", (), {}, "expects"),
        ("(batch, features)", (3,), {}, r"Add Reshape\(...\) before it so that the axes fit"),
        (IMAGE, (2, 3, 8, 8), {"channels": 3}, r"channels seem to come first.*movedim\(1, -1\)"),
        (
            "(batch, ..., features)",
            (None, 2, 3),
            {"features": 6},
            r"'a' was built for 6 features but received \(batch, 2, 3\). Add Flatten\(\)",
        ),
        (
            "(batch, ..., features)",
            (None, 5),
            {"features": 6},
            "Give it 6 features, or make a new layer for the new size",
        ),
    ],
)
def test_what_does_not_fit(accepts: str, shape: Any, fixed: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        check("Layer 'a'", accepts, shape, fixed)


@pytest.mark.parametrize("size", range(1, 12))
@pytest.mark.parametrize("window", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
def test_windows_count_like_torch(size: int, window: int, stride: int, dilation: int) -> None:
    """The padding gives ceil(size / stride) windows, with the odd pixel at the end."""
    before, after = same_padding(size, window, stride, dilation)
    assert after - before in (0, 1)
    x, w = torch.zeros(1, 1, size), torch.zeros(1, 1, window)
    padded = F.conv1d(F.pad(x, (before, after)), w, stride=stride, dilation=dilation)
    assert padded.shape[-1] == -(-size // stride)
    count = window_output(size, window, stride, dilation)
    if count > 0:
        assert F.conv1d(x, w, stride=stride, dilation=dilation).shape[-1] == count
    else:
        assert (window - 1) * dilation + 1 > size
