"""The operations give Keras's numbers, types and shapes, from tensors, arrays and in graphs."""

from __future__ import annotations

import inspect
import operator
from typing import Any

import keras
import numpy as np
import pytest
import torch

from nnkit import ops
from nnkit.layers import Input
from nnkit.models import Model
from nnkit.tree import flatten

rng = np.random.default_rng(0)


def real(*shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype("float32")


def unit(*shape: int) -> np.ndarray:
    return rng.uniform(0.05, 0.95, size=shape).astype("float32")


def whole(*shape: int, low: int = 0, high: int = 5, dtype: str = "int32") -> np.ndarray:
    return rng.integers(low, high, size=shape).astype(dtype)


def found(module: Any, name: str) -> Any:
    return operator.attrgetter(name)(module)


def torched(value: Any) -> Any:
    """Arrays as tensors."""
    if isinstance(value, np.ndarray):
        return torch.tensor(value)
    if isinstance(value, dict):
        return {key: torched(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and any(isinstance(v, np.ndarray) for v in value):
        return type(value)(torched(v) for v in value)
    return value


def same(got: Any, expected: Any, tolerance: float = 1e-5) -> None:
    got, expected = flatten(got), flatten(expected)
    assert len(got) == len(expected)
    for ours, theirs in zip(got, expected, strict=True):
        ours, theirs = (
            v if isinstance(v, torch.Tensor) else torch.tensor(v) for v in (ours, theirs)
        )
        assert ours.dtype is theirs.dtype
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance, equal_nan=True)


# -- every name, with Keras's arguments ------------------------------------------------------------


def names(where: str) -> list[str]:
    module = found(keras.ops, where) if where else keras.ops
    return sorted(name for name in dir(module) if not name.startswith("_"))


@pytest.mark.parametrize("where", ["", "nn", "numpy", "linalg", "image"])
def test_every_name_is_there(where: str) -> None:
    ours = found(ops, where) if where else ops
    assert {name for name in names(where) if not hasattr(ours, name)} == set()


@pytest.mark.parametrize("where", ["", "image"])
def test_arguments_are_those_of_keras(where: str) -> None:
    prefix = f"{where}." if where else ""
    wrong = []
    for name in names(where):
        theirs = found(keras.ops, prefix + name)
        if inspect.ismodule(theirs):
            continue
        a, b = (
            [
                (p.name, p.default)
                for p in inspect.signature(fn).parameters.values()
                if p.kind is not p.VAR_KEYWORD  # Keras's for what is deprecated
            ]
            for fn in (theirs, found(ops, prefix + name))
        )
        if a != b[: len(a)]:
            wrong.append((name, a, b))
    assert not wrong


# -- values ----------------------------------------------------------------------------------------

X, Y, V, M = real(2, 3, 4), real(2, 3, 4), real(6), real(4, 4)
P, N = unit(2, 3, 4), whole(2, 3, 4)
HOLES = X.copy()
HOLES[0, 1, 2] = HOLES[1] = np.nan
SPD = M @ M.T + np.eye(4, dtype="float32")
IMAGE, PHOTO = unit(2, 8, 6, 3), whole(2, 8, 6, 3, high=256, dtype="uint8")
SIGNAL = real(2, 64)
TURN = np.array([[0.9, 0.2, 0.5, -0.2, 1.1, -0.3, 0, 0], [1, 0, 1, 0, 1, 0, 0, 0]], "float32")
CORNERS = np.array([[0, 0], [5, 0], [0, 7], [5, 7]], "float32")
MOVED = np.array([[1, 0.5], [5, 1], [0, 6], [4, 7]], "float32")
SEQUENCE, KERNEL1, KERNEL2 = real(2, 9, 4), real(3, 4, 5), real(3, 2, 3, 4)

# name, arguments, keywords
CASES: list[tuple[Any, ...]] = [
    *((name, (X, axis), {}) for name in ("sum", "mean", "var", "std", "max", "min", "prod", "ptp",
                                         "logsumexp", "all", "any", "median", "amax", "amin")
      for axis in (None, 1, -1, (0, 2))),
    *((name, (X,), {"axis": (0, -1), "keepdims": True})
      for name in ("sum", "mean", "var", "std", "max", "min", "prod", "median", "logsumexp",
      "any")),
    *((name, (N,), {"axis": 1}) for name in ("sum", "mean", "var", "std", "max", "prod", "median")),
    *((name, (N > 2,), {}) for name in ("sum", "mean", "prod", "all")),
    *((name, (whole(3, 4, dtype=kind),), {"axis": 0}) for kind in ("int8", "uint8", "int16")
      for name in ("sum", "prod", "mean", "max", "cumsum")),
    *((name, (HOLES, axis), {}) for name in ("nansum", "nanmean", "nanvar", "nanstd", "nanmax",
                                             "nanmin", "nanprod", "nanmedian")
      for axis in (None, 1, (1, 2))),
    *((name, (HOLES, axis), {}) for name in ("nanargmax", "nanargmin") for axis in (None, 2)),
    *((name, (X, axis), {}) for name in ("argmax", "argmin", "cumsum", "cumprod", "argsort", "sort")
      for axis in (None, 1, -1)),
    ("nancumsum", (HOLES, 1), {}), ("nancumprod", (HOLES, None), {}), ("cumsum", (N > 2, 1), {}),
    ("argmax", (X, 1), {"keepdims": True}), ("argmax", (N > 2, 1), {}),
    ("max", (X,), {"axis": 1, "initial": 0.5}), ("min", (N,), {"axis": 1, "initial": 1}),
    ("max", (np.zeros((0, 3), "float32"),), {"initial": 2.0}),
    ("sum", (X, ()), {}), ("mean", (X, ()), {}), ("all", (X, ()), {}), ("std", (N, 0), {}),
    ("quantile", (X, 0.3), {"axis": 1, "keepdims": True}),
    ("quantile", (X, np.array([0.1, 0.6], "float32")), {"axis": (0, 2), "keepdims": True}),
    ("quantile", (X, 0.3), {"method": "nearest"}), ("percentile", (X, 30), {"axis": -1}),
    ("nanquantile", (HOLES, 0.4), {"axis": 1}), ("nanpercentile", (HOLES, 40.0), {}),
    ("average", (X,), {"axis": 1}), ("average", (X,), {"axis": -1, "weights": unit(4)}),
    ("sum", (N.astype("int64"),), {}), ("max", (N.astype("int64"), 1), {}),
    ("trace", (N[0],), {}), ("trace", (X,), {"offset": 1, "axis1": 1, "axis2": 2}),
    # two operands
    *((name, (X, Y), {}) for name in ("add", "subtract", "multiply", "divide", "true_divide",
        "maximum", "minimum", "fmax", "fmin", "fmod", "mod", "floor_divide", "arctan2", "hypot",
        "heaviside", "logaddexp", "logaddexp2", "equal", "greater", "less_equal", "not_equal",
        "isclose", "allclose", "nextafter", "divide_no_nan", "logical_and", "logical_or",
        "logical_xor", "inner", "cdist")),
    *((name, (X, N), {}) for name in ("add", "subtract", "multiply", "divide", "maximum", "mod",
        "divide_no_nan", "greater_equal", "less", "hypot", "logaddexp", "arctan2")),
    *((name, (N, whole(2, 3, 4, low=1)), {}) for name in ("add", "divide", "floor_divide", "mod",
        "power", "gcd", "lcm", "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift",
        "right_shift", "left_shift", "bitwise_right_shift", "arctan2", "hypot", "maximum")),
    *((name, (N, 2), {}) for name in ("add", "subtract", "multiply", "divide", "power", "mod",
        "maximum", "minimum", "equal", "floor_divide", "left_shift")),
    *((name, (N, 1.5), {}) for name in ("add", "subtract", "multiply", "divide", "power", "maximum",
        "floor_divide", "less", "fmod")),
    *((name,
    (2, X), {}) for name in ("add", "subtract", "multiply", "divide", "maximum", "greater")),
    ("power", (2.0, X), {}), ("divide_no_nan", (X, np.array([0, 1, 0, 2], "float32")), {}),
    ("add", ([1, 2], [3, 4]), {}), ("add", (1, 2.5), {}), ("subtract", (N > 2, N), {}),
    ("multiply", (N > 2, X), {}), ("ldexp", (X, N), {}), ("mod", (N > 2, N > -1), {}),
    *((name, (X.astype("float16"), 2.5), {}) for name in ("add", "multiply", "maximum", "power")),
    ("clip", (X, -0.5, 0.5), {}), ("clip", (N, 1, 3), {}), ("clip", (N > 2, 0, 1), {}),
    ("clip", (N, 0.5, 3.5), {}), ("clip", (X, np.zeros(4, "float32"), 1.0), {}),
    ("nan_to_num", (HOLES,), {"nan": 7.0}), ("round", (X, 1), {}), ("round", (N * 10 + 5, -1), {}),
    ("isclose", (X, X + 1e-3), {"rtol": 0.1}), ("isclose", (N, N), {}),
    # shapes
    ("reshape", (X, (-1, 6)), {}), ("reshape", (X, -1), {}), ("ravel", (X,), {}),
    ("transpose", (M,), {}), ("transpose", (X, (1, 0, 2)), {}), ("swapaxes", (X, 0, -1), {}),
    ("moveaxis", (X, 0, -1), {}), ("moveaxis", (X, [0, 1], [-1, 0]), {}),
    ("expand_dims", (X, 1), {}), ("expand_dims", (X, (0, -1)), {}), ("squeeze", (X[:, :1],), {}),
    ("squeeze", (X[:, :1], 1), {}), ("broadcast_to", (X, (5, 2, 3, 4)), {}),
    ("flip", (X,), {}), ("flip", (X, 1), {}), ("flip", (X, (0, 2)), {}), ("fliplr", (X,), {}),
    ("flipud", (X,), {}), ("roll", (X, 2), {}), ("roll", (X, 2, 1), {}), ("rot90", (X,), {}),
    ("rot90", (X, 3, (1, 2)), {}), ("tile", (X, 2), {}), ("tile", (X, (2, 1, 3)), {}),
    ("repeat", (X, 2, 1), {}), ("repeat", (X, 2), {}),
    ("concatenate", ([X, Y],), {"axis": 1}),
    ("concatenate", ([X, N],), {}), ("stack", ([X, Y],), {"axis": -1}), ("append", (X, Y), {}),
    ("append", (X, Y, 1), {}), ("hstack", ([X, Y],), {}), ("vstack", ([V, V],), {}),
    ("dstack", ([X, Y],), {}), ("split", (X, 2), {"axis": 2}), ("split", (X, [1, 3], 2), {}),
    ("array_split", (X, 3, 2), {}), ("hsplit", (X, [1]), {}), ("vsplit", (X, 2), {}),
    ("dsplit", (X, 2), {}), ("unstack", (X,), {"axis": 1}), ("meshgrid", (V, real(3)), {}),
    ("meshgrid", (V, real(3)), {"indexing": "ij"}), ("view", (X,), {"dtype": "int32"}),
    ("pad", (V, 1), {}), ("pad", (V, (1, 2)), {"constant_values": 3.0}),
    ("pad", (X, ((0, 0), (1, 2), (0, 1))), {}), ("pad", (X, ((0, 0), (0, 0),
    (2, 1))), {"mode": "reflect"}),
    ("pad", (X, ((0, 0), (1, 1), (1, 1))), {"mode": "symmetric"}),
    ("rearrange", (X, "a b c -> b (c a)"), {}), ("rearrange",
    (X, "a b (c d) -> (a d) b c"), {"d": 2}),
    ("diag", (V,), {"k": 1}), ("diag", (M,), {"k": -1}), ("diagflat", (X, 1), {}),
    ("diagonal", (X, 1, 1, 2), {}), ("tril", (X, 1), {}), ("triu", (X, -1), {}), ("copy", (X,), {}),
    ("size", (X,), {}), ("ndim", (X,), {}), ("shape", (X,), {}),
    # places
    ("take", (X, whole(2, 2, high=3), 1), {}), ("take", (X, -1, 2), {}), ("take", (X, [1, 7]), {}),
    ("take", (M, whole(3, high=4), 0), {}), ("take_along_axis", (X, whole(2, 1, 4, high=3), 1), {}),
    ("take_along_axis", (X, whole(2, 3, 4, low=-4, high=4), -1), {}),
    ("get_item", (X, (slice(None), 1, slice(None, None, 2))), {}),
    ("where", (N > 2, X, 0.0), {}), ("where", (N > 2, N, Y), {}), ("where", (N > 2,), {}),
    ("select", ([N > 3, N > 1], [X, Y], 7.0), {}), ("nonzero", (N > 2,), {}),
    ("isin", (N, [1, 3]), {}), ("isin", (N, [1, 3]), {"invert": True}), ("top_k", (X, 2), {}),
    ("in_top_k", (whole(5, high=4), real(5, 4), 2), {}),
    ("searchsorted", (np.sort(V), X), {}), ("searchsorted", (np.arange(5), N), {"side": "right"}),
    ("digitize", (X, np.array([-1.0, 0.0, 1.0], "float32")), {}), ("bincount", (N[0, 0],), {}),
    ("bincount", (N[0],), {"minlength": 7}), ("bincount", (N[0, 0],), {"weights": unit(4)}),
    ("histogram", (V,), {"bins": 4}), ("histogram", (V,), {"bins": 3, "range": (-1.0, 1.0)}),
    ("unique", (N,), {}), ("unique", (N[0, 0],), {"return_inverse": True, "return_counts": True}),
    ("unique", (N[0],), {"axis": 0, "size": 5, "fill_value": -1}),
    ("unique", (np.array([3, 1, 3, 2]),), {"return_index": True}),
    ("unravel_index", (whole(5, high=24), (2, 3, 4)), {}), ("diff", (X,), {"n": 2}),
    ("unravel_index", (whole(5, high=24, dtype="int64"), (2, 3, 4)), {}),
    ("add", (N > 2, 3), {}), ("multiply", (3, N > 2), {}), ("power", (N > 2, 2), {}),
    ("subtract", (N, True), {}), ("subtract", (True, X), {}),
    ("take", (X, 3), {}), ("take", (X, 1), {"axis": 1}),
    ("segment_max", (N[0, 0] > 2, whole(*N[0, 0].shape, high=2)), {"num_segments": 2}),
    ("scatter", (whole(5, 2, high=3), real(5, 2), (3, 3, 2)), {}),
    *(("scatter_update", (X, whole(4, 2, high=2), real(4, 4)), {"reduction": how})
      for how in ("add", "max", "min", "mul")),
    ("scatter_update", (X, np.array([[0, 1, 2], [1, 2, 3]]), real(2)), {}),
    ("slice", (X, (0, 1, 1), (2, 2, 3)), {}), ("slice", (X, np.array([0, 1, 1]), (2, 2, 3)), {}),
    ("slice_update", (X, (0, 1, 1), real(2, 2, 3)), {}),
    ("slice_update", (X, np.array([0, 1, 1]), real(2, 2, 3)), {}),
    *((f"segment_{how}", (real(6, 2), np.array([0, 2, 1, 0, -1, 2])), {"num_segments": 4})
      for how in ("sum", "max", "min", "prod")),
    ("segment_sum", (whole(6), np.array([0, 2, 1, 0, 1, 2])), {}),
    # new tensors
    *((name, args, {}) for name, args in (("zeros", ((2, 3),)), ("ones", (3,)), ("full",
    ((2, 3), 7)),
        ("full", ((2, 3), V[:3])), ("eye", (3,)), ("eye", (3, 4, 1)), ("identity", (3,)),
        ("tri", (3, 4, -1)), ("arange", (5,)), ("arange", (1, 2.5, 0.5)), ("arange", (6, 0, -2)),
        ("linspace", (0, 1, 5)), ("linspace", (V, real(6), 4)), ("logspace", (0, 2, 5)),
        ("geomspace", (1, 100, 5)), ("bartlett", (7,)), ("blackman", (7,)), ("hamming", (7,)),
        ("hanning", (7,)), ("kaiser", (7, 3.0)), ("array", ([1, 2],)), ("array", ([1.0, 2],)))),
    ("linspace", (0, 1, 5), {"endpoint": False}), ("zeros", ((2,),), {"dtype": "int8"}),
    ("logspace", (0.0, 1.0, 4), {"base": 2, "endpoint": False}), ("eye", (3,), {"dtype": "int32"}),
    ("arange", (5,), {"dtype": "float32"}), ("zeros_like", (N,), {}), ("ones_like", (X,), {}),
    ("full_like", (N, 2.7), {}), ("ones_like", (X,), {"dtype": "bool"}), ("vander", (V,), {"N": 3}),
    ("vander", (whole(4),), {"increasing": True}),
    # products
    *((name, (M, SPD), {}) for name in ("matmul", "dot", "tensordot", "inner", "outer", "kron")),
    ("matmul", (X, real(4, 5)), {}), ("matmul", (N[0], N[1].T), {}), ("dot", (X, V[:4]), {}),
    ("matmul", (whole(3, 4, dtype="int8"), whole(4, 2, dtype="int8")), {}), ("dot", (X, 2.0), {}),
    ("dot", (N, whole(4, 3)), {}), ("tensordot", (X, Y, ([1, 2], [1, 2])), {}),
    ("tensordot", (X, real(3, 5), (1, 0)), {}), ("vdot", (V, V), {}), ("outer", (whole(3), V), {}),
    ("einsum", ("bij,bkj->bik", X, Y), {}), ("cross", (real(4, 3), real(4, 3)), {"axis": -1}),
    ("trapezoid", (X,), {}), ("trapezoid", (V, np.sort(real(6))), {}), ("trapezoid",
    (N,), {"dx": 2.0}),
    ("corrcoef", (M,), {}), *(("correlate",
    (V, real(3)), {"mode": m}) for m in ("valid", "same", "full")),
    # linear algebra
    *((name, (SPD,), {}) for name in ("linalg.cholesky", "linalg.det", "linalg.inv", "linalg.qr",
        "linalg.pinv", "linalg.matrix_rank", "linalg.lu_factor", "logdet", "slogdet", "linalg.eigh",
        "linalg.cholesky_inverse", "linalg.svd")),
    ("linalg.svd", (M,), {"compute_uv": False}), ("linalg.solve", (SPD, real(4, 2)), {}),
    ("linalg.solve_triangular", (SPD, real(4)), {"lower": True}), ("linalg.lstsq",
    (real(5, 3), real(5)), {}),
    ("linalg.lstsq", (real(5, 3), real(5, 2)), {"rcond": 1e-3}), ("linalg.norm", (X,), {"axis": 1}),
    ("linalg.norm", (N[0],), {}), ("linalg.norm", (M,), {"ord": "nuc"}),
    ("linalg.norm", (X,), {"ord": 1, "axis": (0, 1), "keepdims": True}),
    # signals
    ("fft", ((SIGNAL, SIGNAL),), {}), ("fft2", ((M, M),), {}), ("ifft2", ((M, M),), {}),
    ("rfft", (SIGNAL,), {"fft_length": 32}), ("irfft",
    ((real(2, 9), real(2, 9)),), {"fft_length": 16}),
    ("stft", (SIGNAL, 16, 8, 16), {}), ("stft",
    (SIGNAL, 12, 4, 16), {"window": "hamming", "center": False}),
    ("istft", ((real(2, 9, 9), real(2, 9, 9)), 16, 8, 16), {}),
    ("istft", ((real(2, 9, 9), real(2, 9, 9)), 12, 4, 16), {"length": 40}),
    ("istft", ((real(2, 9, 9), real(2, 9, 9)), 16, 8, 16), {"window": None, "center": False}),
    ("extract_sequences", (SIGNAL, 16, 8), {}), ("view_as_complex", (real(3, 2),), {}),
    ("view_as_real", (np.array([1 + 2j, 3 - 1j], "complex64"),), {}),
    ("polar", (unit(3), real(3)), {}), ("real", (np.array([1 + 2j], "complex64"),), {}),
    ("imag", (np.array([1 + 2j], "complex64"),), {}), ("conj",
    (np.array([1 + 2j], "complex64"),), {}),
    ("angle", (np.array([1 + 2j], "complex64"),), {}),
    # neural networks
    ("softmax", (X,), {"axis": (1, 2)}), ("softmax", (X,), {"axis": None}), ("log_softmax",
    (X, 1), {}),
    ("gelu", (X,), {"approximate": False}), ("leaky_relu", (X, 0.3), {}), ("elu", (X, 0.5), {}),
    ("celu", (X, 0.5), {}), ("glu", (X,), {}), ("threshold", (X, 0.2, 9.0), {}), ("squareplus",
    (X, 2), {}),
    ("hard_tanh", (X,), {}), ("sparse_plus", (X,), {}), ("sparse_sigmoid", (X,), {}),
    ("hard_shrink", (X, 0.3), {}), ("soft_shrink", (X, 0.3), {}),
    ("one_hot", (N, 5), {}), ("one_hot", (N - 1, 4), {"axis": 1, "dtype": "int32"}),
    ("multi_hot", (N[0], 5), {}), ("moments", (X, (0, 1)), {}), ("moments",
    (X, [1]), {"keepdims": True}),
    ("normalize", (X,), {}), ("normalize", (X,), {"axis": 1, "order": 3}),
    ("batch_normalization", (X, real(3), unit(3), 1, real(3), real(3)), {}),
    ("layer_normalization", (X, real(4), real(4)), {}), ("layer_normalization",
    (X,), {"axis": (1, 2)}),
    ("rms_normalization", (X, real(4)), {}), ("rms_normalization", (X,), {"axis": (0, 2)}),
    ("layer_normalization", (X, unit(2, 4), unit(2, 4)), {"axis": (0, 2), "epsilon": 1e-3}),
    *((name, (SEQUENCE, KERNEL1), {"padding": p, "strides": s}) for name in ("conv",)
      for p in ("valid", "same") for s in (1, 2)),
    ("conv", (IMAGE, KERNEL2), {"padding": "same", "strides": (2, 1)}),
    ("conv", (real(1, 6, 6, 4), real(3, 3, 2, 4)), {"dilation_rate": 2}),
    ("conv", (real(1, 3, 8, 6), KERNEL2), {"data_format": "channels_first"}),
    ("conv", (real(1, 4, 5, 6, 2), real(2, 2, 3, 2, 3)), {"padding": "same"}),
    ("depthwise_conv", (IMAGE, real(3, 3, 3, 2)), {"padding": "same"}),
    ("separable_conv", (IMAGE, real(3, 3, 3, 2), real(1, 1, 6, 4)), {"strides": 2}),
    *(("conv_transpose", (IMAGE, real(3, 2, 4, 3)), {"strides": 2, **more}) for more in
      ({}, {"padding": "same"}, {"padding": "same", "output_padding": 1}, {"output_padding": (1,
      0)})),
    ("conv_transpose", (SEQUENCE, real(2, 5, 4)), {"strides": 3}),
    ("max_pool", (IMAGE, 3), {"padding": "same"}), ("max_pool", (SEQUENCE, 2, 1), {}),
    ("average_pool", (IMAGE, (2, 3), 1), {}), ("average_pool", (IMAGE, 2), {"padding": "same"}),
    ("max_pool", (IMAGE, 2), {"data_format": "channels_first"}),
    ("adaptive_average_pool", (IMAGE, (4, 3)), {}), ("adaptive_max_pool", (SEQUENCE, 3), {}),
    ("binary_crossentropy", (P.round(), P), {}), ("binary_crossentropy",
    (P, X), {"from_logits": True}),
    ("categorical_crossentropy", (P, unit(2, 3, 4)), {}),
    ("categorical_crossentropy", (P, X), {"from_logits": True, "axis": 1}),
    ("sparse_categorical_crossentropy", (whole(2, 3, high=4), P), {}),
    ("sparse_categorical_crossentropy", (whole(2, 4, high=3), X), {"from_logits": True, "axis": 1}),
    ("sparse_categorical_crossentropy", (whole(2, 3, 1, high=4), P), {}),
    ("ctc_loss", (whole(2, 3, low=1), real(2, 8, 6), np.array([3, 2]), np.array([8, 7])), {}),
    ("ctc_decode", (real(2, 8, 4), np.array([8, 5])), {}),
    ("ctc_decode", (real(2, 8, 4), np.array([8, 5])), {"merge_repeated": False, "mask_index": 3}),
    ("psnr", (P, unit(2, 3, 4), 1.0), {}),
    ("dot_product_attention", (real(2, 5, 2, 4), real(2, 6, 2, 4), real(2, 6, 2, 4)), {}),
    ("dot_product_attention",
    (real(2, 5, 4, 8), real(2, 5, 2, 8), real(2, 5, 2, 8)), {"is_causal": True}),
    ("dot_product_attention", (real(2, 5, 2, 4), real(2, 5, 2, 4), real(2, 5, 2, 4)),
     {"mask": unit(2, 1, 5, 5) > 0.5, "is_causal": True, "scale": 0.3}),
    ("dot_product_attention", (real(2, 5, 2, 4), real(2, 5, 2, 4), real(2, 5, 2, 4)),
     {"bias": real(1, 2, 5, 5)}),
    ("unfold", (real(2, 3, 6, 5), (2, 3)), {"padding": 1, "stride": 2}),
    ("fold", (real(2, 12, 9), (4, 4), 2), {}), ("depth_to_space", (real(2, 3, 2, 8), 2), {}),
    ("space_to_depth", (real(2, 4, 6, 2), 2), {}),
    ("depth_to_space", (real(2, 8, 3, 2), 2), {"data_format": "channels_first"}),
    ("space_to_depth", (real(2, 2, 4, 6), 2), {"data_format": "channels_first"}),
    # images
    *(("image.resize", (IMAGE, (5, 9)), {"interpolation": how, "antialias": soft})
      for how, soft in (("nearest", False), ("bilinear", False), ("bilinear", True),
      ("bicubic", False))),
    ("image.resize", (PHOTO, (5, 9)), {"interpolation": "bicubic"}), ("image.resize", (IMAGE[0],
    (4, 4)), {}),
    ("image.resize", (IMAGE, (4, 9)), {"crop_to_aspect_ratio": True}),
    ("image.resize", (IMAGE, (6, 6)), {"pad_to_aspect_ratio": True, "fill_value": 0.5}),
    ("image.resize", (IMAGE, (4, 4)), {"data_format": "channels_first"}),
    *(("image.affine_transform", (IMAGE, TURN.copy()), {"fill_mode": mode, "interpolation": how})
      for mode, how in (("constant", "bilinear"), ("nearest", "nearest"), ("wrap", "bilinear"),
                        ("mirror", "bilinear"), ("reflect", "bilinear"))),
    ("image.affine_transform", (IMAGE[0], TURN[0].copy()), {"fill_value": 0.3}),
    ("image.perspective_transform",
    (IMAGE, CORNERS[None].repeat(2, 0), MOVED[None].repeat(2, 0)), {}),
    ("image.perspective_transform", (IMAGE[0], CORNERS, MOVED), {"interpolation": "nearest"}),
    *(("image.map_coordinates", (M, real(2, 5) * 2 + 1.5, order), {"fill_mode": mode})
      for order, mode in ((1, "constant"), (0, "nearest"), (1, "wrap"), (1, "mirror"),
      (1, "reflect"))),
    ("image.map_coordinates", (N[0], unit(2, 5) * 2, 1), {}),
    ("image.pad_images", (IMAGE, 1, 2), {"target_height": 12, "target_width": 9}),
    ("image.pad_images", (IMAGE[0], 1, 2, 3, 0), {}), ("image.crop_images",
    (IMAGE[0], 1, 2, 3, 0), {}),
    ("image.crop_images",
    (IMAGE,), {"bottom_cropping": 1, "left_cropping": 2, "target_height": 5, "target_width": 3}),
    ("image.rgb_to_grayscale", (IMAGE,), {}), ("image.rgb_to_grayscale", (PHOTO,), {}),
    ("image.rgb_to_hsv", (IMAGE,), {}), ("image.hsv_to_rgb", (IMAGE,), {}),
    ("image.gaussian_blur", (IMAGE,), {"sigma": (0.7, 1.5), "data_format": "channels_last"}),
    ("image.sobel_edges", (IMAGE,), {}), ("image.ssim",
    (unit(2, 12, 13, 3), unit(2, 12, 13, 3)), {}),
    ("image.extract_patches", (IMAGE, 2), {}), ("image.extract_patches", (IMAGE[0],
    (3, 2), 1), {"padding": "same"}),
    ("image.extract_patches_3d", (real(1, 4, 4, 4, 2), 2), {}),
    # core
    ("cast", (X, "int32"), {}), ("cast", ([1, 2], "float16"), {}),
    ("saturate_cast", (X * 300, "uint8"), {}),
    ("saturate_cast", (N * 100, "int8"), {}), ("stop_gradient", (torch.tensor(X),), {}),
    ("convert_to_tensor", ([1, 2],), {}), ("convert_to_tensor", ([[1.0], [2]],), {}),
    ("convert_to_tensor", (np.arange(3),), {}), ("convert_to_tensor", (True,), {}),
    ("convert_to_tensor", (2**40,), {}), ("convert_to_tensor", ([True, False],), {}),
    ("convert_to_tensor", (1,), {"dtype": "float16"}),
    ("cond", (True, lambda: torch.ones(2), lambda: torch.zeros(2)), {}),
    ("while_loop", (lambda i, s: i < 5, lambda i, s: (i + 1, s * 2), (0, 1.0)), {}),
    ("while_loop", (lambda i: i < 50, lambda i: i + 1, 0), {"maximum_iterations": 7}),
    ("fori_loop", (1, 5, lambda i, v: v * i, 1.0), {}),
    ("switch", (1, [lambda x: x, lambda x: x * 2], torch.ones(2)), {}),
    ("scan", (lambda c, x: (c + x, c * x), torch.zeros(3), X[0].T.copy()), {}),
    ("scan", (lambda c, x: (c + x, c), torch.zeros(4), X[0]), {"reverse": True}),
    ("scan", (lambda c, _: (c * 2, c), torch.ones(())), {"length": 4}),
    ("map", (lambda x: x.sum(), X), {}), ("vectorized_map", (lambda x: x * 2, X), {}),
    ("associative_scan", (lambda a, b: a + b, X), {"axis": 1}),
    ("associative_scan", (lambda a, b: a * b, torch.rand(5, 2)), {"reverse": True}),
]  # fmt: skip

UNARY = (  # noqa: SIM905 - a list of so many strings is harder to read
    "abs absolute fabs sin cos tan arctan sinh cosh tanh arcsinh exp exp2 expm1 sinc erf erfc sign "
    "square floor ceil cbrt deg2rad rad2deg i0 isfinite isinf isnan isneginf isposinf isreal round "
    "logical_not signbit sqrt log log1p log2 log10 rsqrt reciprocal arcsin arccos erfinv arctanh "
    "arccosh negative trunc bitwise_not bitwise_invert relu relu6 sigmoid softplus softsign silu "
    "swish selu elu gelu hard_sigmoid hard_silu hard_swish hard_shrink soft_shrink "
    "tanh_shrink log_sigmoid mean var std sum median argmax conjugate"
).split()
TYPES = ("float32", "float16", "bfloat16", "uint8", "int32", "int64", "bool")
# Half precision is rounded once more, or once less, than by Keras.
COARSE = {"float16": 2e-3, "bfloat16": 2e-2}


@pytest.mark.parametrize("case", CASES, ids=[f"{i}-{case[0]}" for i, case in enumerate(CASES)])
def test_values(case: tuple[Any, ...]) -> None:
    """From tensors what Keras gives; from arrays the same."""
    name, args, kwargs = case
    expected = found(keras.ops, name)(*torched(list(args)), **torched(kwargs))
    same(found(ops, name)(*torched(list(args)), **torched(kwargs)), expected)
    same(found(ops, name)(*args, **kwargs), expected)


@pytest.mark.parametrize("name", UNARY)
def test_types(name: str) -> None:
    """Values and types for each type that Keras takes."""
    taken = 0
    for kind in TYPES:
        x = torch.tensor([[0, 1, 2, 3, 0.5], [0, 1, -2, 3, -0.7]]).abs().to(getattr(torch, kind))
        try:
            expected = getattr(keras.ops, name)(x)
        except (RuntimeError, NotImplementedError):
            continue
        same(getattr(ops, name)(x), expected, COARSE.get(kind, 1e-5))
        taken += 1
    assert taken > 1


# -- in a graph ------------------------------------------------------------------------------------

# Their shapes depend on values, or their results are no tensors.
NO_GRAPH = {"nonzero", "bincount", "histogram", "unique", "shape", "ndim", "size", "segment_sum"}


def is_data(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim > 0 and value.dtype.kind in "fiub"


def has_data(args: tuple[Any, ...]) -> bool:
    return any(is_data(value) for value in flatten(args))


GRAPH = {
    name: (args, kwargs)
    for name, args, kwargs in reversed(CASES)
    if name not in NO_GRAPH and has_data(args)
}


def parted(value: Any, inputs: list[Any], data: list[torch.Tensor]) -> Any:
    """The arguments with a symbolic tensor for each array that has a batch axis."""
    if is_data(value):
        data.append(torch.tensor(value))
        inputs.append(Input(batch_shape=value.shape, dtype=data[-1].dtype))
        return inputs[-1]
    if isinstance(value, (list, tuple)) and any(isinstance(v, np.ndarray) for v in value):
        return type(value)(parted(v, inputs, data) for v in value)
    return torched(value)


@pytest.mark.parametrize("name", GRAPH)
def test_in_a_graph(name: str) -> None:
    """A symbolic tensor gives one step of a graph, of the right shape, which computes the same."""
    args, kwargs = GRAPH[name]
    inputs: list[Any] = []
    data: list[torch.Tensor] = []
    given = [parted(value, inputs, data) for value in args]
    symbolic = found(ops, name)(*given, **torched(kwargs))
    expected = found(ops, name)(*torched(list(args)), **torched(kwargs))
    for s, e in zip(flatten(symbolic), flatten(expected), strict=True):
        assert s.shape == tuple(e.shape)
        assert s.dtype is e.dtype
        assert s.node is flatten(symbolic)[0].node
    same(Model(inputs, symbolic)(data if len(data) > 1 else data[0]), expected)
