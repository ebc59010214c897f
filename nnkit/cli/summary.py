"""`nnkit summary file`: what is in a file of a model or of weights."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from nnkit.cli.models import add_imports, failed, is_weights, open_model
from nnkit.errors import NnkitError
from nnkit.saving.weights import stored_weights

__all__ = ["add"]


def add(subparsers: Any) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser("summary", help="print what is in a model or weights file")
    parser.add_argument(
        "file", type=Path, help=".keras, .h5, .json, .weights.h5, .safetensors, .pt"
    )
    parser.add_argument("--nested", action="store_true", help="also the layers of models inside")
    add_imports(parser)
    parser.set_defaults(command=_summary)


def _summary(options: argparse.Namespace) -> int:
    try:
        if is_weights(options.file):
            _print_weights(options.file)
        else:
            model = open_model(options.file, None, options.imports)
            model.summary(expand_nested=options.nested)
    except (NnkitError, OSError) as error:
        return failed("summary", error)
    return 0


def _print_weights(path: Path) -> None:
    shapes = stored_weights(path)
    width = max(map(len, shapes), default=0)
    total = 0
    for name, shape in shapes.items():
        print(f"{name:{width}}  {shape}")
        size = 1
        for each in shape:
            size *= each
        total += size
    print(f"{len(shapes)} weights, {total:,} numbers")
