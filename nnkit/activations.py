"""Activation functions: Keras's names, arguments and defaults over torch.

Each one maps a tensor to a tensor. `get` turns what a user writes as `activation=` into a function.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnkit.custom_objects import get_registered_name, supplying
from nnkit.errors import ArgumentError
from nnkit.registry import Registry

__all__ = [
    "REGISTRY", "Activation", "celu", "deserialize", "elu", "exponential", "gelu", "get", "glu",
    "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "identity",
    "keep_logits", "keeps_shape", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "logits_of",
    "mish", "relu", "relu6", "selu", "serialize", "sigmoid", "sign", "silu", "soft_shrink",
    "softmax",
    "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus", "step",
    "swish", "tanh", "tanh_shrink", "threshold",
]  # fmt: skip

Activation = Callable[[Tensor], Tensor]
Axis = int | tuple[int, ...] | list[int] | None

REGISTRY = Registry("activation", "keras.activations")

_keep = False


class keep_logits:  # noqa: N801 - used like a function
    """While active, softmax and sigmoid results remember the logits they were made of.

    A loss that is given probabilities can then be computed from the logits, which stays exact
    where the probabilities have rounded to 0 or 1:

        with keep_logits():
            probabilities = model(x)
        kind, logits = logits_of(probabilities)
    """

    def __init__(self) -> None:
        self._before: list[bool] = []

    def __enter__(self) -> keep_logits:
        global _keep
        self._before.append(_keep)
        _keep = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        global _keep
        _keep = self._before.pop()


def logits_of(y: Tensor) -> tuple[str, Tensor] | None:
    """What `y` was made of: ("softmax", logits), ("sigmoid", logits) or None when not known."""
    return getattr(y, "_keras_logits", None)


def _remember(y: Tensor, kind: str, x: Tensor) -> Tensor:
    y._keras_logits = (kind, x)  # type: ignore[attr-defined]  # a note on the tensor, see above
    return y


@REGISTRY.add("identity")
def linear(x: Tensor) -> Tensor:
    """Return `x` unchanged."""
    return x


identity = linear


@REGISTRY.add()
def step(x: Tensor) -> Tensor:
    """The Heaviside unit step: 0 below zero, 1 from zero on. Its gradient is zero everywhere."""
    # Built from floor and clamp, whose gradients are zero, so that backward runs and NaN stays NaN.
    return (torch.floor(x) + 1).clamp(0, 1)


@REGISTRY.add()
def sign(x: Tensor) -> Tensor:
    """-1, 0 or 1 by the sign of each element. Its gradient is zero everywhere."""
    return torch.sign(x)


@REGISTRY.add()
def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x)): each element becomes a probability of its own."""
    y = torch.sigmoid(x)
    return _remember(y, "sigmoid", x) if _keep else y


@REGISTRY.add()
def softmax(x: Tensor, axis: Axis = -1) -> Tensor:
    """exp(x) divided by its sum along `axis`: scores become probabilities that sum to 1.

    Args:
        x: scores (logits).
        axis: the axis, or axes, whose elements compete; None for all of them.
    """
    if isinstance(axis, int):
        y = torch.softmax(x, dim=axis)
        return _remember(y, "softmax", x) if _keep and axis in (-1, x.ndim - 1) else y
    return torch.exp(log_softmax(x, axis))


@REGISTRY.add()
def log_softmax(x: Tensor, axis: Axis = -1) -> Tensor:
    """The logarithm of `softmax(x, axis)`, computed without rounding to log(0)."""
    if isinstance(axis, int):
        return torch.log_softmax(x, dim=axis)
    axes = tuple(range(x.ndim)) if axis is None else tuple(axis)
    return x - torch.logsumexp(x, dim=axes, keepdim=True)


@REGISTRY.add()
def tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent, between -1 and 1."""
    return torch.tanh(x)


@REGISTRY.add()
def relu(
    x: Tensor,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
) -> Tensor:
    """max(x, 0), with an optional leak, ceiling and threshold.

    Args:
        x: any tensor.
        negative_slope: factor on `x - threshold` below the threshold.
        max_value: the largest value returned; no limit when None.
        threshold: elements up to this value count as negative.

    Raises: ArgumentError if max_value is negative.
    """
    if max_value is None and not (negative_slope or threshold):
        return torch.relu(x)
    if max_value is not None and max_value < 0:
        raise ArgumentError(f"relu expects max_value >= 0 or None, got {max_value!r}.")
    if threshold == 0:
        if max_value is None:
            return F.leaky_relu(x, negative_slope)
        y = F.hardtanh(x, 0.0, max_value)
    else:
        y = F.threshold(x, threshold, 0.0)
        if max_value is not None:
            y = y.clamp(0.0, max_value)
    return y - negative_slope * F.relu(threshold - x) if negative_slope else y


@REGISTRY.add()
def relu6(x: Tensor) -> Tensor:
    """min(max(x, 0), 6)."""
    return F.relu6(x)


@REGISTRY.add()
def leaky_relu(x: Tensor, negative_slope: float = 0.2) -> Tensor:
    """x where positive, negative_slope * x elsewhere (torch's own default slope is 0.01)."""
    return F.leaky_relu(x, negative_slope)


@REGISTRY.add()
def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """x where positive, alpha * (exp(x) - 1) elsewhere. Source: Clevert et al., 1511.07289."""
    return F.elu(x, alpha)


@REGISTRY.add()
def selu(x: Tensor) -> Tensor:
    """A scaled elu that keeps mean 0 and variance 1. Source: Klambauer et al., 1706.02515."""
    return F.selu(x)


@REGISTRY.add()
def celu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """x where positive, alpha * (exp(x / alpha) - 1) elsewhere. Source: Barron, 1704.07483."""
    return F.celu(x, alpha)


@REGISTRY.add()
def gelu(x: Tensor, approximate: bool = False) -> Tensor:
    """x times the normal distribution function of x. Source: Hendrycks and Gimpel, 1606.08415.

    Args:
        x: any tensor.
        approximate: use the tanh formula instead of the exact one.
    """
    return F.gelu(x, approximate="tanh" if approximate else "none")


@REGISTRY.add()
def softplus(x: Tensor) -> Tensor:
    """log(exp(x) + 1), a smooth relu."""
    return F.softplus(x)


@REGISTRY.add()
def softsign(x: Tensor) -> Tensor:
    """x / (|x| + 1)."""
    return F.softsign(x)


@REGISTRY.add("swish")
def silu(x: Tensor) -> Tensor:
    """x * sigmoid(x), also called swish. Source: Ramachandran et al., 1710.05941."""
    return F.silu(x)


swish = silu


@REGISTRY.add()
def hard_sigmoid(x: Tensor) -> Tensor:
    """relu6(x + 3) / 6: straight from 0 at -3 to 1 at 3."""
    return F.hardsigmoid(x)


@REGISTRY.add("hard_swish")
def hard_silu(x: Tensor) -> Tensor:
    """x * hard_sigmoid(x), also called hard swish. Source: Howard et al., 1905.02244."""
    return F.hardswish(x)


hard_swish = hard_silu


@REGISTRY.add()
def hard_tanh(x: Tensor) -> Tensor:
    """x limited to -1 .. 1."""
    return F.hardtanh(x)


@REGISTRY.add()
def hard_shrink(x: Tensor, threshold: float = 0.5) -> Tensor:
    """x where |x| > threshold, 0 elsewhere."""
    return F.hardshrink(x, threshold)


@REGISTRY.add()
def soft_shrink(x: Tensor, threshold: float = 0.5) -> Tensor:
    """x moved towards zero by `threshold`, 0 where |x| is smaller than that."""
    return F.softshrink(x, threshold)


@REGISTRY.add()
def tanh_shrink(x: Tensor) -> Tensor:
    """x - tanh(x)."""
    return F.tanhshrink(x)


@REGISTRY.add()
def mish(x: Tensor) -> Tensor:
    """x * tanh(softplus(x)). Source: Misra, 1908.08681."""
    return F.mish(x)


@REGISTRY.add()
def exponential(x: Tensor) -> Tensor:
    """exp(x)."""
    return torch.exp(x)


@REGISTRY.add()
def log_sigmoid(x: Tensor) -> Tensor:
    """The logarithm of `sigmoid(x)`, computed without rounding to log(0)."""
    return F.logsigmoid(x)


@REGISTRY.add()
def glu(x: Tensor, axis: int = -1) -> Tensor:
    """Cut `x` in two halves along `axis`: first * sigmoid(second). Source: 1612.08083."""
    return F.glu(x, dim=axis)


@REGISTRY.add()
def threshold(x: Tensor, threshold: float, default_value: float) -> Tensor:
    """x where it exceeds `threshold`, `default_value` elsewhere."""
    return F.threshold(x, threshold, default_value)


@REGISTRY.add()
def sparsemax(x: Tensor, axis: int = -1) -> Tensor:
    """The probabilities nearest to `x`: like softmax, with exact zeros. Source: 1602.02068.

    Args:
        x: scores (logits).
        axis: the axis whose elements compete.
    """
    scores = x.movedim(axis, -1)
    # A common shift changes nothing but keeps large scores apart from their sum minus one.
    scores = scores - scores.detach().amax(dim=-1, keepdim=True)
    ordered = scores.sort(dim=-1, descending=True).values
    excess = ordered.cumsum(dim=-1) - 1
    rank = torch.arange(1, scores.shape[-1] + 1, device=x.device, dtype=x.dtype)
    # The support is a prefix of the ordered scores; its last element fixes the shift. It is empty
    # only where there are NaNs, which must not become an index of -1.
    size = (rank * ordered > excess).sum(dim=-1, keepdim=True).clamp(min=1)
    shift = excess.gather(-1, size - 1) / size
    return (scores - shift).clamp(min=0).movedim(-1, axis)


@REGISTRY.add()
def sparse_plus(x: Tensor) -> Tensor:
    """0 up to -1, (x + 1)**2 / 4 between, x from 1 on."""
    # The clamp keeps the unused branch finite: an infinite one would turn gradients to NaN.
    return torch.where(x < 1, (x.clamp(-1, 1) + 1).square() / 4, x)


@REGISTRY.add()
def sparse_sigmoid(x: Tensor) -> Tensor:
    """Straight from 0 at -1 to 1 at 1. Source: Blondel et al., 1901.02324."""
    return F.hardtanh(x) * 0.5 + 0.5


@REGISTRY.add()
def squareplus(x: Tensor, b: float = 4) -> Tensor:
    """(x + sqrt(x**2 + b)) / 2, a relu rounded by `b`. Source: Barron, 2112.11687."""
    return (x + torch.sqrt(x.square() + b)) / 2


# Torch's own spellings that compute exactly what ours do with default arguments.
_TORCH_NAMES: dict[Any, str] = {
    torch.relu: "relu", F.relu: "relu", nn.ReLU: "relu",
    F.relu6: "relu6", nn.ReLU6: "relu6",
    torch.tanh: "tanh", F.tanh: "tanh", nn.Tanh: "tanh",
    torch.sigmoid: "sigmoid", F.sigmoid: "sigmoid", nn.Sigmoid: "sigmoid",
    torch.selu: "selu", F.selu: "selu", nn.SELU: "selu",
    F.gelu: "gelu", F.elu: "elu", F.mish: "mish", nn.Mish: "mish",
    F.silu: "silu", nn.SiLU: "silu", F.hardswish: "hard_silu", nn.Hardswish: "hard_silu",
    F.softplus: "softplus", F.softsign: "softsign", nn.Softsign: "softsign",
    torch.exp: "exponential", torch.sign: "sign", nn.Identity: "linear",
}  # fmt: skip


def get(identifier: Any) -> Any:
    """Turn what a user wrote as `activation=` into a function.

    Args:
        identifier: None (linear), a name such as "relu", a config, or any callable: a function,
            `torch.tanh`, a module such as `nn.ReLU()`, or a module class, which is instantiated.

    Raises: ArgumentError for an unknown name or a value that cannot be called.
    """
    return linear if identifier is None else REGISTRY.get(identifier)


def serialize(activation: Any) -> Any:
    """Plain data from which `deserialize` makes the same activation: a name or a config.

    Raises: ArgumentError for a function that shares its name with another one here.
    """
    if activation is None or isinstance(activation, (str, dict)):
        return activation
    name = getattr(activation, "__name__", None)
    if name in REGISTRY.names() and REGISTRY.find(name) is activation:
        return name
    for key in (activation, type(activation)):
        if key in _TORCH_NAMES:
            return _TORCH_NAMES[key]
    if name in REGISTRY.names() and get_registered_name(activation) == name:
        raise ArgumentError(
            f"Cannot write activation {activation!r} into a config: {name!r} means another one. "
            f"Define the function under a name of its own, or register it."
        )
    return REGISTRY.serialize(activation)


def keeps_shape(activation: Any) -> bool:
    """Whether an activation is known to give a tensor of its input's shape."""
    name = getattr(activation, "__name__", "")
    return name != "glu" and name in REGISTRY.names() and REGISTRY.find(name) is activation


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The activation for what `serialize` gave.

    Args:
        config: the dict, or a name.
        custom_objects: classes and functions by the names the config has for them.
    """
    with supplying(custom_objects):
        return get(config)
