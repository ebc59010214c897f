"""Initializers: what is asked of them, seeds, users' own, errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from nnkit import initializers as init
from nnkit import layers
from nnkit.errors import ArgumentError, FileError
from nnkit.random import SeedGenerator, set_random_seed

RANDOM = [
    "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "GlorotUniform",
    "GlorotNormal", "HeUniform", "HeNormal", "LecunUniform", "LecunNormal", "Orthogonal",
]  # fmt: skip
ALL = [*RANDOM, "Zeros", "Ones", "Constant", "Identity"]


@pytest.mark.parametrize("name", RANDOM)
def test_one_instance_gives_the_same_values(name: str) -> None:
    make = getattr(init, name)
    for instance in (make(), make(seed=4)):
        assert torch.equal(instance((6, 5)), instance((6, 5)))
    assert torch.equal(make(seed=4)((6, 5)), make(seed=4)((6, 5)))
    assert not torch.equal(make(seed=4)((6, 5)), make(seed=5)((6, 5)))
    assert not torch.equal(make()((6, 5)), make()((6, 5)))
    seeds = SeedGenerator(4)
    instance = make(seed=seeds)
    first, second = instance((6, 5)), instance((6, 5))
    assert torch.equal(first, make(seed=4)((6, 5)))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("name", RANDOM)
def test_global_seed_repeats_a_run(name: str) -> None:
    def run() -> list[torch.Tensor]:
        set_random_seed(21)
        return [getattr(init, name)()((4, 4)) for _ in range(2)]

    first, again = run(), run()
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_dtypes(name: str, dtype: str) -> None:
    initializer = getattr(init, name)(**({"seed": 1} if name in RANDOM else {}))
    values = initializer((8, 6), dtype)
    assert values.dtype == getattr(torch, dtype)
    assert values.is_contiguous()
    if dtype in ("float16", "bfloat16"):
        assert torch.equal(values, initializer((8, 6)).to(values.dtype))


def test_default_dtype_is_torchs() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        assert init.HeNormal()((2, 2)).dtype == torch.float64
        assert init.Zeros()((2, 2)).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", ALL)
def test_meta_device_draws_nothing(name: str) -> None:
    before = torch.get_rng_state()
    with torch.device("meta"):
        values = init.call_initializer(getattr(init, name)(), (4, 3))
    assert (values.device.type, values.shape) == ("meta", (4, 3))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("name", "shape", "stddev"),
    [
        # The inputs and outputs of a unit, counted by hand.
        ("GlorotUniform", (300, 200), math.sqrt(2 / 500)),
        ("GlorotNormal", (3, 3, 40, 80), math.sqrt(2 / (9 * 120))),
        ("HeNormal", (5, 5, 20, 100), math.sqrt(2 / 500)),
        ("HeUniform", (400, 100), math.sqrt(2 / 400)),
        ("LecunNormal", (3, 30, 500), math.sqrt(1 / 90)),
        ("LecunUniform", (2, 2, 2, 20, 300), math.sqrt(1 / 160)),
        ("GlorotUniform", (50_000,), math.sqrt(1 / 50_000)),
        ("Orthogonal", (100, 400), math.sqrt(1 / 400)),
        ("RandomNormal", (200, 200), 0.05),
        ("RandomUniform", (200, 200), 0.05 / math.sqrt(3)),
        ("TruncatedNormal", (200, 200), 0.05 * 0.8796256610342398),
    ],
)
def test_standard_deviations(name: str, shape: tuple[int, ...], stddev: float) -> None:
    values = getattr(init, name)(seed=1)(shape)
    assert values.shape == shape
    assert values.std().item() == pytest.approx(stddev, rel=0.015)
    assert abs(values.mean().item()) < 0.02 * stddev


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_truncated_normal_never_leaves_two_sigma(dtype: str) -> None:
    values = init.TruncatedNormal(mean=3.0, stddev=0.5, seed=2)((1_000_000,), dtype)
    assert 2.0 <= values.min().item() < 2.0001
    assert 3.9999 < values.max().item() <= 4.0


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (7, 3), (2, 2, 3, 4)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    values = init.Orthogonal(gain=2.0, seed=1)(shape, "float64").reshape(-1, shape[-1])
    tall = values if values.shape[0] >= values.shape[1] else values.T
    eye = torch.eye(tall.shape[1], dtype=torch.float64)
    torch.testing.assert_close(tall.T @ tall, 4 * eye)


def test_orthogonal_matrices_are_spread_evenly() -> None:
    # With the raw QR result the diagonal leans to one sign.
    traces = [init.Orthogonal(seed=seed)((4, 4)).trace().item() for seed in range(400)]
    assert abs(np.mean(traces)) < 0.2
    assert np.std(traces) == pytest.approx(1.0, abs=0.1)


def test_constants() -> None:
    assert init.Constant(3)((2, 2), "int32").tolist() == [[3, 3], [3, 3]]
    assert init.Constant([1.0, 2.0])((3, 2)).tolist() == [[1.0, 2.0]] * 3
    assert init.Identity(3.0)((2, 3)).tolist() == [[3.0, 0.0, 0.0], [0.0, 3.0, 0.0]]
    assert init.Ones()((2,), torch.bool).tolist() == [True, True]
    assert init.get("constant")((2,)).tolist() == [0.0, 0.0]


def test_given_values_are_copied() -> None:
    for source in (np.arange(4.0).reshape(2, 2), torch.arange(4.0).reshape(2, 2)):
        initializer = init.get(source)
        weight = init.call_initializer(initializer, (2, 2))
        assert weight.dtype == torch.float32
        assert weight.tolist() == [[0.0, 1.0], [2.0, 3.0]]
        weight.zero_()
        assert source.tolist() == [[0.0, 1.0], [2.0, 3.0]]
        again = init.deserialize(init.serialize(initializer))
        assert again((2, 2)).tolist() == [[0.0, 1.0], [2.0, 3.0]]
        with pytest.raises(ArgumentError, match=r"has shape \(2, 2\), but the weight has .*\(1, 2"):
            initializer((1, 2, 2))


def test_keras_array_config() -> None:
    config = {"value": {"class_name": "__numpy__", "config": {"value": [1.0], "dtype": "float32"}}}
    assert init.Constant.from_config(config)((2,)).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("name", ALL)
def test_configs_and_clones(name: str) -> None:
    make = getattr(init, name)
    initializer = make(**({"seed": 8} if name in RANDOM else {}))
    copy = initializer.clone()
    assert copy is not initializer
    assert type(copy) is make
    assert copy.get_config() == initializer.get_config()
    assert torch.equal(copy((3, 3)), initializer((3, 3)))
    again = init.deserialize(init.serialize(initializer))
    assert torch.equal(again((3, 3)), initializer((3, 3)))


def test_gain_of_identity_is_saved() -> None:
    assert init.Identity(2.0).clone()((1, 1)).item() == 2.0


def test_unseeded_config_has_no_seed() -> None:
    initializer = init.HeNormal()
    initializer((2, 2))
    assert initializer.get_config()["seed"] is None
    assert not torch.equal(initializer.clone()((2, 2)), initializer((2, 2)))


@pytest.mark.parametrize(
    ("identifier", "kind"),
    [
        ("glorot_uniform", init.GlorotUniform),
        ("HeNormal", init.HeNormal),
        ("IdentityInitializer", init.Identity),
        (init.Zeros, init.Zeros),
        ({"class_name": "Ones", "config": {}}, init.Ones),
        (init.Constant(2.0), init.Constant),
    ],
)
def test_get(identifier: object, kind: type) -> None:
    assert type(init.get(identifier)) is kind


def test_get_passes_through() -> None:
    assert init.get(None) is None
    assert init.get(torch.zeros) is torch.zeros


class Own(init.Initializer):
    def __call__(self, shape, dtype=None, **kwargs):
        return torch.full(shape, 5.0, dtype=dtype)


@pytest.mark.parametrize(
    ("initializer", "value"),
    [
        (lambda shape: torch.ones(shape), 1.0),
        (lambda shape, dtype: torch.ones(shape, dtype=dtype), 1.0),
        (lambda shape, dtype=None: torch.ones(shape, dtype=dtype), 1.0),
        (lambda s, d: torch.ones(s, dtype=d), 1.0),
        (lambda shape, scale=4.0: torch.full(shape, scale), 4.0),
        (lambda shape, **kwargs: torch.ones(shape, **kwargs), 1.0),
        (lambda shape: np.full(shape, 2.0), 2.0),
        (lambda shape: torch.nn.Parameter(torch.ones(shape)), 1.0),
        (torch.zeros, 0.0),
        (Own(), 5.0),
        (init.Ones(), 1.0),
    ],
)
@pytest.mark.parametrize("dtype", [None, "float64"])
def test_call_initializer(initializer: object, value: float, dtype: str | None) -> None:
    weight = init.call_initializer(initializer, [2, 3], dtype)
    assert weight.dtype == (torch.float64 if dtype else torch.float32)
    assert not weight.requires_grad
    assert weight.tolist() == [[value] * 3] * 2


def test_call_initializer_does_not_share_memory() -> None:
    for stored in (np.ones((2, 2), "float32"), torch.ones(2, 2)):
        init.call_initializer(lambda shape, stored=stored: stored, (2, 2)).zero_()
        assert stored.sum() == 4


def test_call_initializer_keeps_the_users_own_errors() -> None:
    def broken(shape):
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        init.call_initializer(broken, (2,))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: init.VarianceScaling(scale=0.0), "scale must be a number above 0, got 0.0"),
        (lambda: init.VarianceScaling(scale=math.nan), "scale must be a number above 0, got nan"),
        (
            lambda: init.VarianceScaling(mode="fan"),
            "mode must be one of 'fan_in', 'fan_out', 'fan_avg', got 'fan'",
        ),
        (lambda: init.VarianceScaling(distribution="cauchy"), "distribution .* got 'cauchy'"),
        (lambda: init.RandomNormal(stddev=-0.1), "stddev must be .* got -0.1"),
        (lambda: init.TruncatedNormal(stddev=-0.1), "stddev must be .* got -0.1"),
        (lambda: init.RandomUniform(1.0, 0.0), "minval must not exceed maxval.*1.0 and 0.0"),
        (lambda: init.HeNormal(seed="a"), "seed must be an integer.*got 'a'"),
        (lambda: init.Identity()((2, 2, 2)), r"Identity expects a matrix .* \(2, 2, 2\)"),
        (lambda: init.Orthogonal()((4,)), r"at least two axes, got \(4,\)"),
        (lambda: init.HeNormal()((2, 2), "int32"), "HeNormal expects a floating point dtype"),
        (lambda: init.Constant([1, 2])((2, 3)), r"shape \(2,\), which does not broadcast .*\(2, 3"),
        (lambda: init.get("he_norml"), "Unknown initializer 'he_norml'. Did you mean .*he_normal"),
        (lambda: init.get(3.0), "Cannot use 3.0 as initializer"),
        (
            lambda: init.call_initializer(lambda shape: torch.ones(3), (3, 1)),
            r"<lambda> was asked for shape \(3, 1\) but returned \(3,\)",
        ),
        (
            lambda: init.call_initializer(lambda shape: 1.0, (3, 1)),
            r"<lambda> was asked for shape \(3, 1\) but returned \(\)",
        ),
    ],
)
def test_errors(call, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()


def test_base_class() -> None:
    with pytest.raises(NotImplementedError, match=r"Initializer has no __call__"):
        init.Initializer()((2,))
    assert init.Initializer().get_config() == {}


def test_weights_left_empty_for_a_file_are_reserved_and_counted() -> None:
    def forbidden(shape: Any, dtype: Any = None) -> torch.Tensor:
        raise AssertionError("no values are wanted")

    with init.left_empty(1000):
        layer = layers.Conv2D(3, (2, 5), kernel_initializer=forbidden, bias_initializer=forbidden)
        layer.build((None, 8, 8, 4))
        assert layer.kernel.shape == (2, 5, 4, 3)
        assert layer.weight.is_contiguous(memory_format=torch.channels_last)
        for other in (layers.DepthwiseConv2D(3, depth_multiplier=2), layers.GRU(2)):
            shape = (None, 4, 4, 2)[: 4 if "conv" in other.name else 3]
            other.build(shape)
            with init.left_empty(1000):
                empty = type(other).from_config(other.get_config())
                empty.build(shape)
            assert [w.shape for w in empty.weights] == [w.shape for w in other.weights]
        with pytest.raises(FileError, match="weights of more than 1000 bytes"):
            layers.Dense(1000).build((None, 1000))
    assert float(layers.Dense(1, kernel_initializer="ones")(torch.ones(1, 2)).detach()) == 2.0


def test_orthogonal_in_half_precision() -> None:
    """Decomposed in float32, where torch can."""
    matrix = init.Orthogonal(seed=1)((8, 8), "bfloat16")
    assert matrix.dtype == torch.bfloat16
    torch.testing.assert_close((matrix @ matrix.T).float(), torch.eye(8), atol=0.03, rtol=0)
