"""Heat maps over pictures, wrong predictions, and a confusion matrix to look at."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from nnkit.errors import ArgumentError, DataError, ShapeError

__all__ = ["overlay", "plot_confusion_matrix", "plot_wrong_predictions"]

# From cold to hot: dark blue, blue, green, yellow, red.
_COLORS = np.array([[0, 0, 96], [0, 96, 255], [64, 224, 128], [255, 224, 32], [224, 16, 16]])


def overlay(image: Any, heat: Any, strength: float = 0.5) -> np.ndarray:
    """A heat map in colors over its picture; where it is hot, more of the color shows.

    Args:
        image: pixels (height, width, 1 or 3), from 0 to 255, or floats from 0 to 1.
        heat: (height, width) from 0 to 1, from `grad_cam` or `saliency`.
        strength: the largest part of the color, a fraction.

    Shape: -> (height, width, 3), bytes that `PIL.Image.fromarray` and matplotlib take
    """
    pixels, warm = _bytes(image).astype(float), _array(heat).astype(float)
    if warm.shape != pixels.shape[:2]:
        raise ShapeError(
            f"overlay needs a heat map of the picture's size {pixels.shape[:2]}, got {warm.shape}."
        )
    at = np.linspace(0, 1, len(_COLORS))
    color = np.stack([np.interp(warm, at, _COLORS[:, i]) for i in range(3)], axis=-1)
    part = strength * np.clip(warm, 0, 1)[..., None] ** 0.5
    return np.clip(np.rint(pixels * (1 - part) + color * part), 0, 255).astype(np.uint8)


def plot_confusion_matrix(
    y_true: Any,
    y_pred: Any,
    class_names: Sequence[str] | None = None,
    normalize: bool = False,
    path: Any = None,
) -> Any:
    """Which classes are taken for which: a row a class, a column a prediction.

    Args:
        y_true: labels, whole numbers or one-hot rows.
        y_pred: predicted labels, or probabilities (batch, classes).
        class_names: written at the sides; numbers when None.
        normalize: fractions of each row instead of counts.
        path: file to write the picture to.

    Returns: matplotlib's figure.
    Raises: DataError for different lengths; ArgumentError without matplotlib.
    """
    matrix = _confusion(_labels(y_true), _labels(y_pred), class_names)
    names = [str(name) for name in class_names or range(len(matrix))]
    rows = matrix.sum(1, keepdims=True)
    shown = matrix / np.maximum(rows, 1) if normalize else matrix
    figure = _figure(1.6 + 0.55 * len(names), 1.4 + 0.5 * len(names))
    axes = figure.add_subplot()
    # By rows, so that rare classes are seen too.
    axes.imshow(matrix / np.maximum(rows, 1), cmap="Blues", vmin=0, vmax=1)
    for i, row in enumerate(shown):
        for j, value in enumerate(row):
            if value:
                dark = matrix[i, j] > 0.5 * max(rows[i, 0], 1)
                text = f"{value:.0%}" if normalize else f"{value}"
                color = "white" if dark else "black"
                axes.text(j, i, text, ha="center", va="center", color=color, fontsize=9)
    axes.set_xticks(range(len(names)), names, rotation=45 if max(map(len, names)) > 3 else 0,
                    ha="right" if max(map(len, names)) > 3 else "center")  # fmt: skip
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    right = np.trace(matrix) / max(matrix.sum(), 1)
    axes.set_title(f"{right:.1%} of {matrix.sum():,} right", fontsize=10)
    return _finished(figure, path)


def plot_wrong_predictions(
    images: Any,
    y_true: Any,
    y_pred: Any,
    class_names: Sequence[str] | None = None,
    count: int = 16,
    path: Any = None,
) -> Any:
    """A grid of pictures that were taken for something else, the surest mistakes first.

    Args:
        images: (batch, height, width, 1 or 3), pixels as for `overlay`.
        y_true: labels, whole numbers or one-hot rows.
        y_pred: probabilities (batch, classes), or predicted labels.
        class_names: written below the pictures; numbers when None.
        count: the most pictures to show.
        path: file to write the grid to.

    Returns: matplotlib's figure.
    """
    scores, true = _array(y_pred), _labels(y_true)
    guessed = _labels(y_pred)
    if not len(images) == len(true) == len(guessed):
        raise DataError(
            f"There are {len(images)} pictures, {len(true)} labels and {len(guessed)} predictions."
        )
    sure = scores.max(1) if scores.ndim == 2 and scores.shape[1] > 1 else np.ones(len(guessed))
    wrong = np.flatnonzero(guessed != true)
    wrong = wrong[np.argsort(-sure[wrong], kind="stable")][:count]
    columns = max(1, min(len(wrong), int(np.ceil(np.sqrt(count)))))
    lines = max(1, -(-len(wrong) // columns))
    figure = _figure(1.6 * columns, 1.9 * lines)
    names = (
        class_names if class_names is not None else range(int(max(true.max(), guessed.max())) + 1)
    )
    for place, index in enumerate(wrong):
        axes = figure.add_subplot(lines, columns, place + 1)
        axes.imshow(_bytes(images[int(index)]))
        axes.axis("off")
        said = f" {sure[index]:.0%}" if scores.ndim == 2 and scores.shape[1] > 1 else ""
        title = f"{names[guessed[index]]}{said}\ntrue: {names[true[index]]}"
        axes.set_title(title, fontsize=8)
    if not len(wrong):
        figure.text(0.5, 0.5, "none wrong", ha="center", va="center")
    return _finished(figure, path)


def _confusion(true: np.ndarray, guessed: np.ndarray, names: Any) -> np.ndarray:
    if len(true) != len(guessed) or not len(true):
        raise DataError(f"There are {len(true)} labels and {len(guessed)} predictions.")
    size = int(max(true.max(), guessed.max())) + 1
    if names is not None and len(names) < size:
        raise DataError(f"There are {len(names)} class_names, but labels up to {size - 1}.")
    size = size if names is None else len(names)
    matrix = np.zeros((size, size), dtype=int)
    np.add.at(matrix, (true, guessed), 1)
    return matrix


def _labels(values: Any) -> np.ndarray:
    """Whole numbers, from one-hot rows, probabilities or themselves."""
    array = _array(values)
    if array.ndim == 2 and array.shape[1] > 1:
        return array.argmax(1)
    array = array.reshape(-1)
    # One probability a sample: yes from one half on.
    return (
        (array > 0.5).astype(int)
        if array.dtype.kind == "f" and array.max(initial=0) <= 1
        else array.astype(int)
    )


def _array(values: Any) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def _bytes(image: Any) -> np.ndarray:
    """A picture as (height, width, 3) bytes."""
    pixels = _array(image)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[-1] not in (1, 3):
        raise ShapeError(f"A picture must be (height, width, 1 or 3), got {pixels.shape}.")
    if pixels.dtype.kind == "f" and pixels.max(initial=0) <= 1:
        pixels = pixels * 255
    pixels = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels


def _figure(width: float, height: float) -> Any:
    try:
        figures = importlib.import_module("matplotlib.figure")
    except ImportError as exc:
        raise ArgumentError("Drawing needs matplotlib: pip install matplotlib.") from exc
    return figures.Figure(figsize=(width, height), layout="constrained")


def _finished(figure: Any, path: Any) -> Any:
    if path is not None:
        figure.savefig(path, dpi=120)
    return figure
