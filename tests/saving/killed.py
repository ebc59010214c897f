"""Kill a process at random moments of its saving, over and over, and read what it leaves.

    python tests/saving/killed.py FOLDER KILLS SEED

Prints "KILLS kills, N of them during a save" when every file was the old or the new one.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch

from nnkit import Input, Sequential, layers
from nnkit.models import load_model

ENDINGS = (".weights.h5", ".pt", ".safetensors", ".keras")


def make() -> Sequential:
    model = Sequential([Input((64,)), layers.Dense(256), layers.Dense(64)])
    model.compile("adam", "mse")
    return model


def fill(model: Sequential, value: float) -> None:
    with torch.no_grad():
        for weight in model.weights:
            weight.fill_(value)


def save(model: Sequential, path: Path) -> None:
    if path.suffix == ".keras":
        model.save(path)
    else:
        model.save_weights(path)


def save_for_ever(model: Sequential, path: Path) -> None:
    number = 0
    while True:
        number += 1
        fill(model, float(number))
        save(model, path)


def read(model: Sequential, path: Path) -> float:
    """The one value that all weights have."""
    if path.suffix == ".keras":
        model = load_model(path)
    else:
        model.load_weights(path)
    values = {float(v) for weight in model.get_weights() for v in np.unique(weight)}
    if len(values) != 1:
        raise SystemExit(f"{path} mixes {values}")
    return values.pop()


def main(folder: Path, kills: int, seed: int) -> None:
    draw = random.Random(seed)
    model = make()
    during = 0
    for number in range(kills):
        path = folder / f"model{ENDINGS[number % len(ENDINGS)]}"
        if not path.exists():
            fill(model, 0.0)
            save(model, path)
        child = os.fork()
        if child == 0:
            save_for_ever(model, path)
        time.sleep(draw.uniform(0.001, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        during += any(name.endswith(".part") for name in os.listdir(folder))
        read(model, path)
        save(model, path)
        left = [name for name in os.listdir(folder) if name.endswith(".part")]
        if left:
            raise SystemExit(f"left over after the next save: {left}")
    print(f"{kills} kills, {during} of them during a save")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
