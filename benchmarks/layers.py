"""Time of each layer, forward and with gradients, against the bare torch function.

Both sides work on the same data with the same weights, in turn. A row counts when torch takes over
1 ms.

    python benchmarks/layers.py --threads 1
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from interleaved import compare

from nnkit import layers as L

Bare = Callable[[torch.Tensor, list[torch.Tensor]], torch.Tensor]
Row = tuple[str, Any, tuple[int, ...], Bare]


def first(x: torch.Tensor) -> torch.Tensor:
    """The view that torch's kernels for images take."""
    return x.movedim(-1, 1)


def last(x: torch.Tensor) -> torch.Tensor:
    """The way back."""
    return x.movedim(1, -1)


def lstm(x: torch.Tensor, w: list[torch.Tensor]) -> torch.Tensor:
    """Torch's kernel with the weights of a layer of 128 units."""
    zeros = x.new_zeros(1, len(x), 128)
    weights = [w[0], w[1], w[2], torch.zeros_like(w[2])]
    grad = torch.is_grad_enabled()
    return torch._VF.lstm(x, (zeros, zeros), weights, True, 1, 0.0, grad, False, True)[0]


IMAGES, STEPS = (32, 56, 56, 64), (64, 128, 256)
ROWS: list[Row] = [
    ("Dense", L.Dense(1024), (512, 1024), lambda x, w: F.linear(x, w[0], w[1])),
    ("Conv1D", L.Conv1D(128, 3), STEPS,
     lambda x, w: last(F.conv2d(first(x.unsqueeze(1)), w[0].unsqueeze(2), w[1])).squeeze(1)),
    ("Conv2D", L.Conv2D(64, 3, padding="same"), IMAGES,
     lambda x, w: last(F.conv2d(first(x), w[0], w[1], padding=1))),
    ("Conv2D groups", L.Conv2D(64, 3, groups=4), IMAGES,
     lambda x, w: last(F.conv2d(first(x), w[0], w[1], groups=4))),
    ("Conv3D", L.Conv3D(16, 3), (4, 16, 32, 32, 16),
     lambda x, w: last(F.conv3d(first(x), w[0], w[1]))),
    ("Conv2DTranspose", L.Conv2DTranspose(32, 3), (16, 28, 28, 64),
     lambda x, w: last(F.conv_transpose2d(first(x), w[0], w[1]))),
    ("DepthwiseConv2D", L.DepthwiseConv2D(3), IMAGES,
     lambda x, w: last(F.conv2d(first(x), w[0], w[1], groups=64))),
    ("MaxPooling2D", L.MaxPooling2D(2), IMAGES, lambda x, w: last(F.max_pool2d(first(x), 2))),
    ("AveragePooling2D", L.AveragePooling2D(2), IMAGES,
     lambda x, w: last(F.avg_pool2d(first(x), 2))),
    ("GlobalAveragePooling2D", L.GlobalAveragePooling2D(), IMAGES, lambda x, w: x.mean((1, 2))),
    ("LayerNormalization", L.LayerNormalization(), STEPS,
     lambda x, w: F.layer_norm(x, (256,), w[0], w[1], 1e-3)),
    ("BatchNormalization", L.BatchNormalization(), IMAGES,
     lambda x, w: last(F.batch_norm(first(x), w[2], w[3], w[0], w[1], False, 0.01, 1e-3))),
    ("Softmax", L.Softmax(), STEPS, lambda x, w: torch.softmax(x, -1)),
    ("ReLU", L.ReLU(), IMAGES, lambda x, w: torch.relu(x)),
    ("UpSampling2D", L.UpSampling2D(interpolation="bilinear"), (16, 28, 28, 64),
     lambda x, w: last(F.interpolate(first(x), scale_factor=2, mode="bilinear"))),
    ("Flatten", L.Flatten(), IMAGES, lambda x, w: x.flatten(1)),
    ("LSTM", L.LSTM(128, return_sequences=True), STEPS, lstm),
]  # fmt: skip


def ways(row: Row) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """What to time: (nnkit's call, torch's call), forward and with gradients."""
    _, layer, shape, bare = row
    x = torch.randn(shape)
    layer(x)
    w = layer.weights
    leaf = x.clone().requires_grad_()
    torch.testing.assert_close(layer(x), bare(x, w), rtol=1e-3, atol=1e-4)

    def forward(function: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[], Any]:
        def run() -> None:
            with torch.no_grad():
                function(x)

        return run

    def both(function: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[], Any]:
        def run() -> None:
            leaf.grad = None
            function(leaf).sum().backward()

        return run

    torchs = lambda inputs: bare(inputs, w)  # noqa: E731
    return {kind.__name__: (kind(layer), kind(torchs)) for kind in (forward, both)}


def main() -> None:
    """Print a line for each layer and way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print("nnkit's time / torch's: median (lowest to highest); median times")
    for row in ROWS:
        for kind, (ours, theirs) in ways(row).items():
            ratio = compare(ours, theirs, options.rounds, warmup=2)
            note = "" if ratio.theirs > 1e-3 else "  (under 1 ms)"
            print(f"{row[0]:24}{kind:10}{ratio}{note}")


if __name__ == "__main__":
    main()
