"""Transfer learning with VGG16 against careful hand-written torch code, in one interleaved run.

Both sides have the same weights, pictures and batches; torch's code keeps the model and pictures in
channels_last. A figure is nnkit's time divided by the other's, as `interleaved` takes it. Cases:
features, head (the frozen base runs in every epoch), full, build, cached (against nnkit with the
base in every epoch), memory, and features and head against Keras's torch backend.

    python benchmarks/transfer.py --threads 2
    python benchmarks/transfer.py --size 64 --pictures 16 --rounds 3   # a quick look
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from interleaved import compare
from torch import nn

import nnkit
from nnkit import applications, transfer

Run = Callable[[], Any]
CLASSES = 5


class Pair:
    """The same VGG16 features and head on both sides, and pictures that are preprocessed."""

    def __init__(self, size: int, pictures: int, batch: int) -> None:
        torch.manual_seed(0)
        self.batch = batch
        self.x = torch.randn(pictures, size, size, 3)
        self.y = torch.randint(0, CLASSES, (pictures,))
        self.base = applications.VGG16(
            include_top=False, weights=None, input_shape=(size, size, 3), pooling="avg"
        )
        vgg = torchvision.models.vgg16(weights=None).features
        self.theirs = vgg.to(memory_format=torch.channels_last)
        with torch.no_grad():
            convs = [layer for layer in self.base.layers if "conv" in layer.name]
            torchs = [module for module in vgg if isinstance(module, nn.Conv2d)]
            for ours, theirs in zip(convs, torchs, strict=True):
                theirs.weight.copy_(ours.weight)
                theirs.bias.copy_(ours.bias)
        # What a careful user stores: channels first in shape, channels last in memory.
        self.images = self.x.movedim(-1, 1)

    def torch_features(self, x: torch.Tensor) -> torch.Tensor:
        return self.theirs(x).mean((2, 3))


def features(pair: Pair) -> tuple[Run, Run]:
    """All features of the pictures."""

    def theirs() -> torch.Tensor:
        with torch.inference_mode():
            return torch.cat([pair.torch_features(x) for x in pair.images.split(pair.batch)])

    array = pair.x.numpy()
    return lambda: pair.base.predict(array, batch_size=pair.batch, verbose=0), theirs


def training(pair: Pair, frozen: bool) -> tuple[Run, Run]:
    """One epoch of a softmax on the features, the base frozen or not."""
    pair.base.trainable = not frozen
    model = transfer.with_head(pair.base, transfer.classifier_head(pair.base, CLASSES, dropout=0.0))
    model.compile(
        nnkit.optimizers.Adam(1e-5), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    head = nn.Linear(512, CLASSES)
    for parameter in pair.theirs.parameters():
        parameter.requires_grad_(not frozen)
    learning = [*head.parameters(), *(() if frozen else pair.theirs.parameters())]
    adam = torch.optim.Adam(learning, lr=1e-5, fused=True)

    def theirs() -> float:
        total, right = torch.zeros(()), torch.zeros(())
        for chosen in torch.randperm(len(pair.y)).split(pair.batch):
            x, y = pair.images[chosen].contiguous(memory_format=torch.channels_last), pair.y[chosen]
            if frozen:
                with torch.no_grad():
                    found = pair.torch_features(x)
            else:
                found = pair.torch_features(x)
            logits = head(found)
            loss = F.cross_entropy(logits, y)
            adam.zero_grad(set_to_none=True)
            loss.backward()
            adam.step()
            with torch.no_grad():
                total += loss.detach() * len(y)
                right += (logits.argmax(1) == y).sum()
        return total.item()

    def ours() -> Any:
        return model.fit(pair.x, pair.y, batch_size=pair.batch, epochs=1, verbose=0)

    return ours, theirs


def cached(pair: Pair) -> tuple[Run, Run]:
    """An epoch of the head on cached features, and one with the frozen base (nnkit both)."""
    pair.base.trainable = False
    kept = transfer.cached_features(pair.base, pair.x, pair.y, batch_size=pair.batch)
    head = transfer.classifier_head(pair.base, CLASSES, dropout=0.0)
    head.compile("adam", "sparse_categorical_crossentropy")
    slow, _ = training(pair, frozen=True)
    return lambda: head.fit(kept.x, kept.y, batch_size=pair.batch, verbose=0), slow


def build(_: Pair) -> tuple[Run, Run]:
    """Making a VGG16 with random weights."""
    return lambda: applications.VGG16(weights=None), lambda: torchvision.models.vgg16(weights=None)


def against_keras(pair: Pair, frozen_head: bool) -> tuple[Run, Run]:
    """The same with Keras on torch, on the CPU."""
    import keras  # noqa: PLC0415

    base = keras.applications.VGG16(
        include_top=False, weights=None, input_shape=tuple(pair.x.shape[1:]), pooling="avg"
    )
    base.set_weights(pair.base.get_weights())
    array, labels = pair.x.numpy(), pair.y.numpy()
    if not frozen_head:
        ours, _ = features(pair)
        return ours, lambda: base.predict(array, batch_size=pair.batch, verbose=0)
    base.trainable = False
    model = keras.Sequential([base, keras.layers.Dense(CLASSES, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    ours, _ = training(pair, frozen=True)
    return ours, lambda: model.fit(array, labels, batch_size=pair.batch, verbose=0)


def peak(side: str, size: int) -> None:
    """Train the head for three steps of 8 pictures; prints this process's peak memory in MB."""
    pair = Pair(size, 24, 8)
    ours, theirs = training(pair, frozen=True)
    (ours if side == "nnkit" else theirs)()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def memory(size: int) -> None:
    """Peak memory of training the head at batch 8, each side in a process of its own."""
    found = {}
    for side in ("nnkit", "torch"):
        command = [sys.executable, __file__, "--peak", side, "--size", str(size)]
        found[side] = float(
            subprocess.run(command, capture_output=True, text=True, check=True).stdout
        )
    print(
        f"{'memory':18} {found['nnkit']:9.0f} {found['torch']:9.0f} MB   "
        f"{found['nnkit'] / found['torch']:.3f}   (target 1.05)"
    )


CASES: dict[str, tuple[Callable[[Pair], tuple[Run, Run]], str]] = {
    "features": (features, "1.02"),
    "head": (lambda pair: training(pair, True), "1.02"),
    "full": (lambda pair: training(pair, False), "1.05"),
    "build": (build, "2.00"),
    "cached": (cached, "0.10"),
    "keras features": (lambda pair: against_keras(pair, False), "1.00"),
    "keras head": (lambda pair: against_keras(pair, True), "1.00"),
}


def main() -> None:
    """Run the cases asked for and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=[*CASES, "memory"], action="append")
    parser.add_argument("--size", type=int, default=224, help="pixels of a side")
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peak", choices=["nnkit", "torch"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    nnkit.config.set_device("cpu")
    if given.peak:
        return peak(given.peak, given.size)
    print(f"{given.size} pixels, batch {given.batch}, {given.threads} threads; seconds, ratio")
    for name in given.case or [*CASES, "memory"]:
        if name == "memory":
            memory(given.size)
            continue
        make, target = CASES[name]
        pair = Pair(given.size, given.pictures, given.batch)
        print(f"{name:18} {compare(*make(pair), given.rounds)}   (target {target})", flush=True)
    return None


if __name__ == "__main__":
    np.random.seed(0)
    main()
