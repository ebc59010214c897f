"""Layers that add zeros around a sequence, image or volume, or cut its border away."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from nnkit.arguments import image_format, sizes
from nnkit.errors import ArgumentError, ShapeError
from nnkit.layer import Layer
from nnkit.shapes import axes, check, describe

__all__ = [
    "Cropping1D", "Cropping2D", "Cropping3D", "SpatialAxes", "ZeroPadding1D", "ZeroPadding2D",
    "ZeroPadding3D",
]  # fmt: skip


class SpatialAxes(Layer):
    """A layer for sequences, images or volumes, with the channels last or first."""

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = image_format(self.label, data_format)
        self.first = self.data_format == "channels_first"
        self.rank = len(axes(self.accepts or "")) - 2

    def check_input(self, shape: Any) -> None:
        names = axes(self.accepts or "")
        names = (names[0], names[-1], *names[1:-1]) if self.first else names
        check(self.label, f"({', '.join(names)})", shape)

    def sides(self, argument: str, value: Any) -> tuple[tuple[int, ...], ...]:
        """(before, after) for each spatial axis, from an int, an int an axis, or pairs."""
        values = (value,) if self.rank == 1 or isinstance(value, int) else value
        if values == (value,):
            values *= self.rank
        if not isinstance(values, (list, tuple)) or len(values) != self.rank:
            raise ArgumentError(
                f"{self.label}: {argument} must be an int or {self.rank} entries, each an int or "
                f"(before, after), got {value!r}."
            )
        return tuple(sizes(self.label, argument, item, 2, least=0) for item in values)


class _ZeroPadding(SpatialAxes):
    def __init__(self, padding: Any, data_format: str | None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        pairs = self.sides("padding", padding)
        self.padding: Any = pairs if self.rank > 1 else pairs[0]
        # Torch wants the last axis first.
        around = [size for pair in reversed(pairs) for size in pair]
        self._around = around if self.first else [0, 0, *around]

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return F.pad(inputs, self._around)


class ZeroPadding1D(_ZeroPadding):
    """Add zeros at the ends of a sequence.

    Args:
        padding: time steps to add at each end, an int or (before, after).
        data_format: "channels_last" (also None) or "channels_first".

    Shape: (batch, time, channels) -> (batch, longer_time, channels)
    """

    accepts = "(batch, time, channels)"

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(padding, data_format, **kwargs)


class ZeroPadding2D(_ZeroPadding):
    """Add zeros around an image.

    Args:
        padding: pixels to add, an int, (height, width), or ((top, bottom), (left, right)).
        data_format: "channels_last" (also None) or "channels_first".

    Shape: (batch, height, width, channels) -> (batch, new_height, new_width, channels)
    """

    accepts = "(batch, height, width, channels)"

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any):
        super().__init__(padding, data_format, **kwargs)


class ZeroPadding3D(_ZeroPadding):
    """Add zeros around a volume; the arguments are those of ZeroPadding2D, with three axes.

    Shape: (batch, depth, height, width, channels) -> the same with larger sizes
    """

    accepts = "(batch, depth, height, width, channels)"

    def __init__(self, padding: Any = ((1, 1),) * 3, data_format: str | None = None, **kwargs: Any):
        super().__init__(padding, data_format, **kwargs)


class _Cropping(SpatialAxes):
    def __init__(self, cropping: Any, data_format: str | None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self._pairs = self.sides("cropping", cropping)
        self.cropping: Any = self._pairs if self.rank > 1 else self._pairs[0]
        kept = [slice(before, -after if after else None) for before, after in self._pairs]
        self._index = (slice(None),) * (2 if self.first else 1) + tuple(kept)

    def check_input(self, shape: Any) -> None:
        super().check_input(shape)
        for axis, pair in enumerate(self._pairs, 2 if self.first else 1):
            if shape[axis] is not None and sum(pair) >= shape[axis]:
                raise ShapeError(
                    f"{self.label} cuts {pair[0]} + {pair[1]} from axis {axis}, which leaves "
                    f"nothing of {describe(shape)}. Crop less."
                )

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs[self._index]


class Cropping1D(_Cropping):
    """Cut steps off the ends of a sequence.

    Args:
        cropping: time steps to cut at each end, an int or (before, after).

    Shape: (batch, time, channels) -> (batch, shorter_time, channels)
    Raises: ShapeError if nothing would be left.
    """

    accepts = "(batch, time, channels)"

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any) -> None:
        super().__init__(cropping, None, **kwargs)


class Cropping2D(_Cropping):
    """Cut pixels off the borders of an image.

    Args:
        cropping: pixels to cut, an int, (height, width), or ((top, bottom), (left, right)).
        data_format: "channels_last" (also None) or "channels_first".

    Shape: (batch, height, width, channels) -> (batch, new_height, new_width, channels)
    Raises: ShapeError if nothing would be left.
    """

    accepts = "(batch, height, width, channels)"

    def __init__(
        self, cropping: Any = ((0, 0),) * 2, data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(cropping, data_format, **kwargs)


class Cropping3D(_Cropping):
    """Cut the borders off a volume; the arguments are those of Cropping2D, with three axes.

    Shape: (batch, depth, height, width, channels) -> the same with smaller sizes
    """

    accepts = "(batch, depth, height, width, channels)"

    def __init__(
        self, cropping: Any = ((1, 1),) * 3, data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(cropping, data_format, **kwargs)
