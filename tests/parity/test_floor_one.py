"""Activations, initializers, regularizers, constraints and random functions against real Keras."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import torch

from nnkit import activations, constraints, initializers, random, regularizers

# Zero, the corners of the piecewise functions, and ordinary values.
VALUES = np.concatenate(
    [
        [0.0, 0.5, -0.5, 1.0, -1.0, 3.0, -3.0, 6.0, 7.5, -7.5, 30.0, -30.0],
        np.random.default_rng(1).normal(scale=2.0, size=108),
    ]
).astype("float32")

ACTIVATIONS = [
    ("celu", {}),
    ("celu", {"alpha": 0.4}),
    ("elu", {}),
    ("elu", {"alpha": 0.3}),
    ("exponential", {}),
    ("gelu", {}),
    ("gelu", {"approximate": True}),
    ("glu", {}),
    ("glu", {"axis": 0}),
    ("hard_shrink", {}),
    ("hard_shrink", {"threshold": 1.5}),
    ("hard_sigmoid", {}),
    ("hard_silu", {}),
    ("hard_swish", {}),
    ("hard_tanh", {}),
    ("leaky_relu", {}),
    ("leaky_relu", {"negative_slope": 0.05}),
    ("linear", {}),
    ("log_sigmoid", {}),
    ("log_softmax", {}),
    ("log_softmax", {"axis": 0}),
    ("log_softmax", {"axis": None}),
    ("mish", {}),
    ("relu", {}),
    ("relu", {"negative_slope": 0.1}),
    ("relu", {"max_value": 2.0}),
    ("relu", {"max_value": 6}),
    ("relu", {"threshold": 1.0}),
    ("relu", {"threshold": -1.0}),
    ("relu", {"threshold": -1.0, "max_value": 2.0}),
    ("relu", {"negative_slope": 0.2, "max_value": 3.0}),
    ("relu", {"negative_slope": 0.2, "threshold": 1.0}),
    ("relu", {"negative_slope": 0.2, "max_value": 3.0, "threshold": 0.7}),
    ("relu6", {}),
    ("selu", {}),
    ("sigmoid", {}),
    ("silu", {}),
    ("soft_shrink", {}),
    ("soft_shrink", {"threshold": 1.5}),
    ("softmax", {}),
    ("softmax", {"axis": 0}),
    ("softmax", {"axis": 1}),
    ("softmax", {"axis": None}),
    ("softmax", {"axis": (1, 2)}),
    ("softplus", {}),
    ("softsign", {}),
    ("sparse_plus", {}),
    ("sparse_sigmoid", {}),
    ("squareplus", {}),
    ("squareplus", {"b": 1.5}),
    ("swish", {}),
    ("tanh", {}),
    ("tanh_shrink", {}),
    ("threshold", {"threshold": 0.5, "default_value": -2.0}),
]


def _row(row: tuple) -> str:
    return "-".join(str(part) for part in row)


@pytest.mark.parametrize(("name", "arguments"), ACTIVATIONS, ids=map(_row, ACTIVATIONS))
def test_activation_values_and_gradients(name: str, arguments: dict) -> None:
    ours = torch.tensor(VALUES).reshape(4, 5, 6).requires_grad_()
    theirs = torch.tensor(VALUES).reshape(4, 5, 6).requires_grad_()
    y = getattr(activations, name)(ours, **arguments)
    expected = getattr(keras.activations, name)(theirs, **arguments)
    torch.testing.assert_close(y, expected, rtol=2e-6, atol=1e-6)
    weights = torch.linspace(-1, 1, y.numel()).reshape(y.shape)
    (y * weights).sum().backward()
    (expected * weights).sum().backward()
    # At a corner any slope between the two sides is right, so the exact corners are left out.
    smooth = ~torch.isin(ours.detach().abs(), torch.tensor([0.0, 0.5, 1.0, 3.0, 6.0]))
    torch.testing.assert_close(ours.grad[smooth], theirs.grad[smooth], rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_sparsemax_where_one_score_wins(axis: int) -> None:
    # Keras 3.15 is wrong where several scores share the result (its values do not sum to 1, and
    # later versions correct that), so only the other case can be compared.
    x = torch.tensor(VALUES).reshape(4, 5, 6).movedim(-1, axis).contiguous()
    winners = x.topk(2, dim=axis).values
    alone = winners.diff(dim=axis).abs() > 1
    assert alone.float().mean().item() > 0.3
    alone = alone.expand_as(x)
    ours, theirs = activations.sparsemax(x, axis), keras.activations.sparsemax(x, axis)
    torch.testing.assert_close(ours[alone], theirs[alone])
    torch.testing.assert_close(ours.sum(dim=axis), torch.ones_like(ours.sum(dim=axis)))


def _public(module: object) -> set[str]:
    return {name for name in dir(module) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("ours", "theirs", "left_out"),
    [
        (activations, keras.activations, set()),
        (initializers, keras.initializers, set()),
        (regularizers, keras.regularizers, set()),
        (constraints, keras.constraints, set()),
        (random, keras.random, set()),
    ],
)
def test_every_keras_name_is_here(ours: object, theirs: object, left_out: set[str]) -> None:
    assert _public(theirs) - set(ours.__all__) == left_out


@pytest.mark.parametrize("name", sorted(_public(keras.activations) - {"get", "serialize"}))
def test_activation_names(name: str) -> None:
    if name == "deserialize":
        assert activations.deserialize("gelu") is activations.gelu
        return
    assert activations.get(name) is getattr(activations, name)
    written = keras.activations.serialize(keras.activations.get(name))
    assert activations.serialize(activations.get(name)) == written
    assert activations.deserialize(written) is getattr(activations, name)


INITIALIZERS = [
    ("Zeros", {}),
    ("Ones", {}),
    ("Constant", {"value": -1.5}),
    ("RandomNormal", {}),
    ("RandomNormal", {"mean": 2.0, "stddev": 0.5}),
    ("RandomUniform", {}),
    ("RandomUniform", {"minval": -1.0, "maxval": 3.0}),
    ("TruncatedNormal", {}),
    ("TruncatedNormal", {"mean": -1.0, "stddev": 2.0}),
    ("VarianceScaling", {}),
    ("VarianceScaling", {"scale": 2.0, "mode": "fan_out", "distribution": "uniform"}),
    ("VarianceScaling", {"mode": "fan_avg", "distribution": "untruncated_normal"}),
    ("VarianceScaling", {"mode": "fan_avg", "distribution": "Normal"}),
    ("VarianceScaling", {"input_axes": (0, 1), "output_axes": (3,)}),
    ("GlorotUniform", {}),
    ("GlorotUniform", {"input_axes": (0,), "output_axes": (1, 2)}),
    ("GlorotNormal", {}),
    ("HeUniform", {}),
    ("HeNormal", {}),
    ("LecunUniform", {}),
    ("LecunNormal", {}),
    ("Orthogonal", {}),
    ("Orthogonal", {"gain": 2.0}),
]


def _seeded(name: str, arguments: dict) -> dict:
    return arguments if name in ("Zeros", "Ones", "Constant") else {**arguments, "seed": 7}


# A convolution kernel with different fans; the moments of its 405,000 values are good to 0.3 %.
SHAPE = (3, 5, 90, 300)


@pytest.mark.parametrize(("name", "arguments"), INITIALIZERS, ids=map(_row, INITIALIZERS))
def test_initializer_distribution(name: str, arguments: dict) -> None:
    arguments = _seeded(name, arguments)
    ours = getattr(initializers, name)(**arguments)(SHAPE)
    theirs = getattr(keras.initializers, name)(**arguments)(SHAPE)
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    spread = theirs.std().item()
    assert ours.std().item() == pytest.approx(spread, rel=0.006, abs=1e-7)
    assert ours.mean().item() == pytest.approx(theirs.mean().item(), abs=0.008 * spread + 1e-7)
    # Quartiles tell a uniform from a normal and a cut normal from a full one.
    at = torch.tensor([0.001, 0.05, 0.25, 0.75, 0.95, 0.999])
    assert torch.quantile(ours.flatten(), at).tolist() == pytest.approx(
        torch.quantile(theirs.flatten(), at).tolist(), abs=0.03 * spread + 1e-7
    )


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("GlorotUniform", {}),
        ("HeUniform", {}),
        ("LecunUniform", {}),
        ("RandomUniform", {"minval": 1.0, "maxval": 4.0}),
        ("GlorotNormal", {}),
        ("HeNormal", {}),
        ("LecunNormal", {}),
        ("TruncatedNormal", {"stddev": 0.3}),
    ],
)
@pytest.mark.parametrize("shape", [(40, 2500), (2, 5, 10, 1000), (100_000,)])
def test_initializer_bounds(name: str, arguments: dict, shape: tuple[int, ...]) -> None:
    ours = getattr(initializers, name)(**arguments, seed=3)(shape)
    theirs = getattr(keras.initializers, name)(**arguments, seed=3)(shape)
    low, high = theirs.quantile(0.0001).item(), theirs.quantile(0.9999).item()
    width = high - low
    assert ours.min().item() == pytest.approx(low, abs=0.02 * width)
    assert ours.max().item() == pytest.approx(high, abs=0.02 * width)


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4), (3, 3, 2, 8), (2, 2, 2, 40)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_orthogonal_gram_matrix(shape: tuple[int, ...], dtype: str) -> None:
    def gram(values: torch.Tensor) -> torch.Tensor:
        matrix = values.reshape(-1, shape[-1])
        tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
        return tall.T @ tall

    ours = initializers.Orthogonal(gain=1.5, seed=1)(shape, dtype)
    theirs = keras.initializers.Orthogonal(gain=1.5, seed=1)(shape, dtype)
    torch.testing.assert_close(gram(ours), gram(theirs), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (5, 2)])
def test_identity(shape: tuple[int, int]) -> None:
    ours = initializers.Identity(gain=2.5)(shape)
    assert torch.equal(ours, keras.initializers.Identity(gain=2.5)(shape))


@pytest.mark.parametrize(("name", "arguments"), INITIALIZERS, ids=map(_row, INITIALIZERS))
def test_initializer_configs(name: str, arguments: dict) -> None:
    arguments = _seeded(name, arguments)
    ours = getattr(initializers, name)(**arguments)
    written = keras.initializers.serialize(getattr(keras.initializers, name)(**arguments))
    assert initializers.serialize(ours) == written
    again = initializers.deserialize(written)
    assert type(again) is type(ours)
    assert again.get_config() == written["config"]
    if "input_axes" not in arguments:
        assert torch.equal(again((2, 3, 4, 5)), ours((2, 3, 4, 5)))


def test_unseeded_and_generator_configs() -> None:
    for seed in (None, 5):
        ours = initializers.HeNormal(seed=random.SeedGenerator(seed, name="s"))
        theirs = keras.initializers.HeNormal(seed=keras.random.SeedGenerator(seed, name="s"))
        assert initializers.serialize(ours) == keras.initializers.serialize(theirs)
        again = initializers.deserialize(keras.initializers.serialize(theirs))
        assert again.get_config() == theirs.get_config()
    assert initializers.HeNormal().get_config() == keras.initializers.HeNormal().get_config()


NAMES = [
    *(name for name in _public(keras.initializers) if name[0].isupper()),
    *(name for name in _public(keras.initializers) if name[0].islower()),
    *("normal", "one", "uniform", "zero"),
]
# Keras cannot make its own Constant from the bare name.
NOT_NAMES = {
    *("STFT", "STFTInitializer", "stft", "Initializer", "Constant", "constant"),
    *("get", "serialize", "deserialize"),
}


@pytest.mark.parametrize("name", sorted(set(NAMES) - NOT_NAMES))
def test_initializer_names(name: str) -> None:
    assert type(initializers.get(name)).__name__ == type(keras.initializers.get(name)).__name__


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((), {}),
        ((7,), {}),
        ((3, 4), {}),
        ((3, 4, 5), {}),
        ((3, 3, 8, 16), {}),
        ((2, 3, 3, 8, 16), {}),
        ((4, 6, 8), {"input_axes": (0,), "output_axes": (1, 2)}),
        ((4, 6, 8), {"input_axes": (0,)}),
    ],
)
def test_fans(shape: tuple[int, ...], axes: dict) -> None:
    theirs = keras.src.initializers.random_initializers.compute_fans(shape, **axes)
    assert initializers.compute_fans(shape, **axes) == theirs


REGULARIZERS = [
    ("L1", {}),
    ("L1", {"l1": 0.3}),
    ("L1", {"l1": None}),
    ("L2", {}),
    ("L2", {"l2": 0.3}),
    ("L2", {"l2": None}),
    ("L1L2", {}),
    ("L1L2", {"l1": 0.2}),
    ("L1L2", {"l2": 0.2}),
    ("L1L2", {"l1": 0.1, "l2": 0.2}),
    ("L1L2", {"l1": None, "l2": 1}),
    ("OrthogonalRegularizer", {}),
    ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"}),
]


@pytest.mark.parametrize(("name", "arguments"), REGULARIZERS, ids=map(_row, REGULARIZERS))
def test_regularizers(name: str, arguments: dict) -> None:
    ours = torch.tensor(VALUES).reshape(10, 12).requires_grad_()
    theirs = torch.tensor(VALUES).reshape(10, 12).requires_grad_()
    regularizer = getattr(regularizers, name)(**arguments)
    reference = getattr(keras.regularizers, name)(**arguments)
    loss, expected = regularizer(ours), reference(theirs)
    torch.testing.assert_close(loss, expected, rtol=2e-6, atol=1e-7)
    if expected.requires_grad:
        loss.backward()
        expected.backward()
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-7)
    else:
        assert not loss.requires_grad

    written = keras.regularizers.serialize(reference)
    mine = regularizers.serialize(regularizer)
    # Keras rounds some factors to float32 on their way.
    assert mine["config"].keys() == written["config"].keys()
    for key, value in written["config"].items():
        assert mine["config"][key] == (pytest.approx(value) if key != "mode" else value)
    assert {**mine, "config": None} == {**written, "config": None}
    again = regularizers.deserialize(written)
    assert type(again) is type(regularizer)
    assert again.get_config() == written["config"]


@pytest.mark.parametrize("name", ["l1", "l2", "L1", "L2", "L1L2", "l1l2", "orthogonal_regularizer"])
def test_regularizer_names(name: str) -> None:
    ours, theirs = regularizers.get(name), keras.regularizers.get(name)
    assert type(ours).__name__ == type(theirs).__name__
    torch.testing.assert_close(
        ours(torch.ones(3, 3)), torch.as_tensor(theirs(torch.ones(3, 3))), rtol=1e-6, atol=0
    )


CONSTRAINTS = [
    ("MaxNorm", {}),
    ("MaxNorm", {"max_value": 5.0, "axis": 1}),
    ("MaxNorm", {"max_value": 3, "axis": [0, 1, 2]}),
    ("NonNeg", {}),
    ("UnitNorm", {}),
    ("UnitNorm", {"axis": [0, 1]}),
    ("MinMaxNorm", {}),
    ("MinMaxNorm", {"min_value": 3.0, "max_value": 4.0, "axis": -1}),
    ("MinMaxNorm", {"min_value": 3.0, "max_value": 4.0, "rate": 0.3, "axis": [0, 1, 2]}),
    ("MinMaxNorm", {"rate": 0.0}),
]


@pytest.mark.parametrize(("name", "arguments"), CONSTRAINTS, ids=map(_row, CONSTRAINTS))
def test_constraints(name: str, arguments: dict) -> None:
    w = torch.tensor(VALUES).reshape(2, 3, 4, 5).clone()
    w[:, :, 0, 1] = 0  # zero vectors must stay finite
    before = w.clone()
    constraint = getattr(constraints, name)(**arguments)
    reference = getattr(keras.constraints, name)(**arguments)
    torch.testing.assert_close(constraint(w), reference(w), rtol=2e-6, atol=1e-6)
    assert torch.equal(w, before)

    written = keras.constraints.serialize(reference)
    assert constraints.serialize(constraint) == written
    again = constraints.deserialize(written)
    assert type(again) is type(constraint)
    assert again.get_config() == written["config"]


@pytest.mark.parametrize(
    "name", ["MaxNorm", "max_norm", "non_neg", "UnitNorm", "unit_norm", "min_max_norm"]
)
def test_constraint_names(name: str) -> None:
    ours, theirs = constraints.get(name), keras.constraints.get(name)
    assert type(ours).__name__ == type(theirs).__name__
    assert ours.get_config() == theirs.get_config()


RANDOM = [
    ("normal", {"mean": 1.0, "stddev": 2.0}),
    ("uniform", {"minval": -2.0, "maxval": 6.0}),
    ("truncated_normal", {"mean": 1.0, "stddev": 2.0}),
    ("randint", {"minval": -3, "maxval": 9}),
    ("binomial", {"counts": 10, "probabilities": 0.3}),
    ("gamma", {"alpha": 2.5}),
    ("beta", {"alpha": 2.0, "beta": 5.0}),
]


@pytest.mark.parametrize(("name", "arguments"), RANDOM, ids=map(_row, RANDOM))
def test_random_functions(name: str, arguments: dict) -> None:
    ours = getattr(random, name)((400, 1000), **arguments, seed=11)
    theirs = getattr(keras.random, name)((400, 1000), **arguments, seed=11)
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    ours, theirs = ours.double(), theirs.double()
    spread = theirs.std().item()
    assert ours.std().item() == pytest.approx(spread, rel=0.007)
    assert ours.mean().item() == pytest.approx(theirs.mean().item(), abs=0.008 * spread)
    third = ((ours - ours.mean()) / spread).pow(3).mean().item()
    assert third == pytest.approx(
        ((theirs - theirs.mean()) / spread).pow(3).mean().item(), abs=0.03
    )


def test_categorical() -> None:
    logits = torch.tensor([[0.0, 1.0, -1.0], [2.0, 0.0, 0.0]])
    ours = random.categorical(logits, 200_000, seed=1)
    theirs = keras.random.categorical(logits, 200_000, seed=1)
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    for row in range(2):
        shares = torch.bincount(ours[row], minlength=3) / 200_000
        expected = torch.bincount(theirs[row], minlength=3) / 200_000
        torch.testing.assert_close(shares, expected, rtol=0, atol=0.006)


@pytest.mark.parametrize("noise_shape", [None, (300, 1, 40), (None, 1, 1), (1, None, 40)])
@pytest.mark.parametrize("seed", [None, 4])
def test_dropout(noise_shape: tuple | None, seed: int | None) -> None:
    x = torch.ones(300, 50, 40)
    ours = random.dropout(x, 0.25, noise_shape, seed)
    theirs = keras.random.dropout(x, 0.25, noise_shape, seed)
    torch.testing.assert_close(ours.unique(), theirs.unique(), rtol=1e-6, atol=0)
    # 300 independent decisions at least: a standard error of 0.025 in the share that is kept.
    assert (ours > 0).float().mean().item() == pytest.approx(0.75, abs=0.08)
    if noise_shape is not None:
        for axis, size in enumerate(noise_shape):
            shared = torch.equal(ours, ours.narrow(axis, 0, 1).expand_as(ours))
            assert shared == (size == 1)
