"""Trajectories of our optimizers against real Keras: equal gradients, equal parameters."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import torch

import nnkit.optimizers as ours

STEPS = 30
SHAPES = [(4, 3), (3,), (2, 5), (5,)]
NAMES = ["dense/kernel", "dense/bias", "embedding/embeddings", "out/bias"]
# In float64 the formulas agree; Keras's minimum and maximum, which pass through float32 (clipping,
# Adafactor), set the tolerance.
# In float32 Keras also rounds the learning rate and the powers of the betas, where 1 - 0.999 has an
# error of 2e-5; that appears in a step, times the learning rate.
TOLERANCE = {"float64": {"rtol": 1e-7, "atol": 1e-7}, "float32": {"rtol": 2e-6, "atol": 1e-6}}

# Keras on torch uses an interface that numpy has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9}),
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"nesterov": True}),
    ("SGD", {"momentum": 0.5, "weight_decay": 0.01}),
    ("SGD", {"momentum": 0.5, "clipnorm": 1.0}),
    ("SGD", {"clipvalue": 0.4}),
    ("SGD", {"momentum": 0.5, "global_clipnorm": 1.5}),
    ("SGD", {"loss_scale_factor": 8.0}),
    ("SGD", {"use_ema": True, "ema_momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "use_ema": True, "ema_overwrite_frequency": 4}),
    ("SGD", {"momentum": 0.9, "gradient_accumulation_steps": 4}),
    ("SGD", {"use_ema": True, "ema_overwrite_frequency": 3, "gradient_accumulation_steps": 2}),
    ("Adam", {}),
    ("Adam", {"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3}),
    ("Adam", {"amsgrad": True, "learning_rate": 0.01}),
    ("Adam", {"weight_decay": 0.02, "learning_rate": 0.01}),
    ("Adam", {"clipnorm": 0.5}),
    ("Adam", {"clipvalue": 0.1}),
    ("Adam", {"global_clipnorm": 0.5}),
    ("Adam", {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 7}),
    ("Adam", {"gradient_accumulation_steps": 3, "clipnorm": 1.0, "weight_decay": 0.01}),
    ("Adam", {"loss_scale_factor": 16.0}),
    ("AdamW", {}),
    ("AdamW", {"weight_decay": 0.1, "amsgrad": True, "learning_rate": 0.01}),
    ("AdamW", {"gradient_accumulation_steps": 2, "use_ema": True}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.9, "rho": 0.8}),
    ("RMSprop", {"centered": True, "epsilon": 1e-3}),
    ("RMSprop", {"centered": True, "momentum": 0.5, "epsilon": 1e-2, "clipnorm": 1.0}),
    ("RMSprop", {"weight_decay": 0.01, "learning_rate": 0.01}),
    ("Nadam", {}),
    ("Nadam", {"learning_rate": 0.01, "beta_1": 0.8, "weight_decay": 0.01}),
    ("Nadam", {"gradient_accumulation_steps": 2}),
    ("Adamax", {}),
    ("Adamax", {"learning_rate": 0.01, "beta_2": 0.9, "clipvalue": 0.5}),
    ("Adagrad", {"learning_rate": 0.01}),
    ("Adagrad", {"initial_accumulator_value": 0.5, "epsilon": 1e-3, "weight_decay": 0.01}),
    ("Adadelta", {"learning_rate": 1.0}),
    ("Adadelta", {"rho": 0.8, "epsilon": 1e-4, "clipnorm": 1.0}),
    ("Ftrl", {"learning_rate": 0.05}),
    (
        "Ftrl",
        {
            "learning_rate": 0.05,
            "l1_regularization_strength": 0.1,
            "l2_regularization_strength": 0.2,
            "l2_shrinkage_regularization_strength": 0.05,
            "beta": 0.1,
            "learning_rate_power": -0.4,
        },
    ),
    ("Lion", {}),
    ("Lion", {"beta_1": 0.8, "beta_2": 0.9, "weight_decay": 0.1, "learning_rate": 0.01}),
    ("Lamb", {"learning_rate": 0.01}),
    ("Lamb", {"weight_decay": 0.05, "global_clipnorm": 1.0}),
    ("Adafactor", {"learning_rate": 0.01}),
    ("Adafactor", {"learning_rate": 0.25, "beta_2_decay": -0.5, "clip_threshold": 0.7}),
    ("Muon", {}),
    ("Muon", {"nesterov": False, "rms_rate": None, "learning_rate": 0.01}),
    ("Muon", {"exclude_layers": ["dense"], "exclude_embeddings": False, "adam_lr_ratio": 0.5}),
]


@pytest.fixture(autouse=True)
def dtype(request: pytest.FixtureRequest) -> Iterator[str]:
    """Keras's default dtype in this test: float64 unless parametrized."""
    before = keras.config.floatx()
    name = getattr(request, "param", "float64")
    keras.config.set_floatx(name)
    yield name
    keras.config.set_floatx(before)


def _start(dtype: str) -> list[np.ndarray]:
    return [np.random.normal(size=shape).astype(dtype) for shape in SHAPES]


def _grads(dtype: str) -> list[list[torch.Tensor]]:
    sizes = np.random.uniform(0.1, 2, STEPS)
    return [
        [torch.tensor((size * np.random.normal(size=shape)).astype(dtype)) for shape in SHAPES]
        for size in sizes
    ]


def _pair(
    name: str, arguments: dict[str, Any], start: list[np.ndarray]
) -> tuple[Any, list[Any], Any, list[torch.nn.Parameter]]:
    """Keras's optimizer and variables, and ours."""
    theirs = getattr(keras.optimizers, name)(**arguments)
    variables = []
    for value, path in zip(start, NAMES, strict=True):
        layer, own = path.split("/")
        with keras.name_scope(layer):
            variables.append(keras.Variable(value, name=own, dtype=value.dtype))
    theirs.build(variables)
    optimizer = getattr(ours, name)(**arguments)
    params = [torch.nn.Parameter(torch.tensor(value)) for value in start]
    optimizer.build(params, NAMES)
    return theirs, variables, optimizer, params


def _check(params: list[Any], variables: list[Any], at: str, **tolerance: float) -> None:
    for param, variable in zip(params, variables, strict=True):
        expected = variable.value.detach().numpy()
        np.testing.assert_allclose(param.detach().numpy(), expected, err_msg=at, **tolerance)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("dtype", ["float64", "float32"], indirect=True)
@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_trajectory(name: str, arguments: dict[str, Any], dtype: str, fused: bool) -> None:
    """With the fused kernels, and with the general ones that tensors of mixed kinds need."""
    theirs, variables, optimizer, params = _pair(name, arguments, _start(dtype))
    whole = optimizer._plan(tuple(range(len(params))))
    assert whole.fused
    whole.fused = fused
    for step, grads in enumerate(_grads(dtype)):
        theirs.apply(list(grads), variables)
        optimizer.apply(grads)
        _check(params, variables, f"step {step}", **TOLERANCE[dtype])
    assert optimizer.iterations == int(theirs.iterations)
    theirs.finalize_variable_values(variables)
    optimizer.finalize_variable_values(params)
    _check(params, variables, "final", **TOLERANCE[dtype])


SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5}),
    (
        "CosineDecay",
        {
            "initial_learning_rate": 0.0,
            "decay_steps": 20,
            "warmup_target": 0.05,
            "warmup_steps": 6,
        },
    ),
]


@pytest.mark.parametrize("accumulation", [None, 3])
@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
@pytest.mark.parametrize(("schedule", "arguments"), SCHEDULES)
def test_schedule_in_training(
    name: str, schedule: str, arguments: dict[str, Any], accumulation: int | None
) -> None:
    """With accumulation, Keras's schedules count batches, its `iterations` only updates."""
    start = _start("float64")
    theirs, variables, optimizer, params = _pair(
        name, {"gradient_accumulation_steps": accumulation, "learning_rate": 0.1}, start
    )
    theirs.learning_rate = getattr(keras.optimizers.schedules, schedule)(**arguments)
    optimizer.learning_rate = getattr(ours.schedules, schedule)(**arguments)
    for step, grads in enumerate(_grads("float64")):
        theirs.apply(list(grads), variables)
        optimizer.apply(grads)
        _check(params, variables, f"step {step}", **TOLERANCE["float64"])
        assert optimizer.learning_rate == pytest.approx(float(theirs.learning_rate), rel=1e-12)
    assert optimizer.iterations == int(theirs.iterations)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("SGD", {"momentum": 0.9, "weight_decay": 0.1}),
        ("Adam", {"use_ema": True, "ema_overwrite_frequency": 5}),
        ("AdamW", {"gradient_accumulation_steps": 2}),
        ("RMSprop", {"global_clipnorm": 1.0}),
        ("Muon", {}),
    ],
)
def test_missing_gradients(name: str, arguments: dict[str, Any]) -> None:
    """Parameters without a gradient keep value and state, the step count goes on."""
    theirs, variables, optimizer, params = _pair(name, arguments, _start("float64"))
    for step, grads in enumerate(_grads("float64")):
        chosen = [index for index in range(4) if index == step % 4 or step % 3]
        theirs.apply([grads[i] for i in chosen], [variables[i] for i in chosen])
        optimizer.apply([grads[i] for i in chosen], [params[i] for i in chosen])
        _check(params, variables, f"step {step}", **TOLERANCE["float64"])


def test_weight_decay_exclusions() -> None:
    theirs, variables, optimizer, params = _pair("AdamW", {"weight_decay": 1.0}, _start("float64"))
    theirs.exclude_from_weight_decay(var_list=[variables[2]], var_names=["bias"])
    optimizer.exclude_from_weight_decay(var_list=[params[2]], var_names=["bias"])
    for grads in _grads("float64"):
        theirs.apply(list(grads), variables)
        optimizer.apply(grads)
    _check(params, variables, "final", **TOLERANCE["float64"])


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_adafactor_factors_convolution_channels(rank: int) -> None:
    """Keras's kernels are (*window, in, out), ours (out, in, *window)."""
    start = np.random.normal(size=(2, 3, 4)[:rank] + (5, 6)).astype("float64")

    def to_torch(value: np.ndarray) -> torch.Tensor:
        return torch.tensor(value).movedim((-1, -2), (0, 1)).contiguous()

    variable = keras.Variable(start)
    theirs = keras.optimizers.Adafactor(0.1)
    theirs.build([variable])
    param = torch.nn.Parameter(to_torch(start))
    optimizer = ours.Adafactor(0.1)
    optimizer.build([param])
    for _ in range(5):
        grad = np.random.normal(size=start.shape).astype("float64")
        theirs.apply([torch.tensor(grad)], [variable])
        optimizer.apply([to_torch(grad)])
    expected = to_torch(variable.value.detach().numpy())
    torch.testing.assert_close(param.detach(), expected, rtol=1e-7, atol=1e-7)


NAMED = sorted({name for name, _ in CASES})


@pytest.mark.parametrize("name", NAMED)
def test_arguments_and_defaults(name: str) -> None:
    def defaults(optimizer: type) -> dict[str, Any]:
        return {
            argument.name: argument.default
            for argument in inspect.signature(optimizer).parameters.values()
            if argument.kind is not argument.VAR_KEYWORD
        }

    assert defaults(getattr(ours, name)) == defaults(getattr(keras.optimizers, name))


@pytest.mark.parametrize("dtype", ["float32"], indirect=True)
@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_config(name: str, arguments: dict[str, Any]) -> None:
    theirs = getattr(keras.optimizers, name)(**arguments, name="given").get_config()
    optimizer = getattr(ours, name)(**arguments, name="given")
    assert optimizer.get_config() == theirs
    assert getattr(ours, name).from_config(theirs).get_config() == theirs


@pytest.mark.parametrize("name", NAMED)
def test_default_name_and_deserializing(name: str) -> None:
    keras.utils.clear_session(free_memory=False)  # a collection over all of torch is slow
    theirs = getattr(keras.optimizers, name)()
    made = ours.get({"class_name": name, "config": theirs.get_config()})
    assert type(made) is getattr(ours, name)
    assert made.name == theirs.name


@pytest.mark.parametrize(
    ("name", "arguments"), [case for case in CASES if case[0] not in ("Adafactor", "Muon")]
)
def test_variables_in_order(name: str, arguments: dict[str, Any]) -> None:
    """Same order and values as in Keras, so that files can hold them."""
    theirs, variables, optimizer, _ = _pair(name, arguments, _start("float64"))
    for grads in _grads("float64")[:5]:
        theirs.apply(list(grads), variables)
        optimizer.apply(grads)
    assert len(optimizer.variables) == len(theirs.variables)
    for own, expected in zip(optimizer.variables, theirs.variables, strict=True):
        value = expected.value.detach().numpy()
        assert tuple(own.shape) == tuple(value.shape), expected.path
        np.testing.assert_allclose(own.numpy(), value, rtol=1e-6, atol=0, err_msg=expected.path)
