"""Crossentropies, divergences and hinges, as metrics."""

from __future__ import annotations

from typing import Any

from nnkit import losses
from nnkit.arguments import check_axes
from nnkit.losses.base import check_ignored, check_smoothing
from nnkit.metrics.base import registered
from nnkit.metrics.reduction import MeanMetricWrapper

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "Hinge",
    "KLDivergence",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
]


@registered("bce", "BCE")
class BinaryCrossentropy(MeanMetricWrapper):
    """The mean crossentropy of yes/no targets.

    Args:
        name: a word for logs.
        dtype: of the state.
        from_logits: True when the outputs have no sigmoid.
        label_smoothing: fraction (0 to 1) by which targets are pulled towards one half.
    """

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        super().__init__(
            losses.binary_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=check_smoothing(self, label_smoothing),
        )


@registered()
class CategoricalCrossentropy(MeanMetricWrapper):
    """The mean crossentropy of one-hot targets.

    Args:
        name: a word for logs.
        dtype: of the state.
        from_logits: True when the outputs have no softmax.
        label_smoothing: fraction (0 to 1) of the targets' mass that is spread over all classes.
        axis: where the classes are.
    """

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        super().__init__(
            losses.categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=check_smoothing(self, label_smoothing),
            axis=check_axes(self, axis),
        )


@registered()
class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """The mean crossentropy of integer labels.

    Args:
        name: a word for logs.
        dtype: of the state.
        from_logits: True when the outputs have no softmax.
        ignore_class: a label whose loss is 0.
        axis: where the classes are.
    """

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(
            losses.sparse_categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=check_ignored(self, ignore_class),
            axis=check_axes(self, axis),
        )


@registered("kld", "KLD", "kullback_leibler_divergence")
class KLDivergence(MeanMetricWrapper):
    """The mean Kullback-Leibler divergence of the outputs from the targets.

    Args:
        name: a word for logs.
        dtype: of the state.
    """

    def __init__(self, name: str | None = "kl_divergence", dtype: Any = None) -> None:
        super().__init__(losses.kl_divergence, name, dtype)


@registered()
class Poisson(MeanMetricWrapper):
    """The mean likelihood loss of counts.

    Args:
        name: a word for logs.
        dtype: of the state.
    """

    def __init__(self, name: str | None = "poisson", dtype: Any = None) -> None:
        super().__init__(losses.poisson, name, dtype)


@registered()
class Hinge(MeanMetricWrapper):
    """The mean of max(1 - y_true * y_pred, 0), for labels -1/1 or 0/1.

    Args:
        name: a word for logs.
        dtype: of the state.
    """

    def __init__(self, name: str | None = "hinge", dtype: Any = None) -> None:
        super().__init__(losses.hinge, name, dtype)


@registered()
class SquaredHinge(MeanMetricWrapper):
    """The mean of max(1 - y_true * y_pred, 0) squared, for labels -1/1 or 0/1.

    Args:
        name: a word for logs.
        dtype: of the state.
    """

    def __init__(self, name: str | None = "squared_hinge", dtype: Any = None) -> None:
        super().__init__(losses.squared_hinge, name, dtype)


@registered()
class CategoricalHinge(MeanMetricWrapper):
    """How far the best wrong class comes within 1 of the right one, on average.

    Args:
        name: a word for logs.
        dtype: of the state.
    """

    def __init__(self, name: str | None = "categorical_hinge", dtype: Any = None) -> None:
        super().__init__(losses.categorical_hinge, name, dtype)
