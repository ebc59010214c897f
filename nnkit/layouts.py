"""How a weight lies in Keras and in torch. Layers store torch's layout and speak Keras's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

__all__ = ["CONV", "DENSE", "SAME", "Layout", "untied"]


class Layout:
    """An order of axes.

    Args:
        axes: for each of Keras's axes, the torch axis it is; empty when nothing moves.
        channels_last: whether a 4-D or 5-D weight is kept in torch's channels-last memory format.
    """

    def __init__(self, *axes: int, channels_last: bool = False) -> None:
        self.axes = axes
        self.channels_last = channels_last

    def to_keras(self, value: torch.Tensor) -> torch.Tensor:
        """A view of torch's tensor in Keras's order."""
        return value.permute(self.axes) if self.axes else value

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        """A tensor without values for this shape of Keras's, in torch's order."""
        if self.axes:
            shape = [shape[self.axes.index(axis)] for axis in range(len(shape))]
        return torch.empty(tuple(shape), dtype=dtype, memory_format=self._format(len(shape)))

    def to_torch(self, value: torch.Tensor) -> torch.Tensor:
        """A contiguous tensor in torch's order."""
        return _plain(self.as_torch(value), self._format(value.ndim))

    def as_torch(self, value: torch.Tensor) -> torch.Tensor:
        """A view of a tensor of Keras's in torch's order."""
        if not self.axes:
            return value
        return value.permute([self.axes.index(axis) for axis in range(len(self.axes))])

    def fill(self, value: torch.Tensor, read: Callable[[torch.Tensor], Any]) -> None:
        """Fill torch's tensor by a function that fills one in Keras's order."""
        read(self.to_keras(value))

    def _format(self, rank: int) -> torch.memory_format:
        if not self.channels_last or rank not in (4, 5):
            return torch.contiguous_format
        return torch.channels_last if rank == 4 else torch.channels_last_3d


def _plain(value: torch.Tensor, layout: torch.memory_format) -> torch.Tensor:
    """The value in a memory format, with the strides that a new tensor has.

    `contiguous` leaves any stride to an axis of size 1, which some backward passes refuse.
    """
    if 1 in value.shape:
        return torch.empty_like(value, memory_format=layout).copy_(value)
    return value.contiguous(memory_format=layout)


def untied(
    x: torch.Tensor, weight: torch.Tensor, steps: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """What goes into a convolution, as torch computes it rightly.

    With one channel any stride of that axis is allowed. Taken for channels last, with steps along
    the last axis alone that leave a single column, torch 2.14 mixes up the rows on the CPU.
    """
    if steps[-1] == 1 or x.shape[1] != 1 or tuple(steps[-2:-1]) != (1,):
        return x, weight
    return x.squeeze(1).unsqueeze(1), weight.squeeze(1).unsqueeze(1)


SAME = Layout()
DENSE = Layout(1, 0)
CONV = {
    1: Layout(2, 1, 0),
    2: Layout(2, 3, 1, 0, channels_last=True),
    3: Layout(2, 3, 4, 1, 0, channels_last=True),
}
