"""What the attention layers with heads share."""

from __future__ import annotations

import math
import string
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F

from nnkit import regularizers
from nnkit.arguments import number, positive
from nnkit.errors import ArgumentError, ShapeError, unknown_name
from nnkit.initializers import Initializer
from nnkit.layer import Layer
from nnkit.layers.activation import Softmax
from nnkit.layers.attention import Fold, both, causal, near
from nnkit.layers.einsum_dense import EinsumDense
from nnkit.layers.regularization import Dropout
from nnkit.masks import mask_of
from nnkit.probing import like
from nnkit.shapes import Shape, check, describe
from nnkit.tracing import is_traced

__all__ = ["HeadAttention"]

_MASKS = ("query_mask", "value_mask", "key_mask", "attention_mask")
_FLAGS = ("return_attention_scores", "training", "use_causal_mask")
_ABOUT = dict.fromkeys(_MASKS[:3], "It is (batch, time), True where a step counts.") | {
    "attention_mask": "It is (batch, query time, value time), True where a query may see a value; "
    "a mask of padding, (batch, time), needs mask[:, None, :]."
}
_NAMES = ("query", "value", "key", *_MASKS, *_FLAGS)
_KNOWN = frozenset(_NAMES)


class HeadAttention(Layer):
    """What the layers with heads share: projections, masks and the attention itself.

    Attributes:
        heads: number of heads of the query, and of key and value.
        head_sizes: features a head has in query and key, and in value.
        private: "_" where Keras's files know the projections by such names.
        reads_query_mask: whether a `query_mask` in the call counts; Keras's MultiHeadAttention
            looks at the one its query carries, and no other.
    """

    supports_masking = True
    accepts = "(batch, time, features)"
    fixes = "features"
    heads: tuple[int, int]
    head_sizes: tuple[int, int]
    private: ClassVar[str] = ""
    reads_query_mask: ClassVar[bool] = True
    query_dense: Any
    key_dense: Any
    value_dense: Any
    output_dense: Any
    _gate_dense: Any

    def configure(
        self,
        options: tuple[float, bool, int | None, bool | None, bool, int | None],
        kernel: tuple[Any, Any, Any],
        bias: tuple[Any, Any, Any],
        activity: Any,
    ) -> None:
        """Check and keep the arguments that both layers have.

        Args:
            options: dropout, use_bias, sliding_window, flash_attention, use_gate, seed.
            kernel, bias: initializer, regularizer and constraint.
            activity: regularizer of what each projection gives.
        """
        dropout, use_bias, window, flash_attention, use_gate, seed = options
        self.dropout = float(number(self, "dropout", dropout, 0, 1))
        self.use_bias, self.use_gate, self.seed = bool(use_bias), bool(use_gate), seed
        named = (self.label, "sliding_window")
        self.sliding_window = window if window is None else positive(*named, window)
        self.flash_attention = flash_attention
        if flash_attention and self.dropout:
            raise ArgumentError(
                f"{self.label}: flash_attention=True does not go with dropout={dropout}. "
                f"Leave flash_attention out: torch takes its fastest kernel by itself."
            )
        self.set_options("kernel", *kernel)
        self.set_options("bias", *bias)
        self._activity = regularizers.get(activity)
        self._features: dict[str, int] = {}
        self._seen_call: Any = None

    # -- the projections -----------------------------------------------------------------------

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        self._check_call([query_shape, value_shape, key_shape], {})
        (own, theirs), (size, value_size) = self.heads, self.head_sizes
        self._project(f"{self.private}query_dense", "query", query_shape, (own, size))
        self._project(f"{self.private}key_dense", "key", key_shape, (theirs, size))
        if self.use_gate:
            gates = (own, value_size)
            self._project("_gate_dense", "gate", query_shape, gates, activation="sigmoid")
        self._project(f"{self.private}value_dense", "value", value_shape, (theirs, value_size))
        self._softmax = Softmax(dtype=self.dtype_policy)
        self._dropout_layer = Dropout(self.dropout, seed=self.seed, dtype=self.dtype_policy)
        merged = (*query_shape[:-1], own, value_size)
        sizes = self.output_sizes(query_shape[-1])
        self._project(f"{self.private}output_dense", "attention_output", merged, sizes, bound=2)
        self._features = {"value": value_shape[-1], "key": key_shape[-1]}

    def _project(
        self,
        attribute: str,
        name: str,
        shape: Shape,
        new: Sequence[int],
        bound: int = 1,
        activation: Any = None,
    ) -> None:
        """Make the projection of the last `bound` axes of a shape to axes of the sizes `new`."""
        letters, free = iter(string.ascii_letters), len(shape) - bound
        a, b, c = ("".join(next(letters) for _ in range(n)) for n in (free, bound, len(new)))
        made = EinsumDense(
            f"{a}{b},{b}{c}->{a}{c}",
            output_shape=(*[None] * (free - 1), *new),
            activation=activation,
            bias_axes=c if self.use_bias else None,
            kernel_initializer=_another(self.kernel_initializer),
            bias_initializer=_another(self.bias_initializer),
            kernel_regularizer=self.kernel_regularizer,
            bias_regularizer=self.bias_regularizer,
            kernel_constraint=self.kernel_constraint,
            bias_constraint=self.bias_constraint,
            activity_regularizer=self._activity,
            name=name,
            dtype=self.dtype_policy,
            trainable=self.trainable,
        )
        made.build(shape)
        setattr(self, attribute, made)

    def output_sizes(self, features: int) -> tuple[int, ...]:
        """The axes of the output that take the place of the query's features."""
        return (features,)

    def axes_for(self, rank: int) -> tuple[int, ...]:
        """The axes over which attention goes, for inputs of this rank."""
        return tuple(range(1, rank - 1))

    # -- the call ------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = {**dict(zip(_NAMES, args, strict=False)), **kwargs}
        if len(given) != len(args) + len(kwargs):
            raise ArgumentError(f"{self.label} takes each of {', '.join(_NAMES)} once.")
        inputs = [given.pop(name, None) for name in _NAMES[:3]]
        if not all(hasattr(x, "shape") for x in inputs[:2]):
            raise ArgumentError(
                f"{self.label} needs a query and a value, two tensors: call layer(x, x) for "
                f"self-attention, in a functional model or a Layer's call (a Sequential passes "
                f"one input only)."
            )
        if inputs[2] is None:
            inputs.pop()
        if is_traced(inputs[0]):
            return super().__call__(*inputs, **given)
        for name, x in zip(_MASKS, inputs, strict=False):
            if given.get(name) is None and (mask := mask_of(x)) is not None:
                given[name] = mask  # as an argument a functional model will know it
        if not torch.compiler.is_compiling():
            if type(self).call is HeadAttention.call and not given.keys() <= _KNOWN:
                kind = f"argument of the call of {type(self).__name__}"
                raise unknown_name(kind, next(iter(given.keys() - _KNOWN)), _NAMES)
            self._check_call([x.shape for x in inputs], given)
        if not self.reads_query_mask and given.get("query_mask") is not None:
            given["query_mask"] = mask_of(inputs[0])
        return super().__call__(*inputs, **given)

    def call(
        self,
        query: torch.Tensor,
        value: torch.Tensor,
        key: torch.Tensor | None = None,
        query_mask: torch.Tensor | None = None,
        value_mask: torch.Tensor | None = None,
        key_mask: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        key = value if key is None else key
        fold = self._fold
        rows = fold.steps(query_mask, query)
        mask = None if rows is None else rows[:, None, :, None]
        for columns in (fold.steps(value_mask, value), fold.steps(key_mask, key)):
            mask = mask if columns is None else both(mask, columns[:, None, None, :])
        if attention_mask is not None:
            mask = both(mask, fold.pairs(attention_mask, query, value))
        q = fold.split(self.query_dense(query))
        k, v = fold.split(self.key_dense(key)), fold.split(self.value_dense(value))
        if self.sliding_window is not None:
            mask = both(mask, near(q, k, self.sliding_window))
        drawn = training and self.dropout > 0 and self._dropout_layer.draws() is not None
        openly = return_attention_scores or drawn
        only_causal = use_causal_mask and mask is None and not openly
        if use_causal_mask and not only_causal:
            mask = both(mask, causal(q, k))
        weights: Any = None
        if openly:
            outputs, weights = self._attend_openly(q, k, v, mask, training)
        else:
            outputs = self._attend(q, k, v, mask, only_causal, training)
        outputs = fold.merge(outputs, query)
        if self.use_gate:
            outputs = outputs * self._gate_dense(query)
        outputs = self.output_dense(outputs)
        return (outputs, fold.unfold(weights, query, value)) if return_attention_scores else outputs

    def _attend(
        self, q: Any, k: Any, v: Any, mask: Any, only_causal: bool, training: bool | None
    ) -> torch.Tensor:
        """Attention by torch's fast kernels, which do not tell the weights."""
        bias = None if mask is None else _additive(mask, -0.7 * torch.finfo(q.dtype).max, q.dtype)
        outputs = F.scaled_dot_product_attention(
            q, k, v, attn_mask=bias, dropout_p=self.dropout if training else 0.0,
            is_causal=only_causal, enable_gqa=self.heads[0] != self.heads[1],
        )  # fmt: skip
        if mask is not None and (self.dropout > 0 or not self._fold.plain):
            # Keras goes the open way here, where a step that sees nothing gets zeros. Elsewhere it
            # gets the mean of all steps.
            outputs = outputs * mask.any(-1, keepdim=True)
        return outputs

    def _attend_openly(
        self, q: Any, k: Any, v: Any, mask: Any, training: bool | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Attention step by step, and its weights."""
        groups = self.heads[0] // self.heads[1]
        if groups > 1:
            k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        scores = (q * (1 / math.sqrt(self.head_sizes[0]))) @ k.mT
        weights = self._softmax(scores, mask=mask)
        return self._dropout_layer(weights, training=training) @ v, weights

    def infer_output(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        return_attention_scores: bool = False,
        **kwargs: Any,
    ) -> Any:
        batch = value.shape[0] if query.shape[0] == 1 else query.shape[0]
        sizes = self.output_sizes(query.shape[-1])
        outputs = like(query, (batch, *query.shape[1:-1], *sizes))
        if not return_attention_scores:
            return outputs
        lead, ends = self._fold.lead(query)[1:], self._fold.ends(query, value)
        return outputs, like(query, (batch, *lead, self.heads[0], *ends))

    # -- what does not fit ---------------------------------------------------------------------

    def _check_call(self, shapes: list[Any], given: dict[str, Any]) -> None:
        """Raise unless query, value, key and masks go together; before the build, set the axes."""
        masks = [(name, given[name].shape) for name in _MASKS if given.get(name) is not None]
        flags = [bool(given.get(name)) for name in _FLAGS]
        seen = (*shapes, *masks, *flags)
        if seen == self._seen_call:
            return
        query, value, key = tuple(shapes[0]), tuple(shapes[1]), tuple(shapes[-1])
        if not self.built:
            check(f"The query of {self.label}", str(self.accepts), query)
            self._fold = Fold(len(query), self.axes_for(len(query)))
        self._check_pair("query", query, "value", value, self._fold.batch)
        self._check_pair("value", value, "key", key, range(len(value) - 1))
        for name, shape in (("value", value), ("key", key)):
            if shape[-1] is None or shape[-1] != self._features.get(name, shape[-1]):
                wanted = (
                    f"{self._features[name]}" if name in self._features else "a known number of"
                )
                raise ShapeError(
                    f"{self.label} needs {wanted} features in the {name}, but received "
                    f"{describe(shape)}."
                )
        for name, mask in masks:
            if not self._fold.takes(name, tuple(mask), query, value, self.heads[0]):
                raise ShapeError(
                    f"{self.label} cannot use {name} {describe(mask)} with a query "
                    f"{describe(query)} and a value {describe(value)}. {_ABOUT[name]}"
                )
        if len(self._fold.axes) > 1 and (self.sliding_window or flags[2]):
            raise ArgumentError(
                f"{self.label}: use_causal_mask and sliding_window need attention over one axis, "
                f"but it goes over axes {self._fold.axes}. Give attention_axes."
            )
        if flags[0] and self.flash_attention:
            raise ArgumentError(
                f"{self.label}: flash_attention=True does not tell the scores. Leave out "
                f"return_attention_scores or flash_attention."
            )
        self._seen_call = seen

    def _check_pair(
        self, one: str, first: Shape, other: str, second: Shape, axes: Iterable[int]
    ) -> None:
        why = "as many axes" if len(first) != len(second) else ""
        for axis in () if why else axes:
            sizes = {first[axis], second[axis]} - {None}
            # A batch of one is taken for all samples.
            if len(sizes) > 1 and not (axis == 0 and self._fold.plain and 1 in sizes):
                why = why or ("the same batch size" if axis == 0 else f"one size along axis {axis}")
        if why:
            raise ShapeError(
                f"{self.label} needs {why} in {one} and {other}, but received "
                f"{describe(first)} and {describe(second)}."
            )


def _additive(mask: torch.Tensor, low: float, dtype: torch.dtype) -> torch.Tensor:
    """What to add to scores: 0 where the mask is True, `low` elsewhere.

    A finite `low` keeps rows finite in which nothing is True: all their scores become equal.
    """
    return torch.full_like(mask, low, dtype=dtype).masked_fill_(mask, 0)


def _another(initializer: Any) -> Any:
    """An initializer for one more weight: without a seed it draws other values."""
    return initializer.clone() if isinstance(initializer, Initializer) else initializer
