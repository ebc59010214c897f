"""Pooling to an output of a given size, whatever the size of the input."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from nnkit.arguments import sizes
from nnkit.layers.convolution import SpatialLayer
from nnkit.probing import like

__all__ = [
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D",
]

_SEQUENCE = "(batch, time, channels)"
_IMAGE = "(batch, height, width, channels)"
_VOLUME = "(batch, depth, height, width, channels)"


class _AdaptivePooling(SpatialLayer):
    """What the layers here have in common; arguments are described in AdaptiveAveragePooling2D."""

    def __init__(self, output_size: Any, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.set_data_format(data_format)
        self.output_size = sizes(self.label, "output_size", output_size, self.rank)

    def pool(self, x: torch.Tensor, size: Any) -> torch.Tensor:
        """Pool channels-first images to (height, width)."""
        raise NotImplementedError

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        x = self.to_torch(inputs if inputs.is_floating_point() else inputs.to(self._compute))
        if self.rank == 3:
            return self.from_torch(self._pool_volume(x))
        return self.from_torch(self.pool(x, self.full(self.output_size, 1)))

    def _pool_volume(self, x: torch.Tensor) -> torch.Tensor:
        # Slice by slice, then along the depth: torch's kernels for volumes copy what lies channels
        # last, and take several times longer.
        depth, *size = self.output_size
        if self._last:
            slices = self.pool(x.transpose(1, 2).flatten(0, 1), size)
            slices = torch.unflatten(slices, 0, (x.shape[0], x.shape[2])).transpose(1, 2)
        else:
            slices = self.pool(x.flatten(1, 2), size)
            slices = torch.unflatten(slices, 1, (x.shape[1], x.shape[2]))
        rows = self.pool(slices.flatten(3), (depth, size[0] * size[1]))
        return torch.unflatten(rows, 3, size)

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        batch, *_ = shape = tuple(inputs.shape)
        if self._last:
            return like(inputs, (batch, *self.output_size, shape[-1]))
        return like(inputs, (batch, shape[1], *self.output_size))


class _AdaptiveAveragePooling(_AdaptivePooling):
    """Base of AdaptiveAveragePooling1D, 2D and 3D."""

    def pool(self, x: torch.Tensor, size: Any) -> torch.Tensor:
        return F.adaptive_avg_pool2d(x, size)


class _AdaptiveMaxPooling(_AdaptivePooling):
    """Base of AdaptiveMaxPooling1D, 2D and 3D."""

    def pool(self, x: torch.Tensor, size: Any) -> torch.Tensor:
        return F.adaptive_max_pool2d(x, size)


class AdaptiveAveragePooling1D(_AdaptiveAveragePooling):
    """Take the mean of as many windows of a sequence as the output shall have steps.

    Args: those of `AdaptiveAveragePooling2D`, for one axis of time steps.

    Shape: (batch, time, channels) -> (batch, output_size, channels)
    """

    rank = 1
    accepts = _SEQUENCE


class AdaptiveAveragePooling2D(_AdaptiveAveragePooling):
    """Take the mean of as many windows of an image as the output shall have pixels.

    Output pixel i of n is the mean of the input's pixels floor(i size / n) to
    ceil((i + 1) size / n); windows may overlap, and repeat if the output is larger.

    Args:
        output_size: pixels of the output, an int or (height, width).
        data_format: "channels_last", or "channels_first" for (batch, channels, ...).

    Shape: (batch, height, width, channels) -> (batch, *output_size, channels)
    """

    rank = 2
    accepts = _IMAGE


class AdaptiveAveragePooling3D(_AdaptiveAveragePooling):
    """Take the mean of as many windows of a volume as the output shall have voxels.

    Args: those of `AdaptiveAveragePooling2D`, for three axes (depth, height, width).

    Shape: (batch, depth, height, width, channels) -> (batch, *output_size, channels)
    """

    rank = 3
    accepts = _VOLUME


class AdaptiveMaxPooling1D(_AdaptiveMaxPooling):
    """Keep the largest value in as many windows of a sequence as the output shall have steps.

    Args: those of `AdaptiveAveragePooling2D`, for one axis of time steps.

    Shape: (batch, time, channels) -> (batch, output_size, channels)
    """

    rank = 1
    accepts = _SEQUENCE


class AdaptiveMaxPooling2D(_AdaptiveMaxPooling):
    """Keep the largest value in as many windows of an image as the output shall have pixels.

    The windows are those of `AdaptiveAveragePooling2D`.

    Args:
        output_size: pixels of the output, an int or (height, width).
        data_format: "channels_last", or "channels_first" for (batch, channels, ...).

    Shape: (batch, height, width, channels) -> (batch, *output_size, channels)
    """

    rank = 2
    accepts = _IMAGE


class AdaptiveMaxPooling3D(_AdaptiveMaxPooling):
    """Keep the largest value in as many windows of a volume as the output shall have voxels.

    Args: those of `AdaptiveAveragePooling2D`, for three axes (depth, height, width).

    Shape: (batch, depth, height, width, channels) -> (batch, *output_size, channels)
    """

    rank = 3
    accepts = _VOLUME
