"""Pooling: the largest or the mean value of each window, or of all there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from nnkit.arguments import one_of, sizes
from nnkit.layers.convolution import SpatialLayer
from nnkit.probing import like
from nnkit.shapes import same_padding

__all__ = [
    "AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "AvgPool1D", "AvgPool2D",
    "AvgPool3D", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D",
    "GlobalAvgPool1D", "GlobalAvgPool2D", "GlobalAvgPool3D", "GlobalMaxPool1D", "GlobalMaxPool2D",
    "GlobalMaxPool3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D",
    "MaxPool1D", "MaxPool2D", "MaxPool3D", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D",
]  # fmt: skip

_SEQUENCE = "(batch, time, channels)"
_IMAGE = "(batch, height, width, channels)"
_VOLUME = "(batch, depth, height, width, channels)"


class _Pooling(SpatialLayer):
    """What maximum and average have in common: arguments, checks and padding."""

    def __init__(
        self,
        pool_size: Any,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.set_data_format(data_format)
        self.pool_size = sizes(self.label, "pool_size", pool_size, self.rank)
        steps = self.pool_size if strides is None else strides
        self.strides = sizes(self.label, "strides", steps, self.rank)
        self.padding = one_of(self.label, "padding", padding, ("valid", "same"))
        self._window = self.full(self.pool_size, 1)
        self._steps = self.full(self.strides, 1)

    def check_input(self, shape: Any) -> None:
        super().check_input(shape)
        if self.padding == "valid":
            self.check_window(shape, "pool_size", self.pool_size)

    def pool(self, x: torch.Tensor, padding: Any, partial: bool) -> torch.Tensor:
        """Pool a channels-first tensor; `partial` keeps a last window that juts out."""
        raise NotImplementedError

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        x = self.to_torch(inputs)
        if self.padding == "valid":
            return self.from_torch(self.pool(x, 0, False))
        every = zip(x.shape[2:], self._window, self._steps, strict=True)
        pads = [same_padding(*sizes) for sizes in every]
        if all(before == after for before, after in pads):
            return self.from_torch(self.pool(x, [before for before, _ in pads], True))
        return self.from_torch(self.pool_unevenly(x, pads))

    def pool_unevenly(self, x: torch.Tensor, pads: Sequence[tuple[int, int]]) -> torch.Tensor:
        """Pool with other padding in front of an axis than behind it."""
        # Torch pads both ends alike. With a stride, its last window may jut out beyond that, which
        # is the missing pixel. Without, pad more at the front and drop the first output.
        extra = [
            after - before if step == 1 else 0
            for (before, after), step in zip(pads, self._steps, strict=True)
        ]
        front = [before + more for (before, _), more in zip(pads, extra, strict=True)]
        outputs = self.pool(x, front, True)
        for axis, more in enumerate(extra, start=2):
            if more:
                outputs = outputs.narrow(axis, more, outputs.shape[axis] - more)
        return outputs

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        return self.infer_windows(inputs, self.pool_size, (1,) * self.rank, None)


class _MaxPooling(_Pooling):
    """Base of MaxPooling1D, 2D and 3D."""

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)

    def pool(self, x: torch.Tensor, padding: Any, partial: bool) -> torch.Tensor:
        kernel = torch.max_pool3d if self.rank == 3 else torch.max_pool2d
        return kernel(x, self._window, self._steps, padding, 1, partial)


class _AveragePooling(_Pooling):
    """Base of AveragePooling1D, 2D and 3D."""

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        self.check_floating(inputs)
        return super().call(inputs)

    def pool_unevenly(self, x: torch.Tensor, pads: Sequence[tuple[int, int]]) -> torch.Tensor:
        # As Keras on torch: where the ends are padded unlike, the border pixels are repeated.
        both = [pixels for pair in reversed(pads[self.rank == 1 :]) for pixels in pair]
        if self.rank == 1:
            return self.pool(F.pad(x.squeeze(2), both, "replicate").unsqueeze(2), 0, False)
        return self.pool(F.pad(x, both, "replicate"), 0, False)

    def pool(self, x: torch.Tensor, padding: Any, partial: bool) -> torch.Tensor:
        if self.rank == 3:
            return self._pool_volume(x, padding or (0, 0, 0), partial)
        return F.avg_pool2d(x, self._window, self._steps, padding, partial, False)

    def _pool_volume(self, x: torch.Tensor, padding: Any, partial: bool) -> torch.Tensor:
        # Slice by slice, then along the depth: torch's kernel for volumes copies what lies channels
        # last, and refuses volumes smaller than the window.
        (depth, *window), (down, *steps), (front, *pads) = self._window, self._steps, padding
        slices = x.transpose(1, 2).flatten(0, 1)
        slices = F.avg_pool2d(slices, window, steps, pads, partial, False)
        x = torch.unflatten(slices, 0, (-1, x.shape[2])).transpose(1, 2)
        rows = F.avg_pool2d(x.flatten(3), (depth, 1), (down, 1), (front, 0), partial, False)
        return torch.unflatten(rows, 3, x.shape[3:])


class MaxPooling1D(_MaxPooling):
    """Keep the largest value in each window of a sequence.

    Args: those of `MaxPooling2D`, for one axis of time steps.

    Shape: (batch, time, channels) -> (batch, new_time, channels)
    Raises: ShapeError if the sequence is shorter than the window.
    """

    rank = 1
    accepts = _SEQUENCE


class MaxPooling2D(_MaxPooling):
    """Keep the largest value in each window of an image.

    Args:
        pool_size: window in pixels, an int or (height, width).
        strides: step in pixels; pool_size when None.
        padding: "valid" (none) or "same" (output = ceil(input / strides)); padding never wins.
        data_format: "channels_last", or "channels_first" for (batch, channels, ...).

    Shape: (batch, height, width, channels) -> (batch, new_height, new_width, channels)
    Raises: ShapeError if the image is smaller than the window.
    """

    rank = 2
    accepts = _IMAGE


class MaxPooling3D(_MaxPooling):
    """Keep the largest value in each window of a volume.

    Args: those of `MaxPooling2D`, for three axes (depth, height, width).

    Shape: (batch, depth, height, width, channels) -> (batch, ..., channels)
    Raises: ShapeError if the volume is smaller than the window.
    """

    rank = 3
    accepts = _VOLUME


class AveragePooling1D(_AveragePooling):
    """Take the mean of each window of a sequence.

    Args: those of `AveragePooling2D`, for one axis of time steps.

    Shape: (batch, time, channels) -> (batch, new_time, channels)
    Raises: ShapeError if the sequence is shorter than the window.
    """

    rank = 1
    accepts = _SEQUENCE


class AveragePooling2D(_AveragePooling):
    """Take the mean of each window of an image.

    Args:
        pool_size: window in pixels, an int or (height, width).
        strides: step in pixels; pool_size when None.
        padding: "valid" (none) or "same" (output = ceil(input / strides)). Padding does not
            count where it is alike at both ends of each axis; else border pixels are repeated.
        data_format: "channels_last", or "channels_first" for (batch, channels, ...).

    Shape: (batch, height, width, channels) -> (batch, new_height, new_width, channels)
    Raises: ShapeError if the image is smaller than the window.
    """

    rank = 2
    accepts = _IMAGE


class AveragePooling3D(_AveragePooling):
    """Take the mean of each window of a volume.

    Args: those of `AveragePooling2D`, for three axes (depth, height, width).

    Shape: (batch, depth, height, width, channels) -> (batch, ..., channels)
    Raises: ShapeError if the volume is smaller than the window.
    """

    rank = 3
    accepts = _VOLUME


class _GlobalPooling(SpatialLayer):
    """What both kinds of global pooling have in common."""

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.set_data_format(data_format)
        self.keepdims = bool(keepdims)
        first = 1 if self._last else 2
        self._axes = tuple(range(first, first + self.rank))

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        whole = self._kept(inputs)
        rest = [size for axis, size in enumerate(whole) if axis not in self._axes]
        return like(inputs, whole if self.keepdims else rest)

    def _kept(self, inputs: torch.Tensor) -> list[int]:
        return [1 if axis in self._axes else size for axis, size in enumerate(inputs.shape)]


class _GlobalMaxPooling(_GlobalPooling):
    """Base of GlobalMaxPooling1D, 2D and 3D."""

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        # On a CPU the gradient of amax, which shares among equal values, takes five times longer.
        if not (inputs.is_cpu and inputs.requires_grad and torch.is_grad_enabled()):
            return inputs.amax(self._axes, self.keepdims)
        if self._last:
            x = inputs.flatten(1, -2).unsqueeze(1).movedim(-1, 1)
        else:
            x = inputs.flatten(2).unsqueeze(2)
        largest = F.adaptive_max_pool2d(x, 1).flatten(1)
        return largest.view(self._kept(inputs)) if self.keepdims else largest


class _GlobalAveragePooling(_GlobalPooling):
    """Base of GlobalAveragePooling1D, 2D and 3D."""

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        kind = None if inputs.is_floating_point() else self._compute
        return inputs.mean(self._axes, self.keepdims, dtype=kind)


class GlobalMaxPooling1D(_GlobalMaxPooling):
    """Keep the largest value of each channel of a sequence.

    Args:
        data_format: "channels_last", or "channels_first" for (batch, channels, ...).
        keepdims: whether the pooled axes stay, with size 1.

    Shape: (batch, time, channels) -> (batch, channels)
    """

    rank = 1
    accepts = _SEQUENCE


class GlobalMaxPooling2D(_GlobalMaxPooling):
    """Keep the largest value of each channel of an image.

    Args:
        data_format: "channels_last", or "channels_first" for (batch, channels, ...).
        keepdims: whether the pooled axes stay, with size 1.

    Shape: (batch, height, width, channels) -> (batch, channels)
    """

    rank = 2
    accepts = _IMAGE


class GlobalMaxPooling3D(_GlobalMaxPooling):
    """Keep the largest value of each channel of a volume.

    Args:
        data_format: "channels_last", or "channels_first" for (batch, channels, ...).
        keepdims: whether the pooled axes stay, with size 1.

    Shape: (batch, depth, height, width, channels) -> (batch, channels)
    """

    rank = 3
    accepts = _VOLUME


class GlobalAveragePooling1D(_GlobalAveragePooling):
    """Take the mean of each channel of a sequence.

    Args:
        data_format: "channels_last", or "channels_first" for (batch, channels, ...).
        keepdims: whether the pooled axes stay, with size 1.

    Call: mask, (batch, time): steps that do not count; with none left the mean is zero.

    Shape: (batch, time, channels) -> (batch, channels)
    """

    rank = 1
    accepts = _SEQUENCE
    supports_masking = True

    def call(self, inputs: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        if mask is None:
            return super().call(inputs)
        valid = mask.bool().unsqueeze(-1 if self._last else 1)
        total = torch.where(valid, inputs, 0).sum(self._axes, self.keepdims)
        return total / valid.sum(self._axes, self.keepdims).clamp(min=1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None


class GlobalAveragePooling2D(_GlobalAveragePooling):
    """Take the mean of each channel of an image.

    Args:
        data_format: "channels_last", or "channels_first" for (batch, channels, ...).
        keepdims: whether the pooled axes stay, with size 1.

    Shape: (batch, height, width, channels) -> (batch, channels)
    """

    rank = 2
    accepts = _IMAGE


class GlobalAveragePooling3D(_GlobalAveragePooling):
    """Take the mean of each channel of a volume.

    Args:
        data_format: "channels_last", or "channels_first" for (batch, channels, ...).
        keepdims: whether the pooled axes stay, with size 1.

    Shape: (batch, depth, height, width, channels) -> (batch, channels)
    """

    rank = 3
    accepts = _VOLUME


MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
GlobalMaxPool1D, GlobalMaxPool2D = GlobalMaxPooling1D, GlobalMaxPooling2D
GlobalMaxPool3D, GlobalAvgPool3D = GlobalMaxPooling3D, GlobalAveragePooling3D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D
