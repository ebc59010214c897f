"""What the commands that open model files share."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path
from typing import Any

from nnkit.errors import ArgumentError
from nnkit.models import load_model, model_from_json
from nnkit.saving.legacy_weights import is_model

__all__ = ["add_imports", "failed", "is_weights", "open_model"]


def add_imports(parser: argparse.ArgumentParser) -> None:
    """Add `--import`, by which layers of one's own are supplied."""
    parser.add_argument(
        "--import", dest="imports", action="append", default=[], metavar="MODULE",
        help="a module of yours that registers the custom classes in the file",
    )  # fmt: skip


def is_weights(path: Path) -> bool:
    """Whether a file has weights without a model."""
    if path.suffix in (".h5", ".hdf5"):
        return path.name.endswith(".weights.h5") or not is_model(path)
    return path.suffix in (".safetensors", ".pt", ".pth")


def open_model(path: Path, like: Path | None, imports: list[str]) -> Any:
    """The model in a file.

    Args:
        path: of a model (a .json without weights), or of weights.
        like: for weights, a file with the model they belong to: .keras, .h5 or .json.
        imports: modules to import first.

    Raises: ArgumentError when weights come without a model; what loading raises.
    """
    sys.path.insert(0, os.getcwd())
    for name in imports:
        _import(name)
    if not is_weights(path):
        return _model(path)
    if like is None:
        raise ArgumentError(
            f"{str(path)!r} has weights but no model. Say which they belong to: --like m.keras."
        )
    model = _model(like)
    model.load_weights(path)
    return model


def failed(command: str, error: Exception) -> int:
    """Say why a command could not be done; its exit status."""
    told = str(error)
    if "custom_objects" in told:
        told += " Here: --import MODULE, a module of yours that registers it."
    print(f"nnkit {command}: {told}", file=sys.stderr)
    return 1


def _model(path: Path) -> Any:
    if path.suffix == ".json":
        return model_from_json(path.read_text(encoding="utf-8"))
    return load_model(path)


def _import(name: str) -> None:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # one that the module itself imports
        raise ArgumentError(
            f"--import {name}: there is no such module here, nor among those installed."
        ) from error
