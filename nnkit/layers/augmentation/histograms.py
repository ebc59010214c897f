"""Levels evened out by how often they occur."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnkit.arguments import number, positive, sizes
from nnkit.layers.augmentation.pieces import cut, in_pieces
from nnkit.layers.augmentation.pixel_layers import RangedLayer

__all__ = ["ContrastLimitedAdaptiveHistogramEqualization", "Equalization"]


def _counts(places: Tensor, size: int) -> Tensor:
    """How often each whole number from 0 to below `size` occurs."""
    flat = places.flatten()
    if flat.device.type == "cpu" and not torch.compiler.is_compiling():
        return torch.bincount(flat, minlength=size).float()
    counts = torch.zeros(size, device=flat.device)
    return counts.scatter_add_(0, flat.long(), torch.ones_like(flat, dtype=counts.dtype))


class Equalization(RangedLayer):
    """Change the levels of each channel so that all occur about equally often in the batch.

    Args:
        value_range: the darkest and the brightest value.
        bins: how many levels are told apart.
        data_format: "channels_last" (also None) or "channels_first".

    Shape: (batch, height, width, channels) or one image -> the same, floats
    Raises: ArgumentError unless bins is a whole number above 0.
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        bins: int = 256,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(value_range, data_format=data_format, **kwargs)
        self.bins = positive(self.label, "bins", bins)

    def transform_images(
        self, images: Tensor, transformation: Any = None, training: bool = True
    ) -> Tensor:
        dtype = self.output_type(images)
        if not training:
            return images.to(dtype)
        table, flat = self._table(images)
        unknown = images.device.type != "cpu" or torch.compiler.is_compiling()
        look = unknown or bool(flat.any())

        def change(some: Tensor, rows: Any, out: Tensor | None) -> Tensor:
            into = None if out is None else out.view(-1)
            even = torch.index_select(table.flatten(), 0, self._places(some).flatten(), out=into)
            if look:  # a channel of one level keeps it
                return torch.where(self.by_channel(flat), self.as_floats(some), even.view_as(some))
            return even.view(some.shape) if out is None else out

        return in_pieces(change, images, {}, dtype, raw=True)

    def _places(self, images: Tensor) -> Tensor:
        """The bin of each pixel, in one count over all channels."""
        last, count = self.bins - 1, images.shape[self.axes[2]]
        if self.fill_bytes(images) and last == 255:
            places = images.int()
        else:
            levels = self.to_bytes(self.as_floats(images))
            places = (levels * last).div_(255).clamp_(0, last).int()
        first = torch.arange(count, dtype=torch.int32, device=images.device) * self.bins
        return places.add_(self.a_row(self.by_channel(first), images))

    def _table(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What each bin becomes in each channel, (channels, bins), and which have one level."""
        size = self.bins * images.shape[self.axes[2]]
        counted = [_counts(self._places(some), size) for some in cut(images)]
        counts = torch.stack(counted).sum(0).reshape(-1, self.bins)
        sums = counts.cumsum(1)
        first = torch.where(sums > 0, sums, torch.inf).amin(1, keepdim=True)
        span = sums[:, -1:] - first
        table = ((sums - first) * 255 / torch.where(span == 0, 1.0, span)).round().clamp(0, 255)
        flat = (counts > 0).sum(1, keepdim=True) <= 1
        return self.from_bytes(table).to(self.output_type(images)), flat


class ContrastLimitedAdaptiveHistogramEqualization(RangedLayer):
    """Equalize tiles of each image by themselves and blend them, in training and inference.

    Args:
        value_range: the darkest and the brightest value.
        clip_limit: how much more often than on average a level may count; 0 or less for no limit.
        tile_grid_size: (rows, columns) of tiles.
        data_format: "channels_last" (also None) or "channels_first".

    Shape: (batch, height, width, channels) or one image -> the same, also in dtype
    Raises: ArgumentError for tile sizes that are not two whole numbers.
    Source: Zuiderveld, Graphics Gems IV (1994).
    """

    keeps_dtype = True

    def __init__(
        self,
        value_range: Any = (0, 255),
        clip_limit: float = 4.0,
        tile_grid_size: Any = (8, 8),
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(value_range, data_format=data_format, **kwargs)
        self.clip_limit = number(self, "clip_limit", clip_limit)
        self.tile_grid_size = sizes(self.label, "tile_grid_size", tile_grid_size, 2)

    def transform_images(
        self, images: Tensor, transformation: Any = None, training: bool = True
    ) -> Tensor:
        levels = self.channels_first(self.to_bytes(images.float()))
        even = self.from_bytes(self.as_given(self._equalized(levels)))
        return even.to(images.dtype)

    def _equalized(self, levels: Tensor) -> Tensor:
        """(batch, channels, height, width) from 0 to 255, tile by tile."""
        height, width = levels.shape[2:]
        down, across = self.tile_grid_size
        tall, wide = -(-height // down), -(-width // across)
        rows, columns = (
            torch.arange(tile * count, device=levels.device).clamp(max=size - 1)
            for size, tile, count in ((height, tall, down), (width, wide, across))
        )
        whole = levels[:, :, rows][:, :, :, columns].clamp(0, 255).long()
        tiles = whole.reshape(*whole.shape[:2], down, tall, across, wide).movedim(4, 3)
        table = self._tables(tiles.flatten(4), tall * wide)
        upper, lower, part_down = _between(tall, down, levels.device)
        left, right, part_across = _between(wide, across, levels.device)
        image, channel = (
            torch.arange(n, device=levels.device).reshape(shape)
            for n, shape in ((whole.shape[0], (-1, 1, 1, 1)), (whole.shape[1], (-1, 1, 1)))
        )

        def mapped(row: Tensor, column: Tensor) -> Tensor:
            return table[image, channel, row[:, None], column, whole]

        above, below = (
            torch.lerp(mapped(row, left), mapped(row, right), part_across) for row in (upper, lower)
        )
        return torch.lerp(above, below, part_down[:, None])[:, :, :height, :width]

    def _tables(self, tiles: Tensor, pixels: int) -> Tensor:
        """What each level becomes in each tile: (batch, channels, rows, columns, 256)."""
        rows = tiles.flatten(0, -2)
        number = rows.shape[0]  # not len, which makes a plain number of a free one
        first = torch.arange(number, device=rows.device).unsqueeze(1) * 256
        counts = _counts(rows + first, number * 256).reshape(*tiles.shape[:-1], 256)
        if self.clip_limit > 0:
            kept = counts.clamp(max=int(self.clip_limit * pixels / 256))
            counts = kept + (counts - kept).sum(-1, keepdim=True) / 256
        sums = counts.cumsum(-1)
        first = sums.amin(-1, keepdim=True)
        span = pixels - first
        return ((sums - first) * 255 / torch.where(span == 0, 1.0, span)).clamp(0, 255)


def _between(tile: int, count: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """For each pixel the tiles before and after it, and how near it is to the second."""
    place = (torch.arange(tile * count, device=device) - tile / 2) / tile
    before = place.floor()
    tiles = [each.long().clamp(0, count - 1) for each in (before, before + 1)]
    return tiles[0], tiles[1], place - before
