"""How a weight lies in Keras and in torch. Layers store torch's layout and speak Keras's."""

from __future__ import annotations

import torch

__all__ = ["CONV", "DENSE", "SAME", "Layout"]


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

    def to_torch(self, value: torch.Tensor) -> torch.Tensor:
        """A contiguous tensor in torch's order."""
        if not self.axes:
            return value.contiguous()
        value = value.permute([self.axes.index(axis) for axis in range(len(self.axes))])
        if self.channels_last and value.ndim in (4, 5):
            last = torch.channels_last if value.ndim == 4 else torch.channels_last_3d
            return value.contiguous(memory_format=last)
        return value.contiguous()


SAME = Layout()
DENSE = Layout(1, 0)
CONV = {
    1: Layout(2, 1, 0),
    2: Layout(2, 3, 1, 0, channels_last=True),
    3: Layout(2, 3, 4, 1, 0, channels_last=True),
}
