"""The command line: `nnkit run`, `nnkit convert`, `nnkit summary`; or `python -m nnkit ...`."""

from __future__ import annotations

import argparse
import pkgutil
from collections.abc import Sequence

from nnkit.cli import convert, run, summary

__all__ = ["main"]

# Each has `add(subparsers)`, which sets the function to call as the default of `command`.
_COMMANDS = (run, convert, summary)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status.

    Args:
        arguments: the words after the program's name; those of this process when None.
    """
    parser = argparse.ArgumentParser(prog="nnkit", description="Write Keras, get PyTorch.")
    version = pkgutil.resolve_name("nnkit:__version__")
    parser.add_argument("--version", action="version", version=f"nnkit {version}")
    subparsers = parser.add_subparsers(required=True, metavar="command")
    for command in _COMMANDS:
        command.add(subparsers)
    chosen = parser.parse_args(arguments)
    status: int = chosen.command(chosen)
    return status
