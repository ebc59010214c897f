"""Keep the state of a training on the disk, and go on from there."""

from __future__ import annotations

import os
from time import monotonic
from typing import Any, Protocol

from nnkit.arguments import path_text
from nnkit.callbacks.base import Callback
from nnkit.errors import ArgumentError

__all__ = ["BackupAndRestore"]


class _Run(Protocol):
    """What `fit` lends to the callback."""

    def save(self, epoch: int, steps: int, logs: dict[str, Any] | None) -> None: ...

    def delete(self) -> None: ...

    def is_over(self) -> bool: ...


class BackupAndRestore(Callback):
    """Write the whole state of `fit` into a folder, and begin with what is there.

    A run that was killed and is started again ends exactly, on a CPU bit for bit, like one that
    was never stopped: weights, optimizer, callbacks, metrics, random numbers and the place in the
    data go on. The file is replaced as a whole, so that there always is a good one.

    Args:
        backup_dir: a folder of its own for each `fit`; it is made when missing.
        save_freq: "epoch" to write after every epoch, a number of batches to write after so many
            as well, or False to write only when the process is told to end (SIGTERM, Ctrl-C).
        double_checkpoint: whether to keep the state before the last one too, for the case that
            the disk spoils the last.
        delete_checkpoint: whether to delete the state when training has come to its end.
        save_seconds: also write after a batch when so many seconds have passed; None for no clock.

    Raises: ArgumentError for a bad argument; FileError from `fit` when the state is of another
        model, optimizer or data.
    """

    last = True
    """Called after all other callbacks, whose state it keeps."""

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
        *,
        save_seconds: float | None = None,
    ) -> None:
        self.backup_dir = path_text(self, "backup_dir", backup_dir)
        if not self.backup_dir:
            raise ArgumentError("BackupAndRestore expects a folder, but backup_dir is empty.")
        counts = isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0
        if save_freq != "epoch" and save_freq is not False and not counts:
            raise ArgumentError(
                f"BackupAndRestore expects save_freq='epoch', a number of batches from 1 up, or "
                f"False, but received {save_freq!r}."
            )
        if save_seconds is not None and not save_seconds >= 0:
            raise ArgumentError(
                f"BackupAndRestore expects save_seconds from 0 up, or None, not {save_seconds!r}."
            )
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self.save_seconds = save_seconds
        self._run: _Run | None = None
        self._epoch = self._unsaved = 0
        self._last_batch = -1
        self._saved_at = monotonic()

    def lend(self, run: _Run | None) -> None:
        """Take from `fit` what writes the state; None when the run is over."""
        self._run = run
        self._unsaved, self._last_batch = 0, -1
        self._saved_at = monotonic()

    def state_dict(self) -> dict[str, Any]:
        """Nothing of its own goes on."""
        return {}

    def _uses(self, hook: str) -> bool:
        if hook == "on_train_batch_end" and type(self) is BackupAndRestore:
            return self.save_seconds is not None or self._counts()
        return super()._uses(hook)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch, self._last_batch = epoch, -1

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        # One call may stand for several batches.
        self._unsaved += batch - self._last_batch
        self._last_batch = batch
        if self._is_due():
            self._save(self._epoch, batch + 1, logs)
            self._unsaved = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.save_freq is not False:
            self._save(epoch + 1, 0, logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.delete_checkpoint and self._run is not None and self._run.is_over():
            self._run.delete()

    def _is_due(self) -> bool:
        if self._counts() and self._unsaved >= int(self.save_freq):
            return True
        return self.save_seconds is not None and monotonic() - self._saved_at >= self.save_seconds

    def _counts(self) -> bool:
        return isinstance(self.save_freq, int) and self.save_freq is not False

    def _save(self, epoch: int, steps: int, logs: dict[str, Any] | None) -> None:
        if self._run is not None:
            self._run.save(epoch, steps, logs)
            self._saved_at = monotonic()
