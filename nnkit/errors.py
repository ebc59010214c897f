"""Every error nnkit raises on purpose.

    NnkitError
    ├── ArgumentError     (ValueError)    a wrong argument: unknown name, bad size, wrong type
    ├── ShapeError        (ValueError)    axes that do not fit the layer, loss or metric
    ├── GraphError        (ValueError)    inputs and outputs not connected, a name used twice
    ├── DataError         (ValueError)    data unfit for training: lengths, labels, NaN, empty
    ├── NotBuiltError     (ValueError)    something was asked of a model that has no weights yet
    ├── NotCompiledError  (RuntimeError)  fit or evaluate before compile
    ├── ConfigError       (NotImplementedError)  an object that cannot be written into a config
    ├── FileError         (ValueError)    a file that does not fit the model, or is damaged
    ├── DownloadError     (OSError)       a data set that cannot be fetched or is damaged
    ├── MissingNameError  (AttributeError)   a name of Keras that is not here
    └── MissingImportError (ModuleNotFoundError)  the same, met by an import

Each one also is the builtin class in brackets, which is what Keras code catches.
A message says what was expected, what came and what to do.
"""

from __future__ import annotations

import difflib
import os
import sys
import warnings
from collections.abc import Iterable

__all__ = [
    "ArgumentError",
    "ConfigError",
    "DataError",
    "DownloadError",
    "FileError",
    "GraphError",
    "MissingImportError",
    "MissingNameError",
    "NnkitError",
    "NotBuiltError",
    "NotCompiledError",
    "ShapeError",
    "level_outside",
    "unknown_name",
    "warn_user",
]


class NnkitError(Exception):
    """The base of all errors raised by nnkit."""


class ArgumentError(NnkitError, ValueError):
    """An argument has a value that cannot work."""


class ShapeError(NnkitError, ValueError):
    """A tensor's axes do not fit."""


class GraphError(NnkitError, ValueError):
    """A functional model cannot be made of these inputs and outputs."""


class DataError(NnkitError, ValueError):
    """The data given to fit, evaluate or predict cannot be used."""


class NotBuiltError(NnkitError, ValueError):
    """The layer or model has not seen an input shape yet."""


class NotCompiledError(NnkitError, RuntimeError):
    """The model has no loss or optimizer yet."""


class ConfigError(NnkitError, NotImplementedError):
    """An object cannot be written into a config."""


class FileError(NnkitError, ValueError):
    """A file does not fit the model, or is damaged."""


class DownloadError(NnkitError, OSError):
    """A file could not be downloaded, or is not the one expected."""


class MissingNameError(NnkitError, AttributeError):
    """A module that stands in for Keras's has no such name."""


class MissingImportError(NnkitError, ModuleNotFoundError):
    """A program written for Keras imports what is not here."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> ArgumentError:
    """The error for a name that does not exist, with the nearest names that do.

    Args:
        kind: what was looked up, such as "activation".
        name: what the user wrote.
        known: the names there are.
    """
    names = sorted(set(known))
    close = difflib.get_close_matches(str(name), names, n=3, cutoff=0.6)
    hint = (
        f"Did you mean {' or '.join(map(repr, close))}?" if close else f"Known: {', '.join(names)}."
    )
    return ArgumentError(f"Unknown {kind} {name!r}. {hint}")


def warn_user(message: str) -> None:
    """Warn, pointing at the line outside of nnkit that led here."""
    warnings.warn(message, UserWarning, stacklevel=level_outside())


def level_outside() -> int:
    """The `stacklevel` by which the caller's warning points at the first line outside of nnkit."""
    package = os.path.dirname(os.path.abspath(__file__)) + os.sep
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(package):
        frame, level = frame.f_back, level + 1
    return level
