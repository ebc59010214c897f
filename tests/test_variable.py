"""Variables: assigned to in place, copied, saved, moved, compiled."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nnkit.errors import ShapeError
from nnkit.variable import Variable


def test_starts_without_gradient() -> None:
    variable = Variable(torch.ones(2), name="kernel")
    assert isinstance(variable, nn.Parameter)
    assert not variable.requires_grad
    assert not variable.trainable
    assert variable.name == "kernel"
    assert variable.value is variable
    assert Variable(torch.ones(2), requires_grad=True).trainable
    variable.trainable = True
    assert variable.requires_grad


@pytest.mark.parametrize(
    ("method", "value", "expected"),
    [
        ("assign", [3.0, 4.0], [3, 4]),
        ("assign", np.array([3, 4]), [3, 4]),
        ("assign_add", 2, [3, 4]),
        ("assign_add", torch.tensor([1.0, -1.0]), [2, 1]),
        ("assign_sub", [1.0, 5.0], [0, -3]),
    ],
)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_assigning(method: str, value: Any, expected: list[int], requires_grad: bool) -> None:
    variable = Variable([1.0, 2.0], requires_grad=requires_grad)
    address = variable.data_ptr()
    assert getattr(variable, method)(value) is variable
    assert variable.numpy().tolist() == expected
    assert variable.data_ptr() == address
    assert variable.requires_grad is requires_grad
    assert variable.is_leaf


def test_assigning_another_shape() -> None:
    with pytest.raises(ShapeError, match=r"'total' has shape \(2,\).*shape \(\)"):
        Variable(torch.zeros(2), name="total").assign(0)


def test_assigning_breaks_no_link_to_the_callers_array() -> None:
    array = np.zeros(2)
    Variable(array).assign_add(1)
    assert array.tolist() == [0, 0]


def test_dtype() -> None:
    assert Variable(1, dtype=torch.float64).dtype == torch.float64
    assert Variable(torch.ones(1), dtype=torch.int32).assign_add(2.0).tolist() == [3]
    assert Variable().shape == (0,)


def test_results_are_plain_tensors() -> None:
    variable = Variable([1.0, 2.0], name="a")
    assert type(variable + 1) is torch.Tensor
    assert type(variable.detach()) is torch.Tensor
    assert np.asarray(Variable([1.0], requires_grad=True)).tolist() == [1]


def _through_file(variable: Variable) -> Any:
    file = io.BytesIO()
    torch.save(variable, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize(
    "clone", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v)), _through_file]
)
def test_copies(clone: Any) -> None:
    first = Variable([1.0, 2.0], requires_grad=True, name="a", follow=True)
    second = clone(first)
    assert type(second) is Variable
    assert (second.name, second.requires_grad, second._follow) == ("a", True, True)
    second.assign_add(1)
    assert (first.tolist(), second.tolist()) == ([1, 2], [2, 3])


def test_deepcopy_keeps_sharing() -> None:
    variable = Variable(0.0)
    one, two = copy.deepcopy([variable, variable])
    assert one is two


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.seen = Variable(torch.zeros(3), name="seen")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.assign_add(x)
        return self.seen * 2


def test_in_a_module() -> None:
    module = Counting()
    variable = module.seen
    module.to(torch.float64)
    assert module.seen is variable
    assert variable.dtype == torch.float64
    state = module.state_dict()
    assert type(state["seen"]) is torch.Tensor
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    module(torch.ones(3))
    module.load_state_dict(torch.load(file, weights_only=True))
    assert variable.tolist() == [0, 0, 0]


@pytest.mark.parametrize("fullgraph", [False, True])
def test_compiled(fullgraph: bool) -> None:
    torch.compiler.reset()
    module = Counting()
    compiled = torch.compile(module, backend="aot_eager", fullgraph=fullgraph)
    assert compiled(torch.ones(3)).tolist() == [2, 2, 2]
    assert compiled(torch.ones(3)).tolist() == [4, 4, 4]
    assert module.seen.tolist() == [2, 2, 2]


def test_moving_in_inference_mode_leaves_it_usable() -> None:
    variable = Variable(0.0)
    with torch.inference_mode():
        variable.move(torch.device("cpu"))
        variable.assign_add(torch.ones(()))
    variable.assign_add(1)
    assert variable.item() == 2


def test_following(monkeypatch: pytest.MonkeyPatch) -> None:
    moves: list[str] = []
    monkeypatch.setattr(Variable, "move", lambda self, device: moves.append(device.type))
    value = torch.ones(2, device="meta")
    Variable(torch.zeros(2), follow=True).assign_add(value)
    assert moves == ["meta"]
    with pytest.raises(NotImplementedError, match="meta tensor"):
        Variable(torch.zeros(2)).assign_add(value)
    assert moves == ["meta"]
