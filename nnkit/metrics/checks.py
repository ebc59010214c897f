"""Metrics that would quietly measure something else than what the loss trains."""

from __future__ import annotations

import warnings
from typing import Any

from nnkit.metrics.accuracy import BinaryAccuracy
from nnkit.metrics.curves import AUC

__all__ = ["warn_of_logits"]


def warn_of_logits(metric: Any, loss: Any) -> None:
    """Warn when a metric takes the outputs for probabilities, but the loss for logits.

    Args:
        metric: one with a threshold between 0 and 1; others are left alone.
        loss: of the same output.
    """
    if not getattr(loss, "from_logits", False):
        return
    if isinstance(metric, BinaryAccuracy):
        advice = "Use metrics.BinaryAccuracy(threshold=0.0)."
        wrong = metric._fn_kwargs["threshold"] == 0.5
    elif isinstance(metric, AUC):
        advice = "Use metrics.AUC(from_logits=True)."
        wrong = not metric._from_logits
    else:
        advice = "End the model with sigmoid, and leave out from_logits."
        wrong = hasattr(metric, "thresholds")
    if wrong:
        warnings.warn(
            f"{metric.name} takes outputs for probabilities from 0 to 1, but {loss.name} has "
            f"from_logits=True. {advice}",
            UserWarning,
            stacklevel=2,
        )
