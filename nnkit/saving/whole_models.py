"""Save and load whole models; the ending of the file's name says in which format."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nnkit.arguments import path_text
from nnkit.errors import ArgumentError, FileError, NnkitError
from nnkit.layer import Layer
from nnkit.layer_config import refuse_computed
from nnkit.saving.atomic import replacing
from nnkit.serialization import serialize_keras_object, sharing_objects

__all__ = ["load_model", "save_model"]

_LEGACY = (".h5", ".hdf5")


def save_model(model: Any, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
    """Write a whole model to a file that Keras and nnkit open: whole, or not at all.

    Args:
        model: the model. One that has no weights yet is written without.
        filepath: ends in ".keras"; or ".h5", the format before Keras 3. Its folder must exist.
        overwrite: False refuses to replace a file.
        include_optimizer: False leaves out how the model is trained.

    Raises: ArgumentError for another ending; ConfigError for what a file cannot hold;
        FileExistsError if overwrite is False; FileNotFoundError if there is no such folder.
    Source: keras.saving.save_model
    """
    include_optimizer = bool(kwargs.pop("include_optimizer", True))
    for unused in ("save_format", "zipped"):
        kwargs.pop(unused, None)
    if kwargs:
        raise ArgumentError(f"save_model() has no argument {min(kwargs)!r}.")
    path = _path(filepath)
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"{str(path)!r} exists. Give overwrite=True to replace it, or another name."
        )
    if not model.built:
        warnings.warn(
            f"{model.label} has no weights yet, so the file holds only how it is made. Build it, "
            f"or call it on data, before saving.",
            stacklevel=3,
        )
    # Before the file is begun: whatever cannot be written shows here.
    for module in model.modules():
        if isinstance(module, Layer):
            refuse_computed(module)
    with sharing_objects():
        config = serialize_keras_object(model)
    if not include_optimizer:
        config.pop("compile_config", None)
    with replacing(path) as part:
        _format(path).save(model, part, config, include_optimizer)


def load_model(
    filepath: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True
) -> Any:
    """The model in a file that `model.save` wrote, here or in Keras 3.

    Args:
        filepath: ends in ".keras"; or ".h5", the format before Keras 3.
        custom_objects: your own classes and functions by the names the file has for them; a lambda
            and a torch module go by the name of their layer.
        compile: whether to compile the model as it was, with the optimizer's state.
        safe_mode: accepted, and without effect: code in a file is never run.

    Raises: FileError for a file that is damaged, is something else, or names what is not known
        here; FileNotFoundError if there is no such file.
    Source: keras.saving.load_model
    """
    path = _path(filepath)
    with open(path, "rb") as file:  # the system's own errors come as they are
        size = os.fstat(file.fileno()).st_size
    with _naming(path):
        return _format(path).load(path, size, custom_objects, compile)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Whatever goes wrong inside is an error of this file."""
    try:
        yield
    except Warning:
        raise  # made an error by the caller's filters
    except FileError as error:
        if str(path) in str(error):
            raise
        raise FileError(f"{str(path)!r}: {error}") from error
    except NnkitError as error:
        raise FileError(f"{str(path)!r} cannot be loaded: {error}") from error
    except RecursionError as error:
        raise FileError(
            f"{str(path)!r} cannot be loaded: its config is nested too deeply for that of a model."
        ) from error
    except Exception as error:  # bytes that are no such file can make a reader raise anything
        said = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise FileError(
            f"{str(path)!r} cannot be loaded, it is damaged or no such file "
            f"({type(error).__name__}: {said})."
        ) from error


def _path(filepath: Any) -> Path:
    path = Path(path_text("A model's file", "filepath", filepath))
    if path.suffix not in (".keras", *_LEGACY):
        raise ArgumentError(
            f"The name of a model's file must end in '.keras' (or '.h5', as before Keras 3), "
            f"got {str(path)!r}."
        )
    if path.is_dir():
        raise ArgumentError(f"{str(path)!r} is a folder; give the name of a file.")
    return path


def _format(path: Path) -> Any:
    # Loaded by name: h5py is slow to import, and most programs never save.
    if path.suffix in _LEGACY:
        return importlib.import_module("nnkit.saving.legacy_model")
    return importlib.import_module("nnkit.saving.archive")
