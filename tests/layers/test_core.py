"""Dense, Activation and Lambda: errors, values, and life as a torch module."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nnkit.custom_objects import CustomObjectScope
from nnkit.errors import ArgumentError, ShapeError
from nnkit.layer import Layer
from nnkit.layers.convolution import Conv2D
from nnkit.layers.convolution_transpose import Conv2DTranspose
from nnkit.layers.core import Activation, Dense, Lambda
from nnkit.layers.einsum_dense import EinsumDense
from nnkit.layers.input import Input
from nnkit.layers.separable import SeparableConv2D
from tests.layers.life import goes_through_life


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dense(0), "Dense '.*': units must be a whole number of at least 1, got 0"),
        (lambda: Dense(2.5), "units must be a whole number"),
        (lambda: Dense("3"), "units must be a whole number"),
        (lambda: Dense(3, "rleu"), "Unknown activation 'rleu'.*'relu'"),
        (lambda: Dense(3, kernel_initializer="glorot"), "Unknown initializer 'glorot'"),
        (lambda: Dense(3, kernel_regularizer="l3"), "Unknown regularizer 'l3'"),
        (lambda: Dense(3, bias_constraint="nonneg2"), "Unknown constraint"),
        (lambda: Dense(3, unit=4), "argument of Dense 'unit'.*'units'"),
        (lambda: Activation("sigmoyd"), "Did you mean 'sigmoid'"),
        (lambda: Activation(3), "Cannot use 3 as activation"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((), r"expects \(batch, ..., features\) but received \(batch,\)"),
        ((3, None), r"needs to know the number of features, but received \(batch, 3, None\)"),
    ],
)
def test_wrong_shapes(shape: tuple, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        Dense(3)(Input(shape))


def test_features_may_not_change() -> None:
    layer = Dense(3)
    layer(torch.ones(2, 5))
    assert layer(torch.ones(7, 4, 5)).shape == (7, 4, 3)
    with pytest.raises(ShapeError, match=r"built for 5 features but received \(2, 6\)"):
        layer(torch.ones(2, 6))


def test_dense_is_torchs_linear() -> None:
    x, layer = torch.randn(4, 5), Dense(3, "tanh", bias_initializer="ones")
    y = layer(x)
    assert layer.weight.shape == (3, 5)
    assert layer.kernel.shape == (5, 3)
    torch.testing.assert_close(y, torch.tanh(F.linear(x, layer.weight, layer.bias)))
    assert [w.shape for w in layer.get_weights()] == [(5, 3), (3,)]
    assert sorted(layer.state_dict()) == ["bias", "weight"]
    assert Dense(3, use_bias=False)(x).shape == (4, 3)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "mixed_bfloat16"])
@pytest.mark.parametrize("kind", [torch.int32, torch.uint8, torch.bool])
def test_whole_numbers_become_floats(kind: torch.dtype, dtype: str) -> None:
    x = torch.tensor([[1, 0, 1], [0, 1, 1]]).to(kind)
    for layer in (Dense(4, dtype=dtype), EinsumDense("ab,bc->ac", 4, dtype=dtype)):
        assert torch.equal(layer(x), layer(x.float()))
        assert layer(Input((3,), dtype=kind)).shape == (None, 4)


def test_penalties_see_keras_layout() -> None:
    seen = []

    def note(kernel: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(kernel.shape))
        return kernel.sum() * 0 + 2

    layer = Dense(3, kernel_regularizer=note, bias_regularizer="l2", activity_regularizer="l1")
    layer(torch.ones(4, 5))
    assert [loss.numel() for loss in layer.losses] == [1, 1, 1]
    assert seen == [(5, 3)]


@pytest.mark.parametrize("activation", ["relu", torch.tanh, torch.nn.Softplus(), None])
def test_activation_takes_names_functions_and_modules(activation: Any) -> None:
    x = torch.randn(2, 3)
    expected = {"relu": torch.relu, None: lambda v: v}.get(activation, activation)(x)
    torch.testing.assert_close(Activation(activation)(x), expected)
    assert Activation(activation)(Input((3,))).shape == (None, 3)
    torch.testing.assert_close(Dense(3, activation, kernel_initializer="identity")(x), expected)


def _double(x: torch.Tensor) -> torch.Tensor:
    return 2 * x


def test_lambda_values_shapes_and_arguments() -> None:
    x = torch.randn(2, 3)
    torch.testing.assert_close(Lambda(_double)(x), 2 * x)
    scaled = Lambda(lambda value, by: value * by, arguments={"by": 3})
    torch.testing.assert_close(scaled(x), 3 * x)
    assert Lambda(lambda value: value[:, :2].mean(-1))(Input((5,))).shape == (None,)
    assert Lambda(lambda value: torch.cat([value, value], 1))(Input((None, 4))).shape[2] == 4
    joined = Lambda(lambda pair: pair[0] - pair[1])
    assert joined([x, x]).abs().sum() == 0


def test_lambda_masks() -> None:
    x = torch.ones(1, 2, 3)
    fixed = torch.tensor([[True, False]])
    assert Lambda(_double, mask=fixed)(x)._keras_mask is fixed
    made = Lambda(_double, mask=lambda inputs, mask: inputs.sum(-1) > 5)(x)._keras_mask
    assert made.tolist() == [[False, False]]


def test_numpy_input_becomes_the_default_float() -> None:
    assert Dense(2)(np.ones((3, 4))).dtype == torch.float32


LAYERS = [Dense(3), Dense(2, "softmax", False, "he_normal"), Activation("gelu"), Lambda(_double)]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_module_life(layer: Layer) -> None:
    x = torch.randn(2, 4, 5)
    goes_through_life(layer, x, config=not isinstance(layer, Lambda))


def test_lambda_fills_mask_and_training() -> None:
    layer = Lambda(lambda x, training, mask=None: x * (2 if training else 3))
    assert layer(torch.ones(1, 2)).tolist() == [[3.0, 3.0]]
    assert layer(torch.ones(1, 2), training=True).tolist() == [[2.0, 2.0]]


def test_lambda_config_makes_the_same_layer() -> None:
    layer = Lambda(torch.neg, name="minus")
    with CustomObjectScope({"neg": torch.neg}):
        again = Lambda.from_config(layer.get_config())
    assert again.name == "minus"
    assert again(torch.ones(1)).tolist() == [-1.0]


def test_a_lambda_goes_by_the_name_of_its_layer() -> None:
    layer = Lambda(lambda x: x + 1, name="plus", output_shape=lambda s: s)
    config = layer.get_config()
    assert config["function"]["config"] == "plus"
    assert "mask" not in config
    with pytest.raises(ArgumentError, match="no function 'plus' here"):
        Lambda.from_config(config)
    with CustomObjectScope({"plus": torch.neg}):
        assert Lambda.from_config(config)(torch.ones(1)).tolist() == [-1.0]


def test_bytecode_is_never_run() -> None:
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAA==", "defaults": None}}
    with pytest.raises(ArgumentError, match="holds the bytecode of a function, which is never"):
        Lambda.from_config({"name": "mine", "function": code})
    with CustomObjectScope({"mine": torch.neg}):
        assert Lambda.from_config({"name": "mine", "function": code}).function is torch.neg


def test_lambda_needs_a_function() -> None:
    with pytest.raises(ArgumentError, match="needs a function of a tensor, got 'neg'"):
        Lambda("neg")


@pytest.mark.parametrize("activation", ["softmax", torch.nn.Tanh()])
@pytest.mark.parametrize(
    "make",
    [
        lambda activation: Dense(3, activation),
        lambda activation: Conv2D(2, 3, activation=activation),
        lambda activation: EinsumDense("abcd,de->abce", (None, 6, 3), activation),
        lambda activation: SeparableConv2D(2, 3, activation=activation),
        lambda activation: Conv2DTranspose(2, 3, activation=activation),
    ],
)
def test_an_activation_taken_off_leaves_the_scores(make: Any, activation: Any) -> None:
    layer, value = make(activation), torch.rand(2, 6, 6, 4)
    layer(value)
    layer.activation = None
    plain = make(None)
    plain(value)
    plain.set_weights(layer.get_weights())
    torch.testing.assert_close(layer(value), plain(value))
    assert layer.get_config()["activation"] == "linear"
