"""What lies channels last stays so: nothing is copied on the way to torch's kernels and back."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.profiler import profile

from nnkit import layers as L

# Conv1D is left out: it copies its kernel, as small as it is. The sizes are large enough for
# fast kernels of torch: the slow ones copy by themselves.
SEQUENCE, IMAGE, VOLUME = (16, 64, 16), (16, 16, 16, 16), (16, 8, 8, 8, 16)
FREE: list[tuple[Any, tuple[int, ...]]] = [
    (lambda: L.Conv2D(8, 3, padding="same"), IMAGE),
    (lambda: L.Conv2D(8, 3, strides=2, groups=2), IMAGE),
    (lambda: L.Conv3D(8, 3), VOLUME),
    (lambda: L.Conv2DTranspose(8, 3), IMAGE),
    (lambda: L.DepthwiseConv2D(3), IMAGE),
    (lambda: L.MaxPooling1D(2), SEQUENCE),
    (lambda: L.MaxPooling2D(2), IMAGE),
    (lambda: L.AveragePooling2D(3, 1, "same"), IMAGE),
    (lambda: L.LayerNormalization(), IMAGE),
    (lambda: L.BatchNormalization(), IMAGE),
    (lambda: L.Permute((2, 1, 3)), IMAGE),
    (lambda: L.Cropping2D(2), IMAGE),
]


@pytest.mark.parametrize(("make", "shape"), FREE, ids=[str(i) for i in range(len(FREE))])
def test_nothing_is_copied(make: Any, shape: tuple[int, ...]) -> None:
    layer, x = make(), torch.randn(shape)
    with torch.no_grad():
        layer(x)
        with profile() as seen:
            outputs = layer(x)
    copies = [event.key for event in seen.key_averages() if event.key == "aten::copy_"]
    assert not copies
    if not isinstance(layer, (L.Permute, L.Cropping2D)):
        assert outputs.is_contiguous()
