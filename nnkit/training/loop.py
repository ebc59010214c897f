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

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch

from nnkit.callbacks import CallbackList, Logs
from nnkit.training.memory import advice_on_memory, is_out_of_memory
from nnkit.tree import map_structure

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

    With the model's steps_per_execution the hooks are called once for that many batches, with the
    number of the first one and of the last one.

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
    count, result, data, size = first, None, None, model.steps_per_execution
    if size > 1:
        batches, step = _grouped(batches, size), _each(step, kind)
    try:
        for data in batches:
            if begin is not None:
                begin(count)
            result = step(data)
            if end is not None:
                end(count + size - 1, _logs(model, kind, result))
            count += 1 if size == 1 else len(data)
            if getattr(model, stop):
                break
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise advice_on_memory(model, kind, data if size == 1 else data[0], error) from error  # type: ignore[index]
    return count, result


def _grouped(batches: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of so many batches; the last may be shorter."""
    source = iter(batches)
    while group := list(itertools.islice(source, size)):
        yield group


def _each(step: Callable[[Any], Any], kind: str) -> Callable[[list[Any]], Any]:
    """Steps for all batches of a group: the last one's logs, or everything predicted."""

    def run(group: list[Any]) -> Any:
        results = [step(data) for data in group]
        if kind != "predict":
            return results[-1]
        return map_structure(lambda *parts: torch.cat(parts), results[0], *results[1:])

    return run


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
