"""What old scripts compute with windows over images and sequences."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from nnkit import ops
from nnkit.errors import unknown_name

__all__ = ["conv1d", "conv2d", "conv3d", "pool2d", "pool3d"]


def conv1d(
    x: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """A convolution along time; the kernel is (window, channels, filters)."""
    return ops.conv(x, kernel, strides, padding, data_format, dilation_rate)


def conv2d(
    x: Any,
    kernel: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
) -> Tensor:
    """A convolution of images; the kernel is (height, width, channels, filters)."""
    return ops.conv(x, kernel, strides, padding, data_format, dilation_rate)


def conv3d(
    x: Any,
    kernel: Any,
    strides: Any = (1, 1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1, 1),
) -> Tensor:
    """A convolution of volumes; the kernel is (depth, height, width, channels, filters)."""
    return ops.conv(x, kernel, strides, padding, data_format, dilation_rate)


def pool2d(
    x: Any,
    pool_size: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    pool_mode: str = "max",
) -> Tensor:
    """The largest ("max") or mean ("avg") value in each window of an image."""
    return _pool(x, pool_size, strides, padding, data_format, pool_mode)


def pool3d(
    x: Any,
    pool_size: Any,
    strides: Any = (1, 1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    pool_mode: str = "max",
) -> Tensor:
    """The largest ("max") or mean ("avg") value in each window of a volume."""
    return _pool(x, pool_size, strides, padding, data_format, pool_mode)


def _pool(x: Any, size: Any, strides: Any, padding: str, data_format: Any, mode: str) -> Tensor:
    if mode not in ("avg", "max"):
        raise unknown_name("pool_mode", mode, ("avg", "max"))
    pool = ops.max_pool if mode == "max" else ops.average_pool
    return pool(x, size, strides, padding, data_format)
