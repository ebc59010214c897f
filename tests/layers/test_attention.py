"""Attention layers against torch's own modules and sums written out, and their errors."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nnkit import initializers
from nnkit.errors import ArgumentError, ShapeError
from nnkit.layers.attention import AdditiveAttention, Attention
from nnkit.layers.core import Dense
from nnkit.layers.embedding import Embedding
from nnkit.layers.input import Input
from nnkit.layers.multi_head_attention import GroupQueryAttention, MultiHeadAttention
from nnkit.models import Model, Sequential

QUERY, VALUE, KEY = torch.randn(3, 2, 3, 4).unbind(0)
PADDING = torch.tensor([[True, True, False], [True, False, False]])


def like_torch(heads: int, size: int) -> tuple[MultiHeadAttention, nn.MultiheadAttention]:
    """A layer of ours and torch's module with the same weights."""
    theirs = nn.MultiheadAttention(heads * size, heads, batch_first=True).eval()
    ours = MultiHeadAttention(heads, size)
    ours.build((None, None, heads * size), (None, None, heads * size))
    q, k, v = theirs.in_proj_weight.detach().chunk(3)
    biases = torch.randn(4, heads * size)
    with torch.no_grad():
        theirs.in_proj_bias.copy_(biases[:3].flatten())
        theirs.out_proj.bias.copy_(biases[3])
        for dense, weight, bias in zip(
            (ours.query_dense, ours.key_dense, ours.value_dense), (q, k, v), biases, strict=False
        ):
            dense.weight.copy_(weight.view(heads, size, -1))
            dense.bias.copy_(bias.view(heads, size))
        ours.output_dense.weight.copy_(theirs.out_proj.weight.view(-1, heads, size))
        ours.output_dense.bias.copy_(biases[3])
    return ours, theirs


@pytest.mark.parametrize("which", ["none", "causal", "padding", "both", "numpy"])
def test_is_torchs_multihead_attention(which: str) -> None:
    ours, theirs = like_torch(3, 5)
    query, value, key = torch.randn(2, 4, 15), torch.randn(2, 4, 15), torch.randn(2, 4, 15)
    padding = torch.tensor([[True, True, True, False], [True, True, False, False]])
    later = torch.ones(4, 4).triu(1).bool()
    call: dict[str, Any] = {}
    asked: dict[str, Any] = {}
    if which in ("causal", "both"):
        call["use_causal_mask"], asked["attn_mask"] = True, later
    if which in ("padding", "both"):
        call["value_mask"], asked["key_padding_mask"] = padding, ~padding
    if which == "numpy":
        call["attention_mask"], asked["attn_mask"] = (~later).float().numpy()[None], later
    expected, weights = theirs(query, key, value, average_attn_weights=False, **asked)
    torch.testing.assert_close(ours(query, value, key, **call), expected)
    outputs, scores = ours(query, value, key, return_attention_scores=True, **call)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(scores, weights)


def test_weights_in_keras_order() -> None:
    layer = MultiHeadAttention(2, 3, value_dim=5, output_shape=(6, 7), use_gate=True)
    layer(QUERY, VALUE)
    assert [w.shape for w in layer.get_weights()] == [
        (4, 2, 3), (2, 3), (4, 2, 3), (2, 3), (4, 2, 5), (2, 5), (4, 2, 5), (2, 5),
        (2, 5, 6, 7), (6, 7),
    ]  # fmt: skip
    assert layer.query_dense.weight.shape == (2, 3, 4)  # as linear() takes it
    # Each projection has values of its own, whether the initializer is named or given.
    for initializer in ("glorot_uniform", initializers.GlorotUniform()):
        layer = MultiHeadAttention(2, 3, kernel_initializer=initializer)
        layer(QUERY, VALUE)
        assert not torch.equal(layer.query_dense.kernel, layer.key_dense.kernel)


def test_groups_share_keys_and_values() -> None:
    layer = GroupQueryAttention(3, 4, 2)
    outputs = layer(QUERY, VALUE)
    many = MultiHeadAttention(4, 3)
    many(QUERY, VALUE)
    own = layer.get_weights()
    many.set_weights([np.repeat(w, 2, axis=-2) if 2 <= i < 6 else w for i, w in enumerate(own)])
    torch.testing.assert_close(outputs, many(QUERY, VALUE))
    torch.testing.assert_close(
        layer(QUERY, VALUE, return_attention_scores=True)[1],
        many(QUERY, VALUE, return_attention_scores=True)[1],
    )


def test_several_axes_are_one_long_one() -> None:
    image, other = torch.randn(2, 3, 4, 5), torch.randn(2, 2, 6, 5)
    layer, flat = MultiHeadAttention(2, 3), MultiHeadAttention(2, 3)
    outputs, scores = layer(image, other, return_attention_scores=True)
    flat(image.flatten(1, 2), other.flatten(1, 2))
    flat.set_weights(layer.get_weights())
    expected, weights = flat(image.flatten(1, 2), other.flatten(1, 2), return_attention_scores=True)
    torch.testing.assert_close(outputs, expected.view(2, 3, 4, 5))
    torch.testing.assert_close(scores, weights.view(2, 2, 3, 4, 2, 6))


@pytest.mark.parametrize(("axis", "swap"), [(2, None), (1, (1, 2)), (-3, (1, 2))])
def test_other_axes_are_a_batch(axis: int, swap: Any) -> None:
    """With padding and causality, which Keras would lay along the first axis."""
    image = torch.randn(2, 3, 4, 5)
    padding = torch.rand(2, 3, 4) > 0.4
    padding[:, 0] = padding[..., 0] = True
    layer, flat = MultiHeadAttention(2, 3, attention_axes=axis), MultiHeadAttention(2, 3)
    call = {"use_causal_mask": True}
    outputs = layer(image, image, value_mask=padding, **call)
    move = (lambda x: x.transpose(*swap)) if swap else (lambda x: x)
    rows = move(image).flatten(0, 1)
    flat(rows, rows)
    flat.set_weights(layer.get_weights())
    expected = flat(rows, rows, value_mask=move(padding).flatten(0, 1), **call)
    torch.testing.assert_close(outputs, move(expected.unflatten(0, move(image).shape[:2])))


def test_padding_goes_with_a_mask_of_each_head() -> None:
    heads = torch.rand(2, 2, 3, 3) > 0.3
    heads[..., 0] = True
    layer = MultiHeadAttention(2, 3)
    both = layer(QUERY, VALUE, attention_mask=heads, value_mask=PADDING)
    torch.testing.assert_close(
        both, layer(QUERY, VALUE, attention_mask=heads & PADDING[:, None, None])
    )


@pytest.mark.parametrize("causal", [False, True])
def test_window(causal: bool) -> None:
    x = torch.randn(1, 5, 4)
    layer = MultiHeadAttention(2, 3, sliding_window=2)
    scores = layer(x, x, return_attention_scores=True, use_causal_mask=causal)[1]
    apart = torch.arange(5)[:, None] - torch.arange(5)
    seen = (apart.abs() < 2) & ((apart >= 0) if causal else True)
    assert torch.equal(scores[0, 0] > 0, seen)
    torch.testing.assert_close(scores.sum(-1), torch.ones(1, 2, 5))


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("kind", ["multi", "group", "plain"])
def test_a_row_that_sees_nothing(kind: str, dropout: float) -> None:
    nothing = torch.zeros(2, 3, dtype=torch.bool)
    value = VALUE.clone().requires_grad_()
    if kind == "plain":
        layer: Any = Attention(dropout=dropout)
        outputs = layer([QUERY, value], mask=[None, nothing])
        torch.testing.assert_close(outputs, value.mean(1, keepdim=True).expand(2, 3, 4))
    else:
        layer = MultiHeadAttention(2, 3) if kind == "multi" else GroupQueryAttention(3, 2, 1)
        layer = type(layer).from_config({**layer.get_config(), "dropout": dropout})
        outputs = layer(QUERY, value, value_mask=nothing)
        # The mean of the values; with dropout, only the bias is left.
        heads = layer.value_dense(value).mean(1, keepdim=True)
        heads = heads.repeat_interleave(2, 2) if kind == "group" else heads
        expected = layer.output_dense(heads * (dropout == 0)).expand(2, 3, 4)
        torch.testing.assert_close(outputs, expected)
    outputs.sum().backward()
    assert value.grad is not None
    assert value.grad.isfinite().all()


def test_padding_of_the_inputs_is_seen() -> None:
    """Masks of query, value and key come with the tensors, in a functional model too."""
    ids = torch.tensor([[1, 2, 0], [3, 0, 0]])
    embedding = Embedding(5, 4, mask_zero=True)
    x = embedding(ids)
    bare = x.detach()
    layer = MultiHeadAttention(2, 3)
    outputs = layer(x, x)
    assert torch.equal(outputs._keras_mask, PADDING)
    same = layer(bare, bare, value_mask=PADDING)
    torch.testing.assert_close(outputs[PADDING], same[PADDING])
    torch.testing.assert_close(layer(bare, bare, x), layer(bare, bare, key_mask=PADDING))
    torch.testing.assert_close(layer(QUERY, x), layer(QUERY, bare, value_mask=PADDING))
    assert not torch.allclose(layer(QUERY, x), layer(QUERY, bare))

    inputs = Input((3,))
    symbol = embedding(inputs)
    plain = Attention()
    model = Model(inputs, [layer(query=symbol, value=symbol), plain([symbol, symbol])])
    first, second = model(ids)
    torch.testing.assert_close(first, outputs)
    torch.testing.assert_close(second, plain([bare, bare], mask=[PADDING, PADDING]))
    assert torch.equal(second._keras_mask, PADDING)
    assert not second[~PADDING].any()


@pytest.mark.parametrize("mode", ["dot", "concat", "additive"])
def test_scores(mode: str) -> None:
    layer = AdditiveAttention() if mode == "additive" else Attention(True, mode)
    outputs, weights = layer([QUERY, VALUE, KEY], return_attention_scores=True)
    scale = layer.scale
    if mode == "dot":
        scores = torch.einsum("bqd,bkd->bqk", QUERY, KEY) * scale
    else:
        both = QUERY[:, :, None] + KEY[:, None]
        both = (both * scale).tanh() if mode == "concat" else both.tanh() * scale
        scores = both.sum(-1)
    torch.testing.assert_close(weights, scores.softmax(-1))
    torch.testing.assert_close(outputs, scores.softmax(-1) @ VALUE)
    torch.testing.assert_close(layer([QUERY, VALUE, KEY]), outputs)
    assert len(layer.get_weights()) == (2 if mode == "concat" else 1)


def test_attention_with_heads_of_your_own() -> None:
    query, value = torch.randn(2, 5, 3, 4), torch.randn(2, 5, 6, 4)
    mask = torch.rand(2, 6) > 0.5
    outputs = Attention()([query, value], mask=[None, mask], use_causal_mask=True)
    for head in range(5):
        pair = [query[:, head], value[:, head]]
        alone = Attention()(pair, mask=[None, mask], use_causal_mask=True)
        torch.testing.assert_close(outputs[:, head], alone)


@pytest.mark.parametrize("kind", ["multi", "group", "dot", "additive"])
def test_dropout(kind: str) -> None:
    """Weights are dropped and scaled in training only, and the draws of a seed repeat."""

    def make(seed: int | None) -> Any:
        if kind == "multi":
            return MultiHeadAttention(2, 3, dropout=0.5, seed=seed)
        if kind == "group":
            return GroupQueryAttention(3, 2, 1, dropout=0.5, seed=seed)
        return (Attention if kind == "dot" else AdditiveAttention)(dropout=0.5, seed=seed)

    def run(layer: Any, **call: Any) -> Any:
        x = torch.ones(1, 2, 50, 4) if kind in ("dot", "additive") else torch.ones(2, 50, 4)
        return layer(x, x, **call) if kind in ("multi", "group") else layer([x, x], **call)

    layer = make(None)
    still = run(layer)
    torch.testing.assert_close(run(layer), still)
    torch.testing.assert_close(run(layer, training=False), still)
    drops = run(layer, training=True)
    assert not torch.allclose(drops, still)
    torch.testing.assert_close(drops.mean(-2), still.mean(-2), rtol=0.15, atol=0.05)
    pair = [make(7), make(7)]
    run(pair[0]), run(pair[1])
    pair[1].set_weights(pair[0].get_weights())
    first, second = (run(one, training=True) for one in pair)
    torch.testing.assert_close(first, second)
    assert not torch.allclose(run(pair[0], training=True), first)
    assert run(layer, training=True, return_attention_scores=True)[1].min() > 0


def test_one_query_for_all_samples() -> None:
    layer = MultiHeadAttention(2, 3)
    outputs = layer(QUERY[:1], VALUE)
    torch.testing.assert_close(outputs[1:], layer(QUERY[:1], VALUE[1:]))
    assert layer.compute_output_shape((2, 3, 4), (2, 5, 4)) == (2, 3, 4)
    assert Attention().compute_output_shape([(2, 3, 4), (2, 5, 6), (2, 5, 4)]) == (2, 3, 6)
    assert layer(Input(batch_shape=(1, 3, 4)), Input(batch_shape=(2, 3, 4))).shape == (2, 3, 4)


def test_frozen_and_regularized() -> None:
    layer = MultiHeadAttention(
        2, 3, kernel_regularizer="l2", activity_regularizer="l1", trainable=False
    )
    layer(QUERY, VALUE)
    assert layer.trainable_weights == []
    assert not any(p.requires_grad for p in layer.parameters())
    layer.trainable = True
    layer(QUERY, VALUE)
    assert len(layer.losses) == 8  # four projections, each with a kernel and an output
    with pytest.raises(ShapeError, match="has 8 weights but 1 were given"):
        layer.set_weights([np.zeros(3)])


def head(kind: Any = MultiHeadAttention, **options: Any) -> Any:
    sizes = {"num_heads": 2, "key_dim": 3}
    if kind is GroupQueryAttention:
        sizes = {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}
    return kind(**{**sizes, **options, "name": "heads"})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: head(num_heads=0), "'heads': num_heads must be a whole number of at least 1"),
        (lambda: head(key_dim=-1), "key_dim must be a whole number of at least 1, got -1"),
        (lambda: head(value_dim=0), "value_dim must be a whole number of at least 1, got 0"),
        (lambda: head(output_shape=(2, "a")), "output_shape must be a whole number"),
        (lambda: head(sliding_window=0), "sliding_window must be a whole number of at least 1"),
        (lambda: head(dropout=1.5), "dropout must be a number from 0 to 1, got 1.5"),
        (lambda: head(dropout=0.5, flash_attention=True), "does not go with dropout=0.5"),
        (lambda: head(kernel_initializer="glorot"), "Unknown initializer 'glorot'"),
        (lambda: head(GroupQueryAttention, head_dim=0), "head_dim must be a whole number"),
        (
            lambda: head(GroupQueryAttention, num_query_heads=3),
            "num_query_heads must be a multiple of num_key_value_heads, got 3 and 2",
        ),
        (lambda: Attention(score_mode="cosine"), "score_mode must be one of 'dot', 'concat'"),
        (lambda: Attention(dropout=-0.1), "dropout must be a number from 0 to 1, got -0.1"),
        (lambda: AdditiveAttention(score_mode="dot"), "argument of AdditiveAttention 'score_mode'"),
    ],
)
def test_wrong_arguments(make: Any, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        make()


IMAGE = torch.zeros(2, 3, 4, 5)


@pytest.mark.parametrize(
    ("layer", "call", "error", "said"),
    [
        (head(), (QUERY,), ArgumentError, r"needs a query and a value.*layer\(x, x\)"),
        (head(), ([QUERY, VALUE],), ArgumentError, "needs a query and a value, two tensors"),
        (
            head(),
            (IMAGE[0, 0], VALUE),
            ShapeError,
            r"query of .*'heads' expects \(batch, time, ...",
        ),
        (head(), (QUERY, IMAGE), ShapeError, "needs as many axes in query and value"),
        (head(), (QUERY, VALUE[:, 0]), ShapeError, "needs as many axes in query and value"),
        (head(), (QUERY, torch.zeros(5, 3, 4)), ShapeError, "same batch size in query and value"),
        (head(), (QUERY, VALUE, KEY[:, :2]), ShapeError, "size along axis 1 in value and key"),
        (head(attention_axes=1), (IMAGE, IMAGE[:, :, :2]), ShapeError, "one size along axis 2"),
        (head(attention_axes=0), (QUERY, VALUE), ArgumentError, "must be among 1 to 1, .*got"),
        (head(attention_axes=(1, -3)), (IMAGE, IMAGE), ArgumentError, "among 1 to 2, between"),
        (head(sliding_window=2), (IMAGE, IMAGE), ArgumentError, "attention over one axis"),
        (head(GroupQueryAttention), (IMAGE, IMAGE), ShapeError, r"expects \(batch, time, features"),
    ],
)
def test_what_does_not_fit(layer: Any, call: Any, error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        layer(*call)
    if layer._first_output is None and all(isinstance(x, torch.Tensor) for x in call):
        with pytest.raises(error, match=said):
            layer(*(Input(batch_shape=tuple(x.shape)) for x in call))


@pytest.mark.parametrize("kind", [MultiHeadAttention, GroupQueryAttention])
@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (
            {"value_mask": torch.ones(2, 5)},
            ShapeError,
            r"cannot use value_mask .*It is \(batch, time\)",
        ),
        ({"query_mask": torch.ones(3, 3)}, ShapeError, r"cannot use query_mask"),
        ({"attention_mask": torch.ones(2, 5)}, ShapeError, r"needs mask\[:, None, :\]"),
        ({"attention_mask": torch.ones(3)}, ShapeError, r"is \(batch, query time, value time\)"),
        ({"attention_mask": torch.ones(2, 9, 3, 3)}, ShapeError, "cannot use attention_mask"),
        ({"attention_mask": torch.ones(1, 1, 1, 3, 3)}, ShapeError, "cannot use attention_mask"),
        ({"attention_maks": PADDING}, ArgumentError, "Did you mean 'attention_mask'"),
        ({"query": QUERY}, ArgumentError, "takes each of query, value, key, .* once"),
        ({"return_attention_scores": True}, ArgumentError, "does not tell the scores"),
    ],
)
def test_calls_that_do_not_fit(kind: Any, call: Any, error: Any, said: str) -> None:
    layer = head(kind, flash_attention=True)
    layer(QUERY, VALUE)
    with pytest.raises(error, match=said):
        layer(QUERY, VALUE, **call)
    if "query" not in call:
        with pytest.raises(error, match=said):
            layer(Input(batch_shape=(2, 3, 4)), Input(batch_shape=(2, 3, 4)), **call)


def test_sizes_that_change() -> None:
    layer = head()
    layer(QUERY, VALUE, KEY)
    wide = torch.zeros(2, 3, 9)
    with pytest.raises(
        ShapeError, match=r"'heads' was built for 4 features but received \(2, 3, 9"
    ):
        layer(wide, VALUE)
    with pytest.raises(ShapeError, match="'heads' needs 4 features in the value, but received"):
        layer(QUERY, wide, KEY)
    with pytest.raises(ShapeError, match="'heads' needs 4 features in the key, but received"):
        layer(QUERY, VALUE, wide)
    with pytest.raises(ShapeError, match=r"'heads' needs as many axes in query and value"):
        layer(QUERY, IMAGE)
    with pytest.raises(ShapeError, match="needs a known number of features in the value"):
        head()(Input((3, 4)), Input((3, None)))
    with pytest.raises(ShapeError, match="needs to know the number of features"):
        head()(Input((3, None)), Input((3, 4)))
    with pytest.raises(ArgumentError, match="attention over one axis"):
        head()(Input((3, 4, 5)), Input((3, 4, 5)), use_causal_mask=True)
    with pytest.raises(ArgumentError, match="a Sequential passes one input only"):
        Sequential([Input((3, 4)), head()])


@pytest.mark.parametrize("kind", [Attention, AdditiveAttention])
@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (QUERY, r"expects \[query, value\] or \[query, value, key\] but received one tensor"),
        ([QUERY], "but received 1 inputs. Call it on a list"),
        ([QUERY] * 4, "but received 4 inputs"),
        ([QUERY[:, 0], VALUE[:, 0]], r"The query of .* expects \(batch, ..., time, features\)"),
        ([QUERY, IMAGE], "a query and a value of the same batch axes"),
        ([QUERY, torch.zeros(5, 3, 4)], "a query and a value of the same batch axes"),
        ([QUERY, VALUE, KEY[:, :2]], "a value and a key of the same time"),
        ([QUERY, torch.zeros(2, 3, 7)], "a query and a key of the same features"),
    ],
)
def test_lists_that_do_not_fit(kind: Any, inputs: Any, said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        kind()(inputs)
    symbols = [Input(batch_shape=tuple(x.shape)) for x in inputs]
    with pytest.raises(ShapeError, match=said.replace("2", "batch")):
        kind()(symbols if isinstance(inputs, list) else Input((3, 4)))


def test_other_mistakes_with_lists() -> None:
    with pytest.raises(ShapeError, match="unexpected keyword argument 'causal'"):
        Attention()([Input((3, 4)), Input((3, 4))], causal=True)
    with pytest.raises(ArgumentError, match=r"mask must be a list \[query_mask, value_mask\]"):
        Attention()([QUERY, VALUE], mask=PADDING)
    with pytest.raises(ArgumentError, match=r"mask must be a list .* got 1 of them"):
        Attention()([Input((3, 4)), Input((3, 4))], mask=[PADDING])
    layer = AdditiveAttention(name="sum")
    layer([QUERY, VALUE])
    with pytest.raises(ShapeError, match="'sum' was built for 4 features but received a query"):
        layer([torch.zeros(2, 3, 5)] * 2)
    with pytest.raises(ShapeError, match="needs to know the number of features"):
        AdditiveAttention()([Input((3, None)), Input((3, 4))])


class Uses(nn.Module):
    """A plain module around a layer, so that tracing meets the layer's own way of being called."""

    def __init__(self, layer: Any, **call: Any) -> None:
        super().__init__()
        self.layer, self.call = layer, call

    def forward(self, x: torch.Tensor) -> Any:
        if isinstance(self.layer, (Attention, AdditiveAttention)):
            return self.layer([x, x], **self.call)
        return self.layer(x, x, **self.call)


@pytest.mark.parametrize(
    ("layer", "call"),
    [
        (MultiHeadAttention(2, 3, dropout=0.5, seed=1), {"use_causal_mask": True}),
        (MultiHeadAttention(2, 3, attention_axes=2), {"return_attention_scores": True}),
        (GroupQueryAttention(3, 4, 2, sliding_window=2), {"attention_mask": torch.ones(1, 3, 3)}),
        (Attention(True), {"use_causal_mask": True}),
        (AdditiveAttention(), {"use_causal_mask": True}),
    ],
)
def test_compiles_exports_copies_and_reloads(layer: Any, call: Any) -> None:
    x = torch.randn(2, 3, 4) if getattr(layer, "attention_axes", None) is None else IMAGE + 1
    module = Uses(layer, **call)
    expected = module(x)
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    exported = torch.export.export(
        module, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},)
    ).module()
    again = Uses(type(layer).from_config(layer.get_config()), **call)
    again(x)
    again.layer.set_weights(layer.get_weights())
    copies = (copy.deepcopy(module), pickle.loads(pickle.dumps(module)))
    for made in (compiled, exported, again, *copies):
        torch.testing.assert_close(made(x), expected)
    layer.train()
    compiled(x)
    layer.eval()
    twice = exported(torch.cat([x, x]))
    torch.testing.assert_close(twice, module(torch.cat([x, x])))


def test_a_block_learns() -> None:
    """A functional model whose answer is the token that the last one points at."""
    inputs = Input((None,))
    x = Embedding(8, 16)(inputs)
    x = x + MultiHeadAttention(2, 8)(x, x)
    model = Model(inputs, Dense(8)(x[:, -1]))
    tokens = torch.randint(0, 8, (256, 3))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(tokens), tokens[:, 0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert model(torch.zeros(2, 5, dtype=torch.int64)).shape == (2, 8)
    assert loss < 1.0
