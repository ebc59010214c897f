"""fit: train a model for a number of epochs."""

from __future__ import annotations

import os
import signal
from typing import Any

import numpy as np
from torch import nn

from nnkit.arguments import path_text
from nnkit.callbacks import BackupAndRestore, CallbackList, History
from nnkit.data import make_batches, split_validation, takes_batch_size, unpack_x_y_sample_weight
from nnkit.errors import ArgumentError, NotCompiledError, warn_user
from nnkit.layers import BatchNormalization
from nnkit.optimizers import Optimizer
from nnkit.training import step
from nnkit.training.loop import run_epoch
from nnkit.training.passes import Passes, verbosity
from nnkit.training.resume import Resume
from nnkit.training.signals import EXIT_CODE, Interruptions
from nnkit.training.watch import LossWatch

__all__ = ["Fit"]

_SAVE_SECONDS = 300.0


class Fit(Passes):
    """The part of `Trainer` that trains."""

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
        *,
        resume: str | os.PathLike[str] | None = None,
        stop_on_nan: bool = True,
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
            resume: a folder to keep the state of this training in, and to go on from when it
                holds one; callbacks.BackupAndRestore has more to choose from.
            stop_on_nan: whether to stop, with finite weights, when the loss is no longer a number.

        Returns: the History, with the logs of each epoch in `.history`. After Ctrl-C, which lets
            the batch at work finish, those so far; a second Ctrl-C raises at once.
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
        if resume is not None:
            if CallbackList(callbacks).find(BackupAndRestore) is not None:
                raise ArgumentError(
                    "fit was given resume= and a BackupAndRestore, which do the same. Use one."
                )
            resume = path_text("fit", "resume", resume)
            kept = BackupAndRestore(resume, delete_checkpoint=False, save_seconds=_SAVE_SECONDS)
            callbacks = [*([] if callbacks is None else [callbacks]), kept]
        params = {"epochs": epochs, "steps": batches.steps, "verbose": verbosity(verbose)}
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
        if self._is_graph() and not self._ready:
            self._get_ready(None)  # callbacks find the optimizer with its parameters
        if self._is_graph():
            _warn_of_modes(self)
        due = [validation is not None and _due(epoch, validation_freq) for epoch in range(epochs)]
        # What scales the loss leaves out updates that overflowed, and goes on.
        scales = hasattr(self.optimizer, "inner_optimizer")
        with Interruptions(self) as signals:
            self._watch = LossWatch(self) if stop_on_nan and not scales else None
            try:
                epochs_to_do = range(initial_epoch, epochs)
                logs = self._train(epochs_to_do, batches, validation, due, calls, signals)
                self.eval()  # type: ignore[attr-defined]
                if isinstance(self.optimizer, Optimizer):
                    self.optimizer.finish_accumulation()
                    self.optimizer.finalize_variable_values(self._parameters_to_train)
                calls.on_train_end(logs)
            finally:
                self.eval()  # type: ignore[attr-defined]
                self._labels_to_check, self._watch = [], None
                batches.close()
                if validation is not None:
                    validation.close()
                calls.close()
        if signals.terminated:
            raise SystemExit(EXIT_CODE)
        if signals.received is not None:
            warn_user("fit was interrupted; the model keeps what it has learned.")
        return self.history  # type: ignore[return-value]

    def _train(
        self, epochs: range, batches: Any, validation: Any, due: list[bool], calls: CallbackList,
        signals: Interruptions,
    ) -> dict[str, Any]:  # fmt: skip
        """From on_train_begin to the last epoch, or to an interrupt; the logs of the last epoch."""
        kept = calls.find(BackupAndRestore)
        state = None
        if kept is not None:
            state = Resume(kept, self, batches, validation, calls, signals)
            kept.lend(state)
        try:
            if state is not None:
                state.open()
            calls.on_train_begin()
            if state is None or not state.found:
                batches.reset()
            if state is not None:
                epochs = state.begin(epochs)
            return self._epochs(epochs, batches, validation, due, calls, signals, state)
        except KeyboardInterrupt:
            if signals.insisted:
                raise
            signals.received = signal.SIGINT  # raised by a callback, say
            return {}

    def _epochs(
        self, epochs: range, batches: Any, validation: Any, due: list[bool], calls: CallbackList,
        signals: Interruptions, state: Resume | None,
    ) -> dict[str, Any]:  # fmt: skip
        """Train for these epochs; the logs of the last one."""
        logs = state.logs if state is not None else {}
        for epoch in epochs:
            steps, logs = self._one_epoch(epoch, batches, calls, state)
            if not logs:  # the data has come to its end, and said so
                break
            if due[epoch] and signals.received is None:
                self._loss_seen = True
                if state is not None:
                    state.before_validation()
                found = self._run_test(validation, calls)
                if signals.received is None:
                    found = {f"val_{name}": value for name, value in found.items()}
                    logs = dict(sorted({**logs, **found}.items()))
            if signals.received is not None:
                if state is not None:
                    state.save(epoch, steps, logs)
                break
            if state is not None:
                state.validated()
            calls.on_epoch_end(epoch, logs)
            if state is not None and signals.received is not None:
                state.save(epoch + 1, 0, logs)
            if self.stop_training:
                break
        return logs

    def _one_epoch(
        self, epoch: int, batches: Any, calls: CallbackList, state: Resume | None
    ) -> tuple[int, dict[str, Any]]:
        """Train for one epoch, or for the rest of one; the number of its batches, and its logs."""
        self.reset_metrics()
        calls.on_epoch_begin(epoch)
        first, before = state.enter() if state is not None else (0, None)
        if state is not None and state.in_validation:
            return first, before or {}
        self.train()  # type: ignore[attr-defined]
        if self._ready:
            self._collect_parameters()
        own = self._own_step("train_step")
        work = self._placed(own or (lambda data: step.update(self, data)))
        watch = self._watch
        if watch is not None:
            watch.begin_epoch(epoch, first)
            work = watch.around(work) if own else work
        data = batches if state is None else state.sampled(batches)
        count, last = run_epoch(self, data, work, calls, "train", first)
        if watch is not None:
            watch.look()
        self.eval()  # type: ignore[attr-defined]
        if not own and count and not self._parameters_to_train:
            model: Any = self
            advice = "Set model.trainable = True, or that of some layers."
            if not model.weights and not self._is_graph():
                advice = "It has no weights: make its layers in __init__; in call, they are lost."
            warn_user(f"No weight of {model.label} is trainable, so fit changes nothing. {advice}")
        if own and last is None:
            last = before
        logs = self._final_logs("train_step", last, own) if count else {}
        loss = logs.get("loss")
        if watch is None and isinstance(loss, float) and not np.isfinite(loss):
            warn_user(
                f"The loss is {loss} after epoch {epoch + 1}. Try a smaller learning rate or "
                f"clipnorm=1.0."
            )
        return count, logs

    def _validation(self, data: Any, sizes: Any, steps: int | None, device: Any) -> Any:
        x, y, weight = data, None, None
        if isinstance(data, (tuple, list)):
            x, y, weight = unpack_x_y_sample_weight(data)
        self._check_targets_given("fit (validation_data)", x, y)
        size = sizes[0] or (sizes[1] if takes_batch_size(x) else None)
        return make_batches(
            x, y, weight, batch_size=size, steps=steps, device=device, name="validation"
        )


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


def _warn_of_modes(model: Any) -> None:
    """Say that batch normalization will learn in a part that was recorded at rest."""
    for node in model._graph.nodes:
        if node.kwargs.get("training") is not False or not isinstance(node.op, nn.Module):
            continue
        parts = [m for m in node.op.modules() if isinstance(m, BatchNormalization) and m.trainable]
        if parts:
            warn_user(
                f"{model.label} calls {node.op.label} with training=False, but fit trains, and "
                f"that reaches all layers, as in Keras 3: {parts[0].label} uses and changes the "
                f"statistics of each batch. Set its trainable = False to keep it at rest."
            )
            return
