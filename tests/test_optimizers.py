"""Optimizers: torch's and Keras's ways of using them, state, files, and what is refused."""

from __future__ import annotations

import copy
import functools
import io
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nnkit import naming, optimizers
from nnkit.errors import ArgumentError, NotBuiltError, ShapeError
from nnkit.optimizers import SGD, Adam, AdamW, schedules

ALL = [
    "SGD",
    "RMSprop",
    "Adam",
    "AdamW",
    "Nadam",
    "Adamax",
    "Adagrad",
    "Adadelta",
    "Ftrl",
    "Lion",
    "Lamb",
    "Adafactor",
    "Muon",
]
RICH: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.9},
    "RMSprop": {"momentum": 0.9, "centered": True},
    "Adam": {"amsgrad": True, "use_ema": True, "gradient_accumulation_steps": 2},
    "AdamW": {"learning_rate": schedules.ExponentialDecay(0.1, 2, 0.5)},
}


def _make(name: str) -> Any:
    return getattr(optimizers, name)(**RICH.get(name, {}))


def _params() -> list[nn.Parameter]:
    return [nn.Parameter(torch.randn(shape)) for shape in [(4, 3), (3,), (2, 2, 3, 3)]]


def _grads(params: list[nn.Parameter]) -> list[torch.Tensor]:
    return [torch.randn_like(param) for param in params]


def _copies(params: list[nn.Parameter]) -> list[nn.Parameter]:
    return [nn.Parameter(param.detach().clone()) for param in params]


def _same(first: list[Any], second: list[Any]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


# Against torch's own, where the formulas coincide.


@pytest.mark.parametrize(
    ("own", "make"),
    [
        (SGD(0.1), functools.partial(torch.optim.SGD, lr=0.1)),
        (SGD(0.1, 0.9), functools.partial(torch.optim.SGD, lr=0.1, momentum=0.9)),
        (
            SGD(0.1, 0.9, nesterov=True),
            functools.partial(torch.optim.SGD, lr=0.1, momentum=0.9, nesterov=True),
        ),
        (Adam(0.1, epsilon=1e-30), functools.partial(torch.optim.Adam, lr=0.1, eps=1e-30)),
        (
            AdamW(0.1, 0.01, epsilon=1e-30),
            functools.partial(torch.optim.AdamW, lr=0.1, eps=1e-30, weight_decay=0.01),
        ),
    ],
)
def test_like_torch(own: Any, make: Callable[..., torch.optim.Optimizer]) -> None:
    params = _params()
    twins = _copies(params)
    theirs = make(twins)
    own.build(params)
    for _ in range(10):
        for param, twin in zip(params, twins, strict=True):
            param.grad = torch.randn_like(param)
            twin.grad = param.grad.clone()
        own.step()
        theirs.step()
    for param, twin in zip(params, twins, strict=True):
        torch.testing.assert_close(param, twin, rtol=2e-6, atol=1e-6)


# Gradients that do not lie in memory like their parameters.


@pytest.mark.parametrize("name", ALL)
def test_any_layout_dtype_or_sparse_gradient(name: str) -> None:
    """The kernels would read such memory as it comes; the result must not show it."""
    params = [nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.randn(2, 3, 2, 2))]
    last = [params[0], nn.Parameter(params[1].detach().to(memory_format=torch.channels_last))]
    twins = _copies(params)
    first, second = _make(name), _make(name)
    first.build(twins)
    second.build([last[0], last[1]])
    for _ in range(4):
        grads = _grads(params)
        grads[0][1] = 0
        odd = grads[0].double().T.contiguous().T.to_sparse()
        first.apply(grads)
        second.apply([odd, grads[1]])
    torch.testing.assert_close(last[0], twins[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(last[1].contiguous(), twins[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_parameters_with_gaps_in_memory(name: str) -> None:
    around = torch.zeros(3, 4)
    param = nn.Parameter(around[:, ::2])
    optimizer = getattr(optimizers, name)(1.0)
    for _ in range(2):
        optimizer.apply([torch.ones(3, 2)], [param])
    expected = torch.tensor([-2.0, 0.0, -2.0, 0.0]).expand(3, 4)
    torch.testing.assert_close(around, expected)


@pytest.mark.parametrize("change", [torch.channels_last, torch.float64])
@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "Adafactor"])
def test_parameters_that_change_their_kind(name: str, change: Any) -> None:
    """A model moved or converted after its first update trains on."""
    params = [nn.Parameter(torch.randn(2, 3, 2, 2))]
    twins = _copies(params)
    first, second = _make(name), _make(name)
    first.build(params)
    second.build(twins)
    for step in range(6):
        if step == 2:
            kind = {"memory_format" if change is torch.channels_last else "dtype": change}
            params[0].data = params[0].data.to(**kind)
        grad = torch.randn(2, 3, 2, 2)
        first.apply([grad.to(params[0].dtype)])
        second.apply([grad])
    assert params[0].dtype == (change if change is torch.float64 else torch.float32)
    torch.testing.assert_close(params[0].float().contiguous(), twins[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_mixed_dtypes(name: str) -> None:
    params = [nn.Parameter(torch.ones(4, 3)), nn.Parameter(torch.ones(4, 3, dtype=torch.float64))]
    optimizer = _make(name)
    optimizer.build(params)
    for _ in range(4):
        grad = torch.randn(4, 3)
        optimizer.apply([grad, grad.double()])
    assert not torch.equal(params[0], torch.ones(4, 3))
    torch.testing.assert_close(params[0], params[1].float(), rtol=1e-5, atol=1e-6)


# Torch's way.


def test_is_a_torch_optimizer() -> None:
    model = nn.Linear(3, 2)
    optimizer = SGD(0.1)
    optimizer.build(model.parameters())
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    before = model.weight.detach().clone()

    def closure() -> Any:
        optimizer.zero_grad()
        loss = model(torch.ones(1, 3)).sum()
        loss.backward()
        return loss

    loss = optimizer.step(closure)
    assert loss is not None
    torch.testing.assert_close(model.weight, before - 0.1)
    scheduler.step()
    assert optimizer.learning_rate == 0.05
    optimizer.step()
    torch.testing.assert_close(model.weight, before - 0.15)
    optimizer.zero_grad(set_to_none=False)
    assert torch.equal(model.weight.grad, torch.zeros(2, 3))
    optimizer.zero_grad()
    assert model.weight.grad is None
    optimizer.step()
    assert optimizer.iterations == 2


def test_gradient_scaler() -> None:
    model = nn.Linear(3, 2)
    optimizer = SGD(0.1)
    optimizer.build(model.parameters())
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    before = model.bias.detach().clone()
    scaler.scale(model(torch.ones(1, 3)).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    torch.testing.assert_close(model.bias, before - 0.1)


def test_step_leaves_parameters_without_gradient() -> None:
    params = _params()
    before = [param.detach().clone() for param in params]
    optimizer = Adam()
    optimizer.build(params)
    params[1].grad = torch.ones(3)
    optimizer.step()
    changed = [not torch.equal(a, b) for a, b in zip(params, before, strict=True)]
    assert changed == [False, True, False]


# State.


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("how", ["state_dict", "file", "pickle", "deepcopy"])
def test_training_goes_on_exactly(name: str, how: str) -> None:
    params = _params()
    optimizer = _make(name)
    optimizer.build(params)
    for _ in range(3):
        optimizer.apply(_grads(params))
    if how in ("state_dict", "file"):
        twins = _copies(params)
        twin = _make(name)
        twin.build(twins)
        state = copy.deepcopy(optimizer.state_dict())
        if how == "file":
            buffer = io.BytesIO()
            torch.save(state, buffer)
            buffer.seek(0)
            state = torch.load(buffer)
        twin.load_state_dict(state)
    elif how == "pickle":
        twins, twin = pickle.loads(pickle.dumps((params, optimizer)))
    else:
        twins, twin = copy.deepcopy((params, optimizer))
    assert twin.iterations == optimizer.iterations
    assert twin.learning_rate == optimizer.learning_rate
    for _ in range(3):
        grads = _grads(params)
        optimizer.apply(grads)
        twin.apply(grads)
    assert _same(params, twins)
    assert twins[0] is not params[0]


def test_loading_keeps_a_schedule() -> None:
    params = _params()
    source, target = SGD(0.5), SGD(schedules.PolynomialDecay(1.0, 10, 0.0))
    source.build(params)
    target.build(params)
    for _ in range(5):
        source.apply(_grads(params))
    target.load_state_dict(source.state_dict())
    assert target.learning_rate == 0.5
    assert target.iterations == 5
    assert target.schedule is not None


@pytest.mark.parametrize(
    ("source", "target", "error", "message"),
    [
        (Adam(), SGD(momentum=0.5), ArgumentError, r"SGD keeps \['momentum'\] .* same arguments"),
        (SGD(), None, ArgumentError, "of 3 parameters, but this optimizer has 1"),
        (Adam(), Adam(), ShapeError, r"momentum of parameter 0 has shape \(1,\)"),
    ],
)
def test_states_that_do_not_fit(source: Any, target: Any, error: type, message: str) -> None:
    source.build(_params())
    other = target or SGD()
    shapes = [(1,), (1,), (1,)] if target else [(1,)]
    other.build([nn.Parameter(torch.ones(shape)) for shape in shapes])
    with pytest.raises(error, match=message):
        other.load_state_dict(source.state_dict())


def test_build_again_keeps_state() -> None:
    """Freezing and unfreezing a layer: who was there before keeps the moments."""
    params = _params()
    optimizer = SGD(0.1, momentum=0.9)
    optimizer.build(params)
    optimizer.apply([torch.ones_like(param) for param in params])
    kept = optimizer.state[params[2]]["momentum"]
    new = nn.Parameter(torch.ones(7))
    optimizer.set_trainable_params([params[2], new])
    assert optimizer.state[params[2]]["momentum"] is kept
    optimizer.apply([torch.zeros(2, 2, 3, 3), torch.ones(7)])
    torch.testing.assert_close(kept, torch.full((2, 2, 3, 3), -0.09))
    torch.testing.assert_close(new.detach(), torch.full((7,), 0.9))
    optimizer.build(params)
    torch.testing.assert_close(optimizer.state[params[0]]["momentum"], torch.full((4, 3), -0.1))
    assert optimizer.iterations == 2


def test_variables() -> None:
    params = _params()[:2]
    optimizer = Adam(0.5, use_ema=True)
    optimizer.build(params)
    optimizer.apply(_grads(params))
    shapes = [tuple(variable.shape) for variable in optimizer.variables]
    assert shapes == [(), (), (4, 3), (3,), (4, 3), (4, 3), (3,), (3,)]
    assert [variable.item() for variable in optimizer.variables[:2]] == [1, 0.5]
    assert len(Adam(schedules.CosineDecay(0.1, 1)).variables) == 1


# The learning rate.


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (1, 1.0),
        (np.float32(0.5), 0.5),
        (np.array(0.25), 0.25),
        (torch.tensor(0.25), 0.25),
        (0, 0.0),
        (lambda: 0.3, 0.3),
        (lambda step: 0.1 * (step + 1), 0.1),
        (lambda step: torch.tensor(0.5), 0.5),
        (schedules.serialize(schedules.ExponentialDecay(0.2, 1, 1)), 0.2),
    ],
)
def test_learning_rates(given: Any, expected: float) -> None:
    optimizer = SGD(given)
    assert optimizer.learning_rate == optimizer.lr == expected
    assert isinstance(optimizer.learning_rate, float)
    assert optimizer.param_groups[0]["lr"] == expected


def test_setting_the_learning_rate() -> None:
    params = [nn.Parameter(torch.zeros(1))]
    optimizer = SGD(0.5)
    optimizer.build(params)
    optimizer.learning_rate = 0.25
    optimizer.apply([torch.ones(1)])
    assert params[0].item() == -0.25
    optimizer.lr = schedules.PiecewiseConstantDecay([1], [1.0, 2.0])
    optimizer.apply([torch.ones(1)])
    optimizer.apply([torch.ones(1)])
    assert params[0].item() == -0.25 - 1 - 2
    optimizer.learning_rate = 0.5
    assert optimizer.schedule is None
    optimizer.apply([torch.ones(1)])
    assert params[0].item() == -3.75


def test_a_function_sees_the_step() -> None:
    params = [nn.Parameter(torch.zeros(1))]
    optimizer = SGD(lambda step: float(step))
    optimizer.build(params)
    for _ in range(4):
        optimizer.apply([torch.ones(1)])
    assert params[0].item() == -(0 + 1 + 2 + 3)


def test_the_old_spelling() -> None:
    with pytest.warns(FutureWarning, match="learning_rate="):
        assert Adam(lr=0.5).learning_rate == 0.5


def test_the_old_decay_is_ignored_as_in_keras() -> None:
    with pytest.warns(FutureWarning, match=r"Adam\(decay=\).*InverseTimeDecay") as caught:
        assert Adam(0.5, decay=0.1).learning_rate == 0.5
    assert caught[0].filename == __file__
    Adam(0.5, decay=0.1)  # told once


def test_the_line_that_programs_for_keras_2_copy() -> None:
    with pytest.warns(FutureWarning, match=r"epsilon=None is an old spelling") as caught:
        made = Adam(0.001, beta_1=0.9, beta_2=0.999, epsilon=None, decay=0.0, amsgrad=False)
    assert made.epsilon == 1e-7
    assert caught[0].filename == __file__


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, -1])
def test_impossible_rates(value: float) -> None:
    with pytest.raises(ArgumentError, match="finite and at least 0"):
        Adam(value)
    with pytest.raises(ArgumentError, match="finite and at least 0"):
        Adam().learning_rate = value


# Updates.


def test_apply_gradients_in_another_order() -> None:
    params = _params()
    grads = _grads(params)
    twins = _copies(params)
    first, second = Adam(), Adam()
    for _ in range(3):
        first.apply(grads, params)
        order = [2, 0, 1]
        if not second.built:
            second.build(twins)
        assert second.apply_gradients([(grads[i], twins[i]) for i in order]) == second.iterations
    assert _same(params, twins)


def test_accumulation() -> None:
    params = [nn.Parameter(torch.zeros(2))]
    optimizer = SGD(1.0, gradient_accumulation_steps=3)
    optimizer.build(params)
    called = []
    optimizer.after_step.append(lambda: called.append(params[0][0].item()))
    seen = []
    for value in [1.0, 2.0, 6.0, 3.0, 3.0, 3.0]:
        optimizer.apply([torch.full((2,), value)])
        seen.append((params[0][0].item(), optimizer.iterations))
    assert seen == [(0, 0), (0, 0), (-3, 1), (-3, 1), (-3, 1), (-6, 2)]
    assert called == [-3, -6]


def test_moving_average() -> None:
    params = [nn.Parameter(torch.zeros(1))]
    optimizer = SGD(1.0, use_ema=True, ema_momentum=0.75)
    optimizer.build(params)
    for _ in range(3):
        optimizer.apply([torch.ones(1)])
    assert params[0].item() == -3
    optimizer.finalize_variable_values(params)
    assert params[0].item() == 0.75 * (0.75 * -1 + 0.25 * -2) + 0.25 * -3


def test_after_step_sees_the_update() -> None:
    params = [nn.Parameter(torch.ones(2))]
    optimizer = SGD(1.0)
    optimizer.build(params)
    optimizer.after_step.append(lambda: params[0].clamp_(min=0.5))
    optimizer.apply([torch.tensor([0.0, 3.0])])
    assert params[0].tolist() == [1.0, 0.5]
    assert copy.deepcopy(optimizer).after_step == []


def test_gradients_are_not_changed() -> None:
    params = _params()
    grads = _grads(params)
    before = [grad.clone() for grad in grads]
    for name in ALL:
        for extra in ({"clipnorm": 0.1}, {"global_clipnorm": 0.1}, {"clipvalue": 0.1}, {}):
            optimizer = getattr(optimizers, name)(loss_scale_factor=2.0, **extra)
            optimizer.build(params)
            optimizer.apply(grads)
    assert _same(grads, before)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"clipnorm": 1.0}, [[0.6, 0.8], [0.1, 0.0]]),
        ({"global_clipnorm": 1.0}, [[0.6, 0.8], [0.02, 0.0]]),
        ({"clipvalue": 3.5}, [[3.0, 3.5], [0.1, 0.0]]),
    ],
)
def test_clipping(arguments: dict[str, float], expected: list[list[float]]) -> None:
    params = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))]
    optimizer = SGD(1.0, **arguments)
    optimizer.build(params)
    optimizer.apply([torch.tensor([3.0, 4.0]), torch.tensor([0.1, 0.0])])
    for param, values in zip(params, expected, strict=True):
        torch.testing.assert_close(-param.detach(), torch.tensor(values), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("clip", ["clipnorm", "global_clipnorm", "clipvalue"])
def test_clipping_mixed_dtypes(clip: str) -> None:
    params = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2, dtype=torch.float64))]
    optimizer = SGD(1.0, **{clip: 0.5})
    optimizer.build(params)
    optimizer.apply([torch.tensor([2.0, 0.0]), torch.tensor([2.0, 0.0], dtype=torch.float64)])
    expected = 0.5 / 2**0.5 if clip == "global_clipnorm" else 0.5
    assert [param[0].item() for param in params] == pytest.approx([-expected, -expected])


def test_a_gradient_that_is_not_finite_shows() -> None:
    params = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))]
    optimizer = SGD(1.0, global_clipnorm=1.0)
    optimizer.build(params)
    optimizer.apply([torch.tensor([float("inf"), 0]), torch.ones(2)])
    assert torch.cat([param.detach() for param in params]).isnan().all()


def test_loss_scale() -> None:
    param = nn.Parameter(torch.zeros(1))
    optimizer = SGD(1.0, loss_scale_factor=4.0)
    optimizer.scale_loss((3 * param).sum()).backward()
    assert param.grad.item() == 12
    optimizer.apply([param.grad], [param])
    assert param.item() == -3


def test_decay_exclusions() -> None:
    params = _params()
    before = [param.detach().clone() for param in params]
    optimizer = AdamW(0.1, weight_decay=1.0)
    optimizer.exclude_from_weight_decay(var_list=[params[2]], var_names=["bias"])
    optimizer.build(params, ["dense/kernel", "dense/bias", "conv/kernel"])
    optimizer.apply([torch.zeros_like(param) for param in params])
    torch.testing.assert_close(params[0].detach(), before[0] * 0.9)
    assert _same(params[1:], before[1:])


def test_an_optimizer_of_ones_own() -> None:
    """Written Keras's way, parameter by parameter, and ours, all at once."""

    class Signs(optimizers.Optimizer):
        def __init__(self, learning_rate: Any = 0.5, **common: Any) -> None:
            super().__init__(learning_rate, **common)

        def slots(self) -> dict[str, float]:
            return {"steps": 1.0}

        def update_step(self, gradient: Any, variable: Any, learning_rate: float) -> None:
            variable.sub_(learning_rate * gradient.sign())
            self.state[variable]["steps"].add_(1)

    param = nn.Parameter(torch.zeros(2))
    optimizer = Signs(name="mine")
    optimizer.build([param])
    optimizer.apply([torch.tensor([3.0, -2.0])])
    assert param.tolist() == [-0.5, 0.5]
    assert optimizer.state[param]["steps"].tolist() == [2, 2]
    assert Signs.from_config(optimizer.get_config()).name == "mine"
    assert optimizers.get(Signs).learning_rate == 0.5
    unfinished = optimizers.Optimizer(0.1)
    unfinished.build([param])
    with pytest.raises(NotImplementedError, match="needs a method update"):
        unfinished.apply([torch.ones(2)])


class Lasting(optimizers.Optimizer):
    """One with a momentum, written Keras's way."""

    def build(self, variables: Any) -> None:
        super().build(variables)
        self.momentums = [self.add_variable_from_reference(v, "momentum") for v in variables]
        self.counts = self.add_optimizer_variables(variables, "momentum", "ones")
        self.total = self.add_variable((), name="total")

    def update_step(self, gradient: Any, variable: Any, learning_rate: float) -> None:
        self.assign_add(self.momentums[self._get_variable_index(variable)], gradient)
        self.assign_sub(variable, learning_rate * gradient)
        self.assign(self.total, float(self.total) + 1)


def test_variables_of_ones_own_belong_to_the_state() -> None:
    first, second = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(3))
    optimizer = Lasting(0.5)
    optimizer.build([first])
    optimizer.apply([torch.ones(2)])
    assert list(optimizer.state[first]) == ["momentum", "momentum_1"]
    # Built again with more parameters, as fit does after some were unfrozen.
    optimizer.build([first, second])
    optimizer.apply([torch.ones(2), torch.ones(3)])
    assert [momentum.tolist() for momentum in optimizer.momentums] == [[2, 2], [1, 1, 1]]
    assert optimizer.counts[1].tolist() == [1, 1, 1]
    assert [parameter.tolist()[0] for parameter in (first, second)] == [-1, -0.5]
    twin = Lasting(0.5)
    twin.build([nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(3))])
    twin.load_state_dict(optimizer.state_dict())
    assert twin.momentums[0].tolist() == [2, 2]
    assert float(twin.total) == float(optimizer.total) == 3
    assert twin.total is not optimizer.total
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    assert torch.load(file, weights_only=True)["state"][0]["momentum"].tolist() == [2, 2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda o, p: o.add_variable_from_reference(p), "no parameter of this optimizer"),
        (lambda o, p: o._get_variable_index(p), "was not built with this parameter"),
        (lambda o, p: o.add_optimizer_variables([], ["a", "b"], ["zeros"]), "2 names and 1 init"),
    ],
)
def test_mistakes_with_variables_of_ones_own(call: Any, message: str) -> None:
    optimizer = Lasting(0.5)
    optimizer.build([nn.Parameter(torch.zeros(2))])
    with pytest.raises(ArgumentError, match=message):
        call(optimizer, nn.Parameter(torch.zeros(2)))


def test_state_made_before_the_parameters_moved_follows_them() -> None:
    """As after loading a model with its optimizer, and taking it to another device or dtype."""
    parameter = nn.Parameter(torch.zeros(2))
    optimizer = optimizers.Adam(0.5)
    optimizer.build([parameter])
    optimizer.state[parameter]["momentum"].fill_(1.0)
    parameter.data = parameter.data.double()
    optimizer.apply([torch.zeros(2, dtype=torch.float64)])
    assert optimizer.state[parameter]["momentum"].dtype is torch.float64
    assert optimizer.state[parameter]["momentum"].tolist() == pytest.approx([0.9, 0.9])


# Looking up.


@pytest.mark.parametrize(
    ("identifier", "kind"),
    [
        ("adam", "Adam"),
        ("Adam", "Adam"),
        ("RMSPROP", "RMSprop"),
        ("rmsprop", "RMSprop"),
        ("sgd", "SGD"),
        ("adamw", "AdamW"),
        ("adam_w", "AdamW"),
        (optimizers.Ftrl, "Ftrl"),
        ({"class_name": "sgd", "config": {"learning_rate": 0.5}}, "SGD"),
    ],
)
def test_get(identifier: Any, kind: str) -> None:
    assert type(optimizers.get(identifier)) is getattr(optimizers, kind)


def test_get_passes_objects_through() -> None:
    params = _params()
    for item in (None, Adam(), torch.optim.SGD(params), optimizers.TorchFactory(torch.optim.SGD)):
        assert optimizers.get(item) is item


@pytest.mark.parametrize(
    ("identifier", "kind", "rate"),
    [
        (torch.optim.SGD, torch.optim.SGD, 1e-3),
        (functools.partial(torch.optim.AdamW, lr=1e-4), torch.optim.AdamW, 1e-4),
        (lambda params: torch.optim.Adam([{"params": params, "lr": 1.0}]), torch.optim.Adam, 1.0),
    ],
)
def test_torch_optimizers_wait_for_parameters(identifier: Any, kind: type, rate: float) -> None:
    params = _params()
    factory = optimizers.get(identifier)
    made = factory.build(iter(params))
    assert type(made) is kind
    assert made.param_groups[0]["lr"] == rate
    assert made.param_groups[0]["params"] == params
    assert "TorchFactory(" in repr(factory)


def test_names() -> None:
    naming.clear()
    made = [optimizers.get(name).name for name in ("adam", "adam", "adamw", "sgd")]
    assert made == ["adam", "adam_1", "adam_w", "sgd"]
    assert repr(SGD(0.5, name="mine")) == "SGD(learning_rate=0.5, name='mine')"


def test_config() -> None:
    optimizer = Adam(schedules.CosineDecay(0.1, 10), clipnorm=2.0, name="mine")
    config = optimizers.serialize(optimizer)
    assert config["class_name"] == "Adam"
    assert config["module"] == "keras.optimizers"
    twin = optimizers.deserialize(config)
    assert twin.get_config() == optimizer.get_config()
    assert SGD(0.1).get_config()["learning_rate"] == float(np.float32(0.1))
    with pytest.raises(ArgumentError, match="cannot be saved"):
        SGD(lambda: 0.1).get_config()


# Refused.


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(nn.Linear(1, 1).parameters(), lr=0.1), "made without parameters"),
        (lambda: Adam(list(nn.Linear(1, 1).parameters())), "made without parameters"),
        (lambda: Adam("fast"), "must be a number, a LearningRateSchedule"),
        (lambda: Adam(True), "must be a number"),
        (lambda: Adam(None), "must be a number"),
        (lambda: Adam(beta1=0.9), "Unknown argument of Adam 'beta1'. Did you mean 'beta_1'"),
        (lambda: Adam(eps=1e-8), "Did you mean 'epsilon'"),
        (lambda: Adam(beta_1=1.0), "beta_1 must be .* below 1"),
        (lambda: Adam(beta_2=float("nan")), "beta_2 must be a number"),
        (lambda: Adam(epsilon="small"), "epsilon must be a number"),
        (lambda: Adam(weight_decay=-1.0), "weight_decay must be .* at least 0"),
        (lambda: AdamW(weight_decay=None), "weight_decay must be a number"),
        (lambda: SGD(momentum=1.5), "SGD: momentum must be a number from 0 to 1"),
        (lambda: SGD(clipnorm=1.0, clipvalue=1.0), "Choose one of clipnorm, clipvalue"),
        (lambda: SGD(clipnorm=0.0), "SGD: clipnorm must be a number above 0"),
        (lambda: SGD(clipvalue=-1.0), "clipvalue must be a number above 0"),
        (lambda: SGD(gradient_accumulation_steps=1), "a whole number of at least 2"),
        (lambda: SGD(gradient_accumulation_steps=2.5), "a whole number of at least 2"),
        (lambda: SGD(use_ema=True, ema_momentum=2), "ema_momentum must be"),
        (
            lambda: SGD(use_ema=True, ema_overwrite_frequency=0),
            "SGD: ema_overwrite_frequency must be a whole number of at least 1",
        ),
        (
            lambda: SGD(use_ema=True, ema_overwrite_frequency=2.5),
            "ema_overwrite_frequency must be a whole number",
        ),
        (lambda: SGD(loss_scale_factor=0.0), "loss_scale_factor must be a number above 0"),
        (
            lambda: optimizers.Lion(beta_1=0.0),
            "Lion: beta_1 must be a number above 0 and at most 1",
        ),
        (lambda: optimizers.Ftrl(learning_rate_power=0.5), "learning_rate_power must be"),
        (lambda: SGD().build([]), "expects parameters"),
        (lambda: SGD().build(["weight"]), "expects parameters"),
        (lambda: SGD().build([torch.ones(1)], ["a", "b"]), "2 names for 1 parameters"),
        (lambda: SGD().add_param_group({"params": []}), "one group of parameters"),
        (lambda: optimizers.Muon(exclude_layers=["out"]).build(_params()), "needs the .* names"),
        (lambda: optimizers.get("adams"), "Did you mean"),
        (lambda: optimizers.get(5), "Cannot use 5"),
        (lambda: optimizers.get(nn.Linear), "Linear is not an optimizer"),
        (lambda: optimizers.get(lambda params: 3).build([]), "must return a torch.optim.Optimizer"),
    ],
)
def test_refused(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


def test_a_parameter_twice() -> None:
    param = nn.Parameter(torch.ones(1))
    with pytest.raises(ArgumentError, match="twice"):
        SGD().build([param, param])


def test_updates_that_cannot_be() -> None:
    params = _params()
    grads = _grads(params)
    optimizer = SGD(weight_decay=0.1)
    with pytest.raises(NotBuiltError, match="has no parameters yet"):
        optimizer.apply(grads)
    with pytest.raises(NotBuiltError, match="has no parameters yet"):
        optimizer.step()
    with pytest.raises(NotBuiltError, match="has no parameters yet"):
        optimizer.load_state_dict({})
    optimizer.build(params)
    with pytest.raises(ArgumentError, match="2 gradients for 3 parameters"):
        optimizer.apply(grads[:2])
    with pytest.raises(ArgumentError, match="2 gradients for 3 parameters"):
        optimizer.apply(grads[:2], params)
    with pytest.raises(ArgumentError, match="Every gradient is None"):
        optimizer.apply([None, None, None])
    with pytest.raises(ShapeError, match=r"shape \(3,\) but its parameter \(4, 3\)"):
        optimizer.apply([grads[1], grads[0], grads[2]])
    with pytest.raises(ArgumentError, match="not built with this parameter"):
        optimizer.apply(grads, _params())
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    with pytest.raises(ArgumentError, match="needs the parameters' names"):
        optimizer.apply(grads)
    with pytest.raises(ArgumentError, match="learning rate, which is 0"):
        optimizers.Ftrl(0.0).apply(grads, params)
    before = optimizer.iterations
    optimizer.apply([])
    assert optimizer.iterations == before == 0


def test_missing_gradients_warn_once() -> None:
    params = _params()
    optimizer = SGD()
    optimizer.build(params, ["a", "b", "c"])
    with pytest.warns(UserWarning, match="no gradient for parameters b:"):
        optimizer.apply([torch.ones(4, 3), None, torch.ones(2, 2, 3, 3)])
    optimizer.apply([torch.ones(4, 3), None, torch.ones(2, 2, 3, 3)])


# Cost.


def test_no_compiler_is_imported() -> None:
    """Torch's own step, zero_grad and state_dict import it, which takes a second."""
    program = """
import sys, torch
from nnkit.optimizers import Adam, SGD
for optimizer in (Adam(), SGD(momentum=0.9)):
    param = torch.nn.Parameter(torch.ones(3))
    optimizer.build([param])
    optimizer.apply([torch.ones(3)])
    param.grad = torch.ones(3)
    optimizer.step()
    optimizer.zero_grad()
    optimizer.load_state_dict(optimizer.state_dict())
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
