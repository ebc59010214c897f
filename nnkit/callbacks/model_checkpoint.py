"""Save the model while it trains."""

from __future__ import annotations

import os
from typing import Any

from nnkit.arguments import path_text
from nnkit.callbacks.console import number, say
from nnkit.callbacks.monitor import Monitor
from nnkit.errors import ArgumentError

__all__ = ["ModelCheckpoint"]


class ModelCheckpoint(Monitor):
    """Save the model, or its weights, after every epoch or every so many batches.

    Args:
        filepath: the file; `{epoch:02d}` (from 1), `{batch}` (from 1) and metrics such as
            `{val_loss:.2f}` are filled in. It ends in ".weights.h5" for weights only, else in
            ".keras" or ".h5". Missing folders are made.
        monitor: the metric that decides what is best.
        verbose: 1 to print what is saved.
        save_best_only: whether to save only when the monitored metric has improved.
        save_weights_only: whether to call `model.save_weights` rather than `model.save`.
        mode: "min", "max", or "auto" to tell from the metric.
        save_freq: "epoch", or a number of batches, counted across epochs.
        initial_value_threshold: with save_best_only, the value the first save has to beat.

    Raises: ArgumentError for a bad argument or ending, or a metric that the run does not log;
        FileError before the first epoch for a folder that cannot be written, or is full.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath = path_text(self, "filepath", filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self._epoch = 0
        self._last_batch = -1
        self._unsaved_batches = 0
        is_count = isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0
        if save_freq != "epoch" and not is_count:
            raise ArgumentError(
                f"ModelCheckpoint expects save_freq='epoch' or a number of batches from 1 up, "
                f"but received {save_freq!r}."
            )
        endings = (".weights.h5",) if save_weights_only else (".keras", ".h5")
        if not self.filepath.endswith(endings):
            raise ArgumentError(
                f"ModelCheckpoint with save_weights_only={save_weights_only} expects a filepath "
                f"that ends in {' or '.join(map(repr, endings))}, but received {self.filepath!r}."
            )

    def _uses(self, hook: str) -> bool:
        if hook == "on_train_batch_end" and self.save_freq == "epoch":
            method = getattr(self.on_train_batch_end, "__func__", None)
            return method is not ModelCheckpoint.on_train_batch_end
        return super()._uses(hook)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        # A folder whose name depends on the epoch cannot be looked at yet.
        folder = os.path.dirname(self.filepath.partition("{")[0])
        check = getattr(self.model, "check_can_save", None)
        if check is not None:
            check(os.path.join(folder, "checkpoint"))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if isinstance(self.save_freq, int):
            # One call may stand for several batches, and the count starts again every epoch.
            new_epoch = batch <= self._last_batch
            self._unsaved_batches += batch + 1 if new_epoch else batch - self._last_batch
            self._last_batch = batch
            if self._unsaved_batches >= self.save_freq:
                self._unsaved_batches = 0
                self._save(self._epoch, {"batch": batch + 1, **(logs or {})})

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, logs or {})

    def _save(self, epoch: int, logs: dict[str, Any]) -> None:
        reason = ""
        if self.save_best_only:
            current, best = self.monitored(logs), self.best
            if current is None:
                return
            if not self.is_better(current, best):
                if self.verbose:
                    said = (
                        "is not a number" if best is None else f"is not better than {number(best)}"
                    )
                    say(f"Epoch {epoch + 1}: {self.monitor} {said}, not saved.")
                return
            self.best = current
            reason = f"{self.monitor} improved to {number(current)}, "
        path = self._path(epoch, logs)
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        if self.verbose:
            say(f"Epoch {epoch + 1}: {reason}saved to {path}")

    def _path(self, epoch: int, logs: dict[str, Any]) -> str:
        fields = {"epoch": epoch + 1, **logs}
        try:
            path = self.filepath.format(**fields)
        except (KeyError, IndexError, ValueError) as exc:
            raise ArgumentError(
                f"ModelCheckpoint cannot fill in the filepath {self.filepath!r} ({exc}). "
                f"There are: {', '.join(fields)}."
            ) from exc
        if os.path.isdir(path):
            raise ArgumentError(f"ModelCheckpoint expects a file, but {path!r} is a folder.")
        return path
