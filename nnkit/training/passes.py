"""What fit, evaluate and predict share: the steps, the logs, a pass over test data."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import torch

from nnkit.callbacks import CallbackList
from nnkit.data import unpack_x_y_sample_weight
from nnkit.errors import ArgumentError, DataError, NotBuiltError
from nnkit.symbolic import SymbolicTensor
from nnkit.training import step
from nnkit.training.compiled import Compiled
from nnkit.training.loop import plain_logs, run_epoch

__all__ = ["Passes", "verbosity"]


class Passes(Compiled):
    """Passes over data: what `Fit` and `Trainer` are made of."""

    def _own_step(self, name: str) -> Callable[[Any], Any] | None:
        """The user's train_step or test_step, made ready for its first batch, or None."""
        if getattr(type(self), name) is getattr(Compiled, name):
            return None
        method = getattr(self, name)

        def run(data: Any) -> Any:
            if not self._ready:
                with suppress(NotBuiltError):  # a model of models need not have a `call`
                    self._get_ready(unpack_x_y_sample_weight(data)[0])
            with torch.set_grad_enabled(name == "train_step"):
                return method(data)

        return run

    def _final_logs(self, name: str, logs: Any, own: Any) -> dict[str, Any]:
        """What a step returned; the metrics' own results where these are what it names."""
        if logs is None and not own:
            return plain_logs(self.get_metrics_result())
        if not isinstance(logs, dict):
            raise ArgumentError(
                f"{name} must return a dict of logs, got {type(logs).__name__}. "
                f"Write: return {{'loss': loss}}."
            )
        flat: dict[str, Any] = {}
        for name, value in logs.items():
            flat.update(value if isinstance(value, dict) else {name: value})
        results = self.get_metrics_result()
        if set(results) != set(flat):
            return plain_logs(flat)
        if own and "loss" in flat and not bool(self._loss_tracker.count):
            results["loss"] = flat["loss"]  # a step of torch's kind, which updates no metric
        return plain_logs(results)

    def _run_test(self, batches: Any, calls: CallbackList) -> dict[str, Any]:
        self.reset_metrics()
        batches.reset()
        self.eval()  # type: ignore[attr-defined]
        own = self._own_step("test_step")

        def test(data: Any) -> Any:
            if not self._ready:
                self._get_ready(unpack_x_y_sample_weight(data)[0])
            return step.test(self, data)

        self.stop_evaluating = False
        calls.on_test_begin()
        count, done = run_epoch(self, batches, self._placed(own or test), calls, "test")
        logs = self._final_logs("test_step", done, own) if count else {}
        calls.on_test_end(logs)
        return logs

    def _calls(self, callbacks: Any, batches: Any, verbose: str | int) -> CallbackList:
        if isinstance(callbacks, CallbackList):
            return callbacks
        level = verbosity(verbose)
        return CallbackList(
            callbacks, add_progbar=bool(level), model=self,
            params={"steps": batches.steps, "epochs": 1, "verbose": level},
        )  # fmt: skip

    def _check_targets_given(self, method: str, x: Any, y: Any) -> None:
        if isinstance(x, SymbolicTensor):
            raise ArgumentError(f"{method} needs data, but x is a symbolic tensor.")
        if x is None:
            raise DataError(
                f"{method}: x is None. Give arrays, tensors, a DataLoader or a generator."
            )
        arrays = isinstance(x, (np.ndarray, torch.Tensor))
        mine = "test_step" if method == "evaluate" else "train_step"
        own = self._own_step(mine) is not None or self._own_compute_loss
        if arrays and y is None and self._objective.has_loss and not own:
            raise DataError(
                f"{method} was given x but no y, and {self.label} was compiled with a loss. "  # type: ignore[attr-defined]
                f"Give the targets: {method.split()[0]}(x, y); for an autoencoder, y=x."
            )


def verbosity(verbose: str | int) -> int:
    """0, 1 or 2 for fit's, evaluate's or predict's `verbose`.

    Raises: ArgumentError for anything else.
    """
    if verbose == "auto":
        return 1
    if verbose not in (0, 1, 2):
        raise ArgumentError(f"verbose must be 0, 1, 2 or 'auto', got {verbose!r}.")
    return int(verbose)
