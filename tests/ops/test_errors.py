"""Every operation says what it expected, what came and what to do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from nnkit import ops
from nnkit.errors import ArgumentError, NnkitError, ShapeError
from nnkit.layers.input import Input

X = torch.rand(2, 3, 4)
IMAGE = torch.rand(2, 5, 6, 3)
Q = torch.rand(2, 5, 2, 4)
ROW = torch.ones(3)

MISTAKES: list[tuple[Callable[[], object], type[NnkitError], str]] = [
    (lambda: ops.sum(X, 3), ArgumentError, r"axis=3 is not an axis .* Use -3 to 2"),
    (lambda: ops.max(np.zeros((0, 2))), ShapeError, "Give initial="),
    (lambda: ops.reshape(X, (None, 4)), ShapeError, "Use -1"),
    (lambda: ops.squeeze(X, 1), ShapeError, "squeeze drops axes of size 1"),
    (lambda: ops.rot90(ROW), ShapeError, "rot90 turns two axes"),
    (lambda: ops.split(X, 2, 1), ShapeError, "not divisible by 2. Use array_split"),
    (lambda: ops.unstack(X, 5), ShapeError, "num=5 but axis 0"),
    (lambda: ops.pad(X, 1, "mirror"), ArgumentError, "mode must be one of 'constant'"),
    (lambda: ops.pad(X, 1, "edge", 2.0), ArgumentError, "constant_values with mode='constant'"),
    (lambda: ops.pad(X, ((1, 1), (2, 2))), ShapeError, "2 pairs for a tensor with 3 axes"),
    (lambda: ops.rearrange(X, "a b -> b a"), ShapeError, "needs 2 axes"),
    (lambda: ops.rearrange(X, "a b c -> b a"), ShapeError, "same names on both sides"),
    (lambda: ops.rearrange(X, "a b (c d) -> a b c d"), ShapeError, "Give the sizes of all but one"),
    (lambda: ops.rearrange(X, "a b (c d) -> a b c d", c=3), ShapeError, "size 4 is not c x d"),
    (lambda: ops.ldexp(X, X), ArgumentError, "whole number as x2"),
    (lambda: ops.where(X > 0, X), ArgumentError, "both x1 and x2, or neither"),
    (lambda: ops.select([X > 0], []), ArgumentError, "one choice for each condition"),
    (lambda: ops.searchsorted(X, ROW), ShapeError, "Use vectorized_map"),
    (lambda: ops.searchsorted(ROW, ROW, "up"), ArgumentError, "'left', 'right', got 'up'"),
    (lambda: ops.bincount([1], sparse=True), ArgumentError, "leave out sparse=True"),
    (lambda: ops.histogram(X), ArgumentError, "takes a vector"),
    (lambda: ops.histogram(ROW, range=(2, 1)), ArgumentError, r"range must be \(lowest, highest\)"),
    (lambda: ops.scatter_update(ROW, [[0]], [1.0], "div"), ArgumentError, "reduction must be one"),
    (lambda: ops.segment_sum(X, [0, 1, 2]), ShapeError, "one number for each of the 2 rows"),
    (lambda: ops.correlate(ROW, ROW, "all"), ArgumentError, "mode must be one of 'valid'"),
    (lambda: ops.cdist(X, torch.ones(2, 3)), ShapeError, "rows of one length"),
    (lambda: ops.linalg.qr(X, "full"), ArgumentError, "'reduced', 'complete', got 'full'"),
    (lambda: ops.fft(X), ArgumentError, r"takes a pair \(real, imaginary\)"),
    (lambda: ops.fft((X, ROW)), ShapeError, "have one shape"),
    (lambda: ops.view_as_complex(X), ShapeError, "last axis of size 2"),
    (lambda: ops.stft(X, 8, 2, 4), ArgumentError, "fft_length=4 must not be below"),
    (lambda: ops.stft(torch.rand(9), 4, 2, 4, "bell"), ArgumentError, "window must be 'hann'"),
    (lambda: ops.stft(torch.rand(9), 4, 2, 4, ROW), ShapeError, "sequence_length=4 numbers"),
    (lambda: ops.conv(X[0], torch.ones(1, 1, 1)), ShapeError, "conv takes .batch, one to three"),
    (lambda: ops.conv(IMAGE, torch.ones(3, 3, 2, 1)), ShapeError, "a kernel of shape"),
    (lambda: ops.conv(IMAGE, torch.ones(3, 3, 3, 1), padding="full"), ArgumentError, "padding"),
    (lambda: ops.conv(IMAGE, torch.ones(3, 3, 3, 1), strides=0), ArgumentError, "strides"),
    (lambda: ops.max_pool(IMAGE, 2, data_format="NCHW"), ArgumentError, "data_format must be"),
    (lambda: ops.depthwise_conv(IMAGE, torch.ones(3, 3, 2, 1)), ShapeError, "is for 2 channels"),
    (lambda: ops.one_hot([1], 2, sparse=True), ArgumentError, "leave out sparse=True"),
    (lambda: ops.multi_hot([1]), ArgumentError, "takes num_classes"),
    (lambda: ops.moments(X, 0, synchronized=True), ArgumentError, "leave out synchronized"),
    (lambda: ops.normalize(X, order=0), ArgumentError, "order must be a whole number"),
    (lambda: ops.binary_crossentropy(ROW, X), ShapeError, "targets and outputs of one shape"),
    (lambda: ops.ctc_decode(X, [3, 3], "beam_search"), ArgumentError, "must be 'greedy'"),
    (lambda: ops.psnr(X, ROW, 1.0), ShapeError, "images of one shape"),
    (lambda: ops.dot_product_attention(X, X, X), ShapeError, "takes .batch, time, heads, features"),
    (lambda: ops.dot_product_attention(Q, Q, Q, Q, Q), ArgumentError, "a bias or a mask, not both"),
    (
        lambda: ops.dot_product_attention(Q, Q, Q, attn_logits_soft_cap=1.0),
        ArgumentError,
        "no attn_logits_soft_cap",
    ),
    (lambda: ops.depth_to_space(IMAGE, 1), ArgumentError, "block_size must be 2 or more"),
    (lambda: ops.image.resize(ROW, (2, 2)), ShapeError, "resize takes .height, width, channels"),
    (lambda: ops.image.resize(IMAGE, (0, 2)), ArgumentError, "size must be .height, width"),
    (lambda: ops.image.resize(IMAGE, (2, 2), "lanczos3"), ArgumentError, "'nearest', 'bilinear'"),
    (
        lambda: ops.image.resize(
            IMAGE, (2, 2), crop_to_aspect_ratio=True, pad_to_aspect_ratio=True
        ),
        ArgumentError,
        "not both",
    ),
    (lambda: ops.image.resize(IMAGE, (2, 2), fill_mode="edge"), ArgumentError, "fill_mode"),
    (lambda: ops.image.pad_images(IMAGE, 1), ArgumentError, "exactly two of top, bottom and"),
    (lambda: ops.image.pad_images(IMAGE, 1, 1, -1, 0), ShapeError, "Both must be 0 or more"),
    (lambda: ops.image.crop_images(IMAGE, 4, 0, 4, 0), ShapeError, "height 5 cannot become"),
    (lambda: ops.image.rgb_to_hsv(X), ShapeError, "takes 3 channels, got 4"),
    (lambda: ops.image.ssim(IMAGE, IMAGE[:, 1:]), ShapeError, "ssim compares equal shapes"),
    (lambda: ops.image.map_coordinates(X, [ROW], 1), ShapeError, "one tensor of coordinates for"),
    (lambda: ops.image.map_coordinates(ROW, [ROW], 3), ArgumentError, "order must be one of 0, 1"),
    (lambda: ops.image.affine_transform(IMAGE, ROW), ShapeError, "takes 8 numbers"),
    (lambda: ops.image.perspective_transform(IMAGE, ROW, ROW), ShapeError, "takes four points"),
    (lambda: ops.image.extract_patches(IMAGE, (2, 2, 2, 2)), ShapeError, "images with size"),
    (lambda: ops.scan(lambda c, x: (c, x), ROW), ArgumentError, "give xs, or length="),
    (lambda: ops.scan(lambda c, x: (c, x), ROW, length=0), ShapeError, "at least one step"),
    (lambda: ops.map(lambda x: x[0], (X, ROW)), ShapeError, r"equally long, got \[2, 3\]"),
    (lambda: ops.cast(X, "float33"), ArgumentError, "Unknown dtype 'float33'"),
    *(
        (
            lambda op=op: op(Input((3,))),
            ArgumentError,
            f"^{op.__name__}: the size of the result depends on the data.*in the call",
        )
        for op in (ops.unique, ops.nonzero, ops.bincount)
    ),
    (lambda: ops.segment_sum(Input((3,)), Input(())), ArgumentError, r"Give .*num_segments="),
]


@pytest.mark.parametrize(("call", "kind", "said"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes(call: Callable[[], object], kind: type[NnkitError], said: str) -> None:
    with pytest.raises(kind, match=said):
        call()


def test_custom_gradient_counts_its_gradients() -> None:
    @ops.custom_gradient
    def wrong(x: torch.Tensor, y: torch.Tensor) -> object:
        return x * y, lambda *args, upstream: upstream

    x = torch.ones(2, requires_grad=True)
    with pytest.raises(ArgumentError, match="takes 2 arguments but gave 1 gradients"):
        wrong(x, x).sum().backward()
