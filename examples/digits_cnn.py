"""Train a small convolutional network on real handwritten digits, offline, in under a minute.

Prints the model's summary, a progress bar, the test accuracy, and some digits with their answers.
"""

from __future__ import annotations

import argparse

import numpy as np

import nnkit
from nnkit import layers


def build_model() -> nnkit.Sequential:
    """Two convolutions, pooling, and a dense classifier."""
    return nnkit.Sequential(
        [
            nnkit.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(96, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ],
        name="digits",
    )


def draw(image: np.ndarray) -> list[str]:
    """A picture of 28 x 28 gray levels as 14 lines of text."""
    shades = " .:-=+*#%@"
    small = image.reshape(14, 2, 14, 2).mean(axis=(1, 3))
    return ["".join(shades[int(v) * len(shades) // 256] * 2 for v in row) for row in small]


def main(epochs: int) -> float:
    """Train for some epochs; returns the accuracy on the test digits, a fraction 0 to 1."""
    nnkit.utils.set_random_seed(1)
    (x_train, y_train), (x_test, y_test) = nnkit.datasets.digits.load_data()

    model = build_model()
    model.summary()
    model.compile(
        optimizer=nnkit.optimizers.Adam(2e-3),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(x_train, y_train, batch_size=64, epochs=epochs, validation_split=0.1)

    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"\nTest accuracy: {accuracy:.2%} (loss {loss:.3f})\n")

    shown = slice(0, 3)
    probabilities = model.predict(x_test[shown], verbose=0)
    pictures = [draw(image) for image in x_test[shown]]
    for lines in zip(*pictures, strict=True):
        print("  ".join(lines).rstrip())
    answers = [f"a {row.argmax()} ({row.max():.0%} sure)" for row in probabilities]
    print("  ".join(f"{answer:<28}" for answer in answers).rstrip())
    return float(accuracy)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=8, help="passes over the training digits")
    main(parser.parse_args().epochs)
