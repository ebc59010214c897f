"""Losses: what training makes small. Keras's names, arguments and numbers."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from nnkit.custom_objects import supplying
from nnkit.errors import ArgumentError
from nnkit.losses.base import REGISTRY, Loss, LossFunctionWrapper
from nnkit.losses.checks import check_labels, check_targets
from nnkit.losses.crossentropy import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    binary_crossentropy,
    categorical_crossentropy,
    sparse_categorical_crossentropy,
)
from nnkit.losses.focal import (
    BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy,
    binary_focal_crossentropy,
    categorical_focal_crossentropy,
)
from nnkit.losses.hinge import (
    CategoricalHinge,
    Hinge,
    SquaredHinge,
    categorical_hinge,
    hinge,
    squared_hinge,
)
from nnkit.losses.probabilistic import (
    CTC,
    CategoricalGeneralizedCrossEntropy,
    KLDivergence,
    Poisson,
    categorical_generalized_cross_entropy,
    ctc,
    kl_divergence,
    poisson,
)
from nnkit.losses.regression import (
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)
from nnkit.losses.similarity import (
    Circle,
    CosineSimilarity,
    Dice,
    Tversky,
    circle,
    cosine_similarity,
    dice,
    tversky,
)
from nnkit.losses.torch_loss import TorchLoss, is_torch_loss
from nnkit.naming import to_snake_case

__all__ = [
    "CTC",
    "FUNCTIONS",
    "REGISTRY",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "Circle",
    "CosineSimilarity",
    "Dice",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "LossFunctionWrapper",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "TorchLoss",
    "Tversky",
    "as_loss",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "check_labels",
    "check_targets",
    "circle",
    "class_kind",
    "cosine_similarity",
    "ctc",
    "deserialize",
    "dice",
    "get",
    "hinge",
    "huber",
    "is_torch_loss",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "resolve",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]

# The class of each function, because the classes know the shortcuts.
FUNCTIONS: dict[Any, Any] = {
    binary_crossentropy: BinaryCrossentropy,
    binary_focal_crossentropy: BinaryFocalCrossentropy,
    categorical_crossentropy: CategoricalCrossentropy,
    categorical_focal_crossentropy: CategoricalFocalCrossentropy,
    categorical_generalized_cross_entropy: CategoricalGeneralizedCrossEntropy,
    categorical_hinge: CategoricalHinge,
    circle: Circle,
    cosine_similarity: CosineSimilarity,
    ctc: CTC,
    dice: Dice,
    hinge: Hinge,
    huber: Huber,
    kl_divergence: KLDivergence,
    log_cosh: LogCosh,
    mean_absolute_error: MeanAbsoluteError,
    mean_absolute_percentage_error: MeanAbsolutePercentageError,
    mean_squared_error: MeanSquaredError,
    mean_squared_logarithmic_error: MeanSquaredLogarithmicError,
    poisson: Poisson,
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy,
    squared_hinge: SquaredHinge,
    tversky: Tversky,
}
REGISTRY.add()(TorchLoss)


def get(identifier: Any) -> Any:
    """The loss of a name or config: a function for "mse", a `Loss` for "MeanSquaredError".

    Args:
        identifier: what `as_loss` takes. A function is given back as it is, one of torch as a loss
            of targets and outputs.

    Raises: ArgumentError for an unknown name or a value that cannot be called.
    """
    found = REGISTRY.find(identifier) if isinstance(identifier, str) else identifier
    plain = callable(found) and not inspect.isclass(found) and not is_torch_loss(found)
    return found if plain else as_loss(found)


def as_loss(identifier: Any) -> Any:
    """The `Loss` for what a user wrote, as compile takes it; None for None.

    Args:
        identifier: a name such as "mse" or "MeanSquaredError", a `Loss` or its class, a function
            of (y_true, y_pred), a loss of torch.nn or torch.nn.functional, a config, or None.

    Raises: ArgumentError for an unknown name or a value that cannot be called.
    """
    if identifier is None or isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, dict):
        return as_loss(REGISTRY.deserialize(identifier))
    name = None
    if isinstance(identifier, str):
        name, identifier = identifier, REGISTRY.find(identifier)
    if is_torch_loss(identifier):
        return TorchLoss(identifier)
    if inspect.isclass(identifier):
        return as_loss(identifier())
    if not callable(identifier):
        raise ArgumentError(
            f"Cannot use {identifier!r} as a loss. Give a name, a loss, a function of "
            f"(y_true, y_pred) or a loss of torch.nn."
        )
    if identifier in FUNCTIONS:
        return FUNCTIONS[identifier](name=name or identifier.__name__)
    word = getattr(identifier, "name", None) or getattr(identifier, "__name__", None)
    return LossFunctionWrapper(identifier, name=to_snake_case(word or type(identifier).__name__))


def class_kind(y_true_shape: Sequence[int], y_pred_shape: Sequence[int]) -> str:
    """ "binary", "sparse" or "categorical": what targets of this shape are for such outputs.

    Args:
        y_true_shape: of the targets, (batch, ...).
        y_pred_shape: of the outputs, (batch, ..., classes).
    """
    if y_pred_shape[-1] == 1:
        return "binary"
    if len(y_true_shape) < len(y_pred_shape) or y_true_shape[-1] == 1:
        return "sparse"
    return "categorical"


def resolve(identifier: Any, y_true_shape: Sequence[int], y_pred_shape: Sequence[int]) -> Any:
    """Like `as_loss`; "crossentropy" or "ce" picks the crossentropy that fits the shapes."""
    if str(identifier).lower() not in ("crossentropy", "ce"):
        return as_loss(identifier)
    kinds: dict[str, Any] = {
        "binary": BinaryCrossentropy,
        "sparse": SparseCategoricalCrossentropy,
        "categorical": CategoricalCrossentropy,
    }
    return kinds[class_kind(y_true_shape, y_pred_shape)](name=identifier)


def serialize(loss: Any) -> Any:
    """A config (plain data) for a loss, the name for a function."""
    return REGISTRY.serialize(loss)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The loss of a config made by `serialize`.

    Args:
        config: the dict, or a name.
        custom_objects: classes and functions by the names the config has for them.
    """
    with supplying(custom_objects):
        return get(config)
