"""What counts as a tensor, and operations as steps of a graph."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import nnkit
from nnkit import ops
from nnkit.errors import ArgumentError, GraphError, ShapeError
from nnkit.layers import Dense, Input
from nnkit.models import Model
from nnkit.tree import flatten


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (True, "bool"),
        (3, "int32"),
        (2**31, "int64"),
        (1.5, "float32"),
        (1 + 2j, "complex64"),
        ([1, 2], "int32"),
        ([1, 2**40], "int64"),
        ([1, 2.5], "float32"),
        ([], "float32"),
        ([True, False], "bool"),
        (np.ones(2), "float32"),
        (np.float64(1), "float32"),
        ([np.ones(2), np.ones(2)], "float32"),
        (np.ones(2, "float16"), "float16"),
        (np.arange(2), "int64"),
        (np.arange(2, dtype="uint16"), "int32"),
        (np.arange(2, dtype="uint32"), "int64"),
        (torch.ones(2, dtype=torch.float64), "float64"),
        ([torch.ones(2), torch.zeros(2)], "float32"),
        (range(3), "int64"),
    ],
)
def test_conversion(value: Any, dtype: str) -> None:
    made = ops.convert_to_tensor(value)
    assert ops.dtype(made) == dtype
    assert np.array_equal(ops.convert_to_numpy(made), np.asarray(ops.convert_to_numpy(value)))
    if not made.is_complex():
        assert ops.dtype(ops.convert_to_tensor(value, "float64")) == "float64"


def test_conversion_of_memory() -> None:
    array = np.zeros(3, "float32")
    shared = ops.convert_to_tensor(array)
    array[0] = 7
    assert shared[0] == 7
    assert ops.convert_to_tensor(np.arange(3)[::-1]).tolist() == [2, 1, 0]
    fixed = np.arange(3)
    fixed.setflags(write=False)
    assert ops.convert_to_tensor(fixed).tolist() == [0, 1, 2]
    x = torch.ones(2)
    assert ops.convert_to_tensor(x) is x
    variable = nnkit.Variable([1.0, 2.0], requires_grad=True)
    assert ops.convert_to_numpy(ops.multiply(variable, 2)).tolist() == [2, 4]
    assert ops.convert_to_numpy(torch.ones(2, dtype=torch.bfloat16)).dtype == np.float32
    assert ops.convert_to_numpy([torch.ones(2), [1, 2]]).tolist() == [[1, 1], [1, 2]]


@pytest.mark.parametrize("value", [np.array(["a"]), ["a", "b"], object(), "word", [[1], [1, 2]]])
def test_no_tensor(value: Any) -> None:
    with pytest.raises(ArgumentError, match="A tensor is made of"):
        ops.convert_to_tensor(value)


@pytest.mark.parametrize("flag", ["sparse", "ragged"])
def test_dense_only(flag: str) -> None:
    with pytest.raises(ArgumentError, match="dense tensors only"):
        ops.convert_to_tensor([1.0], **{flag: True})


def test_numbers_do_not_widen() -> None:
    half = torch.ones(2, dtype=torch.float16)
    for name in ("add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "equal"):
        for pair in ((half, 2.5), (2.5, half)):
            assert getattr(ops, name)(*pair).dtype in (torch.float16, torch.bool)


def test_lists_go_where_the_tensors_are() -> None:
    x = torch.ones(2, 3, device="meta")
    assert ops.add(x, [1.0, 2.0, 3.0]).device.type == "meta"
    assert ops.concatenate([x, np.ones((1, 3))]).device.type == "meta"
    assert ops.where([True, False, True], x, 0.0).shape == (2, 3)


# -- graphs ----------------------------------------------------------------------------------------

FREE: list[tuple[Any, Callable[[Any], Any], Any]] = [
    ((6,), lambda x: ops.reshape(x, (-1, 2, 3)), (None, 2, 3)),
    ((None, 6), lambda x: ops.reshape(x, (ops.shape(x)[0], -1, 3)), (None, None, 3)),
    ((6,), lambda x: ops.zeros((ops.shape(x)[0], 4)), (None, 4)),
    ((6,), lambda x: x[:, :4] + ops.ones((ops.shape(x)[0], 4)), (None, 4)),
    ((None, 6), lambda x: ops.arange(ops.shape(x)[1]), (None,)),
    ((None, 6), lambda x: x + ops.expand_dims(ops.arange(ops.shape(x)[1]), -1), (None, None, 6)),
    ((6,), lambda x: ops.concatenate([x, [[1.0] * 6]], 0), (None, 6)),
    ((6,), lambda x: ops.add(x, [1, 2, 3, 4, 5, 6]), (None, 6)),
    ((6,), lambda x: ops.matmul(x, np.ones((6, 2))), (None, 2)),
    ((6,), lambda x: ops.mean(x, axis=-1, keepdims=True), (None, 1)),
    ((6,), lambda x: ops.top_k(x, 2).values, (None, 2)),
    ((6,), lambda x: ops.split(x, 3, -1), (None, 2)),
    ((6,), lambda x: ops.moments(x, 0), (6,)),
    ((6,), lambda x: ops.cond(ops.sum(x) > 0, lambda: x, lambda: -x), (None, 6)),
    ((6,), lambda x: ops.while_loop(lambda v: ops.sum(v) < 99, lambda v: v * 2, x), (None, 6)),
    ((6,), lambda x: ops.fori_loop(0, 3, lambda i, v: v + i, x), (None, 6)),
    ((5, 6), lambda x: ops.scan(lambda c, r: (c + r, c), x[0], x)[1], (None, 5, 6)),
    ((6,), lambda x: ops.map(lambda r: r * 2, ops.transpose(x)), (6, None)),
    ((6,), lambda x: ops.vectorized_map(lambda r: r.sum(), x), (None,)),
    ((6,), lambda x: ops.switch(1, [ops.sin, ops.cos], x), (None, 6)),
    ((None, None, 3), lambda x: ops.image.resize(x, (8, 9)), (None, 8, 9, 3)),
    ((None, None, 3), lambda x: ops.max_pool(x, 2), (None, None, None, 3)),
    ((4, 4, 3), lambda x: ops.image.extract_patches(x, 2), (None, 2, 2, 12)),
    ((None, 2, 4), lambda x: ops.dot_product_attention(x, x, x), (None, None, 2, 4)),
    ((None, 6), lambda x: ops.rearrange(x, "b t (h f) -> b h t f", h=2), (None, 2, None, 3)),
    ((None, 6), lambda x: ops.take(x, [0, -1], -1), (None, None, 2)),
    ((None, 6), lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 0)), "reflect"), (None, None, 6)),
    ((6,), lambda x: ops.cast(ops.size(x), "float32") * x, (None, 6)),
]


@pytest.mark.parametrize(("shape", "build", "expected"), FREE, ids=range(len(FREE)))
def test_free_sizes(shape: Any, build: Callable[[Any], Any], expected: Any) -> None:
    """Free sizes stay free, and the graph computes for two batch sizes what the code does."""
    x = Input(shape)
    result = build(x)
    assert flatten(result)[0].shape == expected
    model = Model(x, result)
    for batch in (3, 2):
        data = torch.rand(batch, *(8 if size is None else size for size in shape))
        for got, wanted in zip(flatten(model(data)), flatten(build(data)), strict=True):
            torch.testing.assert_close(got, wanted)


def test_a_call_is_one_step_named_as_in_keras() -> None:
    nnkit.config.clear_session()
    x = Input((6,))
    y = ops.softmax(ops.layer_normalization(ops.mean(x, axis=1, keepdims=True), axis=-1))
    assert y.node.op.name == "softmax"
    assert [each.name for each in y.node.inputs] == ["layer_normalization"]
    assert ops.mean(x).name == "mean_1"
    assert ops.is_tensor(x)
    assert ops.ndim(x) == 2


def test_models_are_copied_and_pickled() -> None:
    x = Input((4, 6))
    y = ops.relu(ops.einsum("btf,bsf->bts", x, x))
    y = Dense(2)(ops.swish(ops.image.sobel_edges(ops.reshape(y, (-1, 4, 4, 1)))))
    model, data = Model(x, ops.sin(y)), torch.rand(3, 4, 6)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        torch.testing.assert_close(other(data), model(data))


def test_a_graph_that_does_not_fit() -> None:
    with pytest.raises(ShapeError, match="'matmul' does not fit its inputs"):
        ops.matmul(Input((6,)), torch.ones(5, 2))
    with pytest.raises(GraphError, match="needs values"):
        ops.convert_to_numpy(Input((6,)))
    with pytest.raises(ShapeError, match="equal parts"):
        ops.split(Input((6,)), 4, -1)


TABLE = np.arange(6) / 6


class _Positions(nnkit.Layer):
    """A layer of operations, shapes and all."""

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        length = ops.shape(inputs)[1]
        place = ops.cast(ops.expand_dims(ops.arange(length), -1), "float32")
        x = ops.add(inputs, ops.sin(ops.divide(place, 10.0)))
        x = ops.where(ops.greater(x, 0.5), x, ops.zeros_like(x)) * ops.add(
            TABLE, [1, 2, 3, 4, 5, 6]
        )
        x = ops.cond(ops.mean(x) > 0, lambda: x * 2, lambda: -x)
        return ops.std(ops.take(x, [0, 2], axis=1), axis=-1)


def test_inside_a_layer_also_compiled() -> None:
    layer, data = _Positions(), torch.rand(3, 5, 6)
    expected = layer(data)
    assert layer(Input((5, 6))).shape == (None, 2)
    torch._dynamo.reset()
    torch.testing.assert_close(
        torch.compile(layer, fullgraph=True, backend="eager")(data), expected
    )


def test_gradients_flow() -> None:
    x = torch.rand(3, 4, requires_grad=True)
    y = ops.sum(ops.multiply(ops.softmax(ops.matmul(x, np.ones((4, 2)))), [1.0, 2.0]))
    y.backward()
    assert x.grad is not None
    assert ops.stop_gradient(x).requires_grad is False
