"""Embedding against a table of rows written by hand."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

from nnkit.errors import ArgumentError, DataError, ShapeError
from nnkit.layers.embedding import Embedding
from nnkit.layers.input import Input

TABLE = np.arange(12, dtype="float32").reshape(4, 3)


@pytest.mark.parametrize(
    "indices",
    [
        torch.tensor([[3, 0], [1, 1]]),
        torch.tensor([[3, 0], [1, 1]], dtype=torch.int32),
        torch.tensor([[3, 0], [1, 1]], dtype=torch.uint8),
        torch.tensor([[3.0, 0.0], [1.9, 1.0]]),
        torch.tensor([2, 3]),
        torch.tensor([[[3], [2]]]),
    ],
)
def test_looks_up_rows(indices: torch.Tensor) -> None:
    layer = Embedding(4, 3, weights=TABLE)
    expected = TABLE[indices.numpy().astype(int)]
    np.testing.assert_array_equal(layer(indices).detach().numpy(), expected)
    assert layer.weight.shape == (4, 3)
    assert layer.embeddings.data_ptr() == layer.weight.data_ptr()


def test_only_rows_that_were_used_get_a_gradient() -> None:
    layer = Embedding(4, 3)
    layer(torch.tensor([[1, 1, 3]])).sum().backward()
    assert layer.weight.grad[:, 0].tolist() == [0, 2, 0, 1]


@pytest.mark.parametrize("weights", [TABLE, [TABLE], (torch.tensor(TABLE),)])
def test_first_weights_survive_the_first_call(weights: object) -> None:
    layer = Embedding(4, 3, weights=weights)
    layer(torch.zeros(1, 1, dtype=torch.int64))
    np.testing.assert_array_equal(layer.get_weights()[0], TABLE)
    assert "weights" not in layer.get_config()


def test_mask() -> None:
    indices = torch.tensor([[1, 0, 2, 0]])
    assert not hasattr(Embedding(4, 3)(indices), "_keras_mask")
    assert Embedding(4, 3, mask_zero=True)(indices)._keras_mask.tolist() == [[1, 0, 1, 0]]
    symbolic = Embedding(4, 3, mask_zero=True)(Input((None,), dtype="int64"))
    assert symbolic.shape == (None, None, 3)
    assert symbolic._keras_mask.shape == (None, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 3), r"input_dim must be a whole number of at least 1, got 0"),
        ((4, 1.5), r"output_dim must be a whole number"),
        ((4, 3, "unifrom"), r"Unknown initializer 'unifrom'. Did you mean 'uniform'"),
        ((4, 3, "uniform", None, None, False, None, 2), r"lora_rank.* not available; leave them"),
    ],
)
def test_refuses(arguments: tuple, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Embedding(*arguments)


def test_refuses_weights_of_another_shape() -> None:
    with pytest.raises(ShapeError, match=r"needs \(4, 3\) for 'embeddings' but \(3, 4\) was given"):
        Embedding(4, 3, weights=TABLE.T)


@pytest.mark.parametrize("bad", [4, -1])
def test_index_outside_the_table(bad: int) -> None:
    layer = Embedding(4, 3, name="words")
    with pytest.raises(DataError, match=rf"'words' has 4 vectors, .* 0 to 3, .* received {bad} to"):
        layer(torch.tensor([[bad, 100 if bad > 0 else bad]]))


def test_compiles_copies_and_reloads() -> None:
    layer, indices = Embedding(4, 3, mask_zero=True), torch.tensor([[3, 0]])
    expected = layer(indices)
    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    for made in (compiled, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.testing.assert_close(made(indices), expected)
        assert made(indices)._keras_mask.tolist() == [[True, False]]
    again = Embedding.from_config(layer.get_config())
    assert (again.input_dim, again.output_dim, again.mask_zero) == (4, 3, True)
