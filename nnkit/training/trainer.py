"""compile, fit, evaluate and predict, as a mixin of Model."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from nnkit.callbacks import CallbackList
from nnkit.data import make_batches
from nnkit.errors import DataError
from nnkit.modes import is_settled
from nnkit.training import step
from nnkit.training.compiled import Compiled
from nnkit.training.fit import Fit
from nnkit.training.loop import run_epoch
from nnkit.training.passes import verbosity
from nnkit.training.results import Collector, check_out, on_host, one_batch
from nnkit.tree import flatten

__all__ = ["Trainer"]


class Trainer(Fit):
    """What makes a Model trainable. Override `train_step(data)` for a step of your own."""

    # -- evaluate and predict ------------------------------------------------------------------

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss and metrics on data, in inference mode.

        Args: as for fit; return_dict gives names with the values.

        Returns: the loss alone when there are no metrics, a list [loss, metric, ...], or a dict.
        """
        self._need_compiled("evaluate")
        self._check_targets_given("evaluate", x, y)
        batches = make_batches(
            x, y, sample_weight, batch_size=batch_size, steps=steps, device=self._to_device(),
            name="evaluate",
        )  # fmt: skip
        calls = self._calls(callbacks, batches, verbose)
        self._checked = False
        self._labels_to_check = [y]
        try:
            logs = self._run_test(batches, calls)
        finally:
            self._labels_to_check = []
            batches.close()
            calls.close()
        return logs if return_dict else self._in_order(logs)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Any = None,
        out: Any = None,
    ) -> Any:
        """The outputs for data, in inference mode, as NumPy arrays.

        Args: as for fit. Each batch goes to the host as soon as it is computed.
            out: an array or memory map with a row for each sample, or a nesting of them like the
                outputs, to write into and return.

        Raises: ArgumentError when `out` cannot take the outputs, before data runs where the
            model's output shape is known.
        """
        own = type(self).predict_step is not Compiled.predict_step
        if self.training or not is_settled(self):  # type: ignore[arg-type]
            self.eval()  # type: ignore[attr-defined]
        device = self._to_device()
        quiet = not callbacks and not verbosity(verbose)
        whole = quiet and not own and steps is None and out is None
        if whole and isinstance(x, (np.ndarray, torch.Tensor)):
            only = one_batch(x, batch_size, device)
            if only is not None:
                return on_host(step.predict(self, (only,)))
        batches = make_batches(x, batch_size=batch_size, steps=steps, device=device, name="predict")
        if out is not None:
            graph = getattr(self, "_graph", None)
            check_out(out, None if own or graph is None else graph.outputs, batches.samples)
        work = self._placed(
            torch.no_grad()(self.predict_step) if own else partial(step.predict, self)
        )
        collector = Collector(batches.samples, batches.batch_size, out)

        def run(data: Any) -> Any:
            outputs = work(data)
            collector.add(outputs)
            return outputs

        try:
            if quiet:
                for data in batches:
                    run(data)
            else:
                self._predict_heard(batches, run, self._calls(callbacks, batches, verbose))
        finally:
            batches.close()
        return collector.result()

    def _predict_heard(self, batches: Any, run: Any, calls: CallbackList) -> None:
        self.stop_predicting = False
        try:
            calls.on_predict_begin()
            run_epoch(self, batches, run, calls, "predict")
            calls.on_predict_end()
        finally:
            calls.close()

    # -- one batch -----------------------------------------------------------------------------

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:  # fmt: skip
        """Update once on this batch; returns its loss and metrics, as evaluate does."""
        self._need_compiled("train_on_batch")
        data = self._single(x, y, sample_weight, class_weight)
        self.reset_metrics()
        self.train()  # type: ignore[attr-defined]
        own = self._own_step("train_step")
        if self._ready:
            self._collect_parameters()
        try:
            logs = self._placed(own or partial(step.update, self))(data)
        finally:
            self.eval()  # type: ignore[attr-defined]
        logs = self._final_logs("train_step", logs, own)
        return logs if return_dict else self._in_order(logs)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """The loss and metrics on this batch."""
        self._need_compiled("test_on_batch")
        data = self._single(x, y, sample_weight, None)
        self.reset_metrics()
        self.eval()  # type: ignore[attr-defined]
        own = self._own_step("test_step")
        if not self._ready and not own:
            self._get_ready(data[0])
        logs = self._placed(own or partial(step.test, self))(data)
        logs = self._final_logs("test_step", logs, own)
        return logs if return_dict else self._in_order(logs)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for this batch, as NumPy arrays."""
        self.eval()  # type: ignore[attr-defined]
        with torch.no_grad():
            return on_host(self._placed(self.predict_step)(self._single(x, None, None, None)))

    def _single(self, x: Any, y: Any, sample_weight: Any, class_weight: Any) -> Any:
        batches = make_batches(
            x, y, sample_weight, class_weight=class_weight, device=self._to_device(),
            batch_size=_rows(flatten(x)[0]), name="on_batch",
        )  # fmt: skip
        return next(iter(batches))


def _rows(x: Any) -> int:
    if not getattr(x, "shape", ()) and not hasattr(x, "__len__"):
        raise DataError(f"A batch must be arrays or tensors, got {x!r}.")
    return int(x.shape[0]) if getattr(x, "shape", ()) else len(x)
