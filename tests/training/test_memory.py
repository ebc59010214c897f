"""Nothing grows: not with the models made, nor with the predictions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import gc
import numpy as np, torch
import nnkit
from nnkit import layers

torch.set_num_threads(1)
x, y = np.random.rand(64, 8).astype("float32"), np.random.rand(64, 1).astype("float32")

def resident():
    gc.collect()
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * 4096 / 2**20

def make(functional):
    parts = [layers.Dense(16, "relu"), layers.BatchNormalization(), layers.Dense(1)]
    inputs = nnkit.Input((8,))
    if not functional:
        return nnkit.Sequential([inputs, *parts])
    hidden = inputs
    for part in parts:
        hidden = part(hidden)
    return nnkit.Model(inputs, torch.relu(hidden) + hidden)

def cycle(number):
    model = make(number % 2)
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(x, y, epochs=2, validation_split=0.25, verbose=0)
    return model

def predictions(model, count):
    out = np.empty((64, 1), "float32")
    for number in range(count):
        kind = number % 4
        if kind == 0:
            model.predict(x[:4], verbose=0)
        elif kind == 1:
            model.predict(x, verbose=0)
        elif kind == 2:
            model.predict((part for part in (x, x)), verbose=0)
        else:
            model.predict(x, verbose=0, out=out)

for number in range(20):
    cycle(number)
before = resident()
for number in range(100):
    cycle(number)
print(resident() - before)
model = cycle(0)
predictions(model, 2000)
before = resident()
predictions(model, 10_000)
print(resident() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's page counts")
def test_memory_stays(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    grown = [float(line) for line in done.stdout.split()]
    assert len(grown) == 2
    assert max(grown) < 5, f"grown by {grown} MB"
