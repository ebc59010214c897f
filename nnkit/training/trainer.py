"""compile, fit, evaluate and predict, as a mixin of Model."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import torch

from nnkit.callbacks import CallbackList, History
from nnkit.data import make_batches, split_validation, takes_batch_size, unpack_x_y_sample_weight
from nnkit.errors import ArgumentError, DataError, NotBuiltError, NotCompiledError
from nnkit.optimizers import Optimizer
from nnkit.symbolic import SymbolicTensor
from nnkit.training import step
from nnkit.training.compiled import Compiled
from nnkit.training.loop import plain_logs, run_epoch
from nnkit.training.results import Collector, one_batch
from nnkit.tree import flatten

__all__ = ["Trainer"]


class Trainer(Compiled):
    """What makes a Model trainable. Override `train_step(data)` for a step of your own."""

    # -- fit -----------------------------------------------------------------------------------

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: Any = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
    ) -> History:
        """Train for a number of epochs.

        Args:
            x: arrays, tensors, lists or dicts of them; a Dataset, DataLoader or generator.
            y: targets, unless x yields them.
            batch_size: samples per update; 32 when None.
            epochs: the number of the last epoch.
            verbose: 0 nothing, 1 a progress bar, 2 a line an epoch; "auto" is 1.
            callbacks: a list of them.
            validation_split: fraction 0 to 1 of the samples, taken from the end, to validate on.
            validation_data: (x, y) or (x, y, sample_weight), or a source of batches.
            shuffle: whether to mix the samples anew in each epoch.
            class_weight: {class: weight} for the loss.
            sample_weight: one weight a sample (or time step) for the loss.
            initial_epoch: the epoch to start from, when going on.
            steps_per_epoch, validation_steps: batches, when not all of the data.
            validation_batch_size: samples; batch_size when None.
            validation_freq: validate after every n-th epoch, or after the epochs in this list.

        Returns: the History, with the logs of each epoch in `.history`.
        Raises: NotCompiledError, DataError, ArgumentError or ShapeError, at the first batch.
        """
        self._need_compiled("fit")
        for name, value in (("epochs", epochs), ("initial_epoch", initial_epoch)):
            if not isinstance(value, (int, np.integer)) or value < 0:
                raise ArgumentError(f"fit: {name} must be a whole number >= 0, got {value!r}.")
        if self.optimizer is None and self._own_step("train_step") is None:
            raise NotCompiledError(
                f"{self.label} was compiled without an optimizer, so it can only be "  # type: ignore[attr-defined]
                f"evaluated. Call compile(optimizer='adam', loss=...)."
            )
        _check_frequency(validation_freq)
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = split_validation(
                x, y, sample_weight, validation_split
            )
        self._check_targets_given("fit", x, y)
        device = self._to_device()
        batches = make_batches(
            x, y, sample_weight, batch_size=batch_size, shuffle=shuffle, steps=steps_per_epoch,
            class_weight=class_weight, device=device, name="fit",
        )  # fmt: skip
        if epochs - initial_epoch > 1 and steps_per_epoch is None:
            _refuse_one_pass(batches, "x", epochs, "steps_per_epoch")
        validation = None
        if validation_data is not None:
            size = (validation_batch_size, batch_size)
            validation = self._validation(validation_data, size, validation_steps, device)
            if epochs - initial_epoch > 1 and validation_steps is None:
                _refuse_one_pass(validation, "validation_data", epochs, "validation_steps")
        params = {"epochs": epochs, "steps": batches.steps, "verbose": _level(verbose)}
        if validation is not None and validation_freq != 1:
            params["validation_freq"] = validation_freq
        calls = CallbackList(
            callbacks, add_history=True, add_progbar=bool(params["verbose"]), model=self,
            params=params,
        )  # fmt: skip
        self.stop_training = False
        self._checked = self._loss_seen = False
        self._labels_to_check = [y]
        if isinstance(validation_data, (tuple, list)):
            self._labels_to_check += validation_data[1:2]
        logs: dict[str, Any] = {}
        try:
            calls.on_train_begin()
            for epoch in range(initial_epoch, epochs):
                logs = self._one_epoch(epoch, batches, calls)
                if not logs:  # the data has come to its end, and said so
                    break
                if validation is not None and _due(epoch, validation_freq):
                    self._loss_seen = True
                    found = self._run_test(validation, calls)
                    logs.update({f"val_{name}": value for name, value in found.items()})
                    logs = dict(sorted(logs.items()))
                calls.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
        except KeyboardInterrupt:
            warnings.warn("fit was interrupted; the model keeps what it has learned.", stacklevel=2)
        finally:
            self.eval()  # type: ignore[attr-defined]
            self._labels_to_check = []
            calls.close()
        if isinstance(self.optimizer, Optimizer):
            self.optimizer.finalize_variable_values(self._parameters_to_train)
        calls.on_train_end(logs)
        return self.history  # type: ignore[return-value]

    def _one_epoch(self, epoch: int, batches: Any, calls: CallbackList) -> dict[str, Any]:
        self.reset_metrics()
        calls.on_epoch_begin(epoch)
        self.train()  # type: ignore[attr-defined]
        if self._ready:
            self._collect_parameters()
        own = self._own_step("train_step")
        count, done = run_epoch(
            self, batches, own or (lambda data: step.update(self, data)), calls, "train"
        )
        self.eval()  # type: ignore[attr-defined]
        if not own and count and not self._parameters_to_train:
            warnings.warn(
                f"No weight of {self.label} is trainable, so fit changes nothing. "  # type: ignore[attr-defined]
                f"Set model.trainable = True, or that of some layers.",
                stacklevel=3,
            )
        logs = self._final_logs("train_step", done, own) if count else {}
        loss = logs.get("loss")
        if isinstance(loss, float) and not np.isfinite(loss):
            warnings.warn(
                f"The loss is {loss} after epoch {epoch + 1}. Try a smaller learning rate or "
                f"clipnorm=1.0, or stop on it with callbacks.TerminateOnNaN().",
                stacklevel=3,
            )
        return logs

    def _own_step(self, name: str) -> Callable[[Any], Any] | None:
        """The user's train_step or test_step, made ready for its first batch, or None."""
        if getattr(type(self), name) is getattr(Trainer, name):
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

    def _validation(self, data: Any, sizes: Any, steps: int | None, device: Any) -> Any:
        x, y, weight = data, None, None
        if isinstance(data, (tuple, list)):
            x, y, weight = unpack_x_y_sample_weight(data)
        self._check_targets_given("fit (validation_data)", x, y)
        size = sizes[0] or (sizes[1] if takes_batch_size(x) else None)
        return make_batches(
            x, y, weight, batch_size=size, steps=steps, device=device, name="validation"
        )

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
            calls.close()
        return logs if return_dict else self._in_order(logs)

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
        count, done = run_epoch(self, batches, own or test, calls, "test")
        logs = self._final_logs("test_step", done, own) if count else {}
        calls.on_test_end(logs)
        return logs

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The outputs for data, in inference mode, as NumPy arrays.

        Args: as for fit. Each batch goes to the host as soon as it is computed.
        """
        own = type(self).predict_step is not Trainer.predict_step
        if self.training:
            self.eval()  # type: ignore[attr-defined]
        device = self._to_device()
        quiet = not callbacks and not _level(verbose)
        if quiet and not own and steps is None and isinstance(x, (np.ndarray, torch.Tensor)):
            only = one_batch(x, batch_size, device)
            if only is not None:
                outputs = step.predict(self, (only,))
                return Collector.of(outputs)
        batches = make_batches(x, batch_size=batch_size, steps=steps, device=device, name="predict")
        work = (
            torch.no_grad()(self.predict_step) if own else (lambda data: step.predict(self, data))
        )
        collector = Collector(batches.steps)

        def run(data: Any) -> Any:
            outputs = work(data)
            collector.add(outputs)
            return outputs

        if quiet:
            for data in batches:
                run(data)
            return collector.result()
        calls = self._calls(callbacks, batches, verbose)
        self.stop_predicting = False
        try:
            calls.on_predict_begin()
            run_epoch(self, batches, run, calls, "predict")
            calls.on_predict_end()
        finally:
            calls.close()
        return collector.result()

    def _calls(self, callbacks: Any, batches: Any, verbose: str | int) -> CallbackList:
        if isinstance(callbacks, CallbackList):
            return callbacks
        level = _level(verbose)
        return CallbackList(
            callbacks, add_progbar=bool(level), model=self,
            params={"steps": batches.steps, "epochs": 1, "verbose": level},
        )  # fmt: skip

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
            logs = own(data) if own else step.update(self, data)
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
        logs = own(data) if own else step.test(self, data)
        logs = self._final_logs("test_step", logs, own)
        return logs if return_dict else self._in_order(logs)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for this batch, as NumPy arrays."""
        self.eval()  # type: ignore[attr-defined]
        with torch.no_grad():
            return Collector.of(self.predict_step(self._single(x, None, None, None)))

    def _single(self, x: Any, y: Any, sample_weight: Any, class_weight: Any) -> Any:
        batches = make_batches(
            x, y, sample_weight, class_weight=class_weight, device=self._to_device(),
            batch_size=len(flatten(x)[0]), name="on_batch",
        )  # fmt: skip
        return next(iter(batches))

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


def _level(verbose: str | int) -> int:
    if verbose == "auto":
        return 1
    if verbose not in (0, 1, 2):
        raise ArgumentError(f"verbose must be 0, 1, 2 or 'auto', got {verbose!r}.")
    return int(verbose)


def _refuse_one_pass(batches: Any, what: str, epochs: int, argument: str) -> None:
    if not batches.restartable:
        raise ArgumentError(
            f"fit: {what} is a Python iterator, which can be read once, but {epochs} epochs were "
            f"asked for. Give {argument}=."
        )


def _check_frequency(value: Any) -> None:
    if isinstance(value, int) and value >= 1:
        return
    if isinstance(value, int) or not hasattr(value, "__contains__"):
        raise ArgumentError(
            f"validation_freq must be a whole number >= 1 or a list of epochs, got {value!r}."
        )


def _due(epoch: int, frequency: Any) -> bool:
    if isinstance(frequency, int):
        return (epoch + 1) % frequency == 0
    return epoch + 1 in frequency
