"""Spectral normalization against singular values, and what it refuses."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn

from nnkit.errors import ArgumentError, ShapeError
from nnkit.layer import Layer
from nnkit.layers.convolution import Conv1D, Conv2D
from nnkit.layers.convolution_transpose import Conv2DTranspose
from nnkit.layers.core import Dense
from nnkit.layers.embedding import Embedding
from nnkit.layers.input import Input
from nnkit.layers.recurrent import LSTM
from nnkit.layers.separable import SeparableConv2D
from nnkit.layers.spectral_normalization import SpectralNormalization

IMAGES = torch.randn(2, 6, 5, 3)
INNER = [
    (lambda: Dense(4, activation="relu"), torch.randn(5, 3)),
    (lambda: Conv1D(4, 2), torch.randn(2, 6, 3)),
    (lambda: Conv2D(4, 3), IMAGES),
    (lambda: Conv2DTranspose(4, 3), IMAGES),
    (lambda: Embedding(7, 4), torch.arange(6).reshape(2, 3)),
]


def largest(kernel: torch.Tensor) -> float:
    """The largest singular value of a kernel in Keras's layout, its last axis against the rest."""
    return float(torch.linalg.matrix_norm(kernel.detach().reshape(-1, kernel.shape[-1]), ord=2))


def kernel_of(layer: Any) -> torch.Tensor:
    return layer.embeddings if isinstance(layer, Embedding) else layer.kernel


@pytest.mark.parametrize(("make", "x"), INNER)
def test_largest_singular_value_becomes_one(make: Any, x: torch.Tensor) -> None:
    layer = SpectralNormalization(make(), power_iterations=300)
    layer(x)
    with torch.no_grad():
        kernel_of(layer.layer).mul_(5)
    before = kernel_of(layer.layer).clone()
    y = layer(x, training=True)
    torch.testing.assert_close(kernel_of(layer.layer), before / largest(before))
    torch.testing.assert_close(y, layer.layer(x))
    assert y.is_floating_point()
    assert layer.vector_u.norm().item() == pytest.approx(1)


def test_the_iteration_goes_on_from_call_to_call() -> None:
    layer, x = SpectralNormalization(Dense(6)), torch.randn(4, 5)
    layer(x)
    for _ in range(200):
        layer(x, training=True)
    assert largest(layer.layer.kernel) == pytest.approx(1, abs=1e-4)


def test_inference_changes_nothing() -> None:
    layer, x = SpectralNormalization(Dense(6)), torch.randn(4, 5)
    torch.testing.assert_close(layer(x), layer.layer(x))
    before = layer.get_weights()
    layer(x, training=False)
    for one, other in zip(layer.get_weights(), before, strict=True):
        assert (one == other).all()


def test_zeros_stay() -> None:
    layer, x = SpectralNormalization(Dense(6, kernel_initializer="zeros")), torch.randn(4, 5)
    layer(x)
    before = layer.vector_u.clone()
    assert torch.equal(layer(x, training=True), torch.zeros(4, 6))
    assert torch.equal(layer.vector_u, before)
    assert torch.equal(layer.layer.kernel, torch.zeros(5, 6))


def test_two_calls_before_the_gradient() -> None:
    """A discriminator sees real and fake data in one step: each call used its own kernel."""
    layer, (real, fake) = SpectralNormalization(Dense(2)), torch.randn(2, 4, 3)
    inputs = fake.requires_grad_()
    layer(real)
    layer.train()
    first = layer(real)
    middle = layer(inputs)
    kernel = layer.layer.kernel.detach().clone()
    last = layer(real)
    (first.sum() + (middle**2).sum() + last.sum()).backward()
    assert inputs.grad is not None
    torch.testing.assert_close(inputs.grad, 2 * middle.detach() @ kernel.T)
    gradient = fake.detach().T @ (2 * middle.detach()) + 2 * real.sum(0)[:, None]
    torch.testing.assert_close(layer.layer.weight.grad.T, gradient)


def test_weights_in_keras_order() -> None:
    layer = SpectralNormalization(Conv2D(4, 3, kernel_regularizer="l2"))
    assert layer.weights == []
    layer(IMAGES)
    assert [w.name for w in layer.collect()] == ["kernel", "vector_u", "bias"]
    assert [w.shape for w in layer.get_weights()] == [(3, 3, 3, 4), (1, 4), (4,)]
    assert len(layer.trainable_weights) == 2
    assert layer.count_params() == 3 * 3 * 3 * 4 + 4 + 4
    assert len(layer.losses) == 1
    assert set(layer.state_dict()) == {"vector_u", "layer.weight", "layer.bias"}
    layer.trainable = False
    assert layer.trainable_weights == []


def test_a_layer_of_ones_own() -> None:
    class Scale(Layer):
        def build(self, input_shape: Any) -> None:
            self.kernel = self.add_weight((input_shape[-1],), "ones", name="factor")

        def call(self, inputs: torch.Tensor) -> torch.Tensor:
            return inputs * self.kernel

    layer = SpectralNormalization(Scale())
    y = layer(torch.ones(2, 4), training=True)
    torch.testing.assert_close(y, torch.full((2, 4), 0.5))


def test_masks_go_through() -> None:
    layer, x = SpectralNormalization(Embedding(5, 3, mask_zero=True)), torch.tensor([[1, 2, 0]])
    assert layer(x)._keras_mask.tolist() == [[True, True, False]]
    symbol = layer(Input((3,), dtype="int64"))
    assert symbol._keras_mask.shape == symbol.shape[:2]
    assert (symbol.shape, symbol.dtype) == ((None, 3, 3), torch.float32)


def test_output_has_the_type_of_the_input() -> None:
    layer = SpectralNormalization(Dense(3, dtype="float64"))
    assert layer(torch.zeros(2, 4, dtype=torch.float64)).dtype == torch.float64
    assert layer(Input((4,), dtype="float64")).dtype == torch.float64


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True])
def test_wrong_iterations(wrong: Any) -> None:
    with pytest.raises(ArgumentError, match="power_iterations must be a whole number of at least"):
        SpectralNormalization(Dense(3), power_iterations=wrong)


@pytest.mark.parametrize("inner", [LSTM(3), SeparableConv2D(3, 2), nn.Linear(3, 3)])
def test_layers_without_a_kernel(inner: Any) -> None:
    layer = SpectralNormalization(inner)
    x = torch.zeros(2, 4, 3) if isinstance(inner, LSTM) else IMAGES
    with pytest.raises(ArgumentError, match="needs a layer with one weight called kernel or"):
        layer(x)


def test_other_mistakes() -> None:
    with pytest.raises(ArgumentError, match="needs a layer or torch module, got 3"):
        SpectralNormalization(3)
    with pytest.raises(ShapeError, match=r"Conv2D 'inner' expects \(batch, height, width, chan"):
        SpectralNormalization(Conv2D(3, 3, name="inner"))(torch.zeros(2, 5))
    layer = SpectralNormalization(Conv2D(3, 3))
    layer(IMAGES)
    with pytest.raises(ShapeError, match="built for 3 channels"):
        layer(torch.zeros(2, 6, 5, 4))


@pytest.mark.parametrize(("make", "x"), INNER[1:4])
def test_compiles_and_copies(make: Any, x: torch.Tensor) -> None:
    layer = SpectralNormalization(make(), power_iterations=2, name="norm")
    layer(x)
    layer.train()
    others = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]
    again = SpectralNormalization.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    again(x)
    again.set_weights(layer.get_weights())
    torch._dynamo.reset()
    compiled = torch.compile(copy.deepcopy(layer), fullgraph=True, backend="eager")
    expected = layer(x)
    for other in (compiled, *others, again.train()):
        torch.testing.assert_close(other(x), expected)
    for other in others:
        torch.testing.assert_close(other.vector_u, layer.vector_u)
