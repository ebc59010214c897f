"""Time of augmentation layers against torchvision's transforms (v2), in one interleaved run.

Two figures for each layer. "each": torchvision one image after the other, which is how it draws for
every image by itself, as the layers do. "batch": torchvision on the whole batch at once, with one
draw for all of it, which is less work than what the layers do. Ratios are medians over rounds, in
CPU time where there is no accelerator; below 1 the layer is faster. Bytes end as floats on both
sides, as a network takes them.

    python benchmarks/augmentation.py --threads 1 --size 224 --batch 32 --dtype uint8
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torchvision.transforms import InterpolationMode, v2

from nnkit import layers as L

SMOOTH = InterpolationMode.BILINEAR


def pairs(span: tuple[float, float]) -> list[tuple[nn.Module, nn.Module]]:
    """A layer and the transform that does the same, on images of this range."""
    return [
        (L.RandomFlip("horizontal"), v2.RandomHorizontalFlip(1.0)),
        (L.RandomRotation(0.1, "constant"), v2.RandomRotation(36, SMOOTH)),
        (L.RandomTranslation(0.1, 0.1, "constant"),
         v2.RandomAffine(0, (0.1, 0.1), interpolation=SMOOTH)),
        (L.RandomZoom(0.2, fill_mode="constant"),
         v2.RandomAffine(0, scale=(0.8, 1.2), interpolation=SMOOTH)),
        (L.RandomShear(0.2, 0.2, fill_mode="constant"),
         v2.RandomAffine(0, shear=(-11, 11, -11, 11), interpolation=SMOOTH)),
        (L.RandomPerspective((1, 1), 0.5), v2.RandomPerspective(0.5, 1.0)),
        (L.RandomElasticTransform((1, 1), (0.5, 0.5)), v2.ElasticTransform(11.0, 5.6)),
        (L.RandomCrop(160, 160), v2.RandomCrop(160)),
        (L.RandomContrast(0.5, span), v2.ColorJitter(contrast=(1, 1.5))),
        (L.RandomBrightness(0.3, span), v2.ColorJitter(brightness=0.3)),
        (L.RandomSaturation(0.5, span), v2.ColorJitter(saturation=0.5)),
        (L.RandomColorDegeneration(0.5, span), v2.ColorJitter(saturation=0.5)),
        (L.RandomHue(0.5, span), v2.ColorJitter(hue=0.25)),
        (L.RandomColorJitter(span, 0.2, 0.2, 0.2, 0.2), v2.ColorJitter(0.2, 0.2, 0.2, 0.2)),
        (L.RandomGrayscale(1.0), v2.RandomGrayscale(1.0)),
        (L.RandomSharpness(1.0, span), v2.RandomAdjustSharpness(1.5, 1.0)),
        (L.RandomGaussianBlur((1, 1), 3, 1.0, span), v2.GaussianBlur(3, (0.1, 1.0))),
        (L.RandomInvert((1, 1), span), v2.RandomInvert(1.0)),
        (L.RandomPosterization((4, 5), span), v2.RandomPosterize(4, 1.0)),
        (L.Solarization(0.0, 0.5, span), v2.RandomSolarize(span[1] / 2, 1.0)),
        (L.AutoContrast(span), v2.RandomAutocontrast(1.0)),
        (L.Equalization(span), v2.RandomEqualize(1.0)),
        (L.RandomErasing((1, 1), fill_value=0, value_range=span), v2.RandomErasing(1.0)),
        (L.RandAugment(span), v2.RandAugment(interpolation=SMOOTH)),
    ]  # fmt: skip


def seconds(run: Callable[[], object], device: str) -> float:
    """The time of one run: of the CPU, or until the accelerator has finished."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    wait = (lambda: None) if device == "cpu" else torch.accelerator.synchronize
    wait()
    start = clock()
    run()
    wait()
    return clock() - start


def hold_memory() -> torch.Tensor:
    """Have freed memory stay with the process, as in one that has trained for a while.

    Else the allocator gives it back to the system after some runs and not after others, and who
    comes next pays for new pages. What is returned must be kept.
    """
    size, dtype = 30 << 20, torch.uint8
    torch.ones(size, dtype=dtype)  # freed at once: from now on such blocks are not mapped singly
    blocks = [torch.ones(size, dtype=dtype) for _ in range(6)]
    last = torch.ones(1 << 20, dtype=dtype)  # behind them, so that they are not given back
    del blocks
    return last


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size", type=int, default=224, help="height and width in pixels")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--dtype", default="float32", choices=("float32", "uint8"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", default="", help="part of a layer's name")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    held = hold_memory()
    last = torch.rand(options.batch, options.size, options.size, 3, device=options.device)
    if options.dtype == "uint8":
        last = (last * 255).to(torch.uint8)
    first = last.movedim(-1, 1).contiguous()  # torchvision's own layout
    print(f"{'layer':<26}{'ms / image':>12}{'/ each':>10}{'/ batch':>10}")
    for layer, transform in pairs((0.0, 1.0) if options.dtype == "float32" else (0, 255)):
        if options.only.lower() not in type(layer).__name__.lower():
            continue

        def ours(layer: nn.Module = layer) -> object:
            return layer(last, training=True).float()

        def each(transform: nn.Module = transform) -> object:
            return torch.stack([transform(image) for image in first]).float()

        def batch(transform: nn.Module = transform) -> object:
            return transform(first).float()

        runs = (ours, each, batch)
        times = [[seconds(r, options.device) for r in runs] for _ in range(options.rounds + 1)][1:]
        ratios = [statistics.median(row[0] / row[at] for row in times) for at in (1, 2)]
        own = statistics.median(row[0] for row in times) * 1000 / options.batch
        print(f"{type(layer).__name__:<26}{own:>12.3f}{ratios[0]:>10.2f}{ratios[1]:>10.2f}")
    del held


if __name__ == "__main__":
    with torch.no_grad():
        main()
