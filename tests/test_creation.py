"""Tensors made inside a model lie beside its data; meta stands for an accelerator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from nnkit import ops, random
from nnkit.creation import beside, creating_on, creation_device

THERE = torch.device("meta")

MAKERS: list[Callable[[], Any]] = [
    lambda: ops.zeros((2, 3)),
    lambda: ops.ones((2,), "int32"),
    lambda: ops.empty(3),
    lambda: ops.full((2,), 4.0),
    lambda: ops.eye(3),
    lambda: ops.identity(2),
    lambda: ops.tri(3),
    lambda: ops.arange(4),
    lambda: ops.linspace(0.0, 1.0, 3),
    lambda: ops.convert_to_tensor(np.ones(3)),
    lambda: ops.convert_to_tensor([1, 2]),
    lambda: ops.one_hot([1, 0], 3),
    lambda: random.normal((2,)),
    lambda: random.uniform((2,), seed=random.SeedGenerator(1)),
    lambda: random.randint((2,), 0, 5),
    lambda: random.truncated_normal((2,), seed=3),
]


@pytest.mark.parametrize("maker", MAKERS)
def test_makers(maker: Callable[[], Any]) -> None:
    assert maker().device.type == "cpu"
    with creating_on(THERE):
        assert maker().device.type == "meta"
        with creating_on(torch.device("cpu")):
            assert maker().device.type == "cpu"
    assert creation_device() is None


def test_only_other_devices_than_the_cpu_cost_anything() -> None:
    def run(*args: Any) -> Any:
        return creation_device()

    for data in (
        torch.ones(1),
        [torch.ones(1)],
        None,
        np.ones(1),
        [None],
        torch.ones(1).to("meta"),
    ):
        assert beside(data, run) is run

    class Elsewhere:
        device = torch.device("cuda", 1)

    for data in (Elsewhere(), [None, Elsewhere()], {"a": Elsewhere()}):
        assert beside(data, run)(data) == torch.device("cuda", 1)
    assert creation_device() is None


def test_it_ends_with_an_error() -> None:
    with pytest.raises(KeyError), creating_on(THERE):
        raise KeyError
    assert creation_device() is None
