"""Merging layers: errors, values, masks in a graph, and life as a torch module."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nnkit.errors import ArgumentError, ShapeError
from nnkit.graph import Graph
from nnkit.layer import Layer
from nnkit.layers.identity import Masking
from nnkit.layers.input import Input
from nnkit.layers.merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Merge,
    Minimum,
    Multiply,
    Subtract,
    add,
    concatenate,
    dot,
)
from tests.layers.life import goes_through_life


@pytest.mark.parametrize(
    ("layer", "shapes", "message"),
    [
        (Add(name="add"), [(32,), (16,)],
         r"Add 'add' cannot combine \(batch, 32\) and \(batch, 16\): axis 1 is 32 and 16"),
        (Multiply(), [(4, 3), (4, 3), (5, 3)], r"\(batch, 4, 3\) and \(batch, 5, 3\): axis 1 is"),
        (Average(), [(4, 3), (1, 3), (5, 3)], r"\(batch, 4, 3\) and \(batch, 5, 3\): axis 1 is"),
        (Maximum(), [(8, 8, 3), (4,)], r"\(batch, 8, 8, 3\) and \(batch, 4\): axis -1 is 3 and 4"),
        (Subtract(), [(3,)], "Subtract '.*' expects 2 tensors in its list, got 1"),
        (Subtract(), [(3,), (3,), (3,)], "expects 2 tensors in its list, got 3"),
        (Dot(1), [(3,)], "expects 2 tensors in its list, got 1"),
        (Add(), [], "expects at least one tensor in its list, got 0"),
        (Concatenate(), [], "expects at least one tensor in its list, got 0"),
        (Concatenate(), [(4, 3), (5, 3)],
         r"cannot join \(batch, 4, 3\) and \(batch, 5, 3\) along axis -1: axis 1 is 4 and 5"),
        (Concatenate(1), [(4, 3, 2), (4, 5, 6)], "axis 2 is 3 and 5, axis 3 is 2 and 6"),
        (Concatenate(), [(4, 3), (3,)], "they have 3 and 2 axes"),
        (Concatenate(3), [(4, 3), (4, 3)], r"joins axis 3, not there in \(batch, 4, 3\)"),
        (Dot((1, 2)), [(4, 3), (5, 3)], "axis 1 of the first is 4, axis 2 of the second 3"),
        (Dot(2), [(4,), (4,)], r"sums over axis 2, not there in \(batch, 4\)"),
        (Dot(-2), [(4,), (4,)], "Axis 0 is the batch"),
    ],
)  # fmt: skip
def test_wrong_shapes(layer: Merge, shapes: list, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        layer([Input(shape) for shape in shapes])
    with pytest.raises(ShapeError):
        layer([torch.ones(7, *shape) for shape in shapes])


@pytest.mark.parametrize("layer", [Add(), Multiply(), Dot(1)])
def test_batches_of_different_sizes(layer: Merge) -> None:
    with pytest.raises(ShapeError, match=r"\(4, 3\) and \(2, 3\): their batch sizes differ"):
        layer([torch.ones(4, 3), torch.ones(2, 3)])
    assert layer([torch.ones(4, 3), torch.ones(4, 3)]).shape[0] == 4
    with pytest.raises(ShapeError, match="their batch sizes differ"):
        layer([torch.ones(4, 3), torch.ones(1, 3)])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (lambda: Input((3,)), r"Add '.*' expects a list of tensors but received one tensor "
         r"\(batch, 3\). Call it on a list"),
        (lambda: {"a": Input((3,))}, "expects a list of tensors but received a dict"),
        (lambda: [Input((3,)), np.ones(3)], "item 1 is none. Turn arrays and numbers into tensors"),
        (lambda: [Input((3,)), [Input((3,))]], "item 1 is none"),
        (lambda: torch.ones(3, 3), r"received one tensor \(3, 3\)"),
    ],
)  # fmt: skip
def test_wrong_inputs(inputs: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        Add()(inputs())
    with pytest.raises(ShapeError, match="a list of tensors"):
        Add()(Input((3,)), Input((3,)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Concatenate("last"), "axis must be an int, got 'last'"),
        (lambda: Concatenate(True), "axis must be an int, got True"),
        (lambda: Dot(0), "axes must be an int or two ints other than 0, the batch axis, got 0"),
        (lambda: Dot((1, 2, 3)), r"got \(1, 2, 3\)"),
        (lambda: Dot((1, 0)), r"got \(1, 0\)"),
        (lambda: Dot(1.0), r"got 1\.0"),
        (lambda: Add(axis=1), "argument of Add 'axis'"),
        (lambda: concatenate([torch.ones(1, 2)], axes=1), "Did you mean 'axis'"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "symbolic", "expected"),
    [
        (Add(), [(None, 8), (10, 8)], (None, 10, 8)),
        (Multiply(), [(None, None), (10, 1)], (None, 10, None)),
        (Maximum(), [(None, 8), (400, 8)], (None, None, 8)),
        (Concatenate(), [(None, 8), (10, 8)], (None, 10, 16)),
        (Concatenate(1), [(None, 8), (10, None)], (None, None, 8)),
        (Dot(1), [(None, 8), (None, 4)], (None, 8, 4)),
    ],
)
def test_free_sizes(layer: Merge, symbolic: list, expected: tuple) -> None:
    assert layer([Input(shape) for shape in symbolic]).shape == expected


def test_free_sizes_that_differ_while_probing_may_agree_in_the_data() -> None:
    x = Input((None, 2))
    cut = x[:, ::3].repeat_interleave(3, 1)
    graph = Graph(x, add([x, cut]))
    data = torch.randn(2, 6, 2)
    (step,) = [node.op for node in graph.nodes if isinstance(node.op, Add)]
    outputs, _ = graph.run({step.key: step}, {}, [data])
    torch.testing.assert_close(outputs, data + data[:, ::3].repeat_interleave(3, 1))


def test_a_users_subclass_may_give_another_shape_and_integers_become_floats_in_a_mean() -> None:
    class Joined(Add):
        def call(self, inputs: list) -> torch.Tensor:
            return torch.cat([super().call(inputs)] * 2, dim=-1)

    assert Joined()([Input((3,)), Input((3,))]).shape == (None, 6)
    whole = [Input((3,), dtype="int32"), Input((3,), dtype="int64")]
    assert Average()(whole).dtype == torch.float32
    assert Add()(whole).dtype == torch.int64


def test_a_fixed_batch_meets_a_free_one() -> None:
    assert add([Input((3,), batch_size=4), Input((3,))]).shape == (4, 3)


def test_values_by_hand() -> None:
    a, b = torch.tensor([[1.0, 4.0]]), torch.tensor([[3.0, 2.0]])
    results = {
        Add: [4, 6], Subtract: [-2, 2], Multiply: [3, 8], Average: [2, 3], Maximum: [3, 4],
        Minimum: [1, 2], Concatenate: [1, 4, 3, 2],
    }  # fmt: skip
    for kind, expected in results.items():
        assert kind()([a, b]).tolist() == [expected]
    assert dot([a, b], axes=1).tolist() == [[11]]
    assert dot([a, b], axes=1, normalize=True).item() == pytest.approx(11 / (17 * 13) ** 0.5)
    assert add((a, np.array([[1, 2]]))).tolist() == [[2, 6]]
    assert Average()([torch.tensor([[1]]), torch.tensor([[2]])]).tolist() == [[1.5]]


def test_dot_is_einsum() -> None:
    a, b = torch.randn(2, 3, 4, 5), torch.randn(2, 6, 4)
    expected = torch.einsum("bijk,blj->bikl", a, b)
    torch.testing.assert_close(Dot((2, 2))([a, b]), expected)
    assert Dot((2, 2))([a[:0], b[:0]]).shape == (0, 3, 5, 6)


def test_masks_of_longer_samples_reach_every_axis() -> None:
    x, y = torch.ones(1, 2, 3, 3), 2 * torch.ones(1, 2, 3, 3)
    mask = torch.tensor([[True, False]])
    largest = Minimum()([x, y], mask=[mask, None])
    assert largest[0, :, 0, 0].tolist() == [1, 2]
    joined = Concatenate(2).compute_mask([x, y], [mask, None])
    assert joined.tolist() == [[True, True]]
    assert Concatenate(1).compute_mask([x, y], [None, mask]).tolist() == [[True] * 3 + [False]]
    assert Concatenate(1).compute_mask([x, y], [None, None]) is None


def test_masks_in_a_graph() -> None:
    inputs = [Input((4, 3)), Input((4, 3))]
    masked = [Masking()(x) for x in inputs]
    layer = Maximum()
    graph = Graph(inputs, layer(masked))
    data = [torch.randn(2, 4, 3), torch.randn(2, 4, 3)]
    data[0][:, 1], data[1][:, 1:3] = 0, 0
    modules = {node.op.key: node.op for node in graph.nodes if isinstance(node.op, Layer)}
    outputs, masks = graph.run(modules, {}, data)
    expected = torch.stack([
        torch.maximum(data[0][:, 0], data[1][:, 0]),
        torch.zeros(2, 3),
        data[0][:, 2],
        torch.maximum(data[0][:, 3], data[1][:, 3]),
    ], dim=1)  # fmt: skip
    torch.testing.assert_close(outputs, expected)
    assert masks[0].tolist() == [[True, False, True, True]] * 2


def test_the_base_alone_says_what_is_missing() -> None:
    with pytest.raises(NotImplementedError, match=r"Merge has no merge\(self, inputs\)"):
        Merge()([torch.ones(1, 2)])


LAYERS = [
    Add(), Subtract(), Multiply(), Average(), Maximum(), Minimum(), Concatenate(1), Dot((1, 2)),
    Dot(2, normalize=True),
]  # fmt: skip


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_module_life(layer: Merge) -> None:
    x = [torch.randn(2, 3, 3), torch.randn(2, 3, 3)]
    goes_through_life(layer, x)
