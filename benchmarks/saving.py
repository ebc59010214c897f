"""Saving and loading VGG16, against torch.save and torch.load of the same bytes.

Weights in three formats, and the whole model in a .keras archive, whose loading also makes the
model, which torch's side has already. Both write to the disk for good (fsync). Torch computes with
one thread; nnkit reads and writes files with two. Peak memory is measured in a process of its own,
over the model that is there; a model that `load_model` makes counts as one of its weights' size.

    python benchmarks/saving.py --folder .
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from interleaved import compare

import nnkit
from nnkit import layers


def vgg16() -> nnkit.Model:
    """VGG16 with its top: 138,357,544 parameters."""
    x = inputs = nnkit.Input((224, 224, 3))
    for filters, repeats in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(repeats):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dense(4096, activation="relu")(x)
    return nnkit.Model(inputs, layers.Dense(1000, activation="softmax")(x))


def torch_save(model: torch.nn.Module, path: Path) -> None:
    with open(path, "wb") as file:
        torch.save(model.state_dict(), file)
        file.flush()
        os.fsync(file.fileno())


def torch_load(model: torch.nn.Module, path: Path) -> None:
    model.load_state_dict(torch.load(path, weights_only=True))


def save(model: nnkit.Model, path: Path) -> None:
    if path.suffix == ".keras":
        model.save(path)
    else:
        model.save_weights(path)


def load(model: nnkit.Model, path: Path) -> None:
    if path.suffix == ".keras":
        nnkit.models.load_model(path)
    else:
        model.load_weights(path)


def peak(call: str, path: Path) -> float:
    """Most memory that `save` or `load` takes over the model's own, in sizes of the weights."""
    code = (
        "import interleaved, pathlib, saving, sys\n"
        "model = saving.vgg16()\n"
        "path = pathlib.Path(sys.argv[1])\n"
        f"rise = interleaved.memory_rise(lambda: saving.{call}(model, path))\n"
        "print(rise / sum(w.nbytes for w in model.weights))"
    )
    command = [sys.executable, "-c", code, str(path)]
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{here.parent}"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where files are written")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = vgg16()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        theirs = folder / "torch.pt"
        for ending in (".weights.h5", ".safetensors", ".pt", ".keras"):
            ours = folder / f"ours{ending}"
            saved = compare(
                lambda ours=ours: save(model, ours),
                lambda: torch_save(model, theirs),
                arguments.rounds,
            )
            print(f"save {ending:12}  {saved}  memory {peak('save', ours):.2f}")
            loaded = compare(
                lambda ours=ours: load(model, ours),
                lambda: torch_load(model, theirs),
                arguments.rounds,
            )
            print(f"load {ending:12}  {loaded}  memory {peak('load', ours):.2f}")


if __name__ == "__main__":
    main()
