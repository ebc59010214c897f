"""The loop over epochs and batches.

    fit:   on_train_begin
             for each epoch
               on_epoch_begin
                 for each batch: on_train_batch_begin, update, on_train_batch_end
                 validation: on_test_begin, for each batch (...), on_test_end
               on_epoch_end
           on_train_end

Training, validation and prediction run the same `run_epoch`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from nnkit.callbacks import CallbackList, Logs
from nnkit.training.memory import advice_on_memory, is_out_of_memory

__all__ = ["plain_logs", "run_epoch"]


def run_epoch(
    model: Any,
    batches: Iterable[Any],
    step: Callable[[Any], Any],
    callbacks: CallbackList,
    kind: str,
    first: int = 0,
) -> tuple[int, Any]:
    """Do `step` for each batch, with the batch hooks that somebody listens to.

    Args:
        model: whose stop_training (stop_evaluating, stop_predicting) ends the epoch, and whose
            metrics the hooks are given.
        batches: what to go through.
        step: does the work; what it returns, if anything, are the logs.
        callbacks: hears of each batch.
        kind: "train", "test" or "predict", for the names of the hooks.
        first: the number of the first batch, in an epoch that another run has begun.

    Returns: the number of batches, and what the last step returned.
    Raises: what a step raises; an error for want of memory names a batch size that fits.
    """
    begin = getattr(callbacks, f"on_{kind}_batch_begin")
    end = getattr(callbacks, f"on_{kind}_batch_end")
    begin = begin if getattr(callbacks, f"needs_{kind}_batch_begin") else None
    end = end if getattr(callbacks, f"needs_{kind}_batch_end") else None
    stop = {"train": "stop_training", "test": "stop_evaluating", "predict": "stop_predicting"}[kind]
    count, result, data = first, None, None
    try:
        for data in batches:
            if begin is not None:
                begin(count)
            result = step(data)
            if end is not None:
                end(count, _logs(model, kind, result))
            count += 1
            if getattr(model, stop):
                break
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise advice_on_memory(model, kind, data, error) from error
    return count, result


def _logs(model: Any, kind: str, result: Any) -> Any:
    if kind == "predict":
        return {"outputs": result}
    return Logs(lambda: plain_logs(result if result is not None else model.get_metrics_result()))


def plain_logs(logs: dict[str, Any]) -> dict[str, Any]:
    """Logs as Python numbers, sorted by name as Keras gives them. Reads the device."""
    return {name: _plain(logs[name]) for name in sorted(logs)}


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.item() if value.numel() == 1 else value.detach().cpu().numpy()
    if isinstance(value, dict):
        return plain_logs(value)
    return float(value) if hasattr(value, "__float__") and getattr(value, "ndim", 0) == 0 else value
