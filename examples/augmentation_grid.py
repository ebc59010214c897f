"""Draw what each augmentation layer makes of one picture.

    python examples/augmentation_grid.py augmentation.png

needs matplotlib. Each row shows one layer on five copies of a small painted landscape, all in one
call: every copy gets parameters of its own.
"""

from __future__ import annotations

import sys

import torch
from matplotlib import pyplot as plt

import nnkit
from nnkit import layers

ROWS = [
    layers.RandomFlip("horizontal"),
    layers.RandomRotation(0.1),
    layers.RandomTranslation(0.3, 0.3, fill_mode="wrap"),
    layers.RandomShear(0.5, 0.2, fill_mode="nearest"),
    layers.RandomZoom((-0.4, 0.6), fill_mode="constant"),
    layers.RandomPerspective((1, 1), 0.6),
    layers.RandomElasticTransform((1, 1)),
    layers.RandomContrast(1.0),
    layers.RandomBrightness(0.4),
    layers.RandomSaturation((0.1, 0.8)),
    layers.RandomHue(1.0),
    layers.RandomColorJitter((0, 255), 0.2, 0.5, (0.3, 0.7), 0.3),
    layers.RandomColorDegeneration((0, 1)),
    layers.RandomSharpness((0.8, 1.0)),
    layers.RandomGaussianBlur((1, 1), 7, (0.5, 1.0)),
    layers.RandomPosterization((1, 4)),
    layers.Solarization(0.1, 1.0),
    layers.RandomInvert(),
    layers.RandomErasing(),
    layers.AutoContrast(),
    layers.Equalization(),
    layers.CutMix((1, 1)),
    layers.MixUp(1.0),
    layers.AugMix(),
    layers.RandAugment(),
]


def landscape(size: int = 72) -> torch.Tensor:
    """A picture (height, width, 3) from 0 to 255: a sun, hills and a house with a door."""
    y, x = torch.meshgrid(*[torch.linspace(0, 1, size)] * 2, indexing="ij")
    picture = torch.stack([110 + 90 * y, 150 + 60 * y, 235 - 40 * y], -1)
    hills = 0.62 + 0.08 * torch.sin(x * 9) + 0.04 * torch.cos(x * 23)
    shapes = [
        ((x - 0.8) ** 2 + (y - 0.2) ** 2 < 0.012, (250, 215, 70)),
        (y > hills, (70, 140, 60)),
        ((abs(x - 0.35) < 0.16) & (abs(y - 0.66) < 0.14), (180, 60, 50)),
        ((y < 0.52) & (y > 0.34 + abs(x - 0.35) * 0.9), (90, 50, 40)),
        ((abs(x - 0.30) < 0.035) & (abs(y - 0.73) < 0.07), (245, 235, 200)),
        ((abs(x - 0.42) < 0.035) & (abs(y - 0.62) < 0.035), (160, 210, 240)),
    ]
    for inside, colour in shapes:
        picture[inside] = torch.tensor(colour, dtype=torch.float32)
    return picture


def main(path: str) -> None:
    nnkit.utils.set_random_seed(1)
    batch = landscape().expand(5, -1, -1, -1).contiguous()
    upside_down = batch.flip(1)
    figure, axes = plt.subplots(13, 11, figsize=(13, 17), layout="constrained")
    for panel in axes.flat:
        panel.axis("off")
    for number, layer in enumerate(ROWS):
        mixes = isinstance(layer, (layers.MixUp, layers.CutMix))
        given = torch.cat([batch[:3], upside_down[:2]]) if mixes else batch
        images = layer(given, training=True)
        row, half = number % 13, number // 13
        for column, image in enumerate(images):
            axes[row, column + 6 * half].imshow(image.clamp(0, 255).to(torch.uint8).numpy())
        axes[row, 6 * half].set_title(type(layer).__name__, loc="left", fontsize=9)
    figure.savefig(path, dpi=75)
    plt.close(figure)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "augmentation.png")
