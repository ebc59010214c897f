"""Normalization of each channel over the batch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from nnkit import initializers
from nnkit.arguments import number
from nnkit.errors import ArgumentError, ShapeError, unknown_name
from nnkit.layers.normalization import NormalizationLayer
from nnkit.shapes import describe
from nnkit.weights import keras_view

__all__ = ["BatchNormalization"]

_TINY = 1e-7  # Keras's epsilon() in the mean of masked steps


class BatchNormalization(NormalizationLayer):
    """Give each channel mean 0 and variance 1 over the batch, then a learned scale and offset.

    Inference uses moving averages of what training saw. A layer with trainable=False is always in
    inference mode. Masked steps do not count.

    Args:
        axis: the axis of the channels.
        momentum: the fraction 0 to 1 that a moving average keeps of itself at each step.
        epsilon: added to the variance.
        center, scale: whether to learn an offset beta, a scale gamma.
        beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer:
            of these weights, (channels,); beta and gamma also take regularizers and constraints.
        renorm: train with the moving averages too, by corrections that no gradient enters.
        renorm_clipping: bounds "rmin", "rmax" and "dmax" of these corrections.
        renorm_momentum: momentum of renorm's own averages.
        synchronized: not available; see the error.

    Shape: (batch, ..., channels) -> the same
    Source: https://arxiv.org/abs/1502.03167, https://arxiv.org/abs/1702.03275 for renorm.
    """

    running_mean: torch.Tensor
    running_var: torch.Tensor
    moving_stddev: torch.Tensor
    renorm_mean: torch.Tensor
    renorm_stddev: torch.Tensor
    moving_mean = keras_view("running_mean")
    moving_variance = keras_view("running_var")

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: dict[str, float] | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.set_axis(axis)
        self.set_epsilon(epsilon)
        self.momentum = float(number(self, "momentum", momentum, 0, 1))
        self.renorm_momentum = float(number(self, "renorm_momentum", renorm_momentum, 0, 1))
        self.center, self.scale, self.renorm = center, scale, renorm
        self.set_options("gamma", gamma_initializer, gamma_regularizer, gamma_constraint)
        self.set_options("beta", beta_initializer, beta_regularizer, beta_constraint)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.renorm_clipping = self._clipping(renorm_clipping or {})
        if synchronized:
            raise ArgumentError(
                f"{self.label}: synchronized=True is not available. For several processes use "
                f"torch.nn.SyncBatchNorm as a layer, with channels first."
            )

    def _clipping(self, bounds: dict[str, float]) -> dict[str, float]:
        if not isinstance(bounds, dict):
            raise ArgumentError(
                f"{self.label}: renorm_clipping must be a dict of rmin, rmax, dmax, got {bounds!r}."
            )
        for name in set(bounds) - {"rmin", "rmax", "dmax"}:
            raise unknown_name("bound in renorm_clipping", name, ["rmin", "rmax", "dmax"])
        rmin, rmax, dmax = (bounds.get(name) for name in ("rmin", "rmax", "dmax"))
        wrong = rmin is not None and rmax is not None and rmin > rmax
        if wrong or (dmax is not None and dmax < 0):
            raise ArgumentError(
                f"{self.label}: renorm_clipping needs rmin <= rmax and dmax >= 0, got {bounds}."
            )
        return dict(bounds)

    def build(self, input_shape: Any) -> None:
        shape = self.fix_sizes(input_shape)
        if self.scale:
            self.weight = self.add_named_weight("gamma", shape)
        if self.center:
            self.bias = self.add_named_weight("beta", shape)

        def make(initializer: Any) -> torch.Tensor:
            return initializers.call_initializer(initializer, shape, self._dtype)

        self.add_weight_buffer("running_mean", "moving_mean", make(self.moving_mean_initializer))
        variance = make(self.moving_variance_initializer)
        self.add_weight_buffer("running_var", "moving_variance", variance)
        if self.renorm:
            means = make(self.moving_mean_initializer)
            self.add_weight_buffer("moving_stddev", "moving_stddev", variance.sqrt())
            self.add_weight_buffer("renorm_mean", "renorm_mean", means)
            self.add_weight_buffer("renorm_stddev", "renorm_stddev", variance.sqrt())

    def call(self, inputs: torch.Tensor, training: Any = None, mask: Any = None) -> torch.Tensor:
        inputs = self.floating(inputs)
        training = training and self._trainable
        stepwise = training and (mask is not None or self.renorm)
        if inputs.dtype.itemsize == 2 and (stepwise or not self._has_float32_weights()):
            # Keras computes in float32; so does torch's kernel, but not without float32 weights.
            return self.call(inputs.float(), training=training, mask=mask).to(inputs.dtype)
        if stepwise:
            return self._train_stepwise(inputs, mask)
        rank = inputs.ndim
        axis = self.axis % rank
        if axis == 1:
            return self._normalize(inputs, training)
        if axis == rank - 1:
            # As rows of channels any rank goes through one kernel that reads memory in order.
            rows = inputs.reshape(-1, inputs.shape[-1])
            return self._normalize(rows, training).view(inputs.shape)
        return self._normalize(inputs.movedim(axis, 1), training).movedim(1, axis)

    def _has_float32_weights(self) -> bool:
        given = (self.weight, self.bias)
        return all(weight is not None and weight.dtype is torch.float32 for weight in given)

    def _normalize(self, x: torch.Tensor, training: bool) -> torch.Tensor:
        """With torch's kernel, for channels on axis 1."""
        mean, variance, epsilon = self.running_mean, self.running_var, self.epsilon
        weight, bias = self.weight, self.bias
        if mean.dtype.itemsize < x.dtype.itemsize:  # all in half precision, computed in float32
            mean, variance = mean.to(x.dtype), variance.to(x.dtype)
            weight, bias = (w if w is None else w.to(x.dtype) for w in (weight, bias))
        if not training:
            return F.batch_norm(x, mean, variance, weight, bias, eps=epsilon)
        # Torch's own tracking would take the unbiased variance, and it refuses single values.
        x, now, inverse = torch.native_batch_norm(x, weight, bias, None, None, True, 0.0, epsilon)
        self._track(now, inverse.pow(-2).sub_(epsilon))
        return x

    def _track(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        step, kind = 1 - self.momentum, self.running_mean.dtype
        if mean.dtype != kind:
            mean, variance = mean.to(kind), variance.to(kind)
        self.running_mean.lerp_(mean, step)
        self.running_var.lerp_(variance, step)

    def _train_stepwise(self, x: torch.Tensor, mask: Any) -> torch.Tensor:
        """Training where torch's kernel cannot help: with a mask, or with renorm."""
        mean, variance = self._moments(x, mask)
        deviation = (variance + self.epsilon).sqrt()
        normal = (x - mean) / deviation
        with torch.no_grad():
            means, variances, deviations = mean.view(-1), variance.view(-1), deviation.view(-1)
            if not self.renorm:
                self._track(means, variances)
            else:
                ratio, shift = self._correction(means, deviations)
                self._track_renorm(means, deviations)
        if self.renorm:
            normal = normal * self.broadcast(ratio, x.ndim) + self.broadcast(shift, x.ndim)
        return self.scale_and_shift(normal)

    def _moments(self, x: torch.Tensor, mask: Any) -> tuple[torch.Tensor, torch.Tensor]:
        axes = [axis for axis in range(x.ndim) if axis != self.axis % x.ndim]
        if mask is None:
            return x.mean(axes, keepdim=True), x.var(axes, correction=0, keepdim=True)
        if mask.ndim != x.ndim - 1:
            raise ShapeError(
                f"{self.label} needs a mask with the axes of its input except the last, "
                f"{describe(x.shape[:-1])}, but received {describe(mask.shape)}."
            )
        valid = mask.bool().unsqueeze(-1).expand_as(x)
        count = valid.sum(axes, keepdim=True) + _TINY
        mean = torch.where(valid, x, 0).sum(axes, keepdim=True) / count
        squares = torch.where(valid, x - mean, 0).square()
        return mean, squares.sum(axes, keepdim=True) / count

    def _correction(
        self, mean: torch.Tensor, deviation: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        known = self.renorm_stddev.clamp(min=self.epsilon**0.5)
        bounds = self.renorm_clipping
        ratio, shift = deviation / known, (mean - self.renorm_mean) / known
        if "rmin" in bounds or "rmax" in bounds:
            ratio = ratio.clamp(bounds.get("rmin"), bounds.get("rmax"))
        if "dmax" in bounds:
            shift = shift.clamp(-bounds["dmax"], bounds["dmax"])
        return ratio, shift

    def _track_renorm(self, mean: torch.Tensor, deviation: torch.Tensor) -> None:
        self.renorm_mean.lerp_(mean, 1 - self.renorm_momentum)
        self.renorm_stddev.lerp_(deviation, 1 - self.renorm_momentum)
        self.running_mean.lerp_(mean, 1 - self.momentum)
        self.moving_stddev.lerp_(deviation, 1 - self.momentum)
        self.running_var.copy_((self.moving_stddev.square() - self.epsilon).relu())
