"""Fine-tune a network on a folder of pictures, one folder a class, end to end.

With your own pictures and ImageNet's weights (553 MB less the classifier: 58 MB, fetched once):

    python examples/fine_tune_vgg16.py --folder flowers --weights imagenet --size 224

Without arguments it runs offline in about a minute: a few pictures of shapes are drawn into a
folder, and a small network stands for VGG16, trained here on other shapes first.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

import nnkit
from nnkit import applications, explain, layers, transfer

SHAPES = ("circle", "cross", "square", "triangle")


def draw_shape(kind: str, random: np.random.Generator, size: int) -> Image.Image:
    """A shape of random color, size and place on a noisy background."""
    noise = random.integers(0, 110, (size, size, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    pen = ImageDraw.Draw(image)
    color = tuple(int(v) for v in random.integers(120, 256, 3))
    r = int(size * random.uniform(0.16, 0.3))
    x, y = (int(v) for v in random.integers(r, size - r, 2))
    if kind == "circle":
        pen.ellipse((x - r, y - r, x + r, y + r), fill=color)
    elif kind == "square":
        pen.rectangle((x - r, y - r, x + r, y + r), fill=color)
    elif kind == "triangle":
        pen.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=color)
    elif kind == "cross":
        pen.line((x - r, y - r, x + r, y + r), fill=color, width=max(2, r // 2))
        pen.line((x - r, y + r, x + r, y - r), fill=color, width=max(2, r // 2))
    elif kind == "ring":
        pen.ellipse((x - r, y - r, x + r, y + r), outline=color, width=max(2, r // 3))
    else:
        pen.line((x - r, y, x + r, y), fill=color, width=max(2, r // 2))
    return image


def draw_folder(folder: Path, count: int, size: int, seed: int) -> None:
    """A folder of pictures with one folder a class."""
    random = np.random.default_rng(seed)
    for kind in SHAPES:
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            draw_shape(kind, random, size).save(folder / kind / f"{number:03}.png")


def small_network(size: int) -> nnkit.Model:
    """What stands for VGG16 offline: three blocks, trained on shapes that are not asked for."""
    inputs = x = nnkit.Input((size, size, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(x)
    for block, filters in enumerate((16, 32, 64), start=1):
        x = layers.Conv2D(filters, 3, padding="same", name=f"block{block}_conv1")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"block{block}_bn1")(x)
        x = layers.ReLU(name=f"block{block}_relu1")(x)
        x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
    base = nnkit.Model(inputs, x, name="small")
    kinds = ("ring", "bar", "square", "cross")
    random = np.random.default_rng(7)
    y = random.integers(0, len(kinds), 800)
    pixels = np.stack([np.array(draw_shape(kinds[i], random, size)) for i in y]).astype("float32")
    model = transfer.with_head(base, transfer.classifier_head(base, len(kinds)))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(pixels, y, epochs=8, verbose=0).history
    print(f"Pretrained on {', '.join(kinds)}: accuracy {history['accuracy'][-1]:.1%}")
    return base


def main(folder: Path | None, weights: str | None, size: int, output: Path, epochs: int) -> float:
    """Fine-tune and look at the result; returns the accuracy on pictures held back."""
    nnkit.utils.set_random_seed(1)
    output.mkdir(parents=True, exist_ok=True)
    if weights is None:
        base = small_network(size)
    else:
        base = applications.VGG16(include_top=False, weights=weights, input_shape=(size, size, 3))
    with tempfile.TemporaryDirectory() as drawn:
        if folder is None:
            folder = Path(drawn)
            draw_folder(folder, 40, size, seed=1)
        return tune(base, folder, size, output, epochs)


def tune(base: nnkit.Model, folder: Path, size: int, output: Path, epochs: int) -> float:
    """Fine-tune on a folder of pictures, a folder inside it for each class."""
    train, held = nnkit.utils.image_dataset_from_directory(
        folder, image_size=(size, size), validation_split=0.25, subset="both", seed=1
    )
    names = train.class_names
    tuned = transfer.fine_tune(
        base,
        train,
        held,
        head_epochs=epochs,
        stages=(1, 2),
        learning_rate=3e-3,
        stage_epochs=epochs // 2,
        checkpoint=output / "best.weights.h5",
    )
    model = tuned.model
    images, labels = (np.concatenate(part) for part in zip(*held, strict=True))
    scores = model.predict(images, verbose=0)
    accuracy = float((scores.argmax(1) == labels).mean())
    print(f"Right among those held back: {accuracy:.1%}")

    if can_draw():
        explain.plot_confusion_matrix(labels, scores, names, path=output / "confusion.png")
        explain.plot_wrong_predictions(images, labels, scores, names, path=output / "wrong.png")
    heat = explain.grad_cam(model, images[0])
    Image.fromarray(explain.overlay(images[0], heat)).resize((256, 256)).save(output / "seen.png")
    print(f"Pictures in {output}")
    return accuracy


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    import importlib.util  # noqa: PLC0415

    return importlib.util.find_spec("matplotlib") is not None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="pictures, one folder a class")
    parser.add_argument("--weights", help="imagenet, torchvision or a file: use VGG16")
    parser.add_argument("--size", type=int, default=48, help="pixels of a side")
    parser.add_argument("--output", type=Path, default=Path("fine_tuned"), help="a folder")
    parser.add_argument("--epochs", type=int, default=20, help="for the head; half in a stage")
    given: Any = parser.parse_args()
    main(given.folder, given.weights, given.size, given.output, given.epochs)
