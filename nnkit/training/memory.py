"""When the memory does not suffice: which batch size would fit."""

from __future__ import annotations

import traceback
from typing import Any

import torch

from nnkit.data import unpack_x_y_sample_weight
from nnkit.tree import flatten, map_structure

__all__ = ["advice_on_memory", "is_out_of_memory"]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory left; a CPU has no class of its own for it."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "can't allocate memory" in text or "not enough memory" in text
    )


def advice_on_memory(model: Any, kind: str, data: Any, error: BaseException) -> BaseException:
    """The error with a batch size that fits, found by trying ever smaller parts of the batch.

    A step of the user's own is not tried, so for it the error names none.

    Args:
        model: its weights, buffers and the random state stay as they are.
        kind: "train", "test" or "predict".
        data: the batch at work; None when there was none.
        error: what was raised.
    """
    if data is None:
        return error
    # What the failed computation still holds would be in the way.
    traceback.clear_frames(error.__traceback__)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
    samples = int(flatten(unpack_x_y_sample_weight(data)[0])[0].shape[0])
    if model._own_step(f"{kind}_step") is not None:
        # Trying it would train: only its author knows what it changes.
        where, tip = f" in its own {kind}_step", "Give a smaller batch_size."
    else:
        where, size = "", samples // 2
        while size and not _fits(model, kind, data, size):
            size //= 2
        tip = f"batch_size={size} fits." if size else "Not even one sample fits: use less memory."
    message = f"{model.label} ran out of memory on {samples} samples{where}. {tip}"
    kind_of_error = type(error)
    try:
        return kind_of_error(message)
    except TypeError:
        return MemoryError(message)


def _fits(model: Any, kind: str, data: Any, size: int) -> bool:
    """Whether a part of the batch can be computed, with its gradients in training."""
    x, y, weight = map_structure(
        lambda leaf: leaf if leaf is None else leaf[:size], unpack_x_y_sample_weight(data)
    )
    training = kind == "train"
    buffers = [buffer.clone() for buffer in model.buffers()]
    devices = [torch.cuda.current_device()] if flatten(x)[0].is_cuda else []
    try:
        with torch.random.fork_rng(devices), torch.set_grad_enabled(training):
            y_pred = model(x, training=training)
            if training:
                loss = model.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=weight)
                torch.autograd.grad(loss, model._parameters_to_train, allow_unused=True)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return False
    finally:
        with torch.no_grad():
            for buffer, before in zip(model.buffers(), buffers, strict=True):
                buffer.copy_(before)
    return True
