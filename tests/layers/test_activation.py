"""Activation layers: errors, values, and life as a torch module."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F

from nnkit.activations import keep_logits, logits_of
from nnkit.errors import ArgumentError, ShapeError
from nnkit.layer import Layer
from nnkit.layers.activation import ELU, LeakyReLU, PReLU, ReLU, Softmax
from nnkit.layers.input import Input
from tests.layers.life import goes_through_life

X = torch.tensor([[-3.0, -0.5, 0.0, 0.5, 9.0]])


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (ReLU(), [0, 0, 0, 0.5, 9]),
        (ReLU(6), [0, 0, 0, 0.5, 6]),
        (ReLU(6, 0.1, 1), [-0.4, -0.15, -0.1, -0.05, 6]),
        (LeakyReLU(), [-0.9, -0.15, 0, 0.5, 9]),
        (ELU(2), [-1.9004259, -0.78693868, 0, 0.5, 9]),
        (PReLU(alpha_initializer="ones"), [-3, -0.5, 0, 0.5, 9]),
    ],
)
def test_values(layer: Layer, expected: list[float]) -> None:
    torch.testing.assert_close(layer(X), torch.tensor([expected]))


def test_prelu_is_torchs_with_one_slope_a_channel() -> None:
    image = torch.randn(2, 3, 4, 5)
    layer = PReLU(shared_axes=[1, 2])
    layer(image)
    layer.set_weights([torch.linspace(-1, 1, 5).reshape(1, 1, 5)])
    expected = F.prelu(image.permute(0, 3, 1, 2), torch.linspace(-1, 1, 5)).permute(0, 2, 3, 1)
    torch.testing.assert_close(layer(image), expected)


def test_softmax_keeps_its_logits_for_the_loss() -> None:
    with keep_logits():
        probabilities = Softmax()(X)
    assert logits_of(probabilities)[1] is X


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_softmax_mask_in_other_dtypes(dtype: torch.dtype) -> None:
    x = torch.tensor([[1.0, 1.0, 50.0]])
    result = Softmax(dtype=dtype)(x, mask=torch.tensor([1, 1, 0]))
    assert result.dtype == dtype
    assert result.tolist() == [[0.5, 0.5, 0]]


def test_the_old_name_of_the_slope_warns_once() -> None:
    with pytest.warns(FutureWarning, match="write negative_slope=") as caught:
        layer = LeakyReLU(alpha=0.1)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = LeakyReLU.from_config(layer.get_config())
    assert again.negative_slope == 0.1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ReLU(max_value=-1),
            r"ReLU '.*': max_value must be a number of at least 0, got -1",
        ),
        (lambda: ReLU(negative_slope=None), "negative_slope must be a number of at least 0"),
        (lambda: ReLU(threshold=float("nan")), "threshold must be a number of at least 0, got nan"),
        (lambda: LeakyReLU(-0.1), "negative_slope must be a number of at least 0, got -0.1"),
        (lambda: LeakyReLU(None), "negative_slope must be a number"),
        (lambda: ELU("a"), "alpha must be a number, got 'a'"),
        (lambda: PReLU(shared_axes=[0]), "an entry of shared_axes must be a whole number"),
        (lambda: Softmax(axis=1.0), "axis must be an int or ints, got 1.0"),
        (lambda: Softmax(axis=[]), r"axis must be an int or ints, got \[\]"),
    ],
)
def test_wrong_arguments(make: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (PReLU, (None, 3), r"size of axis 1, but received \(batch, None, 3\).*shared_axes"),
        (lambda: PReLU(shared_axes=[1, 3]), (4, 3), r"has no axis 3"),
        (lambda: Softmax(axis=2), (3,), r"along axis 2, but \(batch, 3\) has axes 0 to 1"),
        (lambda: Softmax(axis=[1, -4]), (3, 3), r"along axis -4"),
    ],
)
def test_wrong_shapes(make: object, shape: tuple, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        make()(Input(shape))


@pytest.mark.parametrize("shape", [(2, 4, 6), (2, 5, 5), (2, 5)])
def test_prelu_refuses_what_its_slopes_do_not_fit(shape: tuple) -> None:
    layer = PReLU(shared_axes=[1])
    layer(torch.ones(2, 4, 5))
    if shape == (2, 5, 5):
        assert layer(torch.ones(shape)).shape == shape
        return
    with pytest.raises(ShapeError, match=r"slopes of shape \(1, 5\) but received"):
        layer(torch.ones(shape))


@pytest.mark.parametrize("mask", [(2, 4, 3, 5), (4, 3), (2, 5, 1)])
def test_softmax_refuses_masks_that_do_not_fit(mask: tuple) -> None:
    with pytest.raises(ShapeError, match=r"does not fit \(2, 4, 5\)"):
        Softmax()(torch.ones(2, 4, 5), mask=torch.ones(mask))


LAYERS = [ReLU(6, 0.1, 0.5), LeakyReLU(), PReLU(shared_axes=[1]), ELU(), Softmax(), Softmax([1, 2])]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_module_life(layer: Layer) -> None:
    x = torch.randn(2, 4, 5)
    goes_through_life(layer, x)
