"""Initializers: where weights start.

An initializer is called with a shape in Keras's layout, (inputs, outputs) for Dense and
(height, width, inputs, outputs) for Conv2D, and returns a tensor on torch's default device.
The same instance returns the same values at every call, with or without a seed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from nnkit.custom_objects import supplying
from nnkit.initializers.base import (
    REGISTRY,
    Initializer,
    call_initializer,
    filled,
    left_empty,
    room_for,
)
from nnkit.initializers.constant import Constant, GivenValues, Identity, Ones, Zeros
from nnkit.initializers.random import (
    Orthogonal,
    RandomInitializer,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
)
from nnkit.initializers.scaling import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
    compute_fans,
)
from nnkit.initializers.stft import STFT

__all__ = [
    "REGISTRY",
    "STFT",
    "Constant",
    "GivenValues",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomInitializer",
    "RandomNormal",
    "RandomUniform",
    "STFTInitializer",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "call_initializer",
    "compute_fans",
    "constant",
    "deserialize",
    "filled",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "left_empty",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "room_for",
    "serialize",
    "stft",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]  # fmt: skip

zeros = Zeros
ones = Ones
constant = Constant
identity = IdentityInitializer = Identity
random_normal = RandomNormal
random_uniform = RandomUniform
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
glorot_uniform = GlorotUniform
glorot_normal = GlorotNormal
he_uniform = HeUniform
he_normal = HeNormal
lecun_uniform = LecunUniform
lecun_normal = LecunNormal
orthogonal = OrthogonalInitializer = Orthogonal
stft = STFTInitializer = STFT


def get(identifier: Any) -> Any:
    """Turn what a user wrote as `kernel_initializer=` into an initializer.

    Args:
        identifier: None (stays None), a name such as "he_normal", an object, a class, a config, a
            function `f(shape, dtype)`, or an array with the weight's values.

    Raises: ArgumentError for an unknown name or a value that cannot be called.
    """
    if isinstance(identifier, (Tensor, np.ndarray, np.generic)):
        return GivenValues(identifier)
    return REGISTRY.get(identifier)


def serialize(initializer: Any) -> Any:
    """Plain data from which `deserialize` makes the same initializer."""
    return REGISTRY.serialize(initializer)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The initializer for what `serialize` gave.

    Args:
        config: the dict, or a name.
        custom_objects: classes and functions by the names the config has for them.
    """
    with supplying(custom_objects):
        return REGISTRY.get(config)
