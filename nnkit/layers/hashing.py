"""Layers that put any value into one of a fixed number of bins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from nnkit.arguments import positive, whole
from nnkit.convert import as_array
from nnkit.errors import ArgumentError, DataError, ShapeError
from nnkit.layer import Layer
from nnkit.layers.raw_data import (
    MODES,
    DataLayer,
    as_rows,
    encode,
    encoded_shape,
    output_mode_of,
    salt_of,
)
from nnkit.shapes import describe

__all__ = ["HashedCrossing", "Hashing", "farm_hash", "hash_bins", "sip_hash"]


class Hashing(DataLayer):
    """Put words or whole numbers into bins by their hash; no vocabulary is needed.

    Args:
        num_bins: number of bins, that of the mask included.
        mask_value: a word or number that gets bin 0 to itself.
        salt: one or two whole numbers that make the hash SipHash64, hard to guess; FarmHash64
            when None. Both give TensorFlow's bins.
        output_mode: "int", or "one_hot", "multi_hot", "count" over the bins.
        sparse: not supported.

    Shape: any -> the same (int64), or with an axis of bins: see CategoryEncoding
    Raises: ArgumentError for impossible arguments. Runs on the CPU and cannot be compiled.
    Source: https://github.com/google/farmhash, https://www.131002.net/siphash/siphash.pdf
    """

    def __init__(
        self,
        num_bins: int,
        mask_value: Any = None,
        salt: Any = None,
        output_mode: str = "int",
        sparse: bool = False,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        dtype = "int64" if dtype is None and output_mode == "int" else dtype
        super().__init__(dtype=dtype, **kwargs)
        self.num_bins = positive(self.label, "num_bins", num_bins)
        self.output_mode = output_mode_of(self.label, output_mode, MODES, sparse)
        if self.output_mode == "int" and self._compute not in (torch.int32, torch.int64):
            raise ArgumentError(f"{self.label}: dtype must be int32 or int64, got {self.dtype}.")
        self.sparse = False
        if mask_value is not None and not isinstance(mask_value, (str, bytes)):
            mask_value = whole(self, "mask_value (unless a word)", mask_value)
        self.mask_value = mask_value
        self.salt = salt_of(self.label, salt)

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        shape = encoded_shape(inputs.shape, self.output_mode, self.num_bins)
        return inputs.new_empty(shape, dtype=self._compute)

    def call(self, inputs: Any) -> torch.Tensor:
        masked = self.mask_value is not None and self.num_bins > 1
        bins = hash_bins(inputs, self.num_bins - masked, self.salt)
        if masked:
            given = as_array(inputs)
            words = given.dtype.kind not in "biuf"
            if words != isinstance(self.mask_value, (str, bytes)):
                raise ArgumentError(
                    f"{self.label}: mask_value={self.mask_value!r} is never met in inputs of "
                    f"{'words' if words else given.dtype}. Give one of their kind, or None."
                )
            hidden = torch.tensor(np.equal(given, self.mask_value).astype(bool))
            bins = (bins + 1).masked_fill(hidden.to(bins.device), 0)
        return encode(bins, self.output_mode, self.num_bins, self._compute)


class HashedCrossing(Layer):
    """Put combinations of two or more features into bins by their hash.

    Args:
        num_bins: number of bins.
        output_mode: "int" or "one_hot".
        sparse: not supported.

    Shape: several of (batch,) or (batch, 1), words or whole numbers -> the same (int64), or
        (batch, num_bins)
    Raises: ArgumentError, ShapeError for other inputs. Runs on the CPU and cannot be compiled.
    Example: `HashedCrossing(8)((["a", "b"], [101, 102]))`
    """

    def __init__(
        self,
        num_bins: int,
        output_mode: str = "int",
        sparse: bool = False,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        dtype = "int64" if dtype is None and output_mode == "int" else dtype
        super().__init__(name=name, dtype=dtype, **kwargs)
        self.num_bins = positive(self.label, "num_bins", num_bins)
        self.output_mode = output_mode_of(self.label, output_mode, MODES[:2], sparse)
        self.sparse = False

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(inputs, (list, tuple)) or len(inputs) < 2:
            raise ArgumentError(f"{self.label} crosses two or more features; give a list of them.")
        features = tuple(as_rows(value, self.label) for value in inputs)
        shapes = [tuple(getattr(feature, "shape", ())) for feature in features]
        first = shapes[0]
        if len(first) > 2 or (len(first) == 2 and first[1] != 1) or len(set(shapes)) > 1:
            came = ", ".join(map(describe, shapes))
            raise ShapeError(f"{self.label} takes features (batch,) or (batch, 1), got {came}.")
        return super().__call__(features, *args, **kwargs)

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        shape = encoded_shape(inputs[0].shape, self.output_mode, self.num_bins)
        return inputs[0].new_empty(shape, dtype=self._compute)

    def call(self, inputs: Any) -> torch.Tensor:
        columns = [as_array(feature).reshape(-1).tolist() for feature in inputs]
        if not all(isinstance(item, (int, str, bytes)) for items in columns for item in items):
            raise DataError(f"{self.label} crosses words and whole numbers, no floats.")
        crossed = [_cross(row) % self.num_bins for row in zip(*columns, strict=True)]
        bins = torch.tensor(crossed, dtype=torch.int64).reshape(as_array(inputs[0]).shape)
        device = next((each.device for each in inputs if isinstance(each, torch.Tensor)), None)
        return encode(bins.to(device), self.output_mode, self.num_bins, self._compute)


def _bytes(item: Any) -> bytes:
    text = str(item).lower() if isinstance(item, bool) else item
    return text if isinstance(text, bytes) else str(text).encode()


def hash_bins(values: Any, bins: int, salt: list[int] | None) -> torch.Tensor:
    """The bin of each word or number (floats are cut to whole ones), on the device of `values`."""
    array = as_array(values)
    array = array.astype("int64") if array.dtype.kind == "f" else array
    flat = array.reshape(-1).tolist()
    hashed = farm_hash if salt is None else partial(sip_hash, keys=salt)
    known = {item: hashed(_bytes(item)) % bins for item in set(flat)}
    found = torch.tensor([known[item] for item in flat], dtype=torch.int64).reshape(array.shape)
    return found.to(values.device) if isinstance(values, torch.Tensor) else found


_ALL = (1 << 64) - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F


def _left(value: int, by: int) -> int:
    """A 64-bit number rotated to the left."""
    value &= _ALL
    return (value << by | value >> (64 - by)) & _ALL


def _right(value: int, by: int) -> int:
    return _left(value, 64 - by)


def _fold(value: int) -> int:
    value &= _ALL
    return value ^ value >> 47


def _mix(u: int, v: int, factor: int) -> int:
    """Two numbers into one of 64 bits; they may be longer, only their last 64 bits count."""
    return _fold((v ^ _fold((u ^ v) * factor)) * factor) * factor & _ALL


def _cross(row: Sequence[Any]) -> int:
    """The hash of a combination, that of TensorFlow's `sparse.cross_hashed`."""
    found, factor = 0xDECAFCAFFE, 0xC6A4A7935BD1E995
    for item in row:
        own = item if isinstance(item, int) else farm_hash(_bytes(item))
        found = _fold(_fold((found ^ factor ^ _fold(own * factor) * factor) * factor) * factor)
    return found


def sip_hash(data: bytes, keys: Sequence[int]) -> int:
    """SipHash-2-4 of some bytes, with two 64-bit keys."""
    one, two = keys[0] & _ALL, keys[1] & _ALL
    a, b = one ^ 0x736F6D6570736575, two ^ 0x646F72616E646F6D
    c, d = one ^ 0x6C7967656E657261, two ^ 0x7465646279746573
    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) % 256])
    words = [int.from_bytes(padded[i : i + 8], "little") for i in range(0, len(padded), 8)]
    for count, word in [*((2, word) for word in words), (4, 0)]:
        c, d = c ^ (0xFF if count == 4 else 0), d ^ word
        for _ in range(count):
            a, c = a + b & _ALL, c + d & _ALL
            b, d = _left(b, 13) ^ a, _left(d, 16) ^ c
            a, c = _left(a, 32) + d & _ALL, c + b & _ALL
            b, d = _left(b, 17) ^ c, _left(d, 21) ^ a
            c = _left(c, 32)
        a ^= word
    return a ^ b ^ c ^ d


def farm_hash(data: bytes) -> int:
    """FarmHash64 of some bytes, in the form that is the same on all machines (Fingerprint64)."""
    size = len(data)
    factor = _K2 + size * 2

    def at(i: int, width: int = 8) -> int:
        i %= size
        return int.from_bytes(data[i : i + width], "little")

    if size > 64:
        return _farm_long(size, at)
    if size > 16:
        a, b, c, d = at(0) * (_K1 if size <= 32 else _K2), at(8), at(-8) * factor, at(-16) * _K2
        y = _right(a + b, 43) + _right(c, 30) + d
        z = _mix(y, a + _right(b + _K2, 18) + c, factor)
        if size <= 32:
            return z
        e, f, g, h = at(16) * factor, at(24), (y + at(-32)) * factor, (z + at(-24)) * factor
        return _mix(_right(e + f, 43) + _right(g, 30) + h, e + _right(f + a, 18) + g, factor)
    if size >= 8:
        a, b = at(0) + _K2, at(-8)
        return _mix(_right(b, 37) * factor + a, (_right(a, 25) + b) * factor, factor)
    if size >= 4:
        return _mix(size + (at(0, 4) << 3), at(-4, 4), factor)
    if size:
        y, z = data[0] + (data[size >> 1] << 8), size + (data[-1] << 2)
        return _fold(y * _K2 ^ z * _K0) * _K2 & _ALL
    return _K2


def _farm_long(size: int, at: Callable[..., int]) -> int:
    """FarmHash64 of more than 64 bytes: each 64 are stirred into seven numbers, then the last."""

    def weak(i: int, a: int, b: int) -> tuple[int, int]:
        first, last = a + at(i), at(i + 24)
        whole = first + at(i + 8) + at(i + 16)
        return whole + last, _right(b + first + last, 21) + _right(whole, 44) + first

    x, y, v, w = 81 * _K2 + at(0), 81 * _K1 + 113, (0, 0), (0, 0)
    z, factor, times = _fold(y * _K2 + 113) * _K2, _K1, 1
    for i in [*range(0, (size - 1) // 64 * 64, 64), -64]:
        if i < 0:
            factor, times, i = _K1 + ((z & 0xFF) << 1), 9, size - 64
            w = (w[0] + (size - 1) % 64, w[1])
            v = (v[0] + w[0], v[1])
            w = (w[0] + v[0], w[1])
        x = _right(x + y + v[0] + at(i + 8), 37) * factor
        y = _right(y + v[1] + at(i + 48), 42) * factor
        x ^= w[1] * times
        y += v[0] * times + at(i + 40)
        z = _right(z + w[0], 33) * factor
        v = weak(i, v[1] * factor, x + w[0])
        w = weak(i + 32, z + w[1], y + at(i + 16))
        x, z = z, x
    left = _mix(v[0], w[0], factor) + _fold(y) * _K0 + z
    return _mix(left, _mix(v[1], w[1], factor) + x, factor)
