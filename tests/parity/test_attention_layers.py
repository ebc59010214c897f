"""The attention layers and EinsumDense do what Keras's do."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import torch

from nnkit import naming
from nnkit.layers.attention import AdditiveAttention, Attention
from nnkit.layers.einsum_dense import EinsumDense
from nnkit.layers.embedding import Embedding
from nnkit.layers.input import Input
from nnkit.layers.multi_head_attention import GroupQueryAttention, MultiHeadAttention
from nnkit.layers.pooling import GlobalAveragePooling1D
from nnkit.layers.regularization import Dropout
from nnkit.models import Model
from nnkit.saving import load_weights, save_weights
from tests.parity.compare import compare_layer

# Keras converts its variables in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

OURS = SimpleNamespace(
    AdditiveAttention=AdditiveAttention, Attention=Attention, Embedding=Embedding,
    GlobalAveragePooling1D=GlobalAveragePooling1D, GroupQueryAttention=GroupQueryAttention,
    Input=Input, Model=Model, MultiHeadAttention=MultiHeadAttention,
)  # fmt: skip
THEIRS = SimpleNamespace(
    **{name: getattr(keras.layers, name) for name in vars(OURS) if name != "Model"}
)
THEIRS.Model = keras.Model


# -- EinsumDense -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "shape", "symbolic"),
    [
        (("ab,bc->ac", 5, "relu", "c"), (2, 4), None),
        (("abc,cd->abd", (None, 5), "tanh", "d"), (2, 3, 4), (None, 4)),
        (("...x,xy->...y", 5, None, "y"), (2, 3, 6, 4), (None, None, 4)),
        (("abc,cde->abde", (None, 2, 3), None, "de"), (2, 3, 4), (None, 4)),
        (("abc,cde->abde", (None, 2, 3), None, "d"), (2, 3, 4), (None, 4)),
        (("abcd,cde->abe", (None, 3), None, "e"), (2, 3, 4, 2), (None, 4, 2)),
        (("abc,bcd->abd", (3, 5), None, "bd"), (2, 3, 4), None),
        (("abc,bd->adc", (5, 4)), (2, 3, 4), None),
        (("ab...,bc->ac...", 5, None, "c"), (2, 4, 3, 6), None),
    ],
)
def test_einsum_dense(arguments: Any, shape: Any, symbolic: Any) -> None:
    names = ("equation", "output_shape", "activation", "bias_axes")
    named = dict(zip(names, arguments, strict=False))
    named |= {"kernel_regularizer": "l2", "bias_initializer": "random_normal"}
    compare_layer(EinsumDense, named, shape, symbolic=symbolic)


# -- Attention, AdditiveAttention ------------------------------------------------------------------

PAIR = [(2, 3, 4), (2, 5, 4)]
THREE = [(2, 3, 4), (2, 5, 6), (2, 5, 4)]
SEEN = torch.tensor([[True, True, False], [True, False, False]])
VALUES = torch.tensor([[True, False, True, True, False], [False] * 5])


@pytest.mark.parametrize(
    ("kind", "arguments", "shapes", "call"),
    [
        (Attention, {}, PAIR, {}),
        (Attention, {"use_scale": True}, THREE, {"mask": [SEEN, VALUES]}),
        (Attention, {"dropout": 0.3}, PAIR, {"mask": [None, VALUES], "use_causal_mask": True}),
        (Attention, {"score_mode": "concat"}, THREE, {"use_causal_mask": True}),
        (Attention, {"score_mode": "concat", "use_scale": True}, PAIR, {"mask": [SEEN, VALUES]}),
        (Attention, {"use_scale": True}, [(2, 7, 3, 4), (2, 7, 5, 4)], {"use_causal_mask": True}),
        (AdditiveAttention, {}, THREE, {"mask": [SEEN, VALUES], "use_causal_mask": True}),
        (AdditiveAttention, {"use_scale": False}, PAIR, {}),
    ],
)
def test_attention(kind: Any, arguments: Any, shapes: Any, call: Any) -> None:
    compare_layer(kind, arguments, shapes, call=call)
    compare_layer(kind, arguments, shapes, call={**call, "return_attention_scores": True})


# -- the layers with heads -------------------------------------------------------------------------

ALLOWED = torch.rand(2, 3, 5, generator=torch.Generator().manual_seed(0)) > 0.5
ALLOWED[0, 0], ALLOWED[1, 1] = False, True
OF_HEADS = torch.stack([ALLOWED, ~ALLOWED, ALLOWED, ~ALLOWED], 1)
ALL = {"attention_mask": ALLOWED, "value_mask": VALUES, "use_causal_mask": True}
SCORES = {"return_attention_scores": True}
MULTI = {"num_heads": 4, "key_dim": 3}
GROUP = {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}


def compare_heads(kind: Any, arguments: Any, shapes: Any, call: Any) -> None:
    """As `compare_layer`, for layers that are called on several tensors."""
    name = kind.__name__.replace("Grouped", "Group")
    layers = getattr(keras.layers, name)(**arguments), kind(**arguments)
    inputs = [[torch.randn(shape, generator=torch.Generator().manual_seed(i), requires_grad=True)
               for i, shape in enumerate(shapes)] for _ in layers]  # fmt: skip
    for layer, tensors in zip(layers, inputs, strict=True):
        layer(*tensors, **call)
    theirs, ours = layers
    assert [w.shape for w in theirs.get_weights()] == [w.shape for w in ours.get_weights()]
    weights = [0.4 * np.random.randn(*w.shape).astype("float32") for w in ours.get_weights()]
    results = []
    for layer, tensors in zip(layers, inputs, strict=True):
        layer.set_weights(weights)
        outputs = layer(*tensors, **call)
        results.append(outputs if isinstance(outputs, tuple) else (outputs,))
        sum(one.sin().sum() for one in results[-1]).backward()
    for expected, got in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
    for expected, got in zip(*inputs, strict=True):
        torch.testing.assert_close(got.grad, expected.grad, rtol=1e-4, atol=1e-4)
    for expected, weight in zip(theirs.trainable_variables, ours.collect(), strict=True):
        gradient = weight.layout.to_keras(weight.tensor.grad)
        torch.testing.assert_close(gradient, expected.value.grad, rtol=1e-4, atol=1e-4)
    symbols = [[make(shape[1:]) for shape in shapes] for make in (keras.Input, Input)]
    shapes = [tuple(layer(*s).shape) for layer, s in zip(layers, symbols, strict=True)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(
    "call",
    [
        {}, SCORES, {"use_causal_mask": True}, {"value_mask": VALUES}, {"attention_mask": ALLOWED},
        {"attention_mask": OF_HEADS}, {"attention_mask": ALLOWED[1]}, ALL, ALL | SCORES,
        {"use_causal_mask": True} | SCORES,
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (MultiHeadAttention, MULTI),
        (MultiHeadAttention, MULTI | {"dropout": 0.3, "value_dim": 2, "output_shape": (2, 3)}),
        (MultiHeadAttention, MULTI | {"sliding_window": 2, "use_gate": True, "use_bias": False}),
        (GroupQueryAttention, GROUP),
        (GroupQueryAttention, GROUP | {"dropout": 0.3, "sliding_window": 2, "use_gate": True}),
    ],
)
def test_heads(kind: Any, arguments: Any, call: Any) -> None:
    # Grouped attention takes one number of features in Keras's symbolic calls.
    features = 6 if kind is GroupQueryAttention else 4
    compare_heads(kind, arguments, [(2, 3, 6), (2, 5, features)], call)


ROWS = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(1)) > 0.7


@pytest.mark.parametrize(
    ("kind", "arguments", "shapes", "call"),
    [
        (MultiHeadAttention, MULTI, THREE, {"key_mask": VALUES, "value_mask": ~VALUES}),
        (MultiHeadAttention, MULTI | {"output_shape": 5}, [(1, 3, 4), (1, 5, 4)], {}),
        (MultiHeadAttention, MULTI, [(2, 3, 4, 6), (2, 2, 5, 3)], SCORES),
        (
            MultiHeadAttention,
            MULTI,
            [(2, 3, 4, 6), (2, 2, 5, 3)],
            {
                "attention_mask": torch.eye(12)
                .view(3, 4, 3, 4)[:, :, :2]
                .repeat(1, 1, 1, 2)[..., :5]
            },
        ),
        (MultiHeadAttention, MULTI | {"attention_axes": (2, 1)}, [(2, 3, 4, 6)] * 2, SCORES),
        (MultiHeadAttention, MULTI | {"attention_axes": 1}, [(2, 3, 4, 6), (2, 5, 4, 6)], SCORES),
        (
            MultiHeadAttention,
            MULTI | {"attention_axes": -2},
            [(2, 3, 4, 6), (2, 3, 5, 6)],
            {"attention_mask": ROWS},
        ),
        (
            MultiHeadAttention,
            MULTI | {"attention_axes": [2]},
            [(2, 3, 4, 6), (2, 3, 5, 6)],
            {"attention_mask": ROWS, "value_mask": ROWS[:, :, 0]} | SCORES,
        ),
        (
            GroupQueryAttention,
            GROUP,
            [*PAIR, (2, 5, 4)],
            {"query_mask": SEEN, "value_mask": VALUES},
        ),
        (GroupQueryAttention, GROUP | {"num_key_value_heads": 1}, PAIR, SCORES),
        (GroupQueryAttention, GROUP | {"num_key_value_heads": 4}, PAIR, {"use_causal_mask": True}),
    ],
)
def test_axes_and_masks(kind: Any, arguments: Any, shapes: Any, call: Any) -> None:
    compare_heads(kind, arguments, shapes, call)


# -- in models -------------------------------------------------------------------------------------


def reader(k: Any) -> Any:
    inputs, others = k.Input((5,)), k.Input((3,))
    # Keras's MultiHeadAttention takes the masks off the tensors it is given, when it runs; so that
    # later layers see them here too, each is given a tensor of its own.
    embed = k.Embedding(9, 6, mask_zero=True)
    x = k.MultiHeadAttention(2, 3, dropout=0.1, use_gate=True)(
        embed(inputs), embed(inputs), use_causal_mask=True
    )
    x = k.GroupQueryAttention(3, 4, 2)(x, embed(others))
    x = k.MultiHeadAttention(2, 3, name="cross")(query=x, key=embed(others), value=embed(others))
    x = k.AdditiveAttention(name="sum")([x, embed(others)])
    return k.Model([inputs, others], k.GlobalAveragePooling1D()(x))


# Keras's grouped attention warns of the masks that it passes on inside.
@pytest.mark.filterwarnings("ignore:(?s).*does not support masking:UserWarning")
def test_masks_and_files_of_a_model(tmp_path: Path) -> None:
    """Padding comes from the embeddings, and each side reads the file of the other."""
    keras.utils.clear_session(free_memory=False)
    naming.clear()
    theirs, ours = reader(THEIRS), reader(OURS)
    tokens = [torch.tensor([[1, 2, 3, 0, 0], [4, 5, 6, 7, 8], [3, 0, 0, 0, 0]]),
              torch.tensor([[1, 0, 0], [2, 3, 4], [7, 7, 0]])]  # fmt: skip
    ours.set_weights([np.random.randn(*w.shape) for w in ours.get_weights()])
    save_weights(ours, tmp_path / "ours.weights.h5")
    theirs.load_weights(tmp_path / "ours.weights.h5")
    expected = theirs(tokens)
    torch.testing.assert_close(ours(tokens), expected, rtol=1e-5, atol=1e-5)
    assert {layer.name for layer in ours.layers} == {layer.name for layer in theirs.layers}

    theirs.set_weights([np.random.randn(*w.shape) for w in theirs.get_weights()])
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    assert not torch.allclose(ours(tokens), theirs(tokens))
    load_weights(ours, tmp_path / "theirs.weights.h5")
    torch.testing.assert_close(ours(tokens), theirs(tokens), rtol=1e-5, atol=1e-5)
    # The layers inside have used up names as Keras's did.
    assert Dropout(0.5).name == keras.layers.Dropout(0.5).name == "dropout_3"
