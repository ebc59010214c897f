"""Attention, and windows and blocks of pixels."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nnkit.errors import ArgumentError, ShapeError
from nnkit.ops.convolution import channels_first
from nnkit.ops.recording import as_tensor, floats, recorded, tensors

__all__ = ["depth_to_space", "dot_product_attention", "fold", "space_to_depth", "unfold"]


@recorded
def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Tensor:
    """The mean of the values, weighted by how well their keys fit each query.

    Args:
        query: (batch, queries, heads, features).
        key, value: (batch, keys, heads, features); fewer heads are shared.
        bias: added to the scores, (batch, heads, queries, keys).
        mask: True where a query may look at a key, of that shape.
        scale: factor of the scores; 1 / sqrt(features) when None.
        is_causal: whether a query looks at no key after it.
        flash_attention: torch chooses the kernel by itself.
        attn_logits_soft_cap: must be None.
    """
    if attn_logits_soft_cap is not None:
        raise ArgumentError("dot_product_attention has no attn_logits_soft_cap: leave it out.")
    if bias is not None and mask is not None:
        raise ArgumentError("dot_product_attention takes a bias or a mask, not both. Add them.")
    q, k, v = tensors(query, key, value)
    if {q.ndim, k.ndim, v.ndim} != {4}:
        raise ShapeError(
            f"dot_product_attention takes (batch, time, heads, features) three times, got "
            f"{tuple(q.shape)}, {tuple(k.shape)}, {tuple(v.shape)}."
        )
    kind = torch.promote_types(torch.promote_types(q.dtype, k.dtype), v.dtype)
    added = bias if mask is None else mask
    if added is not None:
        added = tensors(q, added)[1]
        added = added.bool() if mask is not None else added.to(kind)
        if is_causal:
            seen = torch.ones(q.shape[1], k.shape[1], dtype=torch.bool, device=q.device).tril()
            hidden = added.masked_fill(~seen, -torch.inf) if mask is None else None
            added = added & seen if hidden is None else hidden
            is_causal = False
    if mask is not None and added is not None:
        # A finite penalty, as Keras has it: a query that may look nowhere looks everywhere.
        added = torch.where(added, 0.0, 0.7 * torch.finfo(kind).min).to(kind)
    q, k, v = (each.to(kind).transpose(1, 2) for each in (q, k, v))
    y = F.scaled_dot_product_attention(
        q, k, v, added, 0.0, is_causal, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
    )
    return y.transpose(1, 2)


@recorded
def unfold(
    x: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """The windows of channels-first images: (batch, channels, ...) -> (batch, pixels, windows)."""
    return F.unfold(floats(x), kernel_size, dilation, padding, stride)


@recorded
def fold(
    x: Any,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Tensor:
    """Add up windows to channels-first images of this size, the way back from `unfold`."""
    return F.fold(floats(x), output_size, kernel_size, dilation, padding, stride)


def _block(who: str, block_size: int) -> int:
    if block_size < 2:
        raise ArgumentError(f"{who}: block_size must be 2 or more, got {block_size!r}.")
    return block_size


@recorded
def depth_to_space(x: Any, block_size: int, data_format: str | None = "channels_last") -> Tensor:
    """Channels become blocks of pixels: an image larger by block_size, with fewer channels."""
    x, n = as_tensor(x), _block("depth_to_space", block_size)
    if channels_first("depth_to_space", data_format):
        # Here Keras counts the pixels of a block last, as torch does; with channels last, first.
        return F.pixel_shuffle(x, n)
    b, h, w, c = x.shape
    y = x.reshape(b, h, w, n, n, c // n**2).permute(0, 1, 3, 2, 4, 5)
    return y.reshape(b, h * n, w * n, c // n**2)


@recorded
def space_to_depth(x: Any, block_size: int, data_format: str | None = "channels_last") -> Tensor:
    """Blocks of pixels become channels: the way back from `depth_to_space`."""
    x, n = as_tensor(x), _block("space_to_depth", block_size)
    if channels_first("space_to_depth", data_format):
        return F.pixel_unshuffle(x, n)
    b, h, w, c = x.shape
    y = x.reshape(b, h // n, n, w // n, n, c).permute(0, 1, 3, 2, 4, 5)
    return y.reshape(b, h // n, w // n, c * n**2)
