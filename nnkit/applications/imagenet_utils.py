"""What all networks trained on ImageNet share: preparing pictures, and naming the classes."""

from __future__ import annotations

import functools
import json
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nnkit import ops
from nnkit.arguments import one_of
from nnkit.errors import ArgumentError, ShapeError
from nnkit.shapes import describe
from nnkit.symbolic import SymbolicTensor
from nnkit.utils.download import get_file

__all__ = ["decode_predictions", "preprocess_input", "preprocessor"]

_CLASSES = (
    "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json",
    "c2c37ea517e94d9795004a39431a14cb",
)
_BGR_MEAN = (103.939, 116.779, 123.68)  # of ImageNet's pixels, 0 to 255
_RGB_MEAN = (0.485, 0.456, 0.406)  # of the same pixels, 0 to 1
_RGB_DEVIATION = (0.229, 0.224, 0.225)
_MODES = ("caffe", "tf", "torch", "pixels")


def preprocess_input(x: Any, data_format: str | None = None, mode: str = "caffe") -> Any:
    """Turn RGB pictures with values from 0 to 255 into what a network was trained on.

    Args:
        x: an array, a tensor or a symbolic tensor; it is not changed.
        data_format: "channels_last" when None, or "channels_first".
        mode: "caffe" (blue, green, red, each less its mean), "tf" (-1 to 1), "torch" (0 to 1, less
            the mean, divided by the deviation), or "pixels" (as they are). A model with pretrained
            weights knows its own: `mode=model.preprocessing`.

    Shape: (batch, height, width, 3) or (height, width, 3) -> the same, floats
    Raises: ArgumentError for other words.
    Source: keras.applications.imagenet_utils.preprocess_input
    """
    mode = one_of("preprocess_input", "mode", mode, _MODES)
    first = (data_format or "channels_last") == "channels_first"
    if data_format is not None:
        one_of("preprocess_input", "data_format", data_format, ("channels_first", "channels_last"))
    if mode == "pixels":
        return x
    if not isinstance(x, (torch.Tensor, SymbolicTensor)):
        x = np.asarray(x)
        x = x if x.dtype.kind == "f" else x.astype(np.float32)
    elif not x.dtype.is_floating_point:
        x = x.to(torch.get_default_dtype())
    if mode == "tf":
        return x / 127.5 - 1.0
    # In a graph, as steps that Keras has too, with plain numbers: so a file can hold them.
    symbolic = isinstance(x, SymbolicTensor)
    subtract, divide = (ops.subtract, ops.divide) if symbolic else (operator.sub, operator.truediv)
    if mode == "torch":
        centred = subtract(x / 255.0, _channels(_RGB_MEAN, x, first))
        return divide(centred, _channels(_RGB_DEVIATION, x, first))
    axis = len(x.shape) - 3 if first else len(x.shape) - 1
    bgr = np.flip(x, axis) if isinstance(x, np.ndarray) else ops.flip(x, axis)
    return subtract(bgr, _channels(_BGR_MEAN, x, first))


def _channels(values: tuple[float, ...], like: Any, first: bool) -> Any:
    """One value a channel, in the type and with the axes to broadcast with the pictures."""
    shape = (3, 1, 1) if first else (3,)
    if isinstance(like, np.ndarray):
        return np.array(values, dtype=like.dtype).reshape(shape)
    if isinstance(like, torch.Tensor):
        return torch.tensor(values, dtype=like.dtype, device=like.device).reshape(shape)
    return [[[value]] for value in values] if first else list(values)


def preprocessor(mode: str) -> Callable[..., Any]:
    """The `preprocess_input(x, data_format=None)` of a family of networks."""

    def preprocess(x: Any, data_format: str | None = None) -> Any:
        return preprocess_input(x, data_format, mode)

    preprocess.__name__ = preprocess.__qualname__ = "preprocess_input"
    preprocess.__doc__ = f"`imagenet_utils.preprocess_input` with mode={mode!r}."
    return preprocess


def decode_predictions(preds: Any, top: int = 5) -> list[list[tuple[str, str, float]]]:
    """The most probable ImageNet classes of each picture, the best first.

    Args:
        preds: what a network with 1000 classes gave, (batch, 1000).
        top: how many classes a picture.

    Returns: for each picture a list of (WordNet id, name, score).
    Raises: ShapeError for another shape; DownloadError if the names cannot be fetched, which
        happens once.
    Source: keras.applications.imagenet_utils.decode_predictions
    """
    scores = preds.detach().cpu().numpy() if isinstance(preds, torch.Tensor) else np.asarray(preds)
    if scores.ndim != 2 or scores.shape[1] != 1000:
        raise ShapeError(
            f"decode_predictions expects (batch, 1000) but received {describe(scores.shape)}. It "
            f"names ImageNet's 1000 classes; a classifier of your own has its own names."
        )
    if top < 1:
        raise ArgumentError(f"decode_predictions expects top >= 1, got {top}.")
    names = _class_names()
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return [[(*names[i], row[i]) for i in order] for row, order in zip(scores, best, strict=True)]


@functools.cache
def _class_names() -> list[tuple[str, str]]:
    url, md5 = _CLASSES
    path = Path(get_file(url.rsplit("/", 1)[1], url, cache_subdir="models", file_hash=md5))
    index = json.loads(path.read_text(encoding="utf-8"))
    return [tuple(index[str(number)]) for number in range(len(index))]
