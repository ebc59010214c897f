"""Bounding boxes in Keras's nine formats, and what becomes of them when an image is moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nnkit.arguments import one_of
from nnkit.errors import ArgumentError, ShapeError

__all__ = ["clip_to_image_size", "convert_format", "dense_boxes", "moved_boxes"]

# The four numbers of a format, from the corners x1, y1, x2, y2 and back.
_FROM: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "xyxy": lambda a, b, c, d: (a, b, c, d),
    "yxyx": lambda a, b, c, d: (b, a, d, c),
    "xywh": lambda x, y, w, h: (x, y, x + w, y + h),
    "center_xywh": lambda x, y, w, h: (x - w / 2, y - h / 2, x + w / 2, y + h / 2),
    "center_yxhw": lambda y, x, h, w: (x - w / 2, y - h / 2, x + w / 2, y + h / 2),
}
_TO: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "xyxy": _FROM["xyxy"],
    "yxyx": _FROM["yxyx"],
    "xywh": lambda a, b, c, d: (a, b, c - a, d - b),
    "center_xywh": lambda a, b, c, d: ((a + c) / 2, (b + d) / 2, c - a, d - b),
    "center_yxhw": lambda a, b, c, d: ((b + d) / 2, (a + c) / 2, d - b, c - a),
}
_RELATIVE = ("rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh")
FORMATS = (*_FROM, *_RELATIVE)


def convert_format(
    boxes: Any,
    source: str,
    target: str,
    height: Any = None,
    width: Any = None,
    dtype: Any = torch.float32,
) -> Any:
    """Boxes in another format.

    Args:
        boxes: (..., 4), or a dict with them under "boxes".
        source, target: "xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw", or for fractions of
            the image "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh".
        height, width: of the image in pixels; needed between fractions and pixels.

    Raises: ArgumentError for another format or a size that is missing, ShapeError for other axes.
    """
    source = one_of("convert_format", "source", source, FORMATS)
    target = one_of("convert_format", "target", target, FORMATS)
    if isinstance(boxes, dict):
        moved = convert_format(boxes["boxes"], source, target, height, width, dtype)
        return {**boxes, "boxes": moved}
    given = torch.as_tensor(boxes).to(dtype)
    if given.shape[-1:] != (4,):
        raise ShapeError(f"Boxes have 4 numbers on their last axis, got {tuple(given.shape)}.")
    if source == target:
        return given
    relative = [each.startswith("rel_") for each in (source, target)]
    if any(relative) and (height is None or width is None):
        raise ArgumentError(
            f"convert_format needs height and width to go from {source!r} to {target!r}."
        )
    corners = _FROM[source.removeprefix("rel_")](*given.unbind(-1))
    if relative[0] != relative[1]:
        scale = (width, height) if relative[0] else (1 / width, 1 / height)
        corners = tuple(each * scale[at % 2] for at, each in enumerate(corners))
    return torch.stack(_TO[target.removeprefix("rel_")](*corners), -1)


def clip_to_image_size(
    bounding_boxes: dict[str, Any],
    height: Any = None,
    width: Any = None,
    bounding_box_format: str = "xyxy",
) -> dict[str, Any]:
    """Boxes cut at the edges of the image; the label of a box outside becomes -1.

    Args:
        bounding_boxes: {"boxes": (..., 4), "labels": (...)}.
        height, width: of the image in pixels.
        bounding_box_format: "xyxy" or "rel_xyxy".
    """
    known = ("xyxy", "rel_xyxy")
    form = one_of("clip_to_image_size", "bounding_box_format", bounding_box_format, known)
    high, wide = (1, 1) if form == "rel_xyxy" else (height, width)
    x1, y1, x2, y2 = torch.as_tensor(bounding_boxes["boxes"]).unbind(-1)
    x1, x2 = (each.clamp(0, wide) for each in (x1, x2))
    y1, y2 = (each.clamp(0, high) for each in (y1, y2))
    kept = {**bounding_boxes, "boxes": torch.stack((x1, y1, x2, y2), -1)}
    if kept.get("labels") is not None:
        labels = torch.as_tensor(kept["labels"])
        kept["labels"] = torch.where((x2 - x1) * (y2 - y1) > 0, labels, -1)
    return kept


def moved_boxes(boxes: Tensor, transform: Tensor) -> Tensor:
    """The boxes around where an affine or perspective transform takes these.

    Args:
        boxes: (batch, boxes, 4) corners x1, y1, x2, y2.
        transform: (batch, 8), from a pixel of the output to its place in the input.
    """
    square = torch.nn.functional.pad(transform, (0, 1), value=1.0).reshape(-1, 3, 3)
    back = torch.linalg.inv_ex(square).inverse.to(boxes.dtype)
    x1, y1, x2, y2 = boxes.unbind(-1)
    points = [torch.stack((x, y, torch.ones_like(x)), -1) for x in (x1, x2) for y in (y1, y2)]
    places = torch.stack(points, 2) @ back.transpose(1, 2).unsqueeze(1)
    flat = places[..., :2] / places[..., 2:]
    return torch.cat((flat.amin(2), flat.amax(2)), -1)


def dense_boxes(bounding_boxes: Any) -> dict[str, Any]:
    """Boxes and labels as tensors; lists of different lengths are filled up with boxes of 0s.

    Raises: ArgumentError unless this is a dict with boxes and labels that belong together.
    """
    if not isinstance(bounding_boxes, dict) or not {"boxes", "labels"} <= bounding_boxes.keys():
        raise ArgumentError(
            f'bounding_boxes must be a dict with "boxes" and "labels", got '
            f"{list(bounding_boxes) if isinstance(bounding_boxes, dict) else bounding_boxes!r}."
        )
    boxes = _padded(bounding_boxes["boxes"], 0.0, 2).float()
    labels = _padded(bounding_boxes["labels"], -1, 1)
    if boxes.ndim not in (2, 3) or boxes.shape[-1] != 4 or not 0 <= boxes.ndim - labels.ndim <= 1:
        raise ShapeError(
            f"bounding_boxes takes boxes (batch, boxes, 4), or (boxes, 4) for one image, with a "
            f"label each, got {tuple(boxes.shape)} with labels {tuple(labels.shape)}."
        )
    return {**bounding_boxes, "boxes": boxes, "labels": labels}


def _padded(value: Any, fill: float, rank: int) -> Tensor:
    """A tensor from one, or from a list with one entry of this rank for each image."""
    if not isinstance(value, (list, tuple)):
        return torch.as_tensor(value)
    if not value:
        return torch.zeros((0, 4) if fill == 0 else (0,))
    lists = (list, tuple)
    parts = [_padded(v, fill, rank - 1) if isinstance(v, lists) else v for v in value]
    tensors = [torch.as_tensor(part) for part in parts]
    if rank > 0 and tensors[0].ndim == rank:
        return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=fill)
    return torch.stack(tensors)
