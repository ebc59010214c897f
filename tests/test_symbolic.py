"""Whatever torch can do to a tensor is recorded, and gives the same values when data runs."""

from __future__ import annotations

import operator
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnkit.errors import GraphError, ShapeError
from nnkit.layers import Dense, Input
from nnkit.models import Model
from nnkit.naming import clear
from nnkit.symbolic import SymbolicTensor
from nnkit.tree import flatten, map_structure

EXPRESSIONS: list[Callable[[Any], Any]] = [
    lambda x: x + 1,
    lambda x: 1 - x,
    lambda x: 2 / (x + 3),
    lambda x: 2**x,
    lambda x: x**2 // 0.3,
    lambda x: -x % 0.4,
    lambda x: abs(-x),
    lambda x: ~(x > 0.5),
    lambda x: (x > 0.2) & (x < 0.8) | (x == 0.1) ^ (x != 0.3),
    lambda x: (x >= 0.2).float() * (x <= 0.4),
    lambda x: x @ torch.ones(6, 3),
    lambda x: torch.ones(4, 4) @ x,
    lambda x: x[:, 0],
    lambda x: x[:, ::2, None],
    lambda x: x[..., -1],
    lambda x: x[None, :, 1:3, ..., 2:5:2],
    lambda x: x[:, [0, 2]],
    lambda x: x[:, torch.tensor([3, 1])],
    lambda x: x[:, :, x.size(2) - 2],
    lambda x: torch.cat([x, x * 2], -1),
    lambda x: torch.stack([x, x], 1),
    lambda x: torch.einsum("bij,bkj->bik", x, x),
    lambda x: torch.where(x > 0.5, x, torch.zeros_like(x)),
    lambda x: torch.topk(x, 2),
    lambda x: torch.topk(x, 2).indices,
    lambda x: x.max(-1).values,
    lambda x: torch.split(x, [1, 3], 1),
    lambda x: x.chunk(3, -1),
    lambda x: torch.meshgrid(x[0, 0], x[0, 1], indexing="ij"),
    lambda x: F.gelu(x),
    lambda x: F.softmax(x, dim=-1),
    lambda x: F.max_pool2d(x[:, None], 2),
    lambda x: F.layer_norm(x, (6,)),
    lambda x: x.reshape(x.size(0), -1),
    lambda x: x.view(x.size(0), x.size(1) * 2, -1),
    lambda x: x.reshape(*x.size()[:1], 24),
    lambda x: x.flatten(1).unflatten(1, (3, 8)),
    lambda x: x.mean((1, 2), keepdim=True).expand(-1, 4, 6),
    lambda x: x.transpose(1, 2).contiguous(),
    lambda x: x.mT,
    lambda x: x.permute(0, 2, 1).movedim(1, -1),
    lambda x: x.masked_fill(x > 0.5, 0.0),
    lambda x: x.to(torch.float64),
    lambda x: x.type_as(x.double()).half().dtype is torch.float16 and x,
    lambda x: x.sum(),
    lambda x: x.unbind(1),
    lambda x: torch.linalg.norm(x, dim=-1),
    lambda x: torch.nn.functional.one_hot((x * 3).long(), 4),
    lambda x: nn.Linear(6, 2)(x),
    lambda x: nn.Sequential(nn.Linear(6, 2), nn.ReLU())(x),
    lambda x: nn.MultiheadAttention(6, 2, batch_first=True)(x, x, x),
    lambda x: nn.LSTM(6, 3, batch_first=True)(x),
    lambda x: nn.Flatten()(x),
    lambda x: [row for row in x.movedim(0, -1)],  # noqa: C416 - iterating is the point
    lambda x: {"a": x, "b": (x + 1, [x - 1])},
]


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=range(len(EXPRESSIONS)))
def test_values_shapes_and_copies(expression: Callable[[Any], Any]) -> None:
    """The graph gives what torch gives, for two batch sizes; shapes and a pickled copy agree."""
    x = Input((4, 6))
    torch.manual_seed(1)
    symbolic = expression(x)
    model = Model(x, symbolic)
    copy = pickle.loads(pickle.dumps(model))
    for batch in (4, 2):
        data = torch.rand(batch, 4, 6)
        results, again = model(data), copy(data)
        torch.manual_seed(1)
        expected = expression(data)
        symbols = flatten(symbolic)
        leaves = flatten(expected if len(symbols) > 1 else [expected])
        assert len(symbols) == len(leaves)
        for a, b, c, s in zip(
            flatten([results]), flatten([leaves]), flatten([again]), symbols, strict=True
        ):
            torch.testing.assert_close(a, b, rtol=0, atol=0)
            torch.testing.assert_close(a, c, rtol=0, atol=0)
            assert s.dtype == a.dtype
            assert len(s.shape) == a.ndim
            for known, size in zip(s.shape, a.shape, strict=True):
                assert known in (None, size)


@pytest.mark.parametrize(
    ("shape", "expression", "result"),
    [
        ((None, 6), lambda x: x.reshape(x.size(0), -1, 3), (None, None, 3)),
        ((8,), lambda x: x.reshape(-1, 8).reshape(-1, 2, 4), (None, 2, 4)),
        ((None, None, 3), lambda x: F.avg_pool2d(x.movedim(-1, 1), 2), (None, 3, None, None)),
        ((5, 4), lambda x: x.sum(0), (5, 4)),
        ((5, 4), lambda x: x.sum(), ()),
        ((5,), lambda x: x[:3], (3, 5)),
        ((None,), lambda x: torch.cat([x, x], 1), (None, None)),
        ((None,), lambda x: x.unsqueeze(-1).expand(-1, -1, 7), (None, None, 7)),
        ((), lambda x: x * 2, (None,)),
    ],
)
def test_inferred_shapes(shape: Any, expression: Any, result: Any) -> None:
    assert expression(Input(shape)).shape == result


def test_a_fixed_batch_is_known() -> None:
    x = Input((3,), batch_size=7)
    assert x.shape == (7, 3)
    assert x.reshape(-1).shape == (21,)
    assert Input(batch_shape=(2, None)).shape == (2, None)


def test_parameters_and_tensors_in_functions() -> None:
    """A parameter met on the way is trained; a tensor is kept as a buffer; both once."""
    scale, shift = nn.Parameter(torch.full((3,), 2.0)), torch.ones(3)
    x = Input((3,))
    model = Model(x, (x * scale + shift) * scale + shift)
    data = torch.rand(2, 3)
    torch.testing.assert_close(model(data), (data * 2 + 1) * 2 + 1)
    assert [p is scale for p in model.parameters()] == [True]
    assert [w is scale for w in model.trainable_weights] == [True]
    assert sorted(model.state_dict()) == ["constant_0", "constant_1"]
    model(data).sum().backward()
    assert scale.grad is not None
    with torch.no_grad():
        scale.zero_()
    torch.testing.assert_close(model(data), torch.ones(2, 3))


def test_arrays_meet_symbolic_tensors() -> None:
    x, numbers = Input((3,)), np.arange(3, dtype="float32")
    model = Model(x, [numbers * x, x - numbers, np.float32(3) / x])
    left, right, scalar = model(torch.full((1, 3), 2.0))
    assert left.tolist() == [[0, 2, 4]]
    assert right.tolist() == [[2, 1, 0]]
    assert scalar.tolist() == [[1.5] * 3]


def test_identity_is_the_hash() -> None:
    x, y = Input((3,)), Input((3,))
    assert len({x, y, x}) == 2
    assert type(x == y) is SymbolicTensor
    assert "made by" in repr(x)
    assert x.dim() == x.ndim == 2


def test_names_of_functions() -> None:
    clear()
    x = Input((3,))
    assert [t.name for t in (x + 1, x + 1, F.relu(x), x[:, 0], torch.cat([x, x]))] == [
        "add",
        "add_1",
        "relu",
        "get_item",
        "cat",
    ]


@pytest.mark.parametrize(
    ("mistake", "error", "message"),
    [
        (lambda x: x.size(0).shape[0], IndexError, "tuple index"),
        (lambda x: x.size(0).dtype, GraphError, "is a recorded size, not a tensor"),
        (
            lambda x: Dense(2)(x.reshape(-1)),
            ShapeError,
            r"'dense\w*' (expects|needs to know)",
        ),
        (lambda x: operator.setitem(x, 0, 1), GraphError, "cannot be changed in place"),
    ],
)
def test_errors(mistake: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        mistake(Input((3,)))


def test_tracing_does_not_compute() -> None:
    """An image of a million pixels and a thousand channels takes no memory and no time."""
    x = Input((1000, 1000, 1000))
    assert torch.matmul(x, x).softmax(-1).shape == (None, 1000, 1000, 1000)


def test_map_structure_leaves_arguments_alone() -> None:
    index = (slice(None), [0, 2])
    assert map_structure(lambda v: v, index) == index
