"""`nnkit run script.py`: run a program written for Keras as it is."""

from __future__ import annotations

import argparse
import os
import runpy
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from nnkit.compat import install_as_keras
from nnkit.compat.worker import SCRIPT

__all__ = ["add"]


def add(subparsers: Any) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "run",
        help="run a program written for Keras, unchanged",
        description="Run a program whose keras and tensorflow.keras imports are served by nnkit.",
        usage="nnkit run [-h] (script.py | -m module) [arguments ...]",
    )
    parser.add_argument("-m", dest="module", action="store_true", help="the name of a module")
    parser.add_argument("script", help="the program's file, or a module's name after -m")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="what the program is given")
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    install_as_keras()
    sys.argv[:] = [options.script, *options.arguments]
    if options.module:
        sys.path[0] = os.getcwd()
        try:
            runpy.run_module(options.script, run_name="__main__", alter_sys=True)
        except ImportError as error:
            if error.__traceback__ is None or not _is_from_runpy(error.__traceback__):
                raise  # of the program's own
            print(f"nnkit run: {error}.", file=sys.stderr)
            return 1
        return 0
    path = Path(options.script)
    if not path.is_file():
        print(f"nnkit run: there is no file {options.script!r}.", file=sys.stderr)
        return 2
    sys.path[0] = str(path.resolve().parent)
    try:
        code = compile(path.read_bytes(), options.script, "exec")
    except SyntaxError as error:
        sys.excepthook(type(error), error.with_traceback(None), None)
        return 1
    main: Any = types.ModuleType("__main__")
    main.__file__ = options.script
    # Processes that the program starts run it again under another name, which needs the hook too:
    # they import what the spec names, and that finds the program in the environment.
    main.__spec__ = ModuleSpec("nnkit.compat.worker", None, origin=options.script)
    os.environ[SCRIPT] = str(path.resolve())
    sys.modules["__main__"] = main
    try:
        exec(code, main.__dict__)  # noqa: S102 - running the program is what is asked for
    except Exception as error:
        # The program's own lines only, as `python script.py` shows them.
        trace = error.__traceback__ and error.__traceback__.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        return 1
    return 0


def _is_from_runpy(trace: types.TracebackType) -> bool:
    """Whether an error was raised while the module was looked for, before its code ran."""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_globals.get("__name__") == "runpy"
