"""Batches changed a few images at a time, by operations that a CPU computes with vectors.

An operation on a large batch waits for the memory; on as many images as a core's cache holds it
does not. `lerp` and `where` with one number for each image are several times slower on a CPU than
the products and sums here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["blended", "covered", "cut", "each_image", "in_pieces"]

PIECE = 1 << 21
"""Bytes, as 32-bit floats, of the images that are changed at once."""


def in_pieces(
    change: Callable[[Tensor, Any, Tensor | None], Tensor],
    images: Tensor,
    parameters: Any,
    dtype: torch.dtype,
    *,
    chosen: Any = None,
    whole: Sequence[str] = (),
    raw: bool = False,
) -> Tensor:
    """What `change(images, parameters, out)` gives, as if for the whole batch at once.

    Args:
        change: changes some images, each of them by itself, without changing their shape. It may
            work in place, unless `raw`; and write what it gives into `out`, if that is not None.
        images: a batch.
        parameters: a dict, also of dicts; of tensors with a row for each image, `change` gets the
            rows of its images.
        dtype: of the result, and of what `change` is given.
        chosen: booleans, which images are changed; None for all.
        whole: names of parameters that are not cut, whatever their shape.
        raw: give `change` the images themselves, not a copy in this dtype.
    """
    count = images.shape[0]
    if chosen is not None:
        chosen = torch.as_tensor(chosen, device=images.device).reshape(-1).expand(count)
    step = _step(images) if _worth_cutting(images) else count
    if step >= count and (chosen is None or not _worth_cutting(images)):
        some = images if raw else images.to(dtype, copy=True)
        changed = change(some, parameters, None).to(dtype)
        if chosen is not None:
            changed = torch.where(chosen.reshape(-1, 1, 1, 1), changed, images.to(dtype))
        return changed
    outputs = torch.empty(images.shape, dtype=dtype, device=images.device)
    flags = [True] * count if chosen is None else chosen.tolist()
    for piece in _runs([number for number, flag in enumerate(flags) if not flag], step):
        _put(outputs, piece, images[piece])
    for piece in _runs([number for number, flag in enumerate(flags) if flag], step):
        some, rows = images[piece], _rows(parameters, piece, count, whole)
        out = None if isinstance(piece, list) else outputs[piece]
        if not raw:
            # A cache holds their copy, also for changes that fetch pixels in any order.
            some = some.to(dtype) if out is None else out.copy_(some)
        changed = change(some, rows, out)
        if changed is not out:
            _put(outputs, piece, changed)
    return outputs


def _put(outputs: Tensor, piece: Any, some: Tensor) -> None:
    # To a slice, a copy changes the dtype by itself; to a list of places it cannot.
    outputs[piece] = some.to(outputs.dtype) if isinstance(piece, list) else some


def cut(images: Tensor) -> tuple[Tensor, ...]:
    """The images of a batch, a few at a time where that is faster."""
    return torch.split(images, _step(images)) if _worth_cutting(images) else (images,)


def _step(images: Tensor) -> int:
    """How many images are changed at once."""
    return max(1, PIECE * len(images) // (4 * images.numel() + 1))


def _worth_cutting(images: Tensor) -> bool:
    recorded = images.requires_grad and torch.is_grad_enabled()
    return images.device.type == "cpu" and not recorded and not torch.compiler.is_compiling()


def _runs(numbers: list[int], step: int) -> Iterator[Any]:
    """A few numbers at a time: of large images only those that follow one another, as a slice."""
    at = 0
    while at < len(numbers):
        some = numbers[at : at + step]
        if some[-1] - some[0] != len(some) - 1 and step < 8:
            some = [number for place, number in enumerate(some) if number == some[0] + place]
        at += len(some)
        yield slice(some[0], some[-1] + 1) if some[-1] - some[0] == len(some) - 1 else some


def _rows(parameters: Any, piece: Any, count: int, whole: Sequence[str]) -> Any:
    if isinstance(parameters, dict):
        return {
            key: value if key in whole else _rows(value, piece, count, whole)
            for key, value in parameters.items()
        }
    if count == 1 or not isinstance(parameters, (Tensor, list)):
        return parameters
    rows = torch.as_tensor(parameters)
    return rows[piece] if rows.ndim and len(rows) == count else parameters


def each_image(values: Any, images: Tensor) -> Tensor:
    """One number for each image, or for all, with axes to multiply a batch by."""
    return torch.as_tensor(values, device=images.device).reshape(-1, 1, 1, 1).to(images.dtype)


def blended(first: Tensor, second: Tensor, share: Any) -> Tensor:
    """`first` and `second` mixed, with a share of the second for each image."""
    return (second - first).mul_(each_image(share, first)).add_(first)


def covered(
    images: Tensor, mask: Tensor, by: Tensor, chosen: Tensor | None, dtype: torch.dtype
) -> Tensor:
    """Images with others, or a colour, where a mask is true.

    Args:
        images: a batch.
        mask: booleans with an axis of size 1 for the channels.
        by: what to cover with.
        chosen: booleans, which images are covered; None for all.
        dtype: of the result.
    """
    by = by.to(dtype)
    if not _worth_cutting(images):
        mask = mask if chosen is None else mask & chosen.reshape(-1, 1, 1, 1)
        return torch.where(mask, by, images.to(dtype))
    outputs = images.to(dtype, copy=True)
    by, mask = by.expand_as(outputs), mask.expand(len(images), -1, -1, -1)
    numbers = range(len(images)) if chosen is None else chosen.nonzero().flatten().tolist()
    # Masks are rectangles, nearly always: then it is enough to fill one.
    boxes = _boxes(mask)
    for number in numbers:
        box = boxes[number]
        part, new, place = mask[number][box], by[number][box], outputs[number][box]
        place.copy_(new if bool(part.all()) else torch.where(part, new, place))
    return outputs


def _boxes(masks: Tensor) -> list[tuple[slice, ...]]:
    """The smallest box around what is true in each mask; all of it where nothing is."""
    sides = []
    for axis in (1, 2, 3):
        if masks.shape[axis] == 1:
            sides.append([slice(None)] * len(masks))
            continue
        hit = masks.view(torch.uint8).amax([each for each in (1, 2, 3) if each != axis])
        ends = torch.stack((hit.argmax(1), hit.shape[1] - hit.flip(1).argmax(1)), 1).tolist()
        sides.append([slice(*each) for each in ends])
    return list(zip(*sides, strict=True))
