"""Attention without projections, and what all attention layers share."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from nnkit import random
from nnkit.arguments import number, one_of
from nnkit.conventions import is_shape
from nnkit.errors import ArgumentError, ShapeError
from nnkit.layer import Layer
from nnkit.probing import like
from nnkit.shapes import Shape, check, describe

__all__ = [
    "AdditiveAttention", "Attention", "AttentionBase", "Fold", "both", "causal",
    "near",
]  # fmt: skip


def causal(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """The mask (query time, key time) by which a step sees itself and the earlier ones.

    Args:
        query, key: tensors (..., time, features).
    """
    ones = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool, device=query.device)
    return ones.tril()


def near(query: torch.Tensor, key: torch.Tensor, window: int) -> torch.Tensor:
    """The mask (query time, key time) by which a step sees those less than `window` steps away."""
    rows, columns = (torch.arange(x.shape[-2], device=query.device) for x in (query, key))
    return (rows[:, None] - columns).abs() < window


def both(first: torch.Tensor | None, second: torch.Tensor | None) -> torch.Tensor | None:
    """True where both masks are; None stands for a mask that is True everywhere."""
    if first is None or second is None:
        return second if first is None else first
    return first & second


class Fold:
    """How (batch, ..., features) becomes (batch, heads, steps, size), and back.

    Args:
        rank: number of axes of the input, features included.
        axes: those over which attention goes; they become the steps, in this order. The others
            join the batch.
    """

    def __init__(self, rank: int, axes: tuple[int, ...]) -> None:
        self.axes = axes
        self.batch = tuple(axis for axis in range(rank - 1) if axis not in axes)
        self.plain = rank == 3
        self._order = (*self.batch, rank - 1, *axes, rank)

    def ends(self, query: Any, value: Any) -> list[int]:
        """The sizes of the steps, first those of the query."""
        return [x.shape[axis] for x in (query, value) for axis in self.axes]

    def lead(self, query: Any) -> list[int]:
        """The sizes of the axes that count as batch."""
        return [query.shape[axis] for axis in self.batch]

    def takes(self, name: str, mask: Shape, query: Shape, value: Shape, heads: int) -> bool:
        """Whether a mask of this name and shape fits a query and a value."""
        wanted = (query if name == "query_mask" else value)[:-1]
        if name == "attention_mask":
            ends = [x[axis] for x in (query, value) for axis in self.axes]
            lead = [max((query[a], value[a]), key=lambda n: n or 0) for a in self.batch]
            at, wanted = len(mask) - len(ends), (*lead, heads, *ends)
            if at < 0:
                return False
            mask = (*mask[:at], *[1] * (len(lead) + 1 - at), *mask[at:])
        pairs = zip(mask, wanted, strict=False)
        return len(mask) <= len(wanted) and all(b is None or a in (1, None, b) for a, b in pairs)

    def split(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, ..., heads, size) as (batch, heads, steps, size)."""
        if self.plain:
            return x.transpose(1, 2)
        return x.permute(self._order).flatten(0, len(self.batch) - 1).flatten(2, -2)

    def merge(self, x: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
        """Undo `split` for a result of attention."""
        if self.plain:
            return x.transpose(1, 2)
        steps = [query.shape[axis] for axis in self.axes]
        x = x.reshape(*self.lead(query), x.shape[1], *steps, x.shape[-1])
        return x.permute([self._order.index(axis) for axis in range(x.ndim)])

    def unfold(self, weights: Any, query: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """Attention weights with the axes of the inputs."""
        if self.plain:
            return weights
        return weights.reshape(*self.lead(query), weights.shape[1], *self.ends(query, value))

    def steps(self, mask: Any, x: torch.Tensor) -> torch.Tensor | None:
        """A mask of the steps of x, (batch, ...), as (batch, steps)."""
        if mask is None:
            return None
        mask = torch.as_tensor(mask, device=x.device).to(torch.bool)
        if self.plain:
            return mask
        mask = mask[(..., *[None] * (x.ndim - 1 - mask.ndim))].expand(x.shape[:-1])
        return mask.permute(*self.batch, *self.axes).flatten(0, len(self.batch) - 1).flatten(1)

    def pairs(self, mask: Any, query: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """A mask (batch, query steps, value steps) as one for all heads; it may name them."""
        mask = torch.as_tensor(mask, device=query.device).to(torch.bool)
        count, ends = len(self.batch), self.ends(query, value)
        while mask.ndim < count + 1 + len(ends):
            mask = mask.unsqueeze(-len(ends) - 1)
        if self.plain:
            return mask
        mask = mask.expand(*self.lead(query), mask.shape[count], *ends).flatten(0, count - 1)
        return mask.flatten(2, 1 + len(self.axes)).flatten(3)


class AttentionBase(Layer):
    """What Attention and AdditiveAttention share; a subclass gives `scores`.

    Args:
        use_scale: whether to learn a scale of the scores.
        dropout: fraction of the attention weights dropped in training, 0 to 1.
        seed: an int for drops that repeat; compiled code draws from torch's global generator.
    """

    def __init__(
        self, use_scale: bool = False, dropout: float = 0.0, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.use_scale = bool(use_scale)
        self.dropout = float(number(self, "dropout", dropout, 0, 1))
        self.seed = seed
        self.seed_generator = random.SeedGenerator(seed)
        self._features: int | None = None
        self.register_parameter("scale", None)

    def check_input(self, shape: Any) -> None:
        several = isinstance(shape, (list, tuple)) and not is_shape(shape)
        if not several or len(shape) not in (2, 3) or not all(is_shape(one) for one in shape):
            came = f"{len(shape)} inputs" if several else f"one tensor {describe(shape)}"
            raise ShapeError(
                f"{self.label} expects [query, value] or [query, value, key] but received {came}. "
                f"Call it on a list: {type(self).__name__}(...)([query, value])."
            )
        query, value, key = shapes = shape[0], shape[1], shape[-1]
        for name, one in zip(("query", "value", "key"), shapes, strict=True):
            check(f"The {name} of {self.label}", "(batch, ..., time, features)", one)
        self._agree("batch axes", ("query", "value"), (query, value), slice(-2), spread=True)
        self._agree("batch axes", ("value", "key"), (value, key), slice(-2), spread=True)
        self._agree("time", ("value", "key"), (value, key), slice(-2, -1))
        self._agree("features", ("query", "key"), (query, key), slice(-1, None))
        if self._features and query[-1] not in (None, self._features):
            raise ShapeError(
                f"{self.label} was built for {self._features} features but received a query "
                f"{describe(query)}. Make a new layer for the new size."
            )

    def _agree(
        self, what: str, names: Any, shapes: tuple[Shape, Shape], part: slice, spread: bool = False
    ) -> None:
        first, second = (shape[part] for shape in shapes)
        fine = {None, 1} if spread else {None}
        pairs = zip(first, second, strict=False)
        if len(first) == len(second) and all(a == b or {a, b} & fine for a, b in pairs):
            return
        raise ShapeError(
            f"{self.label} needs a {names[0]} and a {names[1]} of the same {what} but received "
            f"{describe(shapes[0])} and {describe(shapes[1])}."
        )

    def scores(self, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        """How well each query step fits each key step, (batch, query time, key time)."""
        raise NotImplementedError(f"{type(self).__name__} has no scores(self, query, key).")

    def fused(self, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor | None:
        """A query whose product with the key gives the scores, if there is one."""
        return None

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool | None = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        query, value, key = inputs[0], inputs[1], inputs[-1]
        query_mask, value_mask = self._masks(mask)
        rate = self.dropout if training else 0.0
        seeds = None if self.seed is None or torch.compiler.is_compiling() else self.seed_generator
        product = self.fused(query, key)
        weights = None
        if product is None or value_mask is not None or return_attention_scores or (rate and seeds):
            allowed = causal(query, key) if use_causal_mask else None
            if value_mask is not None:
                allowed = both(allowed, _aligned(value_mask, key.ndim - 1).unsqueeze(-2))
            weights = _softmax(self.scores(query, key), allowed)
            outputs = random.dropout(weights, rate, None, seeds) @ value
        else:
            outputs = _one_head(product, key, value, rate, use_causal_mask)
        if query_mask is not None:
            kept = _aligned(query_mask, query.ndim - 1).unsqueeze(-1)
            outputs = outputs.masked_fill(~kept, 0)
        return (outputs, weights) if return_attention_scores else outputs

    def _masks(self, mask: Any) -> tuple[Any, Any]:
        if mask is None:
            return None, None
        if not isinstance(mask, (list, tuple)) or len(mask) not in (2, 3):
            raise ArgumentError(
                f"{self.label}: mask must be a list [query_mask, value_mask], each (batch, time) "
                f"or None, got {len(mask) if isinstance(mask, (list, tuple)) else 'one'} of them."
            )
        query_mask, value_mask = (m if m is None else m.to(torch.bool) for m in mask[:2])
        return query_mask, value_mask

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask[0] if isinstance(mask, (list, tuple)) and mask else None

    def infer_output(
        self,
        inputs: Any,
        mask: Any = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        query, value = inputs[:2]
        self._masks(mask)
        sizes = zip(query.shape[:-2], value.shape[:-2], strict=True)
        batch = [theirs if own == 1 else own for own, theirs in sizes]
        outputs = like(query, (*batch, query.shape[-2], value.shape[-1]))
        if not return_attention_scores:
            return outputs
        return outputs, like(query, (*batch, query.shape[-2], value.shape[-2]))


def _aligned(mask: torch.Tensor, rank: int) -> torch.Tensor:
    """A mask with axes of size 1 after the batch axis, so that it has this rank."""
    return mask[(slice(None), *[None] * (rank - mask.ndim))]


def _softmax(scores: torch.Tensor, allowed: torch.Tensor | None) -> torch.Tensor:
    if allowed is not None:
        # Not minus infinity: a row that may see nothing comes to the mean of all, as in Keras.
        low = 65504.0 if scores.dtype == torch.float16 else 1e9
        scores = torch.where(allowed, scores, scores - low)
    return scores.softmax(-1)


def _one_head(query: Any, key: Any, value: Any, rate: float, is_causal: bool) -> torch.Tensor:
    if query.ndim > 3:
        return F.scaled_dot_product_attention(
            query, key, value, dropout_p=rate, is_causal=is_causal, scale=1.0
        )
    # torch's fast kernels want an axis of heads.
    query, key, value = query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1)
    return _one_head(query, key, value, rate, is_causal).squeeze(1)


class Attention(AttentionBase):
    """For each query step, a mean of the value steps whose keys fit it best.

    Args:
        use_scale: whether to learn a factor on the scores.
        score_mode: "dot" for products of query and key, "concat" for the sum of tanh(query + key)
            over the features, times a learned weight.
        dropout: fraction of the attention weights dropped in training, 0 to 1.
        seed: an int for drops that repeat.

    Call: `mask` [query_mask, value_mask] of booleans (batch, time), `return_attention_scores`, and
        `use_causal_mask` to hide later steps.
    Shape: [(batch, time, features), (batch, value_time, size)] -> (batch, time, size); the key, the
        value itself when it is left out, is (batch, value_time, features)
    Raises: ShapeError if the inputs do not fit each other.
    Source: Luong et al., 1508.04025.
    """

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(use_scale, dropout, seed, **kwargs)
        self.score_mode = one_of(self.label, "score_mode", score_mode, ("dot", "concat"))
        self.register_parameter("concat_score_weight", None)

    def build(self, input_shape: Any) -> None:
        if self.use_scale:
            self.scale = self.add_weight((), "ones", self._dtype, name="scale")
        if self.score_mode == "concat":
            weight = self.add_weight((), "ones", self._dtype, name="concat_score_weight")
            self.concat_score_weight = weight

    def fused(self, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor | None:
        if self.score_mode != "dot":
            return None
        return query if self.scale is None else query * self.scale

    def scores(self, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        if self.score_mode == "dot":
            scores = query @ key.mT
            return scores if self.scale is None else scores * self.scale
        both = query.unsqueeze(-2) + key.unsqueeze(-3)
        both = both if self.scale is None else both * self.scale
        return both.tanh().sum(-1) * self.concat_score_weight


class AdditiveAttention(AttentionBase):
    """Attention that scores by the weighted sum of tanh(query + key) over the features.

    Args:
        use_scale: whether to learn a weight for each feature.
        dropout: fraction of the attention weights dropped in training, 0 to 1.
        kwargs: `seed`, and those of every layer.

    Call, Shape, Raises: as of Attention
    Source: Bahdanau et al., 1409.0473.
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(use_scale, dropout, **kwargs)

    def build(self, input_shape: Any) -> None:
        if self.use_scale:
            features = input_shape[0][-1]
            if features is None:
                raise ShapeError(
                    f"{self.label} needs to know the number of features, but received "
                    f"{describe(input_shape[0])}. Give that size in Input(shape=...)."
                )
            self.scale = self.add_weight((features,), "glorot_uniform", self._dtype, name="scale")
            self._features = features

    def scores(self, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        fit = (query.unsqueeze(-2) + key.unsqueeze(-3)).tanh()
        return fit.sum(-1) if self.scale is None else fit @ self.scale
