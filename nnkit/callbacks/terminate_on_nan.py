"""Stop when the loss is no longer a number."""

from __future__ import annotations

import math
from typing import Any

from nnkit.callbacks.base import Callback
from nnkit.callbacks.console import say

__all__ = ["TerminateOnNaN"]


class TerminateOnNaN(Callback):
    """Stop training at the first batch whose loss is NaN or infinite.

    It reads the loss of every batch, for which the host waits on the device each time.

    Args:
        raise_error: whether to raise rather than to stop; the `on_train_end` of other callbacks
            is then left to the error.

    Raises: RuntimeError with raise_error=True.
    """

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        message = f"The loss is {float(loss)} at batch {batch + 1}"
        if self.raise_error:
            raise RuntimeError(f"{message}. Try a lower learning rate or check the data.")
        say(f"{message}: training stops.")
        self.model.stop_training = True
