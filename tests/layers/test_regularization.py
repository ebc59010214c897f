"""Regularization layers: errors, seeds, shapes of masks, and life as a torch module."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch

from nnkit.errors import ArgumentError, ShapeError
from nnkit.layer import Layer
from nnkit.layers.input import Input
from nnkit.layers.regularization import (
    ActivityRegularization,
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)

RANDOM = [
    (lambda seed: Dropout(0.5, seed=seed), (4, 6, 3)),
    (lambda seed: Dropout(0.5, (None, 1, 3), seed), (4, 6, 3)),
    (lambda seed: AlphaDropout(0.5, seed=seed), (4, 6, 3)),
    (lambda seed: SpatialDropout1D(0.5, seed), (4, 6, 30)),
    (lambda seed: SpatialDropout2D(0.5, None, seed), (4, 2, 2, 30)),
    (lambda seed: SpatialDropout3D(0.5, seed=seed), (4, 2, 2, 2, 30)),
    (lambda seed: GaussianNoise(0.5, seed), (4, 6, 3)),
    (lambda seed: GaussianDropout(0.5, seed), (4, 6, 3)),
]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dropout(1.5), r"Dropout '.*': rate must be a number from 0 to 1, got 1.5"),
        (lambda: Dropout(-0.1), "rate must be a number from 0 to 1, got -0.1"),
        (lambda: Dropout("a"), "rate must be a number from 0 to 1, got 'a'"),
        (lambda: Dropout(float("nan")), "rate must be a number from 0 to 1, got nan"),
        (lambda: Dropout(True), "rate must be a number from 0 to 1, got True"),
        (lambda: Dropout(0.5, noise_shape="1"), "noise_shape must be a tuple of sizes or None"),
        (lambda: Dropout(0.5, (None, 0)), "a size in noise_shape must be a whole number"),
        (lambda: Dropout(0.5, seed="a"), "seed must be an integer"),
        (lambda: AlphaDropout(1), "rate must be a number of at least 0 and below 1, got 1"),
        (lambda: SpatialDropout1D(2), "rate must be a number from 0 to 1, got 2"),
        (lambda: SpatialDropout2D(0.5, "last"), "data_format must be one of 'channels_last'"),
        (lambda: GaussianNoise(-1), "stddev must be a number from 0 to 1, got -1"),
        (lambda: GaussianNoise(1.1), "stddev must be a number from 0 to 1, got 1.1"),
        (lambda: GaussianDropout(1.0), "rate must be a number of at least 0 and below 1, got 1.0"),
        (lambda: ActivityRegularization(l1=-1), "l1 must be a number of at least 0, got -1"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Dropout(0.5, (None, 3, 4)), (3, 5),
         r"noise_shape=\(None, 3, 4\), which does not fit \(batch, 3, 5\)"),
        (Dropout(0.5, (None, 1)), (3, 5), "Give one entry an axis, batch included"),
        (SpatialDropout1D(0.5), (3,), r"expects \(batch, time, features\)"),
        (SpatialDropout2D(0.5), (4, 4), r"expects \(batch, height, width, channels\)"),
        (SpatialDropout2D(0.5, "channels_first"), (4, 4), r"\(batch, channels, height, width\)"),
        (SpatialDropout3D(0.5), (4, 4), r"expects \(batch, depth, height, width, channels\)"),
    ],
)  # fmt: skip
def test_wrong_shapes(layer: Layer, shape: tuple, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        layer(Input(shape))


def test_a_noise_shape_with_a_batch_size_matters_in_training_only() -> None:
    layer = Dropout(0.5, (4, 1))
    assert layer(torch.ones(3, 2)).tolist() == [[1, 1]] * 3
    assert layer(torch.ones(4, 2), training=True).shape == (4, 2)
    with pytest.raises(ShapeError, match=r"noise_shape of 2 sizes.*\(3, 2\), got \(4, 1\)"):
        layer(torch.ones(3, 2), training=True)


@pytest.mark.parametrize(("make", "shape"), RANDOM)
@pytest.mark.parametrize("seed", [None, 3])
def test_inference_gives_the_input_itself(make: Any, shape: tuple, seed: int | None) -> None:
    layer, x = make(seed), torch.randn(shape)
    assert layer(x) is x
    assert layer(x, training=False) is x
    layer.train()
    assert layer(x) is not x
    assert not torch.equal(layer(x), x)
    assert layer.eval()(x) is x


@pytest.mark.parametrize(
    "layer", [Dropout(0), GaussianNoise(0), GaussianDropout(0), AlphaDropout(0.0)]
)
def test_rate_zero_gives_the_input_itself_in_training(layer: Layer) -> None:
    x = torch.randn(3, 4)
    assert layer(x, training=True) is x


@pytest.mark.parametrize(("make", "shape"), RANDOM)
def test_seeds_repeat_and_move_on(make: Any, shape: tuple) -> None:
    x = torch.randn(shape)
    draws = []
    for seed in (3, 3, 4):
        torch.manual_seed(len(draws))
        layer = make(seed).train()
        draws.append([layer(x), layer(x)])
    for one, same in zip(draws[0], draws[1], strict=True):
        assert torch.equal(one, same)
    assert not torch.equal(draws[0][0], draws[0][1])
    assert not torch.equal(draws[0][0], draws[2][0])


@pytest.mark.parametrize(("make", "shape"), RANDOM)
def test_without_a_seed_torchs_own_decides(make: Any, shape: tuple) -> None:
    layer, x = make(None).train(), torch.randn(shape)
    torch.manual_seed(5)
    first = layer(x)
    torch.manual_seed(5)
    assert torch.equal(layer(x), first)
    assert not torch.equal(layer(x), first)


def test_inference_of_shapes_draws_nothing() -> None:
    layer, x = Dropout(0.5, seed=1), torch.ones(4, 3)
    before = torch.get_rng_state()
    assert layer(Input((3,))).shape == (None, 3)
    assert layer(Input((3,)), training=True).shape == (None, 3)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(layer(x, training=True), Dropout(0.5, seed=1)(x, training=True))


def test_dropout_scales_what_it_keeps_and_stops_gradients() -> None:
    x = torch.ones(1000, requires_grad=True)
    y = Dropout(0.75)(x, training=True)
    assert set(y.tolist()) == {0.0, 4.0}
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


@pytest.mark.parametrize(
    ("layer", "shape", "shared"),
    [
        (Dropout(0.5, (None, 1, None)), (20, 6, 30), [1]),
        (SpatialDropout1D(0.5), (20, 6, 30), [1]),
        (SpatialDropout2D(0.5), (20, 3, 4, 30), [1, 2]),
        (SpatialDropout2D(0.5, "channels_first"), (20, 30, 3, 4), [2, 3]),
        (SpatialDropout3D(0.5), (20, 3, 4, 2, 30), [1, 2, 3]),
        (AlphaDropout(0.5, (None, 1, None)), (20, 6, 30), [1]),
    ],
)
def test_what_is_dropped_together(layer: Layer, shape: tuple, shared: list[int]) -> None:
    y = layer(torch.ones(shape), training=True)
    for axis in range(y.ndim):
        same = bool((y == y.narrow(axis, 0, 1)).all())
        assert same == (axis in shared)


def test_a_subclass_can_drop_in_inference_too() -> None:
    class MonteCarloDropout(Dropout):
        def call(self, inputs: torch.Tensor) -> torch.Tensor:
            return super().call(inputs, training=True)

    layer, x = MonteCarloDropout(0.5), torch.ones(100)
    assert set(layer(x).tolist()) == {0.0, 2.0}


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    y = AlphaDropout(0.3)(torch.randn(200_000), training=True)
    assert abs(y.mean()) < 0.02
    assert abs(y.std() - 1) < 0.02


@pytest.mark.parametrize("kind", [GaussianNoise, GaussianDropout])
def test_noise_in_other_dtypes(kind: Any) -> None:
    for dtype in ("float64", "bfloat16"):
        made = kind(0.5, dtype=dtype)(torch.ones(3), training=True)
        assert made.dtype == getattr(torch, dtype)
    layer = kind(0.5)
    assert layer(torch.ones(3, dtype=torch.int64), training=True).dtype == torch.float32


def test_activity_losses_by_hand() -> None:
    layer = ActivityRegularization(l1=0.5, l2=2)
    x = torch.tensor([[1.0, -2.0], [3.0, 0.0]])
    assert layer(x) is x
    assert [loss.item() for loss in layer.losses] == pytest.approx([0.5 * 6 / 2 + 2 * 14 / 2])


LAYERS = [make(seed) for make, _ in RANDOM for seed in (None, 3)] + [ActivityRegularization(0.1)]
SHAPES = [shape for _, shape in RANDOM for _ in range(2)] + [(3, 4)]


@pytest.mark.parametrize(("layer", "shape"), list(zip(LAYERS, SHAPES, strict=True)))
def test_module_life(layer: Layer, shape: tuple) -> None:
    x = torch.ones(shape)
    layer.train()(x)
    torch.compiler.reset()  # all layers share one __call__, and its recompilations are limited
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    if not isinstance(layer, ActivityRegularization):
        torch.manual_seed(0)
        first, second = compiled(x), compiled(x)
        torch.manual_seed(0)
        assert torch.equal(compiled(x), first)
        assert not torch.equal(first, second)
    others = (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)))
    torch.manual_seed(0)
    expected = layer(x)
    for other in others:
        torch.manual_seed(0)
        assert torch.equal(other(x), expected)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    torch.manual_seed(0)
    first = again(x, training=True)
    torch.manual_seed(0)
    assert torch.equal(type(layer).from_config(layer.get_config())(x, training=True), first)
