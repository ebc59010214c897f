"""Predictions of many batches, put together on the host."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import torch

from nnkit.errors import ArgumentError
from nnkit.tree import flatten, map_structure
from nnkit.weights import to_numpy

__all__ = ["Collector", "check_out", "on_host", "one_batch"]


def one_batch(x: Any, batch_size: int | None, device: torch.device) -> torch.Tensor | None:
    """A few samples as the one batch they are; None when they need the whole machinery."""
    shape = x.shape
    usual = batch_size is None or isinstance(batch_size, int)
    if not usual or not shape or not 0 < shape[0] <= (batch_size or 32):
        return None
    if isinstance(x, np.ndarray):
        if x.dtype not in (np.float32, np.uint8) or not x.flags.writeable:
            return None
        x = torch.from_numpy(x)
    elif x.dtype is not torch.float32:
        return None
    # A sum is the fastest look for NaN; the long way says where they are.
    if x.is_cpu and x.dtype is torch.float32 and not math.isfinite(x.sum().item()):
        return None
    return x if x.device == device else x.to(device)


class Collector:
    """Moves each batch of outputs to the host, into arrays of all rows where their number is known.

    Args:
        samples: to come; None when unknown.
        batch_size: samples in a full batch; None when unknown.
        out: arrays to write into, nested as the outputs are; new ones when None.
    """

    def __init__(self, samples: int | None, batch_size: int | None, out: Any = None) -> None:
        self._samples = samples
        self._batch_size = batch_size
        self._out = out
        self._nesting: Any = None
        self._wholes: list[Any] = []
        self._parts: list[list[np.ndarray]] = []
        self._rows = 0

    def add(self, outputs: Any) -> None:
        """Take the outputs of one batch, nested as the model nests them."""
        arrays = [to_numpy(leaf) for leaf in flatten(outputs)]
        if self._nesting is None:
            self._nesting = outputs
            self._begin(arrays)
        if self._wholes:
            stop = self._rows + len(arrays[0])
            if self._out is not None:
                self._check_room(arrays, stop)
            for whole, array in zip(self._wholes, arrays, strict=True):
                whole[self._rows : stop] = array
            self._rows = stop
        else:
            for part, array in zip(self._parts, arrays, strict=True):
                part.append(array)

    def _begin(self, arrays: list[np.ndarray]) -> None:
        if self._out is not None:
            _check_nesting(self._out, self._nesting)
            self._wholes = flatten(self._out)
            for whole, array in zip(self._wholes, arrays, strict=True):
                if not np.can_cast(array.dtype, whole.dtype, "same_kind"):
                    raise ArgumentError(
                        f"predict: out holds {whole.dtype}, but the outputs are {array.dtype}."
                    )
        elif self._samples is not None and self._batch_size is not None:
            # Outputs without one row per sample can only be joined.
            rows = min(self._samples, self._batch_size)
            if all(array.ndim and len(array) == rows for array in arrays):
                self._wholes = [np.empty((self._samples, *a.shape[1:]), a.dtype) for a in arrays]
        self._parts = [[] for _ in arrays]

    def _check_room(self, arrays: list[np.ndarray], stop: int) -> None:
        for whole, array in zip(self._wholes, arrays, strict=True):
            shape = (stop - self._rows, *whole.shape[1:])
            if array.shape != shape:
                raise ArgumentError(
                    f"predict: out takes {shape} for this batch, but the outputs have shape "
                    f"{array.shape}."
                )
            if stop > whole.shape[0]:
                raise ArgumentError(
                    f"predict: out has {whole.shape[0]} rows, but the data gives more than that."
                )

    def result(self) -> Any:
        """The arrays of all batches, nested as the outputs were."""
        if self._out is not None:
            rows = flatten(self._out)[0].shape[0]
            if self._rows < rows:
                warnings.warn(
                    f"predict: the data gave {self._rows} rows, so the other "
                    f"{rows - self._rows} of out stay as they were.",
                    stacklevel=3,
                )
            return self._out
        if self._wholes:
            short = self._rows < self._samples  # type: ignore[operator]
            joined = [w[: self._rows].copy() if short else w for w in self._wholes]
        else:
            # A copy even of one part: it may share its memory with the input or a weight.
            joined = [p[0].copy() if len(p) == 1 else np.concatenate(p) for p in self._parts]
        return _nested(self._nesting, joined)


def on_host(outputs: Any) -> Any:
    """The outputs of one batch as arrays with memory of their own."""
    if isinstance(outputs, torch.Tensor):
        return to_numpy(outputs).copy()
    return _nested(outputs, [to_numpy(leaf).copy() for leaf in flatten(outputs)])


def check_out(out: Any, outputs: Any, samples: int | None) -> None:
    """Compare predict's `out` with what is to come.

    Args:
        out: an array or memory map, or a nesting of them.
        outputs: the model's symbolic outputs; None when the model has none.
        samples: None when unknown.

    Raises: ArgumentError when `out` cannot take the outputs.
    """
    for leaf in flatten(out):
        if not all(hasattr(leaf, name) for name in ("shape", "dtype", "__setitem__")):
            raise ArgumentError(
                f"predict: out expects an array or memory map, or a nesting of them, got a "
                f"{type(leaf).__name__}."
            )
        if isinstance(leaf, torch.Tensor):
            raise ArgumentError("predict: out expects arrays; give tensor.numpy().")
        if samples is not None and leaf.shape[:1] != (samples,):
            raise ArgumentError(
                f"predict: out has shape {tuple(leaf.shape)}, but the data has {samples} samples. "
                f"Give one row a sample."
            )
    if outputs is None:
        return
    _check_nesting(out, outputs)
    for leaf, tensor in zip(flatten(out), flatten(outputs), strict=True):
        wanted = tuple(tensor.shape)
        fits = len(leaf.shape) == len(wanted) and all(
            size in (None, have) for size, have in zip(wanted[1:], leaf.shape[1:], strict=True)
        )
        if not fits:
            raise ArgumentError(
                f"predict: out has shape {tuple(leaf.shape)}, but the output is "
                f"{(samples, *wanted[1:])}. Make it with np.empty, or open it with that shape."
            )


def _check_nesting(out: Any, outputs: Any) -> None:
    if isinstance(outputs, (list, tuple)) and len(outputs) == 1 and hasattr(out, "shape"):
        return
    given, wanted = (map_structure(lambda leaf: "array", tree) for tree in (out, outputs))
    if _plain(given) != _plain(wanted):
        raise ArgumentError(f"predict: out is nested as {given}, but the outputs as {wanted}.")


def _plain(tree: Any) -> Any:
    """A nesting in which lists and tuples are the same."""
    if isinstance(tree, dict):
        return {key: _plain(item) for key, item in tree.items()}
    return [_plain(item) for item in tree] if isinstance(tree, (list, tuple)) else tree


def _nested(nesting: Any, arrays: list[np.ndarray]) -> Any:
    if isinstance(nesting, torch.Tensor):
        return arrays[0]
    whole = dict(zip(map(id, flatten(nesting)), arrays, strict=True))
    return map_structure(lambda leaf: whole[id(leaf)], nesting)
