"""Rotation, shift, shear and zoom of one picture, as the old ImageDataGenerator does them."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.errors import ArgumentError, ShapeError, unknown_name

__all__ = [
    "apply_affine_transform",
    "random_rotation",
    "random_shear",
    "random_shift",
    "random_zoom",
]

_FILL_MODES = ("nearest", "constant", "reflect", "wrap")


def apply_affine_transform(
    x: np.ndarray,
    theta: float = 0,
    tx: float = 0,
    ty: float = 0,
    shear: float = 0,
    zx: float = 1,
    zy: float = 1,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    order: int = 1,
) -> np.ndarray:
    """Turn, shift, shear and zoom a picture about its middle.

    Args:
        x: the picture.
        theta: angle in degrees.
        tx, ty: shift in pixels, along the rows and columns.
        shear: angle in degrees.
        zx, zy: zoom factors; above 1 the picture becomes smaller.
        row_axis, col_axis, channel_axis: of x; channels come first or last.
        fill_mode: "nearest", "constant" (with `cval`), "reflect" or "wrap", beyond the edges.
        order: 1 interpolates, 0 takes the nearest pixel.

    Raises: ShapeError, ArgumentError.
    """
    if x.ndim != 3 or sorted((row_axis, col_axis, channel_axis)) != [0, 1, 2] or channel_axis == 1:
        raise ShapeError(
            f"apply_affine_transform expects one picture of three axes, with channels first or "
            f"last; got {x.shape} with rows, columns, channels on the axes {row_axis}, "
            f"{col_axis}, {channel_axis}."
        )
    matrix = _matrix(theta, tx, ty, shear, zx, zy)
    if matrix is None:
        return x
    axes = (channel_axis, min(row_axis, col_axis), max(row_axis, col_axis))
    planes = np.moveaxis(x, axes, (0, 1, 2))
    # By the products that Keras forms: a place on the edge must not fall beside it by a rounding.
    there, back = (_moved(x.shape[row_axis], x.shape[col_axis], sign) for sign in (-1, 1))
    centred = np.dot(np.dot(back, matrix), there)
    linear, offset = centred[:2, :2], centred[:2, 2]
    if col_axis > row_axis:
        # The old code swaps both axes of the matrix here, after placing its middle.
        linear, offset = linear[::-1, ::-1], offset[::-1]
    rows, columns = np.ogrid[: planes.shape[1], : planes.shape[2]]
    places = [
        line[0] * rows + line[1] * columns + o for line, o in zip(linear, offset, strict=True)
    ]
    done = _sample(planes, places, order, fill_mode, cval)
    if x.dtype.kind in "iu":
        limits = np.iinfo(x.dtype)
        done = np.trunc(done + np.copysign(0.5, done)).clip(limits.min, limits.max)
    return np.moveaxis(done.astype(x.dtype), (0, 1, 2), axes)


def _moved(height: int, width: int, sign: int) -> np.ndarray:
    """The shift of a picture's middle, from 0 (1) or to it (-1)."""
    return np.array(
        [[1, 0, sign * (height / 2 - 0.5)], [0, 1, sign * (width / 2 - 0.5)], [0, 0, 1]]
    )


def _matrix(
    theta: float, tx: float, ty: float, shear: float, zx: float, zy: float
) -> np.ndarray | None:
    steps = []
    if theta:
        cos, sin = np.cos(np.deg2rad(theta)), np.sin(np.deg2rad(theta))
        steps.append([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    if tx or ty:
        steps.append([[1, 0, tx], [0, 1, ty], [0, 0, 1]])
    if shear:
        angle = np.deg2rad(shear)
        steps.append([[1, -np.sin(angle), 0], [0, np.cos(angle), 0], [0, 0, 1]])
    if zx != 1 or zy != 1:
        steps.append([[zx, 0, 0], [0, zy, 0], [0, 0, 1]])
    matrix = None
    for step in steps:
        matrix = np.array(step) if matrix is None else matrix @ np.array(step)
    return matrix


def _sample(
    planes: np.ndarray, places: list[np.ndarray], order: int, fill_mode: str, cval: float
) -> np.ndarray:
    """The values of (channels, rows, columns) at places between its pixels."""
    if fill_mode not in _FILL_MODES:
        raise unknown_name("fill_mode", fill_mode, _FILL_MODES)
    if order not in (0, 1):
        raise ArgumentError(
            f"interpolation order expects 0 (nearest) or 1 (linear), got {order!r}."
        )
    sizes = planes.shape[1:]
    inside = [(at >= 0) & (at <= size - 1) for at, size in zip(places, sizes, strict=True)]
    ways = [_neighbours(at, size, order, fill_mode) for at, size in zip(places, sizes, strict=True)]
    flat = planes.reshape(len(planes), -1)
    total: Any = 0.0
    for row, row_share in ways[0]:
        for column, column_share in ways[1]:
            total = total + flat[:, row * sizes[1] + column] * (row_share * column_share)
    return np.where(inside[0] & inside[1], total, cval) if fill_mode == "constant" else total


def _neighbours(at: np.ndarray, size: int, order: int, fill_mode: str) -> list[tuple[Any, Any]]:
    """The pixels along an axis that make up a place, with their shares."""
    if fill_mode == "wrap" and size > 1:
        # The first and last pixel are taken for the same one.
        period = size - 1
        below, above = at < 0, at > period
        at = np.where(below, at + period * (np.trunc(-at / period) + 1), at)
        at = np.where(above, at - period * np.trunc(at / period), at)
    elif fill_mode != "reflect":
        at = at.clip(0, size - 1)
    first = np.floor(at if order else at + 0.5).astype(np.int64)
    share = at - first if order else 0.0
    pairs = [(first, 1 - share), (first + 1, share)] if order else [(first, 1.0)]
    return [(_reflected(index, size), part) for index, part in pairs]


def _reflected(index: np.ndarray, size: int) -> np.ndarray:
    """Indices beyond the edge, counted back from it; a half-sample mirror."""
    index = index % (2 * size)
    return np.minimum(index, 2 * size - 1 - index)


def random_rotation(
    x: np.ndarray, rg: float, row_axis: int = 1, col_axis: int = 2, channel_axis: int = 0,
    fill_mode: str = "nearest", cval: float = 0.0, interpolation_order: int = 1,
) -> np.ndarray:  # fmt: skip
    """Turn a picture by up to `rg` degrees."""
    axes = (row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order)
    return apply_affine_transform(x, np.random.uniform(-rg, rg), 0, 0, 0, 1, 1, *axes)


def random_shift(
    x: np.ndarray, wrg: float, hrg: float, row_axis: int = 1, col_axis: int = 2,
    channel_axis: int = 0, fill_mode: str = "nearest", cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:  # fmt: skip
    """Shift a picture by up to these fractions of its width and height."""
    axes = (row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order)
    tx = np.random.uniform(-hrg, hrg) * x.shape[row_axis]
    ty = np.random.uniform(-wrg, wrg) * x.shape[col_axis]
    return apply_affine_transform(x, 0, tx, ty, 0, 1, 1, *axes)


def random_shear(
    x: np.ndarray, intensity: float, row_axis: int = 1, col_axis: int = 2, channel_axis: int = 0,
    fill_mode: str = "nearest", cval: float = 0.0, interpolation_order: int = 1,
) -> np.ndarray:  # fmt: skip
    """Shear a picture by up to `intensity` degrees."""
    axes = (row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order)
    shear = np.random.uniform(-intensity, intensity)
    return apply_affine_transform(x, 0, 0, 0, shear, 1, 1, *axes)


def random_zoom(
    x: np.ndarray, zoom_range: Any, row_axis: int = 1, col_axis: int = 2, channel_axis: int = 0,
    fill_mode: str = "nearest", cval: float = 0.0, interpolation_order: int = 1,
) -> np.ndarray:  # fmt: skip
    """Zoom a picture by factors between the two of `zoom_range`."""
    if len(zoom_range) != 2:
        raise ArgumentError(f"zoom_range expects two factors, got {zoom_range!r}.")
    axes = (row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order)
    low, high = zoom_range
    zx, zy = (1, 1) if low == high == 1 else np.random.uniform(low, high, 2)
    return apply_affine_transform(x, 0, 0, 0, 0, zx, zy, *axes)
