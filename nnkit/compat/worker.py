"""What a process started by a program under `nnkit run` runs first, in place of the program.

Python's multiprocessing imports the main module anew in such a process, here with the hook.
"""

from __future__ import annotations

import os
import runpy

from nnkit.compat.finder import install_as_keras

__all__ = ["SCRIPT"]

# The environment variable with the program's path.
SCRIPT = "NNKIT_RUN_SCRIPT"

if __name__ == "__mp_main__":
    install_as_keras()
    globals().update(runpy.run_path(os.environ[SCRIPT], run_name=__name__))
