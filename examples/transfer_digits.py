"""Transfer learning in under a minute, offline: a network that knows 0 to 4 learns 5 to 9.

A small network learns the digits 0 to 4. Its features are then used for the digits 5 to 9, of
which only a few are shown, beside the same network trained from scratch on the same few. Writes
the two curves to a picture.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import nnkit
from nnkit import layers, transfer


def build_base() -> nnkit.Model:
    """Three blocks of convolutions: what stands for a network trained on ImageNet."""
    inputs = x = nnkit.Input((28, 28, 1))
    x = layers.Rescaling(1 / 255)(x)
    for block, filters in enumerate((16, 32, 64), start=1):
        x = layers.Conv2D(filters, 3, padding="same", name=f"block{block}_conv")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"block{block}_bn")(x)
        x = layers.ReLU(name=f"block{block}_relu")(x)
        x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
    return nnkit.Model(inputs, x, name="base")


def some_digits(wanted: range, per_class: int) -> Any:
    """Training and test digits of these classes, labelled from 0; so many of each to train on."""
    (x_train, y_train), (x_test, y_test) = nnkit.datasets.digits.load_data()
    few = np.concatenate([np.flatnonzero(y_train == digit)[:per_class] for digit in wanted])
    there = np.isin(y_test, wanted)
    start = wanted[0]
    return (
        (x_train[few][..., None], y_train[few] - start),
        (x_test[there][..., None], y_test[there] - start),
    )


def pretrain(epochs: int) -> nnkit.Model:
    """The network trained on the digits 0 to 4, without its classifier."""
    base = build_base()
    (x, y), test = some_digits(range(5), 400)
    model = transfer.with_head(base, transfer.classifier_head(base, 5))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, epochs=epochs, validation_data=test, verbose=0).history
    print(f"Pretrained on 0 to 4: {history['val_accuracy'][-1]:.1%} of the test digits right")
    return base


def from_scratch(train: Any, test: Any, epochs: int) -> list[float]:
    """The accuracy after each epoch of a new network on the same digits."""
    base = build_base()
    model = transfer.with_head(base, transfer.classifier_head(base, 5))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model.fit(*train, epochs=epochs, validation_data=test, verbose=0).history["val_accuracy"]


def draw(curves: dict[str, list[float]], path: Path) -> None:
    """The curves in one picture, if matplotlib is there."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        print("Install matplotlib to see the curves.")
        return
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for name, values in curves.items():
        axes.plot(range(1, len(values) + 1), values, marker="o", markersize=3, label=name)
    axes.set_xlabel("epoch")
    axes.set_ylabel("accuracy on test digits 5 to 9")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)
    print(f"Curves in {path}")


def main(per_class: int, epochs: int, output: Path) -> dict[str, float]:
    """Compare transfer with training from scratch; returns both accuracies, fractions 0 to 1."""
    nnkit.utils.set_random_seed(1)
    base = pretrain(6)
    train, test = some_digits(range(5, 10), per_class)
    print(f"Now 5 to 9, {per_class} digits of each:")
    tuned = transfer.fine_tune(
        base, train, test, classes=5, head_epochs=epochs - epochs // 3, stages=(1,),
        stage_epochs=epochs // 3, learning_rate=5e-3, slower=0.2, patience=epochs,
    )  # fmt: skip
    curves = {
        "transfer from 0 to 4": tuned.history["val_accuracy"],
        "from scratch": from_scratch(train, test, epochs),
    }
    draw(curves, output)
    results = {name: max(values) for name, values in curves.items()}
    for name, accuracy in results.items():
        print(f"{name}: {accuracy:.1%}")
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-class", type=int, default=10, help="digits of each class to learn")
    parser.add_argument("--epochs", type=int, default=30, help="passes over them")
    parser.add_argument("--output", type=Path, default=Path("transfer_digits.png"))
    arguments = parser.parse_args()
    main(arguments.per_class, arguments.epochs, arguments.output)
