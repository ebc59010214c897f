"""Write the metrics of every epoch into a CSV file."""

from __future__ import annotations

import csv
import os
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from nnkit.arguments import path_text
from nnkit.callbacks.base import Callback
from nnkit.errors import ArgumentError

__all__ = ["CSVLogger"]


class CSVLogger(Callback):
    """Add a row to a CSV file after every epoch.

    Args:
        filename: the file; missing folders are made.
        separator: one character between the columns.
        append: whether to go on in a file that exists, rather than replace it.

    The columns are the epoch (from 0) and the metrics of the first epoch by name. If that has no
    validation there are empty columns for it, since later ones may: they hold "NA".

    Raises: ArgumentError if the separator is not one character, or if the file to append to has
    other columns.
    """

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        if not isinstance(separator, str) or len(separator) != 1:
            raise ArgumentError(f"CSVLogger expects one character as separator, not {separator!r}.")
        self.filename = path_text(self, "filename", filename)
        self.sep = separator
        self.append = append
        self.keys: list[str] | None = None
        self._file: IO[str] | None = None
        self._header: list[str] = []
        self._end = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.close()
        self.keys = None
        path = Path(self.filename)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._header = []
        if self.append and path.exists():
            with path.open(newline="") as file:
                self._header = next(csv.reader(file, delimiter=self.sep), [])
        self._file = path.open("r+" if path.exists() else "w", newline="")
        self._end = path.stat().st_size if self.append else 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._file is None:
            return
        logs = logs or {}
        self._go_to_the_end()
        writer = csv.writer(self._file, delimiter=self.sep)
        if self.keys is None:
            self.keys = sorted(logs)
            if not any(name.startswith("val_") for name in self.keys):
                self.keys += [f"val_{name}" for name in self.keys]
            self._start_table(writer, ["epoch", *self.keys])
        writer.writerow([epoch, *(_cell(logs.get(name, "NA")) for name in self.keys)])
        self._file.flush()
        self._end = os.path.getsize(self.filename)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._go_to_the_end()
        self.close()

    def state_dict(self) -> dict[str, Any]:
        """What a training that is gone on with needs: the columns, and where the rows end."""
        return {"keys": self.keys, "header": self._header, "end": self._end}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on in the file; rows that came after this state was taken will come again."""
        if self._file is not None and os.path.getsize(self.filename) >= state["end"]:
            self.keys, self._header, self._end = state["keys"], state["header"], state["end"]

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _go_to_the_end(self) -> None:
        """Take off what an earlier run left behind the rows that stay."""
        if self._file is not None and self._file.seekable():
            self._file.seek(self._end)
            with suppress(OSError):  # a device has no end
                self._file.truncate()

    def _start_table(self, writer: Any, columns: list[str]) -> None:
        if not self._header:
            writer.writerow(columns)
        elif self._header != columns:
            raise ArgumentError(
                f"CSVLogger cannot append to {self.filename!r}: it has the columns "
                f"{', '.join(self._header)}, but this run logs {', '.join(columns)}."
            )


def _cell(value: Any) -> Any:
    # Metrics of several values go into one quoted cell.
    if np.ndim(value) == 0:
        return value
    return f'"[{", ".join(map(str, value))}]"'
