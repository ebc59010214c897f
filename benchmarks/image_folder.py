"""Pictures from a folder: `image_dataset_from_directory` against torchvision's ImageFolder.

Both read the same JPEG files with the same number of workers, and resize without smoothing. Rounds
alternate. `--cpu` counts the CPU time of all processes in place of the time on the wall, for a
machine that others use too. The second line compares a pass kept by `cache()` with one that reads
the files.

    python benchmarks/image_folder.py --workers 2
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from interleaved import compare
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from nnkit.utils import image_dataset_from_directory


def make_folder(root: Path, pictures: int, height: int, width: int) -> None:
    """Two classes of smooth pictures, so that the files are as large as photographs."""
    random = np.random.default_rng(0)
    for number in range(pictures):
        folder = root / ("even", "odd")[number % 2]
        folder.mkdir(exist_ok=True)
        rough = random.integers(0, 255, (height // 16, width // 16, 3)).astype("uint8")
        Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC).save(
            folder / f"{number}.jpg", quality=90
        )


def one_pass(batches: object) -> None:
    """Go through all batches."""
    for images, labels in batches:  # type: ignore[attr-defined]
        _ = images.shape, labels.shape


def cpu_time() -> float:
    """Of this process and of its workers that have ended, in seconds."""
    return sum(os.times()[:4])


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--size", type=int, nargs=2, default=(375, 500), help="of the files")
    parser.add_argument("--target", type=int, default=224, help="pixels after resizing")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cpu", action="store_true")
    options = parser.parse_args()
    clock = cpu_time if options.cpu else time.perf_counter
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        make_folder(Path(name), options.pictures, *options.size)
        size = (options.target, options.target)
        change = v2.Compose(
            [v2.PILToTensor(), v2.ToDtype(torch.float32), v2.Resize(size, antialias=False)]
        )
        theirs = DataLoader(
            ImageFolder(name, change), batch_size=32, shuffle=True, num_workers=options.workers
        )
        mine = image_dataset_from_directory(
            name, image_size=size, num_workers=options.workers, verbose=False
        )
        ratio = compare(lambda: one_pass(mine), lambda: one_pass(theirs), options.rounds, 1, clock)
        print(f"{options.workers} workers, nnkit / torchvision: {ratio}")
        cached = mine.cache()
        ratio = compare(lambda: one_pass(cached), lambda: one_pass(mine), 3, 1, clock)
        print(f"kept by cache(), against read again: {ratio}")


if __name__ == "__main__":
    main()
