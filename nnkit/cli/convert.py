"""`nnkit convert in.keras out.onnx`: write a model or its weights in another format."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from nnkit.cli.models import add_imports, open_model
from nnkit.errors import NnkitError

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
    parser.add_argument("--like", type=Path, help="a model file (or its .json) for weights")
    parser.add_argument("--force", action="store_true", help="replace the target if it exists")
    add_imports(parser)
    parser.set_defaults(command=_convert)


def _convert(options: argparse.Namespace) -> int:
    try:
        if options.target.exists() and not options.force:
            raise FileExistsError(f"{str(options.target)!r} exists. Give --force to replace it.")
        model = open_model(options.source, options.like, options.imports)
        _write(model, options.target)
    except (NnkitError, OSError) as error:
        print(f"nnkit convert: {error}", file=sys.stderr)
        return 1
    print(f"{options.source} -> {options.target}")
    return 0


def _write(model: Any, target: Path) -> None:
    if target.name.endswith(_WEIGHTS):
        model.save_weights(target)
    elif target.suffix in _PROGRAMS:
        model.export(target)
    else:
        model.save(target)
