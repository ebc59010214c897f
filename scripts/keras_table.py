"""Write docs/keras-symbols.md: which of Keras's public names are here.

Needs Keras (the `test` extra). A test runs `table()` and compares it with the page.

    python scripts/keras_table.py
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

PAGE = Path(__file__).parent.parent / "docs" / "keras-symbols.md"
MODULES = (
    "layers",
    "losses",
    "metrics",
    "optimizers",
    "optimizers.schedules",
    "initializers",
    "regularizers",
    "constraints",
    "activations",
    "callbacks",
    "applications",
    "ops",
)
# Names that have no meaning on torch alone; all others that are missing are simply not there yet.
NO_MEANING = {
    "layers.TFSMLayer": "runs TensorFlow files",
    "layers.JaxLayer": "wraps JAX",
    "layers.FlaxLayer": "wraps JAX",
    "optimizers.legacy": "TensorFlow only",
    "callbacks.OrbaxCheckpoint": "JAX only",
}


def names(module: object) -> list[str]:
    """The public names of a module, submodules left out."""
    return [
        name
        for name in sorted(dir(module), key=str.lower)
        if not name.startswith("_") and type(getattr(module, name)).__name__ != "module"
    ]


def table() -> str:
    """The page as Markdown."""
    lines = [
        "# Keras's names",
        "",
        "Made by `python scripts/keras_table.py` from Keras 3.15 and from this package.",
        "",
    ]
    for path in MODULES:
        theirs = names(importlib.import_module(f"keras.{path}"))
        try:
            ours = importlib.import_module(f"nnkit.{path}")
        except ImportError:
            continue
        here = [name for name in theirs if hasattr(ours, name)]
        lines += [f"## {path}", "", f"{len(here)} of {len(theirs)} names.", ""]
        lines += ["Here: " + ", ".join(f"`{name}`" for name in here) + ".", ""]
        missing = [name for name in theirs if name not in here]
        without = [n for n in missing if f"{path}.{n}" in NO_MEANING]
        later = [n for n in missing if n not in without]
        if later:
            lines += ["Not here yet: " + ", ".join(f"`{name}`" for name in later) + ".", ""]
        if without:
            told = [f"`{name}` ({NO_MEANING[f'{path}.{name}']})" for name in without]
            lines += ["Without meaning here: " + ", ".join(told) + ".", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(table(), encoding="utf-8")
    print(f"wrote {PAGE}")
