"""Seeds, and random functions on what does not need Keras to compare with."""

from __future__ import annotations

import math
import random as python_random

import numpy as np
import pytest
import torch

from nnkit import random
from nnkit.errors import ArgumentError, ShapeError

DRAWS = [
    ("normal", lambda **kw: random.normal((5,), **kw)),
    ("uniform", lambda **kw: random.uniform((5,), **kw)),
    ("truncated_normal", lambda **kw: random.truncated_normal((5,), **kw)),
    ("randint", lambda **kw: random.randint((5,), 0, 10**6, **kw)),
    ("binomial", lambda **kw: random.binomial((50,), 1000, 0.5, **kw)),
    ("gamma", lambda **kw: random.gamma((5,), 2.0, **kw)),
    ("beta", lambda **kw: random.beta((5,), 2.0, 3.0, **kw)),
    ("shuffle", lambda **kw: random.shuffle(torch.arange(100), **kw)),
    ("dropout", lambda **kw: random.dropout(torch.ones(200), 0.5, **kw)),
    ("categorical", lambda **kw: random.categorical(torch.zeros(2, 50), 50, **kw)),
]


@pytest.mark.parametrize("draw", [row[1] for row in DRAWS], ids=[row[0] for row in DRAWS])
def test_seeds(draw) -> None:
    assert torch.equal(draw(seed=3), draw(seed=3))
    assert not torch.equal(draw(seed=3), draw(seed=4))
    assert torch.equal(draw(seed=3), draw(seed=np.int64(3)))

    seeds = random.SeedGenerator(3)
    first, second = draw(seed=seeds), draw(seed=seeds)
    assert torch.equal(first, draw(seed=3))
    assert not torch.equal(first, second)
    again = random.SeedGenerator(3)
    assert torch.equal(first, draw(seed=again))
    assert torch.equal(second, draw(seed=again))

    before = torch.get_rng_state()
    draw(seed=3)
    assert torch.equal(before, torch.get_rng_state())
    first, second = draw(), draw()
    assert not torch.equal(first, second)
    torch.set_rng_state(before)
    assert torch.equal(first, draw())


def test_neighbouring_seeds_share_no_draws() -> None:
    seen = set()
    for start in range(30):
        seeds = random.SeedGenerator(start)
        seen |= {random.generator_for(seeds).initial_seed() for _ in range(30)}
    assert len(seen) == 900


def test_large_and_negative_seeds() -> None:
    drawn = [random.normal((3,), seed=seed) for seed in (-1, 2**32 - 1, 2**70 + 1)]
    assert all(torch.equal(a, a) for a in drawn)
    assert not torch.equal(drawn[0], drawn[1])


def test_seed_generator_state_and_config() -> None:
    seeds = random.SeedGenerator(9, name="mine")
    assert seeds.get_config() == {"seed": 9, "name": "mine"}
    assert seeds.next().tolist() == [9, 0]
    assert seeds.next(ordered=False).tolist() == [9, 1]
    assert seeds.state.tolist() == [9, 2]
    other = random.SeedGenerator.from_config(seeds.get_config())
    assert other.state.tolist() == [9, 0]
    other.state = seeds.state
    assert torch.equal(random.normal((4,), seed=other), random.normal((4,), seed=seeds))


def test_unseeded_generator_follows_the_global_seed() -> None:
    def draws() -> torch.Tensor:
        random.set_random_seed(5)
        seeds = random.SeedGenerator(None, backend="torch")
        assert seeds.get_config()["seed"] is None
        return torch.stack([random.normal((3,), seed=seeds) for _ in range(2)])

    first = draws()
    assert torch.equal(first, draws())
    assert not torch.equal(first[0], first[1])
    # Making one draws nothing, so that adding a layer does not change the others' weights.
    before = torch.get_rng_state()
    random.SeedGenerator(None)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: random.SeedGenerator("7"), "seed must be an integer.*got '7'"),
        (lambda: random.SeedGenerator(1.5), "seed must be an integer.*got 1.5"),
        (lambda: random.SeedGenerator(1, nme="x"), "expects seed and name, got also nme"),
        (lambda: random.normal((2,), seed="a"), "seed must be an integer, a SeedGenerator or None"),
    ],
)
def test_bad_seeds(call, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()


def test_set_random_seed() -> None:
    def draws() -> tuple:
        random.set_random_seed(11)
        return python_random.random(), np.random.rand(), torch.rand(1).item()

    first = draws()
    assert first == draws()
    random.set_random_seed(12)
    others = (python_random.random(), np.random.rand(), torch.rand(1).item())
    assert all(a != b for a, b in zip(first, others, strict=True))


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, "3", None])
def test_bad_global_seed(seed: object) -> None:
    with pytest.raises(ArgumentError, match=r"integer from 0 to 2\*\*32 - 1, got"):
        random.set_random_seed(seed)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("name", ["normal", "uniform", "truncated_normal"])
def test_float_dtypes(name: str, dtype: str) -> None:
    values = getattr(random, name)((4000,), dtype=dtype, seed=1)
    assert str(values.dtype) == f"torch.{dtype}"
    assert values.double().std().item() == pytest.approx(
        {"normal": 1.0, "uniform": 12**-0.5, "truncated_normal": 0.8796}[name], rel=0.04
    )
    if name == "truncated_normal":
        assert values.abs().max() <= 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: random.normal((2,), stddev=-1.0), "stddev must be .* got -1.0"),
        (lambda: random.truncated_normal((2,), stddev=math.nan), "stddev must be .* got nan"),
        (lambda: random.uniform((2,), 3.0, 2.0), "minval must not exceed maxval.*3.0 and 2.0"),
        (lambda: random.uniform((2,), dtype="int32"), "random.uniform expects a floating"),
        (lambda: random.randint((2,), 3, 3), "minval must be below maxval, got 3 and 3"),
        (lambda: random.randint((2,), 0, 3, dtype="float32"), "expects an integer dtype"),
        (lambda: random.normal((2,), dtype="float33"), "Unknown dtype 'float33'"),
        (lambda: random.dropout(torch.ones(2), 1.5), "rate must be a number from 0 to 1, got 1.5"),
        (
            lambda: random.dropout(torch.ones(2), math.nan),
            "rate must be a number from 0 to 1, got nan",
        ),
    ],
)
def test_bad_arguments(call, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()


@pytest.mark.parametrize("noise_shape", [(4,), (4, 2), (4, 1, 1)])
def test_bad_noise_shape(noise_shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"noise_shape of 2 sizes.*\(4, 3\), got"):
        random.dropout(torch.ones(4, 3), 0.5, noise_shape)


def test_bad_logits() -> None:
    with pytest.raises(ShapeError, match=r"\(batch, classes\), got \(3,\)"):
        random.categorical(torch.zeros(3), 2)


@pytest.mark.parametrize("seed", [None, 1, random.SeedGenerator(None)])
def test_dropout_gradient_and_ends(seed: object) -> None:
    x = torch.randn(1000, requires_grad=True)
    y = random.dropout(x, 0.2, seed=seed)
    y.sum().backward()
    assert torch.equal(x.grad, torch.where(y == 0, 0.0, 1 / 0.8))
    assert random.dropout(x, 0.0, seed=seed) is x
    assert torch.equal(random.dropout(x, 1.0, seed=seed), torch.zeros(1000))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_shuffle_keeps_slices_whole(axis: int) -> None:
    x = torch.arange(600).reshape(20, 30)
    y = random.shuffle(x, axis=axis, seed=2)
    ordered = y.sort(dim=axis).values
    assert torch.equal(ordered, x)
    assert not torch.equal(y, x)


def test_nothing_is_drawn_on_meta() -> None:
    seeds = random.SeedGenerator(1)
    before = torch.get_rng_state()
    with torch.device("meta"):
        assert random.normal((2, 3), seed=seeds).shape == (2, 3)
        assert random.truncated_normal((2, 3), seed=seeds).device.type == "meta"
        assert random.dropout(torch.ones(2, 3), 0.5, seed=seeds).shape == (2, 3)
    assert seeds.state.tolist() == [1, 0]
    assert torch.equal(before, torch.get_rng_state())


def test_parameters_broadcast() -> None:
    alpha = torch.tensor([0.5, 200.0])
    drawn = random.gamma((10_000, 2), alpha, seed=1)
    torch.testing.assert_close(drawn.mean(0), alpha, rtol=0.05, atol=0)
    drawn = random.binomial((10_000, 2), [10, 100], [0.5, 0.1], dtype="int32", seed=1)
    assert drawn.dtype == torch.int32
    torch.testing.assert_close(drawn.float().mean(0), torch.tensor([5.0, 10.0]), rtol=0.02, atol=0)


@pytest.mark.parametrize("given", ["float64", torch.float64, np.float64, np.dtype("float64")])
def test_dtypes_are_known_by_name_and_by_numpys_classes(given: object) -> None:
    assert random.normal((2,), dtype=given).dtype == torch.float64
