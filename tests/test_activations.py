"""Activations against hand computation and bare torch."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnkit import activations as act
from nnkit.custom_objects import CustomObjectScope
from nnkit.errors import ArgumentError, ConfigError


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values)


@pytest.mark.parametrize(
    ("name", "arguments", "given", "expected"),
    [
        ("linear", {}, (-2.0, 3.0), (-2.0, 3.0)),
        ("step", {}, (-2.0, -1e-45, -0.0, 0.0, 0.3, math.inf), (0.0, 0.0, 1.0, 1.0, 1.0, 1.0)),
        ("sign", {}, (-2.0, 0.0, 0.3), (-1.0, 0.0, 1.0)),
        ("relu", {}, (-2.0, 3.0), (0.0, 3.0)),
        ("relu", {"max_value": 0.0}, (-2.0, 3.0), (0.0, 0.0)),
        (
            "relu",
            {"negative_slope": 0.5, "max_value": 4.0, "threshold": 1.0},
            (-3.0, 0.5, 2.0, 9.0),
            (-2.0, -0.25, 2.0, 4.0),
        ),
        ("leaky_relu", {}, (-1.0, 2.0), (-0.2, 2.0)),
        ("hard_sigmoid", {}, (-3.0, 0.0, 1.5, 3.0), (0.0, 0.5, 0.75, 1.0)),
        ("sparse_plus", {}, (-2.0, 0.0, 0.5, 2.0), (0.0, 0.25, 0.5625, 2.0)),
        ("sparse_sigmoid", {}, (-2.0, 0.5, 2.0), (0.0, 0.75, 1.0)),
        ("squareplus", {"b": 0.0}, (-2.0, 3.0), (0.0, 3.0)),
        ("threshold", {"threshold": 1.0, "default_value": -5.0}, (1.0, 2.0), (-5.0, 2.0)),
        ("glu", {}, (2.0, 0.0), (1.0,)),
        ("softmax", {}, (0.0, math.log(3.0)), (0.25, 0.75)),
        ("sparsemax", {}, (1.0, 0.9, 0.0), (0.55, 0.45, 0.0)),
        ("sparsemax", {}, (0.1, 0.2, 0.3), (7 / 30, 10 / 30, 13 / 30)),
        ("sparsemax", {}, (3e8, 0.0, -1.0), (1.0, 0.0, 0.0)),
    ],
)
def test_values(
    name: str, arguments: dict, given: tuple[float, ...], expected: tuple[float, ...]
) -> None:
    result = getattr(act, name)(tensor(*given), **arguments)
    torch.testing.assert_close(result, tensor(*expected), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["step", "sign"])
def test_flat_functions_have_zero_gradients(name: str) -> None:
    x = tensor(-math.inf, -1.0, 0.0, 2.0, math.inf).requires_grad_()
    getattr(act, name)(x).sum().backward()
    assert torch.equal(x.grad, torch.zeros(5))


def test_step_keeps_nan() -> None:
    assert act.step(tensor(math.nan)).isnan().all()


def test_sparse_plus_gradient_stays_finite() -> None:
    x = tensor(-math.inf, -1e30, 0.0, 1e30, math.inf).requires_grad_()
    act.sparse_plus(x).sum().backward()
    assert torch.equal(x.grad, tensor(0.0, 0.0, 0.5, 1.0, 1.0))


def test_sparsemax_is_the_nearest_probability_vector() -> None:
    x = torch.randn(50, 8, dtype=torch.float64)
    # Bisection for the shift that makes the sum one.
    low, high = x.amax(-1, keepdim=True) - 1, x.amax(-1, keepdim=True)
    for _ in range(80):
        middle = (low + high) / 2
        above = (x - middle).clamp(min=0).sum(-1, keepdim=True) > 1
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    torch.testing.assert_close(act.sparsemax(x), (x - low).clamp(min=0))
    torch.testing.assert_close(act.sparsemax(x.T, axis=0), act.sparsemax(x).T)


def test_sparsemax_gradient() -> None:
    x = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(act.sparsemax, (x,))


def test_sparsemax_keeps_nan_to_its_row() -> None:
    y = act.sparsemax(torch.tensor([[math.nan, 1.0], [0.0, 2.0]]))
    assert y[0].isnan().all()
    assert torch.equal(y[1], tensor(0.0, 1.0))


def test_softmax_over_several_axes_sums_to_one() -> None:
    x = torch.randn(3, 4, 5) * 10
    y = act.softmax(x, axis=[0, 2])
    torch.testing.assert_close(y.sum(dim=(0, 2)), torch.ones(4))
    torch.testing.assert_close(y.log(), act.log_softmax(x, axis=(0, -1)), rtol=1e-5, atol=1e-5)
    assert act.log_softmax(torch.tensor([[0.0], [1e4]]), axis=(0, 1)).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", sorted(set(act.REGISTRY.names()) - {"threshold"}))
def test_dtype_is_kept(name: str, dtype: torch.dtype) -> None:
    assert act.get(name)(torch.randn(3, 4).to(dtype)).dtype == dtype


def test_negative_ceiling() -> None:
    with pytest.raises(ArgumentError, match=r"relu expects max_value >= 0 or None, got -1"):
        act.relu(tensor(1.0), max_value=-1)


def test_nothing_is_kept_by_default() -> None:
    x = torch.randn(2, 3)
    assert act.logits_of(act.softmax(x)) is None
    assert act.logits_of(act.sigmoid(x)) is None
    assert act.logits_of(x) is None


@pytest.mark.parametrize(
    ("name", "arguments", "kind"),
    [
        ("softmax", {}, "softmax"),
        ("softmax", {"axis": 1}, "softmax"),
        ("softmax", {"axis": 0}, None),
        ("softmax", {"axis": None}, None),
        ("sigmoid", {}, "sigmoid"),
        ("tanh", {}, None),
        ("log_softmax", {}, None),
    ],
)
def test_keep_logits(name: str, arguments: dict, kind: str | None) -> None:
    x = torch.randn(2, 3, requires_grad=True)
    with act.keep_logits():
        y = getattr(act, name)(x, **arguments)
    if kind is None:
        assert act.logits_of(y) is None
    else:
        assert act.logits_of(y) is not None
        assert act.logits_of(y)[0] == kind
        assert act.logits_of(y)[1] is x
        assert act.logits_of(y * 1) is None


def test_keep_logits_is_reentrant_and_restored_after_errors() -> None:
    x = torch.randn(2, 3)
    keeping = act.keep_logits()
    with keeping:
        with keeping, act.keep_logits():
            pass
        assert act.logits_of(act.softmax(x)) is not None
    assert act.logits_of(act.softmax(x)) is None
    with pytest.raises(RuntimeError, match="stop"), keeping:
        raise RuntimeError("stop")
    assert act.logits_of(act.softmax(x)) is None


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_keep_logits_in_a_compiled_function(kind: str) -> None:
    linear = nn.Linear(4, 3)
    x = torch.randn(5, 4)
    compiled = torch.compile(
        lambda x: getattr(act, kind)(linear(x)), fullgraph=True, backend="aot_eager"
    )
    assert act.logits_of(compiled(x)) is None
    with act.keep_logits():
        y = compiled(x)
    assert act.logits_of(y)[0] == kind
    torch.testing.assert_close(act.logits_of(y)[1], linear(x))


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        (None, act.linear),
        ("relu", act.relu),
        ("ReLU", act.relu),
        ("swish", act.silu),
        ("hard_swish", act.hard_silu),
        ("identity", act.linear),
        ("step", act.step),
        (torch.tanh, torch.tanh),
        ({"class_name": "function", "config": "gelu"}, act.gelu),
    ],
)
def test_get(identifier: object, expected: object) -> None:
    assert act.get(identifier) is expected


def test_get_modules() -> None:
    module = nn.LeakyReLU(0.3)
    assert act.get(module) is module
    assert isinstance(act.get(nn.ReLU), nn.ReLU)


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("rellu", "Unknown activation 'rellu'. Did you mean .*'relu'"),
        (3, "Cannot use 3 as activation"),
        ({"config": {}}, "needs 'class_name'"),
    ],
)
def test_get_errors(identifier: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        act.get(identifier)


def my_own(x: torch.Tensor) -> torch.Tensor:
    return x


def relu(x: torch.Tensor) -> torch.Tensor:
    return -x


@pytest.mark.parametrize("name", act.REGISTRY.names())
def test_every_name_survives_a_config(name: str) -> None:
    function = act.get(name)
    assert act.deserialize(act.serialize(function)) is function


@pytest.mark.parametrize(
    ("torch_version", "name"),
    [(key, name) for key, name in act._TORCH_NAMES.items()],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_torch_functions_are_written_by_our_names(torch_version: object, name: str) -> None:
    function = torch_version() if isinstance(torch_version, type) else torch_version
    assert act.serialize(function) == name
    x = torch.linspace(-8, 8, 101)
    torch.testing.assert_close(function(x), act.get(name)(x), rtol=0, atol=0)


def test_serialize_passes_data_through() -> None:
    assert act.serialize(None) is None
    assert act.serialize("relu") == "relu"


def test_own_function_is_written_by_its_name() -> None:
    config = act.serialize(my_own)
    assert (config["class_name"], config["config"]) == ("function", "my_own")
    with pytest.raises(ArgumentError, match="no function 'my_own' here"):
        act.deserialize(config)


class Scale:
    def __init__(self, by: float = 2.0) -> None:
        self.by = by

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.by

    def get_config(self) -> dict[str, float]:
        return {"by": self.by}


def test_object_with_config() -> None:
    assert act.serialize(Scale(3.0))["config"] == {"by": 3.0}


@pytest.mark.parametrize(
    "activation",
    [
        relu,  # shares its name with another function
        F.leaky_relu,  # has another default slope than ours
    ],
    ids=["same name", "other default"],
)
def test_what_cannot_be_written(activation: object) -> None:
    with pytest.raises(ArgumentError, match=r"Cannot write activation .* into a config"):
        act.serialize(activation)


def test_what_has_no_config_says_so() -> None:
    with pytest.raises(ConfigError, match=r"partial has no method get_config"):
        act.serialize(functools.partial(act.relu, max_value=3.0))


def test_a_module_and_a_lambda_are_supplied_when_read() -> None:
    module = nn.LeakyReLU(0.3)
    config = act.serialize(module)
    assert (config["class_name"], config["config"]) == ("LeakyReLU", {})
    with pytest.raises(ArgumentError, match=r"custom_objects=\{'LeakyReLU': \.\.\.\}"):
        act.deserialize(config)
    with CustomObjectScope({"LeakyReLU": module, "<lambda>": module}):
        assert act.deserialize(config) is module
        assert act.deserialize(act.serialize(lambda x: x)) is module


def test_numpy_reference_of_mish() -> None:
    x = np.linspace(-5, 5, 21)
    expected = x * np.tanh(np.log1p(np.exp(x)))
    np.testing.assert_allclose(act.mish(torch.tensor(x)).numpy(), expected, rtol=1e-12)
