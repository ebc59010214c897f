"""`nnkit convert in.keras out.onnx`: write a model or its weights in another format."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from nnkit.cli.models import add_imports, failed, open_model
from nnkit.errors import ArgumentError, NnkitError

__all__ = ["add"]

_MODELS = (".keras", ".h5", ".hdf5")
_WEIGHTS = (".weights.h5", ".safetensors", ".pt", ".pth")
_PROGRAMS = (".onnx", ".pt2")


def add(subparsers: Any) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "convert",
        help="write a model or its weights in another format",
        description=(
            f"Models: {', '.join(_MODELS)}. Weights: {', '.join(_WEIGHTS)}. Programs, written "
            f"only: {', '.join(_PROGRAMS)}. From weights to anything else, --like says which "
            f"model they belong to."
        ),
    )
    parser.add_argument("source", type=Path, help="the file to read")
    parser.add_argument("target", type=Path, help="the file to write")
    parser.add_argument(
        "--like", type=Path, metavar="MODEL", help="a model file (or its .json) for weights"
    )
    parser.add_argument("--force", action="store_true", help="replace the target if it exists")
    add_imports(parser)
    parser.set_defaults(command=_convert)


def _convert(options: argparse.Namespace) -> int:
    try:
        _check(options.source, options.target, options.force)
        model = open_model(options.source, options.like, options.imports)
        _write(model, options.target)
    except (NnkitError, OSError) as error:
        return failed("convert", error)
    print(f"{options.source} -> {options.target}")
    return 0


def _check(source: Path, target: Path, force: bool) -> None:
    """See that this can be done, before a large file is read for nothing."""
    if source.name.endswith(_PROGRAMS):
        raise ArgumentError(f"{str(source)!r} is a program, which holds no model to read back.")
    for path, endings in ((source, _MODELS + _WEIGHTS), (target, _MODELS + _WEIGHTS + _PROGRAMS)):
        if not path.name.endswith(endings):
            raise ArgumentError(
                f"The name of a file must end in {', '.join(endings)}, got {str(path)!r}."
            )
    if target.is_dir():
        raise IsADirectoryError(f"{str(target)!r} is a folder; give the name of a file.")
    if target.exists() and not force:
        raise FileExistsError(f"{str(target)!r} exists. Give --force to replace it.")


def _write(model: Any, target: Path) -> None:
    if target.name.endswith(_WEIGHTS):
        model.save_weights(target)
    elif target.suffix in _PROGRAMS:
        model.export(target)
    else:
        model.save(target)
