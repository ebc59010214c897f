"""Identity and Masking: errors, masks in a graph, and life as a torch module."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nnkit.errors import ArgumentError, ShapeError
from nnkit.graph import Graph
from nnkit.layer import Layer
from nnkit.layers.core import Dense
from nnkit.layers.identity import Identity, Masking
from nnkit.layers.input import Input
from tests.layers.life import goes_through_life


def test_identity_gives_the_input_itself() -> None:
    x = {"a": torch.ones(2), "b": [torch.ones(3)]}
    assert Identity()(x)["b"][0] is x["b"][0]
    assert Identity()(x["a"]) is x["a"]
    assert Identity()(Masking()(torch.ones(1, 2, 3)))._keras_mask.tolist() == [[True, True]]


@pytest.mark.parametrize("value", [float("nan"), None, "0", [0.0]])
def test_masking_refuses_what_is_no_number(value: Any) -> None:
    with pytest.raises(ArgumentError, match=r"Masking '.*': mask_value must be a number other"):
        Masking(value)


def test_masking_refuses_a_tensor_without_features() -> None:
    with pytest.raises(ShapeError, match=r"expects \(batch, ..., features\) but received"):
        Masking()(Input(()))


def test_masking_removes_infinities_and_their_gradients() -> None:
    x = torch.tensor([[[torch.inf, torch.inf], [1.0, torch.inf]]], requires_grad=True)
    y = Masking(float("inf"))(x)
    assert y.tolist() == [[[0, 0], [1, float("inf")]]]
    y[..., 0].sum().backward()
    assert x.grad.tolist() == [[[0, 0], [1, 0]]]


def test_masks_in_a_graph() -> None:
    inputs = Input((None, 3))
    dense = Dense(2)
    graph = Graph(inputs, dense(Identity()(Masking(-1.0)(inputs))))
    data = torch.randn(2, 5, 3)
    data[1, 3:] = -1
    modules = {node.op.key: node.op for node in graph.nodes if isinstance(node.op, Layer)}
    outputs, masks = graph.run(modules, {}, [data])
    assert masks[0].tolist() == [[True] * 5, [True] * 3 + [False] * 2]
    expected = torch.where(masks[0].unsqueeze(-1), data, 0) @ dense.kernel
    torch.testing.assert_close(outputs, expected)


@pytest.mark.parametrize("layer", [Identity(), Masking(1.0)], ids=lambda layer: layer.name)
def test_module_life(layer: Layer) -> None:
    x = torch.randn(2, 4, 5)
    x[:, 1] = 1
    goes_through_life(layer, x)
