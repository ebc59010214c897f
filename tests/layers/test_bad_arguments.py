"""What no layer takes, one table over all families: each line names the argument and says why."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch

from nnkit import layers as L
from nnkit.errors import ArgumentError, DataError, NnkitError, NotBuiltError, ShapeError
from nnkit.layers import Input
from tests.layers.test_conformance import ROWS, Row
from tests.odd_arguments import bare_errors

MADE: list[tuple[Any, str]] = [
    (lambda: L.Dense(-1), "units must be a whole number of at least 1, got -1"),
    (lambda: L.Dense(2.5), "units must be a whole number"),
    (lambda: L.EinsumDense("ab", 3), "equation"),
    (lambda: L.Embedding(0, 3), "input_dim must be a whole number"),
    (lambda: L.Conv2D(0, 3), "filters must be a whole number"),
    (lambda: L.Conv2D(2, -3), "kernel_size must be a whole number"),
    (lambda: L.Conv2D(2, (3, 3, 3)), "kernel_size must be an int or 2 ints"),
    (lambda: L.Conv2D(2, 3, padding="full"), "padding must be one of 'valid', 'same'"),
    (lambda: L.Conv2D(2, 3, padding="causal"), "padding must be one of 'valid', 'same'"),
    (lambda: L.Conv2D(3, 3, groups=2), "groups"),
    (lambda: L.Conv3DTranspose(2, 3, strides=0), "strides must be a whole number"),
    (lambda: L.DepthwiseConv2D(3, depth_multiplier=0), "depth_multiplier must be a whole number"),
    (lambda: L.SeparableConv1D(2, 3, data_format="last"), "data_format must be one of"),
    (lambda: L.MaxPooling2D(0), "pool_size must be a whole number"),
    (lambda: L.AveragePooling1D(2, padding="causal"), "padding must be one of"),
    (lambda: L.AdaptiveMaxPooling2D(0), "output_size must be a whole number"),
    (lambda: L.UpSampling2D(0), "size must be a whole number"),
    (lambda: L.UpSampling2D(2, interpolation="cubic"), "interpolation must be one of"),
    (lambda: L.Dropout(1.5), "rate"),
    (lambda: L.GaussianNoise(-1.0), "stddev"),
    (lambda: L.BatchNormalization(epsilon=-1.0), "epsilon"),
    (lambda: L.GroupNormalization(0), "groups"),
    (lambda: L.LSTM(0), "units must be a whole number"),
    (lambda: L.GRU(3, dropout=2.0), "dropout must be a number from 0 to 1"),
    (lambda: L.Bidirectional(L.LSTM(2), merge_mode="add"), "merge_mode must be one of"),
    (lambda: L.MultiHeadAttention(0, 2), "num_heads must be a whole number"),
    (lambda: L.GroupQueryAttention(2, 3, 2), "must be a multiple of num_key_value_heads"),
    (lambda: L.RepeatVector(-2), "n must be a whole number"),
    (lambda: L.Permute((0, 1)), "dims"),
    (lambda: L.Reshape((-1, -1)), "target_shape may have one -1"),
    (lambda: L.Softmax("last"), "axis must be an int or ints"),
    (lambda: L.ReLU(max_value=-1.0), "max_value"),
    (lambda: L.Hashing(0), "num_bins must be a whole number"),
    (lambda: L.CategoryEncoding(3, output_mode="int"), "output_mode must be one of"),
    (lambda: L.Resizing(0, 2), "height must be a whole number"),
    (lambda: L.StringLookup(num_oov_indices=-1), "num_oov_indices"),
    (lambda: L.TextVectorization(split="words"), "split"),
    (lambda: L.Dense(2, actvation="relu"), "Did you mean 'activation'"),
    (lambda: L.Dense(2, kernel_initializer="he"), "initializer"),
]


@pytest.mark.parametrize(("make", "message"), MADE, ids=[message for _, message in MADE])
def test_arguments(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


ROWS_BY_KIND = {case.kind: case for case in reversed(ROWS)}


def example(shape: Any, dtype: Any = None) -> Any:
    if isinstance(shape, list):
        return [example(one, dtype) for one in shape]
    full = (2, *(5 if size is None else size for size in shape))
    return torch.zeros(full, dtype=torch.int64) if dtype == "int64" else torch.rand(full)


@pytest.mark.parametrize("case", ROWS_BY_KIND.values(), ids=lambda case: case.kind.__name__)
def test_no_argument_ends_in_an_error_of_torchs(case: Row) -> None:
    call = case.options.get("call") or (lambda layer, inputs: layer(inputs))
    inputs = example(case.shape, case.options.get("input_dtype"))

    def made() -> dict[str, Any]:
        args, kwargs = case.make()._init_args
        return inspect.signature(case.kind).bind(*args, **kwargs).arguments

    several = inputs if isinstance(inputs, list) and "call" in case.options else [inputs]
    found = bare_errors(case.kind, made, lambda layer: call(layer, *several))
    assert found == []


CALLED: list[tuple[Any, tuple[int, ...], type[NnkitError], str]] = [
    (lambda: L.Dense(2), (4,), ShapeError, "expects"),
    (lambda: L.Conv2D(2, 3), (1, 2, 2, 3), ShapeError, "windows of 3 x 3, larger than its input"),
    (lambda: L.Conv2D(4, 3, groups=2), (1, 5, 5, 3), ShapeError, "groups"),
    (lambda: L.Conv2D(2, 3), (4, 784), ShapeError, r"Add Reshape\(\(28, 28, 1\)\)"),
    (lambda: L.AveragePooling2D(3), (1, 2, 2, 1), ShapeError, "windows of 3 x 3"),
    (lambda: L.BatchNormalization(axis=4), (2, 3), ShapeError, "axis"),
    (lambda: L.LayerNormalization(axis=5), (2, 3), ShapeError, "axis"),
    (lambda: L.GroupNormalization(3), (2, 4, 4), ShapeError, "groups"),
    (lambda: L.Softmax(7), (2, 3), ShapeError, "works along axis 7"),
    (lambda: L.LSTM(3), (2, 3), ShapeError, r"expects \(batch, time, features\)"),
    (lambda: L.Reshape((5,)), (2, 4), ShapeError, "4 elements"),
    (lambda: L.TimeDistributed(L.Dense(2)), (2, 3), ShapeError, r"expects \(batch, time, ...\)"),
    (lambda: L.Normalization(), (2, 3), NotBuiltError, "adapt"),
    (lambda: L.Discretization(num_bins=3), (2, 3), NotBuiltError, "adapt"),
]


@pytest.mark.parametrize(("make", "shape", "kind", "message"), CALLED)
def test_inputs(make: Any, shape: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        make()(torch.randn(shape))


@pytest.mark.parametrize(("mask", "inputs"), [("a", torch.arange(3)), (0, ["a", "b"])])
def test_hashing_masks_what_it_may_meet(mask: Any, inputs: Any) -> None:
    with pytest.raises(ArgumentError, match=f"mask_value={mask!r} is never met in inputs of"):
        L.Hashing(4, mask_value=mask)(inputs)


def test_whole_numbers_have_no_mean_here() -> None:
    with pytest.raises(DataError, match=r"AveragePooling2D .* needs decimal numbers"):
        L.AveragePooling2D(2)(torch.ones(1, 4, 4, 1, dtype=torch.int32))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([[[1.0]]], "has 2 weights but 1 were given"),
        ([torch.ones(2, 3), torch.ones(3)], r"needs \(3, 2\) for 'kernel' but \(2, 3\)"),
        ("abc", "takes a list of arrays"),
    ],
)
def test_weights(weights: Any, message: str) -> None:
    layer = L.Dense(2)
    layer(Input((3,)))
    before = layer.get_weights()
    with pytest.raises((ShapeError, ArgumentError), match=message):
        layer.set_weights(weights)
    assert all((old == new).all() for old, new in zip(before, layer.get_weights(), strict=True))
