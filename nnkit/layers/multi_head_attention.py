"""Attention with several heads, each of which sees a projection of its own."""

from __future__ import annotations

from typing import Any

from nnkit.arguments import check_axes, positive
from nnkit.errors import ArgumentError
from nnkit.layers.multi_head_base import HeadAttention

__all__ = ["GroupQueryAttention", "GroupedQueryAttention", "MultiHeadAttention"]


class MultiHeadAttention(HeadAttention):
    """Attention with several heads, whose results are projected to one output.

    Args:
        num_heads: number of heads.
        key_dim: features a head has in query and key.
        value_dim: the same in the value; key_dim when None.
        dropout: fraction of the attention weights dropped in training, 0 to 1.
        use_bias: whether the projections have biases.
        output_shape: size or sizes of the output's last axes; the query's features when None.
        attention_axes: the axes that attend, batch counted; all between batch and features if None.
        sliding_window: steps see others less than this many steps away; all when None.
        flash_attention: True refuses what flash kernels cannot do; torch uses them where it can.
        kernel_*, bias_*, activity_regularizer: of each projection.
        use_gate: whether to multiply the heads' results by a learned sigmoid gate of the query.
        seed: an int for drops that repeat.

    Call: (query, value, key=value), masks (that of the query only on the tensor itself),
        `return_attention_scores`, `use_causal_mask`
    Shape: (batch, time, features), (batch, value_time, size) -> (batch, time, features)
    Source: Vaswani et al., 1706.03762.
    """

    accepts = "(batch, time, ..., features)"
    reads_query_mask = False

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: Any = None,
        attention_axes: Any = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        who = self.label
        self.num_heads = positive(who, "num_heads", num_heads)
        self.key_dim = positive(who, "key_dim", key_dim)
        self.value_dim = (
            self.key_dim if value_dim is None else positive(who, "value_dim", value_dim)
        )
        self.heads, self.head_sizes = (self.num_heads,) * 2, (self.key_dim, self.value_dim)
        self.configure(
            (dropout, use_bias, sliding_window, flash_attention, use_gate, seed),
            (kernel_initializer, kernel_regularizer, kernel_constraint),
            (bias_initializer, bias_regularizer, bias_constraint),
            activity_regularizer,
        )
        self._output_shape = None
        if output_shape is not None:
            listed = output_shape if isinstance(output_shape, (list, tuple)) else [output_shape]
            self._output_shape = tuple(positive(who, "output_shape", size) for size in listed)
        if attention_axes is not None:
            check_axes(self, attention_axes, several=True, argument="attention_axes")
        one = isinstance(attention_axes, int)
        self.attention_axes = (attention_axes,) if one else attention_axes and (*attention_axes,)

    def output_sizes(self, features: int) -> tuple[int, ...]:
        return self._output_shape or (features,)

    def axes_for(self, rank: int) -> tuple[int, ...]:
        if not self.attention_axes:
            return super().axes_for(rank)
        axes = tuple(axis + rank if axis < 0 else axis for axis in self.attention_axes)
        if len(set(axes)) < len(axes) or not all(0 < axis < rank - 1 for axis in axes):
            raise ArgumentError(
                f"{self.label}: attention_axes must be among 1 to {rank - 2}, between the batch "
                f"axis and the features of a query of {rank} axes, got {self.attention_axes}."
            )
        return axes


class GroupedQueryAttention(HeadAttention):
    """Attention whose heads share keys and values in groups.

    Args:
        head_dim: features a head has.
        num_query_heads: number of heads.
        num_key_value_heads: number of groups, each with one key and one value; it divides the
            number of heads.
        dropout, use_bias, sliding_window, flash_attention, kernel_*, bias_*, activity_regularizer,
            use_gate, seed: as of MultiHeadAttention.

    Call, Shape: as of MultiHeadAttention
    Source: Ainslie et al., 2305.13245.
    """

    private = "_"
    query_dense = property(lambda self: self._query_dense)
    key_dense = property(lambda self: self._key_dense)
    value_dense = property(lambda self: self._value_dense)
    output_dense = property(lambda self: self._output_dense)

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        who = self.label
        self.head_dim = positive(who, "head_dim", head_dim)
        self.num_query_heads = positive(who, "num_query_heads", num_query_heads)
        self.num_key_value_heads = positive(who, "num_key_value_heads", num_key_value_heads)
        if self.num_query_heads % self.num_key_value_heads:
            raise ArgumentError(
                f"{who}: num_query_heads must be a multiple of num_key_value_heads, got "
                f"{num_query_heads} and {num_key_value_heads}."
            )
        self.heads = (self.num_query_heads, self.num_key_value_heads)
        self.head_sizes = (self.head_dim, self.head_dim)
        self.configure(
            (dropout, use_bias, sliding_window, flash_attention, use_gate, seed),
            (kernel_initializer, kernel_regularizer, kernel_constraint),
            (bias_initializer, bias_regularizer, bias_constraint),
            activity_regularizer,
        )


# Keras's layer is known by this name, and names what it makes after the other.
GroupQueryAttention = GroupedQueryAttention
