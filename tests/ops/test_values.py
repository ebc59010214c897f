"""Values by hand, by NumPy or by bare torch: what Keras with torch lacks or does otherwise."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nnkit import ops

rng = np.random.default_rng(1)
A = rng.normal(size=(2, 3, 4)).astype("float32")
B = rng.normal(size=(2, 3, 4)).astype("float32")
N = rng.integers(0, 5, size=(2, 3, 4))
HALVES = np.array([0.5, 1.5, -0.5], "float32")


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("pad", (A, 1), {}),
        ("pad", (A, (1, 2)), {}),
        ("pad", (A, ((0, 0), (4, 2), (1, 7))), {"mode": "symmetric"}),
        ("pad", (A, ((0, 1), (2, 2), (1, 3))), {"mode": "reflect"}),
        ("pad", (A, ((3, 5), (0, 0), (0, 0))), {"mode": "wrap"}),
        ("pad", (A, ((0, 0), (0, 0), (3, 1))), {"mode": "edge"}),
        ("take", (A, [1, -2]), {}),
        ("take", (A, [[0, -1], [2, 1]]), {"axis": 1}),
        ("take", (A, 5), {}),
        ("take", (A, -2), {"axis": 1}),
        ("transpose", (np.float32(3),), {}),
        ("repeat", (A, [1, 0, 2]), {"axis": 1}),
        ("repeat", (A, 3), {}),
        ("sum", (A,), {"keepdims": True}),
        ("max", (A,), {"keepdims": True}),
        ("argmax", (A,), {"keepdims": True}),
        ("count_nonzero", (N,), {"axis": 1}),
        ("average", (A,), {"axis": 1, "weights": np.array([1.0, 2, 3])}),
        ("average", (A,), {"weights": np.abs(B)}),
        ("cross", (A[..., :3], B[..., :3]), {}),
        ("cross", (A[..., :3].transpose(2, 0, 1), B[..., :3]), {"axisa": 0, "axisc": 1}),
        ("linspace", (A[0, 0], B[0, 0], 5), {"axis": 1}),
        ("linspace", (3.0, 7.0, 1), {}),
        ("logspace", (A[0, 0], B[0, 0], 3), {"axis": -1}),
        ("geomspace", (np.array([1.0, 2.0]), np.array([8.0, 32.0]), 3), {"axis": 1}),
        ("geomspace", (-1.0, -8.0, 4), {"endpoint": False}),
        ("bincount", (N.ravel(),), {"minlength": 9}),
        ("array_split", (A, [1, 2], 2), {}),
        ("hsplit", (A[0, 0], 2), {}),
        ("round", (HALVES,), {}),
        ("nextafter", (HALVES, 2 * HALVES), {}),
        ("gcd", (N * 6, 4), {}),
        ("corrcoef", (A[0],), {}),
        ("select", ([A > 1, A > 0], [A, B]), {}),
        ("squeeze", (A[:, None, :1],), {"axis": (1, 2)}),
        ("searchsorted", (np.array([1, 2, 3]), N), {"side": "right"}),
        ("vander", (A[0, 0],), {}),
        ("histogram", (A.ravel(), 4), {}),
        ("unique", (N,), {"return_inverse": True, "return_counts": True, "return_index": True}),
        ("tri", (2, 3), {"k": 1}),
        ("eye", (2, 4), {"k": -1}),
    ],
)
def test_as_numpy(name: str, args: Any, kwargs: Any) -> None:
    expected = getattr(np, name)(*args, **kwargs)
    got = getattr(ops, name)(*args, **kwargs)
    both = isinstance(expected, (tuple, list))
    for ours, theirs in zip(got if both else [got], expected if both else [expected], strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(ours), theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (ops.saturate_cast([1e12, -1e12, 3.7], "int32"), [2147483520, -(2**31), 3]),
        (ops.saturate_cast([300, -5, 7], "uint8"), [255, 0, 7]),
        (ops.saturate_cast([True, False], "int8"), [1, 0]),
        (ops.divide_no_nan([1, 2], [0, 4]), [0, 0.5]),
        (ops.one_hot([-1, 1, 3], 3), [[0, 0, 0], [0, 1, 0], [0, 0, 0]]),
        (ops.scatter([[1], [1], [3]], [1.0, 2.0, 3.0], (4,)), [0, 3, 0, 3]),
        (ops.scatter_update([0.0, 1.0, 2.0], [[2], [0]], [5, 6]), [6, 1, 5]),
        (ops.scatter_update([[1, 2], [3, 4]], [[0], [0]], [[5, 0], [1, 9]], "max")[0], [5, 9]),
        (ops.segment_max([1, 5, 3], [0, 0, 2], 3), [5, -(2**31), 3]),
        (ops.bincount([[0, 1, 1], [2, 0, 0]]), [[1, 2, 0], [2, 0, 1]]),
        (ops.unique([3, 1, 3], size=4, fill_value=-1), [1, 3, -1, -1]),
        (ops.unique([3, 1, 2], size=2), [1, 2]),
        (ops.slice_update(torch.zeros(4), [torch.tensor(1)], [1.0, 2.0]), [0, 1, 2, 0]),
        (ops.imag([1.0, 2.0]), [0, 0]),
        (ops.sparsemax([3e8, 0.0, -1.0]), [1, 0, 0]),
        (ops.empty((2, 3), "int8").shape, (2, 3)),
        (ops.empty_like(A).shape, A.shape),
        (ops.hypot(torch.tensor([3.0]).half(), 4.0).half(), [5]),
        (ops.heaviside([-1, 0, 2], 0.5), [0, 0.5, 1]),
        (ops.subtract(torch.tensor([True]), 0.5), [0.5]),
        (ops.mod(-7, 3), 2),
        (ops.fmod(-7, 3), -1),
        (ops.floor_divide(-7, 2), -4),
        (ops.subtract(True, True), 0),
        (ops.round([15, 25, -5], -1), [20, 20, 0]),
        (ops.min(np.zeros((0, 2)), axis=0, initial=4.0), [4, 4]),
        (ops.nanmax([[1, np.nan], [np.nan, np.nan]], axis=1), [1, np.nan]),
        (ops.nanargmin([[1, np.nan], [np.nan, np.nan]], axis=1), [0, -1]),
        (ops.while_loop(lambda i, x: i < 3, lambda i, x: [i + 1, x + i], [0, 10])[1], 13),
        (ops.switch(7, [lambda x: x, lambda x: -x], 3), -3),
        (ops.cond(torch.tensor(False), lambda: 1, lambda: 2), 2),
        (ops.associative_scan(ops.maximum, np.array([1, 3, 2, 5, 4])), [1, 3, 3, 5, 5]),
        (ops.unstack([[1, 2], [3, 4]], 2, axis=1)[1], [2, 4]),
        (ops.image.map_coordinates([1.0, 2.0, 4.0], [[0.5, 1.25, 3.0]], 1), [1.5, 2.5, 0]),
        (ops.image.map_coordinates([1, 2, 4], [[1.4, 2.6]], 0, "nearest"), [2, 4]),
    ],
)  # fmt: skip
def test_by_hand(got: Any, expected: Any) -> None:
    np.testing.assert_array_equal(ops.convert_to_numpy(got), expected)


def test_sizes_are_kept() -> None:
    """64-bit numbers stay so: Keras takes them down to 32 bits in some functions."""
    whole, double = torch.tensor([2**40, 1]), torch.rand(2, 2, dtype=torch.float64)
    assert ops.cumsum(whole).tolist() == [2**40, 2**40 + 1]
    assert ops.prod(whole) == 2**40
    assert ops.matmul(double, double).dtype is torch.float64
    assert ops.dot(whole, whole) == 2**80 % 2**64 + 1
    assert ops.var(double).dtype is torch.float64


@pytest.mark.parametrize("axis", [1, (1,), (0, 2), (1, 2), -1])
def test_normalization_over_any_axes(axis: Any) -> None:
    x = torch.tensor(A)
    axes = axis if isinstance(axis, tuple) else (axis,)
    sizes = [x.shape[i] for i in sorted(i % 3 for i in axes)]
    gamma, beta = torch.rand(sizes), torch.rand(sizes)
    wide = [x.shape[i] if i in [a % 3 for a in axes] else 1 for i in range(3)]
    scale, shift = gamma.reshape(wide), beta.reshape(wide)
    mean, spread = x.mean(axes, keepdim=True), x.var(axes, correction=0, keepdim=True)
    expected = (x - mean) / (spread + 1e-3).sqrt() * scale + shift
    torch.testing.assert_close(ops.layer_normalization(x, gamma, beta, axis, 1e-3), expected)
    expected = x / (x.square().mean(axes, keepdim=True) + 1e-3).sqrt() * scale
    torch.testing.assert_close(ops.rms_normalization(x, gamma, axis, 1e-3), expected)


def test_statistics_of_large_numbers() -> None:
    """The variance is not the difference of two large numbers, as in Keras."""
    x = torch.tensor([10000.0, 10001.0, 10002.0])
    torch.testing.assert_close(ops.moments(x, 0)[1], torch.tensor(2 / 3))
    half = torch.full((4,), 60000.0, dtype=torch.float16)
    assert ops.mean(half) == 60000
    assert ops.moments(half, 0)[1] == 0


def test_blur_with_a_wide_window() -> None:
    """kernel_size and sigma go across, then down."""
    image = torch.zeros(7, 7, 1)
    image[3, 3] = 1
    blurred = ops.image.gaussian_blur(image, (5, 1), (1.0, 1.0))[..., 0]
    weights = torch.exp(-0.5 * torch.arange(-2.0, 3) ** 2)
    torch.testing.assert_close(blurred[3, 1:6], weights / weights.sum())
    assert blurred[2].sum() == 0


def test_pooling_ignores_the_padding() -> None:
    x = torch.full((1, 3, 3, 1), -2.0)
    assert ops.max_pool(x, 2, padding="same").unique() == -2
    assert ops.average_pool(x, 2, padding="same").unique() == -2
    flat = ops.average_pool(x.movedim(-1, 1), 2, padding="same", data_format="channels_first")
    torch.testing.assert_close(flat.movedim(1, -1), ops.average_pool(x, 2, padding="same"))


def test_attention_with_a_bias_and_no_future() -> None:
    q, k, v = torch.rand(3, 2, 5, 2, 4).unbind(0)
    bias = torch.rand(1, 2, 5, 5)
    hidden = torch.ones(5, 5).triu(1).bool()
    heads = [each.transpose(1, 2) for each in (q, k, v)]
    mask = bias.masked_fill(hidden, -torch.inf)
    expected = F.scaled_dot_product_attention(*heads, attn_mask=mask).transpose(1, 2)
    torch.testing.assert_close(
        ops.dot_product_attention(q, k, v, bias=bias, is_causal=True), expected
    )
    nothing = torch.zeros(2, 1, 5, 5, dtype=torch.bool)
    assert ops.dot_product_attention(q, k, v, mask=nothing).isfinite().all()


def test_signals_come_back() -> None:
    signal = torch.rand(2, 3, 64)
    for window in ("hann", "hamming"):
        parts = ops.stft(signal, 16, 4, 16, window)
        torch.testing.assert_close(ops.istft(parts, 16, 4, 16, 64, window), signal)
    parts = ops.stft(signal, 12, 6, 16, None, center=False)
    assert parts[0].shape == (2, 3, 9, 9)
    own = torch.hann_window(16)
    torch.testing.assert_close(ops.stft(signal, 16, 4, 16, own), ops.stft(signal, 16, 4, 16))


def test_eigenvectors() -> None:
    x = torch.tensor(A[0, :, :3])
    values, vectors = ops.linalg.eig(x)
    torch.testing.assert_close(x.to(vectors.dtype) @ vectors, vectors * values)


def test_partition_and_top() -> None:
    x = torch.rand(5, 9)
    order = ops.argpartition(x, 3)
    ranked = ops.take_along_axis(x, order, -1)
    assert (ranked[:, :3] <= ranked[:, 3:4]).all()
    assert (ranked[:, 4:] >= ranked[:, 3:4]).all()


def test_custom_gradient() -> None:
    @ops.custom_gradient
    def clipped(x: torch.Tensor, y: torch.Tensor) -> Any:
        def grad(*args: Any, upstream: torch.Tensor) -> Any:
            return upstream * 10, upstream * y

        return x * y, grad

    x, y = torch.tensor(2.0, requires_grad=True), torch.tensor(3.0, requires_grad=True)
    clipped(x, y).backward()
    assert (x.grad, y.grad) == (10, 3)


def test_derivatives_are_finite() -> None:
    x = torch.zeros(2, requires_grad=True)
    ops.sum(ops.divide_no_nan([1.0, 2.0], x)).backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch scripts its own code at the first derivative
        value, slope = ops.linalg.jvp(torch.sin, [torch.zeros(())], [torch.ones(())])
    assert (value, slope) == (0, 1)


def test_half_precision_windows_and_losses() -> None:
    logits = torch.randn(4, 3)
    target = torch.tensor([0, 2, 1, 0])
    expected = F.cross_entropy(logits, target, reduction="none")
    torch.testing.assert_close(
        ops.sparse_categorical_crossentropy(target, ops.softmax(logits)), expected
    )
    assert ops.softmax(logits.half()).dtype is torch.float16
    assert len(ops.hamming(7)) == 7
