"""Activation functions as layers, for those that have options or weights."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from nnkit import activations
from nnkit.arguments import check_axes, number, positive
from nnkit.errors import ShapeError
from nnkit.layers.identity import SameShape
from nnkit.shapes import describe

__all__ = ["ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax"]


class ReLU(SameShape):
    """Keep what is positive, with an optional leak, ceiling and threshold.

    Args:
        max_value: the largest value returned; no limit when None.
        negative_slope: factor on `x - threshold` below the threshold.
        threshold: elements below it count as negative.

    Shape: any -> the same
    Raises: ArgumentError for a negative argument.
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        who = self.label
        self.max_value = None if max_value is None else number(who, "max_value", max_value, 0)
        self.negative_slope = number(who, "negative_slope", negative_slope, 0)
        self.threshold = number(who, "threshold", threshold, 0)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)


class LeakyReLU(SameShape):
    """Keep what is positive, multiply the rest by a small slope.

    Args:
        negative_slope: the factor below zero (torch's default is 0.01); `alpha` is its old name.

    Shape: any -> the same
    Raises: ArgumentError for a negative slope.
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.negative_slope = number(self.label, "negative_slope", negative_slope, 0)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(inputs, self.negative_slope)


class PReLU(SameShape):
    """Keep what is positive, multiply the rest by slopes that are learned.

    Args:
        alpha_initializer: of the slopes, one for each element of a sample.
        alpha_regularizer: adds to the loss.
        alpha_constraint: applied after each update.
        shared_axes: axes along which a slope is shared, the batch axis counted: [1, 2] for one
            slope a channel of an image.

    Shape: any -> the same
    Raises: ShapeError if an axis with slopes of its own is free, or changes between calls.
    Source: He et al., 1502.01852.
    """

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.set_options("alpha", alpha_initializer, alpha_regularizer, alpha_constraint)
        shared = [] if shared_axes is None else shared_axes
        shared = shared if isinstance(shared, (list, tuple)) else [shared]
        self.shared_axes = [positive(self.label, "an entry of shared_axes", i) for i in shared]
        self.register_parameter("alpha", None)

    def check_input(self, shape: Any) -> None:
        if max(self.shared_axes, default=0) >= len(shape):
            raise ShapeError(
                f"{self.label} shares axes {self.shared_axes}, but {describe(shape)} has no axis "
                f"{max(self.shared_axes)}. The batch axis is axis 0."
            )
        slopes = (None, *self.alpha.shape) if self.built else shape
        same = len(slopes) == len(shape) and all(
            axis in self.shared_axes or None in (slopes[axis], shape[axis])
            for axis in range(1, len(shape))
            if slopes[axis] != shape[axis]
        )
        if not same:
            raise ShapeError(
                f"{self.label} has slopes of shape {describe(slopes[1:])} but received "
                f"{describe(shape)}. Share the axes that change, shared_axes=[1, 2], or make a new "
                f"layer."
            )

    def build(self, input_shape: Any) -> None:
        sizes = [1 if i in self.shared_axes else n for i, n in enumerate(input_shape)][1:]
        if None in sizes:
            raise ShapeError(
                f"{self.label} needs to know the size of axis {sizes.index(None) + 1}, but "
                f"received {describe(input_shape)}. Give it in Input(shape=...), or share that "
                f"axis with shared_axes."
            )
        self.alpha = self.add_named_weight("alpha", sizes)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        # F.prelu is faster forward, but its backward takes four times as long on a CPU.
        return torch.addcmul(F.relu(inputs), self.alpha, F.relu(-inputs), value=-1)


class ELU(SameShape):
    """Keep what is positive; below zero, alpha * (exp(x) - 1).

    Args:
        alpha: minus the value that very negative elements come to.

    Shape: any -> the same
    Raises: ArgumentError unless alpha is a number.
    Source: Clevert et al., 1511.07289.
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = number(self.label, "alpha", alpha)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return activations.elu(inputs, self.alpha)


class Softmax(SameShape):
    """Turn scores into probabilities that sum to 1.

    Args:
        axis: the axis, or axes, whose elements compete, the batch axis counted.

    Call: `mask`, True where an element takes part and 0 probability elsewhere; each of its axes,
        counted from the end, has the input's size or 1.
    Shape: any -> the same
    Raises: ShapeError if an axis is not there or the mask does not fit.
    """

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        listed = isinstance(axis, (list, tuple))
        axes = tuple(axis) if listed else (axis,)
        check_axes(self, axis, several=True)
        self.axis = list(axes) if listed else axis
        self._axes: Any = axes if len(axes) > 1 else axes[0]

    def check_input(self, shape: Any) -> None:
        for axis in self.axis if isinstance(self.axis, list) else [self.axis]:
            if not -len(shape) <= axis < len(shape):
                raise ShapeError(
                    f"{self.label} works along axis {axis}, but {describe(shape)} has axes 0 to "
                    f"{len(shape) - 1}. Change axis=, the batch axis is 0."
                )

    def infer_output(self, inputs: Any, mask: Any = None, **kwargs: Any) -> Any:
        self._check_mask(inputs, mask)
        return super().infer_output(inputs, mask=mask)

    def _check_mask(self, inputs: torch.Tensor, mask: torch.Tensor | None) -> None:
        if mask is None:
            return
        pairs = zip(reversed(mask.shape), reversed(inputs.shape), strict=False)
        if mask.ndim > inputs.ndim or any(own not in (1, size) for own, size in pairs):
            raise ShapeError(
                f"{self.label} has a mask {describe(mask.shape)} that does not fit "
                f"{describe(inputs.shape)}. Give a mask of the input's shape, with 1 for axes it "
                f"does not depend on. If it is the mask of time steps, use Activation('softmax')."
            )

    def call(self, inputs: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        if mask is None:
            return activations.softmax(inputs, self._axes)
        self._check_mask(inputs, mask)
        out = ~mask if mask.dtype == torch.bool else mask <= 0.5
        low = -3e4 if inputs.dtype == torch.float16 else -1e9
        # Where everything is masked the softmax would be uniform, so zero it once more.
        return activations.softmax(inputs.masked_fill(out, low), self._axes).masked_fill(out, 0)
