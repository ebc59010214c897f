"""The axes of tensors: reshape, join, split, order, repeat and pad."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nnkit.dtypes import given_dtype
from nnkit.errors import ArgumentError, ShapeError
from nnkit.ops.recording import all_axes, as_tensor, described, is_number, out_of, recorded, tensors
from nnkit.symbolic import SymbolicTensor

__all__ = [
    "append", "array_split", "broadcast_to", "concatenate", "dsplit", "dstack", "expand_dims",
    "flip", "fliplr", "flipud", "hsplit", "hstack", "moveaxis", "ndim", "pad", "ravel",
    "rearrange", "repeat", "reshape", "roll", "rot90", "shape", "size", "split", "squeeze",
    "stack", "swapaxes", "tile", "transpose", "unstack", "view", "vsplit", "vstack",
]  # fmt: skip


def shape(x: Any) -> tuple[Any, ...]:
    """The sizes of x, as a tuple of numbers.

    A free size of a symbolic tensor comes as a recorded size, which `reshape`, `zeros` and the
    rest take in place of a number.
    """
    if isinstance(x, SymbolicTensor):
        return tuple(x.size())
    return tuple(x.shape) if hasattr(x, "shape") else tuple(as_tensor(x).shape)


def ndim(x: Any) -> int:
    """The number of axes of x."""
    return len(shape(x))


@recorded
def size(x: Any) -> int:
    """The number of elements of x, a Python number."""
    return math.prod(as_tensor(x).shape)


@recorded
def reshape(x: Any, newshape: Any) -> Tensor:
    """The same elements with other axes; one size may be -1, which is worked out."""
    sizes = (newshape,) if is_number(newshape) else tuple(newshape)
    if None in sizes:
        raise ShapeError(
            f"reshape takes numbers, got {sizes}. Use -1 for one size that is not known, or "
            f"ops.shape(x)[axis] for each."
        )
    return torch.reshape(as_tensor(x), sizes)


@recorded
def ravel(x: Any) -> Tensor:
    """All elements on one axis."""
    return as_tensor(x).reshape(-1)


@recorded
def view(x: Any, dtype: Any = None) -> Tensor:
    """The same memory read as another dtype; the last axis grows or shrinks with its width."""
    return as_tensor(x).view(given_dtype(dtype) or torch.get_default_dtype())


@recorded
def broadcast_to(x: Any, shape: Any) -> Tensor:
    """x repeated along new axes and those of size 1, without copying."""
    return torch.broadcast_to(as_tensor(x), tuple(shape))


@recorded
def expand_dims(x: Any, axis: Any) -> Tensor:
    """x with a new axis of size 1 at `axis`, or at each of several in the result."""
    x = as_tensor(x)
    axes = tuple(axis) if isinstance(axis, (list, tuple)) else (axis,)
    rank = x.ndim + len(axes)
    for each in sorted(each % rank if -rank <= each < 0 else each for each in axes):
        x = x.unsqueeze(each)
    return x


@recorded
def squeeze(x: Any, axis: Any = None) -> Tensor:
    """x without its axes of size 1, or only without these.

    Raises: ShapeError if such an axis has another size.
    """
    x = as_tensor(x)
    if axis is None:
        return x.squeeze()
    axes = all_axes(x, axis)
    if any(x.shape[each] != 1 for each in axes):
        raise ShapeError(f"squeeze drops axes of size 1, not axis {axis} of {tuple(x.shape)}.")
    return x.squeeze(axes)


@recorded
def transpose(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """x with its axes in this order; reversed when None."""
    x = as_tensor(x)
    return x.permute(tuple(reversed(range(x.ndim))) if axes is None else tuple(axes))


@recorded
def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """x with two axes exchanged."""
    return as_tensor(x).transpose(axis1, axis2)


@recorded
def moveaxis(x: Any, source: Any, destination: Any) -> Tensor:
    """x with one axis, or several, moved; the others keep their order."""
    return torch.movedim(as_tensor(x), source, destination)


@recorded
def flip(x: Any, axis: Any = None) -> Tensor:
    """x in reverse order along `axis`; along all when None."""
    x = as_tensor(x)
    return x.flip(all_axes(x, axis))


@recorded
def fliplr(x: Any) -> Tensor:
    """x in reverse order along axis 1."""
    return as_tensor(x).flip(1)


@recorded
def flipud(x: Any) -> Tensor:
    """x in reverse order along axis 0."""
    return as_tensor(x).flip(0)


@recorded
def roll(x: Any, shift: Any, axis: Any = None) -> Tensor:
    """x with its elements moved on by `shift`; what leaves at the end comes in at the front."""
    return torch.roll(as_tensor(x), shift, axis)


@recorded
def rot90(array: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Tensor:
    """The tensor turned by `k` quarters, from the first of the two axes towards the second."""
    array = as_tensor(array)
    if array.ndim < 2 or len(axes) != 2:
        raise ShapeError(f"rot90 turns two axes, got {axes} of shape {tuple(array.shape)}.")
    return torch.rot90(array, k, axes)


@recorded
def tile(x: Any, repeats: Any) -> Tensor:
    """x put side by side this many times along each (of the last) axes."""
    return torch.tile(as_tensor(x), (repeats,) if is_number(repeats) else tuple(repeats))


@recorded
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Each element (along `axis`) several times in a row.

    Args:
        x: any tensor; flattened when axis is None.
        repeats: how often, a number or one for each place along the axis.
        axis: the axis that grows.
    """
    x = as_tensor(x)
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis)
    if isinstance(repeats, (list, tuple)) and len(repeats) == 1:
        repeats = repeats[0]
    if is_number(repeats):
        return x.repeat_interleave(repeats, axis)
    # A list tells the size of the result, which a tensor does not before it is read.
    total = sum(repeats) if isinstance(repeats, (list, tuple)) else None
    counts = as_tensor(repeats, torch.int64, x.device)
    return x.repeat_interleave(counts, axis, output_size=total)


@recorded
def concatenate(xs: Any, axis: int = 0) -> Tensor:
    """Tensors one after the other along an axis they have."""
    return torch.cat(tensors(*xs), axis)


@recorded
def stack(x: Any, axis: int = 0) -> Tensor:
    """Tensors of one shape along a new axis."""
    return torch.stack(tensors(*x), axis)


@recorded
def append(x1: Any, x2: Any, axis: int | None = None) -> Tensor:
    """x2 after x1 along `axis`; both flattened when None."""
    both = tensors(x1, x2)
    if axis is None:
        return torch.cat([each.reshape(-1) for each in both])
    return torch.cat(both, axis)


def _stacking(name: str, fn: Callable[..., Tensor], doc: str) -> Callable[[Any], Tensor]:
    def call(xs: Any) -> Tensor:
        return fn(tensors(*xs))

    return described(name, __name__, doc, call)


hstack = _stacking("hstack", torch.hstack, "Tensors side by side: along axis 1, vectors along 0.")
vstack = _stacking("vstack", torch.vstack, "Tensors below each other; vectors become rows.")
dstack = _stacking("dstack", torch.dstack, "Tensors behind each other, along axis 2.")


def _cut(x: Tensor, indices_or_sections: Any, axis: int) -> list[Tensor]:
    if not is_number(indices_or_sections):
        places = [int(each) for each in indices_or_sections]
        return list(torch.tensor_split(x, places, axis))
    if indices_or_sections < 1 or x.shape[axis] % indices_or_sections:
        raise ShapeError(
            f"split cuts equal parts, but axis {axis} of {tuple(x.shape)} is not divisible by "
            f"{indices_or_sections}. Use array_split, or give the indices to cut at."
        )
    return list(torch.tensor_split(x, indices_or_sections, axis))


@recorded
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """Cut x along `axis` into this many equal parts, or before each of these indices.

    Raises: ShapeError if the axis cannot be cut into equal parts.
    """
    return _cut(as_tensor(x), indices_or_sections, axis)


@recorded
def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """`split` where the first parts may be longer by one."""
    x = as_tensor(x)
    if is_number(indices_or_sections):
        return list(torch.tensor_split(x, indices_or_sections, axis))
    return _cut(x, indices_or_sections, axis)


def _cutting(name: str, axis: int, doc: str) -> Callable[[Any, Any], list[Tensor]]:
    def call(x: Any, indices_or_sections: Any) -> list[Tensor]:
        x = as_tensor(x)
        return _cut(x, indices_or_sections, 0 if x.ndim <= axis else axis)

    return described(name, __name__, doc, call)


hsplit = _cutting("hsplit", 1, "`split` along axis 1; of a vector along axis 0.")
vsplit = _cutting("vsplit", 0, "`split` along axis 0.")
dsplit = _cutting("dsplit", 2, "`split` along axis 2.")


@recorded
def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Tensor]:
    """The slices of x along `axis`, which goes away, as a list. `num` is checked if given."""
    x = as_tensor(x)
    if num is not None and num != x.shape[axis]:
        raise ShapeError(f"unstack: num={num} but axis {axis} of {tuple(x.shape)} differs.")
    return list(x.unbind(axis))


# How each mode fills an index outside of 0 .. n - 1.
_BORDERS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "edge": lambda i, n: i.clamp(0, n - 1),
    "wrap": lambda i, n: i % n,
    "symmetric": lambda i, n: torch.minimum(i % (2 * n), 2 * n - 1 - i % (2 * n)),
    "reflect": lambda i, n: (n - 1) - ((i % (2 * n - 2)) - (n - 1)).abs() if n > 1 else i * 0,
}


@recorded
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Tensor:
    """Make x larger at both ends of its axes.

    Args:
        x: any tensor.
        pad_width: elements to add: (before, after) for each axis, one such pair for all, or a
            number for all ends.
        mode: "constant", or what to continue with: "edge" repeats the last element, "reflect"
            mirrors without repeating it, "symmetric" mirrors with it, "wrap" starts again.
        constant_values: for "constant"; 0 when None.

    Raises: ArgumentError for other modes, or constant_values with one that is not "constant".
    """
    x = as_tensor(x)
    widths = _widths(pad_width, x.ndim)
    if mode == "constant":
        flat = [each for pair in reversed(widths) for each in pair]
        return F.pad(x, flat, value=constant_values or 0)
    if mode not in _BORDERS:
        raise out_of("pad", "mode", mode, ("constant", *_BORDERS))
    if constant_values is not None:
        raise ArgumentError(f"pad takes constant_values with mode='constant', not {mode!r}.")
    for axis, (before, after) in enumerate(widths):
        if before or after:
            known = x.shape[axis]
            index = torch.arange(-before, known + after, device=x.device)
            x = x.index_select(axis, _BORDERS[mode](index, known))
    return x


def _widths(pad_width: Any, rank: int) -> list[tuple[int, int]]:
    if is_number(pad_width):
        return [(pad_width, pad_width)] * rank
    if is_number(pad_width[0]):
        pad_width = [pad_width]
    pairs = [(pair[0], pair[-1]) for pair in pad_width]
    pairs = pairs * rank if len(pairs) == 1 else pairs
    if len(pairs) != rank:
        raise ShapeError(f"pad_width has {len(pairs)} pairs for a tensor with {rank} axes.")
    return pairs


@recorded
def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Tensor:
    """Split, order and merge axes by name.

    Args:
        tensor: any tensor.
        pattern: the axes before and after, as in "b (h p) c -> b h (p c)"; brackets join axes.
        axes_lengths: the sizes of axes inside brackets; one in each may be left out.

    Raises: ShapeError if the pattern does not fit.
    """
    x = as_tensor(tensor)
    before, _, after = pattern.partition("->")
    groups = [
        [name.split() for name in re.findall(r"\w+|\([^)]*\)", part)] for part in (before, after)
    ]
    old, new = ([" ".join(g).strip("() ").split() for g in side] for side in groups)
    names = [name for group in old for name in group]
    if len(old) != x.ndim or sorted(names) != sorted(name for group in new for name in group):
        raise ShapeError(
            f"rearrange: {pattern!r} needs {len(old)} axes and the same names on both sides of "
            f"'->', got a tensor of shape {tuple(x.shape)}."
        )
    lengths: dict[str, Any] = dict(axes_lengths)
    for group, whole in zip(old, x.shape, strict=True):
        missing = [name for name in group if name not in lengths]
        known = math.prod([lengths[name] for name in group if name in lengths])
        if len(missing) > 1 or (whole % known if missing else whole != known):
            raise ShapeError(
                f"rearrange: an axis of size {whole} is not {' x '.join(group)} in {pattern!r}. "
                f"Give the sizes of all but one as keywords."
            )
        lengths.update(dict.fromkeys(missing, whole // known))
    x = x.reshape([lengths[name] for name in names])
    x = x.permute([names.index(name) for group in new for name in group])
    return x.reshape([math.prod([lengths[name] for name in group]) for group in new])
