"""Layers that move, repeat, add or cut away elements without computing with them."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F

from nnkit.convert import in_range
from nnkit.errors import ArgumentError, ShapeError
from nnkit.layer import Layer
from nnkit.shapes import axes, check, describe, one_of, positive, sizes

__all__ = [
    "Cropping1D", "Cropping2D", "Cropping3D", "Flatten", "Permute", "RepeatVector", "Reshape",
    "UpSampling1D", "UpSampling2D", "UpSampling3D", "ZeroPadding1D", "ZeroPadding2D",
    "ZeroPadding3D",
]  # fmt: skip

_FORMATS = ("channels_last", "channels_first")


class Flatten(Layer):
    """Put all elements of a sample in one row.

    Args:
        data_format: "channels_last" (also None), or "channels_first" to move axis 1 to the end
            first, so that both formats give the same row.

    Shape: (batch, ...) -> (batch, features); (batch,) -> (batch, 1)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = one_of(self.label, "data_format", data_format or _FORMATS[0], _FORMATS)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        if inputs.ndim < 2:
            return inputs.unsqueeze(-1)
        if self.data_format == "channels_first":
            inputs = inputs.movedim(1, -1)
        return inputs.flatten(1)


class Reshape(Layer):
    """Give each sample another shape.

    Args:
        target_shape: the new sizes without the batch axis; one may be -1, which takes the rest.

    Shape: (batch, ...) -> (batch, *target_shape)
    Raises: ShapeError when the number of elements differs.
    """

    def __init__(self, target_shape: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        target = tuple(target_shape) if isinstance(target_shape, (list, tuple)) else (target_shape,)
        self.target_shape = tuple(
            -1 if size in (-1, None) else positive(self.label, "a target size", size, least=0)
            for size in target
        )
        self._known = math.prod(size for size in self.target_shape if size != -1)
        if self.target_shape.count(-1) > 1 or (-1 in self.target_shape and self._known == 0):
            raise ArgumentError(
                f"{self.label}: target_shape may have one -1, and no 0 beside it, "
                f"got {self.target_shape}."
            )

    def check_input(self, shape: Any) -> None:
        if None in shape[1:]:
            return
        count, known = math.prod(shape[1:]), self._known
        if -1 not in self.target_shape and count != known:
            fault = f"{known} elements"
        elif -1 in self.target_shape and (known == 0 or count % known):
            fault = f"a multiple of {known} elements"
        else:
            return
        raise ShapeError(
            f"{self.label} cannot turn {describe(shape)} into "
            f"{describe((None, *self.target_shape))}: the input has {count} elements a sample, the "
            f"target {fault}. The batch axis does not belong in target_shape."
        )

    def _sizes(self, inputs: torch.Tensor) -> list[int]:
        # Torch cannot find a -1 when there are no samples, so it is worked out here.
        sizes = [inputs.shape[0], *self.target_shape]
        if -1 in self.target_shape:
            sizes[sizes.index(-1, 1)] = math.prod(inputs.shape[1:]) // self._known
        return sizes

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        # Not by running it: free sizes may only fit the target once they are known.
        return inputs.new_empty(self._sizes(inputs))

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.reshape(self._sizes(inputs))


class Permute(Layer):
    """Put the axes of each sample in another order.

    Args:
        dims: for each new axis, the old one it is; counted from 1, without the batch axis.

    Shape: (batch, ...) -> (batch, ...)
    Raises: ArgumentError unless dims has every number from 1 to its length once.
    Example: `Permute((2, 1))` takes (batch, time, features) to (batch, features, time).
    """

    def __init__(self, dims: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims) if isinstance(dims, (list, tuple)) else (dims,)
        if {*self.dims} != {*range(1, len(self.dims) + 1)}:
            raise ArgumentError(
                f"{self.label}: dims must hold each of 1 to the number of axes once, the batch "
                f"axis not counted, got {dims!r}."
            )

    def check_input(self, shape: Any) -> None:
        if len(shape) != len(self.dims) + 1:
            raise ShapeError(
                f"{self.label} has dims={self.dims} for {len(self.dims)} axes after the batch "
                f"axis, but received {describe(shape)}. Give one number an axis."
            )

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.permute(0, *self.dims)


class RepeatVector(Layer):
    """Repeat a vector along a new time axis.

    Args:
        n: number of time steps.

    Shape: (batch, features) -> (batch, n, features)
    Raises: ArgumentError unless n is a whole number of at least 1.
    """

    accepts = "(batch, features)"

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = positive(self.label, "n", n)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.unsqueeze(1).repeat(1, self.n, 1)

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        return inputs.new_empty((inputs.shape[0], self.n, inputs.shape[1]))


class _Spatial(Layer):
    """A layer for sequences, images or volumes, with the channels last or first."""

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = one_of(self.label, "data_format", data_format or _FORMATS[0], _FORMATS)
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


class _ZeroPadding(_Spatial):
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


class _Cropping(_Spatial):
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


class _UpSampling(_Spatial):
    def __init__(self, size: Any, data_format: str | None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.factors = sizes(self.label, "size", size, self.rank)
        self.size: Any = self.factors if self.rank > 1 else self.factors[0]

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        found = [*inputs.shape]
        for axis, factor in enumerate(self.factors, 2 if self.first else 1):
            found[axis] *= factor
        return inputs.new_empty(found)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.first:
            return self.enlarge(inputs)
        return self.enlarge(inputs.movedim(-1, 1)).movedim(1, -1)

    def enlarge(self, x: torch.Tensor) -> torch.Tensor:
        """The result for (batch, channels, ...)."""
        return _repeat(x, self.factors)


class UpSampling1D(_UpSampling):
    """Repeat each step of a sequence.

    Args:
        size: how many times.

    Shape: (batch, time, channels) -> (batch, time * size, channels)
    Raises: ArgumentError unless size is a whole number of at least 1.
    """

    accepts = "(batch, time, channels)"

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(size, None, **kwargs)


class UpSampling2D(_UpSampling):
    """Enlarge an image.

    Args:
        size: factor, a whole number or (height, width).
        data_format: "channels_last" (also None) or "channels_first".
        interpolation: "nearest" (repeats pixels), "bilinear", "bicubic", "lanczos3" or "lanczos5".

    Shape: (batch, height, width, channels) -> (batch, new_height, new_width, channels)
    Raises: ArgumentError for an unknown interpolation.
    """

    accepts = "(batch, height, width, channels)"

    def __init__(
        self,
        size: Any = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(size, data_format, **kwargs)
        known = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
        self.interpolation = one_of(self.label, "interpolation", interpolation, known)

    def enlarge(self, x: torch.Tensor) -> torch.Tensor:
        if self.interpolation == "nearest":
            return _repeat(x, self.factors)
        if self.interpolation.startswith("lanczos"):
            return _lanczos(x, self.factors, int(self.interpolation[-1]))
        factors = [float(factor) for factor in self.factors]
        values = x if x.is_floating_point() else x.float()
        enlarged = F.interpolate(values, scale_factor=factors, mode=self.interpolation)
        return enlarged if values is x else in_range(enlarged, x.dtype)


class UpSampling3D(_UpSampling):
    """Repeat each voxel of a volume.

    Args:
        size: factor, a whole number or (depth, height, width).
        data_format: "channels_last" (also None) or "channels_first".

    Shape: (batch, depth, height, width, channels) -> the same with larger sizes
    """

    accepts = "(batch, depth, height, width, channels)"

    def __init__(self, size: Any = (2, 2, 2), data_format: str | None = None, **kwargs: Any):
        super().__init__(size, data_format, **kwargs)


def _repeat(x: torch.Tensor, factors: tuple[int, ...]) -> torch.Tensor:
    """Repeat the elements of (batch, channels, ...) along the spatial axes."""
    if not x.is_floating_point():
        for axis, factor in enumerate(factors, 2):
            x = x.repeat_interleave(factor, dim=axis)
        return x
    if x.ndim == 3:  # as an image one pixel high, for which torch knows channels-last memory
        return _repeat(x.unsqueeze(2), (1, *factors)).squeeze(2)
    # "nearest" divides in float32 and can miss by one pixel, except by powers of two.
    exact = all(factor & (factor - 1) == 0 for factor in factors)
    mode = "nearest" if exact else "nearest-exact"
    return F.interpolate(x, scale_factor=[float(factor) for factor in factors], mode=mode)


def _lanczos(x: torch.Tensor, factors: tuple[int, ...], radius: int) -> torch.Tensor:
    """Enlarge (batch, channels, height, width) by a windowed sinc that spans `radius` pixels."""
    for axis, factor in enumerate(factors, 2):
        count = x.shape[axis]
        at = (torch.arange(count * factor, device=x.device) + 0.5) / factor - 0.5
        distance = (at.unsqueeze(1) - torch.arange(count, device=x.device)).abs()
        weights = torch.sinc(distance) * torch.sinc(distance / radius) * (distance < radius)
        weights = (weights / weights.sum(1, keepdim=True)).to(x.dtype)
        x = (x.movedim(axis, -1) @ weights.T).movedim(-1, axis)
    return x
