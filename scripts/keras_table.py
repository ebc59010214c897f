"""Write docs/keras-symbols.md: which of Keras's public names are here, and why others are not.

Needs Keras (the `test` extra). A test runs `table()` and compares it with the page.

    python scripts/keras_table.py
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from types import ModuleType

os.environ.setdefault("KERAS_BACKEND", "torch")

PAGE = Path(__file__).parent.parent / "docs" / "keras-symbols.md"
# These first; all other public modules of Keras follow in the order of their names.
FIRST = (
    "", "layers", "models", "losses", "metrics", "optimizers", "optimizers.schedules",
    "initializers", "regularizers", "constraints", "activations", "callbacks", "applications",
    "datasets", "ops",
)  # fmt: skip
_DISTRIBUTE = "torch.distributed spreads models over devices"
_QUANTIZE = "torch.ao and torchao quantize torch modules"
_SCOPES = "part of Keras's stateless machinery; torch modules hold their state"
_BOXES = "torchvision.ops and torchvision.utils work on boxes and draw them"
_EPOCHS = "give fit epochs= and steps_per_epoch="
# Why a module, or a name of one, is missing; what is not listed is simply not there yet.
REASONS = {
    "Function": "a Model is one",
    "Operation": "any torch function or module is one",
    "Quantizer": _QUANTIZE,
    "RematScope": "torch.utils.checkpoint does it",
    "StatelessScope": _SCOPES,
    "SymbolicScope": _SCOPES,
    "remat": "torch.utils.checkpoint does it",
    "callbacks.OrbaxCheckpoint": "JAX only",
    "config.enable_unsafe_deserialization": "safe_mode=False is given to load_model, never for all",
    "config.is_nnx_enabled": "JAX only",
    "config.max_epochs": _EPOCHS,
    "config.max_steps_per_epoch": _EPOCHS,
    "config.set_max_epochs": _EPOCHS,
    "config.set_max_steps_per_epoch": _EPOCHS,
    "distillation": "written in a train_step of a few lines",
    "distribution": _DISTRIBUTE,
    "dtype_policies.AWQDTypePolicy": _QUANTIZE,
    "dtype_policies.GPTQDTypePolicy": _QUANTIZE,
    "dtype_policies.Int4DTypePolicy": _QUANTIZE,
    "dtype_policies.QuantizedDTypePolicy": _QUANTIZE,
    "dtype_policies.QuantizedFloat8DTypePolicy": _QUANTIZE,
    "export": "model.export writes ONNX and torch.export programs",
    "legacy": "saving has them for today's files",
    "layers.FlaxLayer": "wraps JAX",
    "layers.JaxLayer": "wraps JAX",
    "layers.TFSMLayer": "runs TensorFlow files",
    "optimizers.legacy": "TensorFlow only",
    "quantizers": _QUANTIZE,
    "saving.KerasFileEditor": "h5py and zipfile open the files",
    "utils.FeatureSpace": "preprocessing layers and Concatenate do the same",
    "utils.audio_dataset_from_directory": "torchaudio reads sounds",
    "utils.bounding_boxes": _BOXES,
    "utils.legacy": "saving has them for today's files",
    "visualization": _BOXES,
}


def modules() -> list[str]:
    """The paths of Keras's public modules below `keras`, "" for itself; private ones left out."""
    found: list[str] = []

    def walk(module: ModuleType, path: str) -> None:
        found.append(path)
        for name, value in sorted(vars(module).items()):
            public = not name.startswith("_") and isinstance(value, ModuleType)
            inner = f"{path}.{name}".lstrip(".")
            if public and value.__name__ == f"keras.{inner}" and inner != "src":
                walk(value, inner)

    walk(importlib.import_module("keras"), "")
    return sorted(found, key=lambda path: (FIRST.index(path) if path in FIRST else 99, path))


def names(module: object) -> list[str]:
    """The public names of a module, submodules left out."""
    return [
        name
        for name in sorted(dir(module), key=str.lower)
        if not name.startswith("_") and type(getattr(module, name)).__name__ != "module"
    ]


def reason(path: str, name: str = "") -> str | None:
    """Why a name, its module or a module around that is missing."""
    parts = [part for part in f"{path}.{name}".split(".") if part]
    known = (REASONS.get(".".join(parts[:end])) for end in range(len(parts), 0, -1))
    return next((why for why in known if why), None)


def section(path: str) -> list[str]:
    """The lines about one module."""
    theirs = names(importlib.import_module(f"keras.{path}".rstrip(".")))
    lines = [f"## {path or 'keras'}", ""]
    try:
        ours = importlib.import_module(f"nnkit.{path}".rstrip("."))
    except ImportError:
        why = reason(path)
        listed = ", ".join(f"`{name}`" for name in theirs)
        told = f"Not here: {why}." if why else "Not here yet."
        return [*lines, told, "", f"Keras has {listed}.", ""]
    here = [name for name in theirs if hasattr(ours, name)]
    lines += [f"{len(here)} of {len(theirs)} names.", ""]
    if here:
        lines += ["Here: " + ", ".join(f"`{name}`" for name in here) + ".", ""]
    missing = [name for name in theirs if name not in here]
    later = [name for name in missing if reason(path, name) is None]
    without = [f"`{name}` ({reason(path, name)})" for name in missing if name not in later]
    if later:
        lines += ["Not here yet: " + ", ".join(f"`{name}`" for name in later) + ".", ""]
    if without:
        lines += ["Left out: " + ", ".join(without) + ".", ""]
    return lines


def table() -> str:
    """The page as Markdown."""
    lines = [
        "# Keras's names",
        "",
        "Made by `python scripts/keras_table.py` from Keras 3.15 and from this package: every",
        "public module of Keras, and each of its names.",
        "",
    ]
    for path in modules():
        if names(importlib.import_module(f"keras.{path}".rstrip("."))):
            lines += section(path)
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(table(), encoding="utf-8")
    print(f"wrote {PAGE}")
