"""Numbers and words to categories: bins, one-hot and multi-hot codes, hashes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from nnkit.errors import ArgumentError, DataError, NotBuiltError, ShapeError
from nnkit.layer import Layer
from nnkit.layers.normalization_by_data import (
    MODES,
    DataLayer,
    as_rows,
    encode,
    encoded_shape,
    output_mode_of,
    read_batches,
    salt_of,
    thinned,
)
from nnkit.shapes import describe, positive

__all__ = [
    "CategoryEncoding",
    "Discretization",
    "HashedCrossing",
    "Hashing",
    "farm_hash",
    "hash_bins",
    "sip_hash",
]


class Discretization(DataLayer):
    """Give each number the index of the bin it falls into.

    Args:
        bin_boundaries: rising numbers between the bins; [0., 1.] makes the bins below 0, from 0
            to below 1, and from 1 on.
        num_bins: instead: how many bins with about equally many samples `adapt` finds.
        epsilon: how far off, as a fraction of the samples, the bins that adapt finds may be.
        output_mode: "int", or "one_hot", "multi_hot", "count" over the bins.
        sparse: not supported.

    Shape: any -> the same (int32), or with an axis of bins: see CategoryEncoding
    Raises: NotBuiltError when called before adapt().
    """

    _bins: torch.Tensor | None

    def __init__(
        self,
        bin_boundaries: Any = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        dtype: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=dtype, name=name, **kwargs)
        self.output_mode = output_mode_of(self.label, output_mode, MODES, sparse)
        self.sparse = False
        if (num_bins is None) == (bin_boundaries is None):
            raise ArgumentError(f"{self.label} takes either bin_boundaries or num_bins.")
        if not 0 < epsilon < 1:
            raise ArgumentError(f"{self.label}: epsilon lies between 0 and 1, got {epsilon!r}.")
        self.num_bins = None if num_bins is None else positive(self.label, "num_bins", num_bins)
        self.epsilon = float(epsilon)
        self.bin_boundaries: list[float] | None = None
        self.register_buffer("_bins", None, persistent=False)
        if bin_boundaries is not None:
            self._set_boundaries(bin_boundaries)

    def _set_boundaries(self, boundaries: Any) -> None:
        values = np.asarray(boundaries, dtype="float64")
        if values.ndim != 1 or np.isnan(values).any() or (np.diff(values) < 0).any():
            raise ArgumentError(f"{self.label}: bin_boundaries must rise, got {boundaries!r}.")
        self.bin_boundaries = values.tolist()
        device = None if self._bins is None else self._bins.device
        self._bins = torch.tensor(self.bin_boundaries, dtype=torch.float32, device=device)

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Find the bins from the quantiles of this data.

        Args:
            data: an array, tensor or list of numbers; or batches of them.
            steps: the most batches to read.
        """
        if self.num_bins is None:
            raise ArgumentError(f"{self.label} was given bin_boundaries; adapt() needs num_bins.")
        known = np.empty((2, 0), dtype="float32")
        for batch in read_batches(data, self.label, steps):
            values = np.sort(_items(as_rows(batch, self.label)).astype("float32").reshape(-1))
            if not np.isfinite(values).all():
                raise DataError(f"{self.label}.adapt() met NaN or infinite values. Remove them.")
            step = max(values.size * self.epsilon, 1)
            picked = values[int(step - 1) :: int(step)]
            new = np.stack([picked, np.full_like(picked, step)])
            merged = np.concatenate([new, known], axis=1)
            known = thinned(merged[:, np.argsort(merged[0])], self.epsilon)
        self._set_boundaries(thinned(known, 1.0 / self.num_bins)[0, :-1])

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        known = self.bin_boundaries
        depth = (self.num_bins or 1) if known is None else len(known) + 1
        dtype = torch.int32 if self.output_mode == "int" else self._compute
        return inputs.new_empty(encoded_shape(inputs.shape, self.output_mode, depth), dtype=dtype)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        if self._bins is None:
            raise NotBuiltError(f"{self.label} has no bins yet: call adapt(data) first.")
        numbers = inputs.to(torch.uint8) if inputs.dtype == torch.bool else inputs.contiguous()
        found = torch.bucketize(numbers, self._bins, right=True, out_int32=True)
        dtype = torch.int32 if self.output_mode == "int" else self._compute
        return encode(found, self.output_mode, self._bins.shape[0] + 1, dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bin_boundaries": self.bin_boundaries}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Discretization:
        """A new layer; one that was adapted knows both its bins and how many were asked for."""
        adapted = config.get("bin_boundaries") is not None and config.get("num_bins") is not None
        made = cls(**{**config, "bin_boundaries": None} if adapted else config)
        if adapted:
            made._set_boundaries(config["bin_boundaries"])
        return made


class CategoryEncoding(DataLayer):
    """Turn category numbers into one-hot, multi-hot or count codes.

    Args:
        num_tokens: how many categories there are; inputs are 0 to num_tokens - 1.
        output_mode: "one_hot" (a code for each number), "multi_hot" (one row for the numbers
            along the last axis, 1 where a category occurs) or "count" (how often it occurs).
        sparse: not supported.

    Shape: (batch, numbers) -> (batch, num_tokens); one_hot -> (batch, numbers, num_tokens),
        without the axis of numbers if that is 1
    Raises: DataError for a number out of range (seen on the CPU; a GPU stops in its own way).
    """

    def __init__(
        self,
        num_tokens: int | None = None,
        output_mode: str = "multi_hot",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_tokens is None:
            raise ArgumentError(f"{self.label} needs num_tokens; without it, use IntegerLookup.")
        self.num_tokens = positive(self.label, "num_tokens", num_tokens)
        self.output_mode = output_mode_of(self.label, output_mode, MODES[1:], sparse)
        self.sparse = False

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        shape = encoded_shape(inputs.shape, self.output_mode, self.num_tokens)
        return inputs.new_empty(shape, dtype=self._compute)

    def call(self, inputs: torch.Tensor, count_weights: Any = None) -> torch.Tensor:
        if count_weights is not None:
            if self.output_mode != "count":
                raise ArgumentError(f"{self.label}: count_weights need output_mode='count'.")
            count_weights = torch.as_tensor(count_weights).to(inputs.device, self._compute)
            if count_weights.shape != inputs.shape:
                raise ShapeError(
                    f"{self.label} got count_weights {describe(count_weights.shape)} for inputs "
                    f"{describe(inputs.shape)}. Give one weight for each number."
                )
        if inputs.is_cpu and inputs.numel() and not torch.compiler.is_compiling():
            least, most = (int(end) for end in torch.aminmax(inputs))
            if least < 0 or most >= self.num_tokens:
                raise DataError(
                    f"{self.label} knows categories 0 to {self.num_tokens - 1} but got "
                    f"{least if least < 0 else most}. Raise num_tokens, or use IntegerLookup."
                )
        return encode(inputs, self.output_mode, self.num_tokens, self._compute, count_weights)


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
        self.mask_value = mask_value
        self.salt = salt_of(self.label, salt)

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        shape = encoded_shape(inputs.shape, self.output_mode, self.num_bins)
        return inputs.new_empty(shape, dtype=self._compute)

    def call(self, inputs: Any) -> torch.Tensor:
        masked = self.mask_value is not None and self.num_bins > 1
        bins = hash_bins(inputs, self.num_bins - masked, self.salt)
        if masked:
            hidden = torch.tensor(np.equal(_items(inputs), self.mask_value).astype(bool))
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
        columns = [_items(feature).reshape(-1).tolist() for feature in inputs]
        if not all(isinstance(item, (int, str, bytes)) for items in columns for item in items):
            raise DataError(f"{self.label} crosses words and whole numbers, no floats.")
        crossed = [_cross(row) % self.num_bins for row in zip(*columns, strict=True)]
        bins = torch.tensor(crossed, dtype=torch.int64).reshape(_items(inputs[0]).shape)
        return encode(bins, self.output_mode, self.num_bins, self._compute)


def _items(value: Any) -> np.ndarray:
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def _bytes(item: Any) -> bytes:
    text = str(item).lower() if isinstance(item, bool) else item
    return text if isinstance(text, bytes) else str(text).encode()


def hash_bins(values: Any, bins: int, salt: list[int] | None) -> torch.Tensor:
    """The bin of each word or number (floats are cut to whole ones), on the device of `values`."""
    array = _items(values)
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
