"""Layers, losses and optimizers on an accelerator: torch pretends that there is one.

Torch's fake tensors know their device and nothing else. An operation on tensors of two devices is
an error, and so is looking at a value, for which a real accelerator would have to be waited for.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

import nnkit
from nnkit import layers, losses, metrics, ops, optimizers
from nnkit.creation import placed
from nnkit.layers.augmentation import TorchVisionTransform
from nnkit.testing.case import Case, as_list
from nnkit.tree import flatten
from nnkit.wrapper import as_layer
from tests.layers.test_conformance import ROWS, Row

DEVICE = torch.device("cuda:0")


@pytest.fixture
def mode() -> Iterator[FakeTensorMode]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield FakeTensorMode(allow_non_fake_inputs=False)


def fake(mode: FakeTensorMode, value: torch.Tensor) -> Any:
    """A tensor of the same shape and layout on the pretended device."""
    value = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
    return FakeTensor(mode, value, DEVICE)  # type: ignore[no-untyped-call]


def moved(mode: FakeTensorMode, module: nn.Module) -> nn.Module:
    """A module with all its tensors on the pretended device."""
    for each in module.modules():
        for key, parameter in each._parameters.items():
            if parameter is not None:
                each._parameters[key] = nn.Parameter(fake(mode, parameter), False)
        for key, buffer in each._buffers.items():
            if buffer is not None:
                each._buffers[key] = fake(mode, buffer)
    return module


# Rows that torch cannot pretend to run.
DRAWN_ON_THE_HOST = "its random numbers are looked at, on the host, which fake tensors cannot know"
COMPUTED_ON_THE_HOST = "the hash of a word is computed in Python"
SEEN_AS_ANOTHER_CLASS = "its kernel is shown in Keras's layout, which fake tensors cannot be"
NEEDS_THE_DRIVER = "torch asks the device's own library, for a kernel or a random generator"
LEFT_OUT = {
    layers.AugMix: DRAWN_ON_THE_HOST,
    layers.CutMix: DRAWN_ON_THE_HOST,
    layers.RandAugment: DRAWN_ON_THE_HOST,
    layers.RandomCrop: DRAWN_ON_THE_HOST,
    layers.RandomElasticTransform: DRAWN_ON_THE_HOST,
    TorchVisionTransform: DRAWN_ON_THE_HOST,
    layers.HashedCrossing: COMPUTED_ON_THE_HOST,
    layers.Hashing: COMPUTED_ON_THE_HOST,
    layers.Bidirectional: NEEDS_THE_DRIVER,
    layers.Dropout: NEEDS_THE_DRIVER,
    layers.GRU: NEEDS_THE_DRIVER,
    layers.LSTM: NEEDS_THE_DRIVER,
    layers.MixUp: NEEDS_THE_DRIVER,
    layers.RNN: NEEDS_THE_DRIVER,
    layers.SimpleRNN: NEEDS_THE_DRIVER,
    layers.SpectralNormalization: SEEN_AS_ANOTHER_CLASS,
}
RUN = [row for row in ROWS if row.kind not in LEFT_OUT]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("row", RUN, ids=lambda row: row.kind.__name__)
def test_layers_stay_on_their_device(mode: FakeTensorMode, row: Row, training: bool) -> None:
    shapes = row.shape if isinstance(row.shape, list) else [row.shape]
    batch = row.options.get("batch_size")
    full = [(batch, s) if isinstance(s, int) else (batch, *s) for s in shapes]
    dtypes = as_list("input_dtype", row.options.get("input_dtype"), len(full))
    data = as_list("data", row.options.get("data"), len(full))
    case = Case(row.make, full, dtypes, row.options.get("call"), data)
    layer = case.built(as_layer(case.fresh()))
    case.ready(layer, training)
    inputs = case.inputs()
    moved(mode, layer)
    with mode, torch.no_grad():
        outputs = case.call(layer, *(fake(mode, value) for value in inputs))
    for tensor in flatten(outputs):
        assert tensor.device == DEVICE


@pytest.mark.parametrize("name", sorted(n for n in vars(optimizers) if n[0].isupper()))
def test_optimizers_stay_on_their_device(mode: FakeTensorMode, name: str) -> None:
    kind = getattr(optimizers, name)
    if not (isinstance(kind, type) and issubclass(kind, optimizers.Optimizer)):
        return
    if name in ("Optimizer", "MultiOptimizer", "LossScaleOptimizer", "SGD"):
        return  # made of others; SGD is one kernel of torch, which fake tensors lack
    with mode:
        params = [nn.Parameter(fake(mode, torch.empty(shape))) for shape in ((4, 3), (3,))]
        optimizer = kind(
            use_ema=True, ema_overwrite_frequency=1, clipnorm=1.0, gradient_accumulation_steps=2
        )
        optimizer.build(params)
        for _ in range(4):
            optimizer.apply([torch.empty_like(param, requires_grad=False) for param in params])
        for state in optimizer.state.values():
            assert all(tensor.device == DEVICE for tensor in state.values())


OUTPUTS = (6, 3)
SPARSE = {"Circle", "SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy"}


@pytest.mark.parametrize("name", sorted(n for n in vars(losses) if n[0].isupper()))
def test_losses_stay_on_their_device(mode: FakeTensorMode, name: str) -> None:
    kind = getattr(losses, name)
    if not (isinstance(kind, type) and issubclass(kind, losses.Loss)):
        return
    if name in ("Loss", "LossFunctionWrapper", "TorchLoss", "CTC"):
        return
    with mode:
        y_pred = fake(mode, torch.empty(OUTPUTS))
        y_true = fake(mode, torch.empty(6, dtype=torch.int64) if name in SPARSE else y_pred)
        assert kind()(y_true, y_pred).device == DEVICE


def test_the_state_of_a_metric_comes_to_the_values_before_they_meet(mode: FakeTensorMode) -> None:
    came: list[Any] = []

    class Sums(metrics.Metric):
        def __init__(self) -> None:
            super().__init__()
            self.sums = self.add_weight(shape=(3,))

        def _here(self, value: Any) -> Any:
            came.append(value.device)
            return value

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            came.append("update")

    metric = Sums()
    with mode:
        metric.update_state(torch.ones(2), fake(mode, torch.empty(2, 3)))
    assert came == [DEVICE, "update"]


def test_new_tensors_lie_beside_the_data(mode: FakeTensorMode) -> None:
    with mode:
        made = placed(DEVICE, lambda: [ops.ones((2,)), ops.arange(3), nnkit.random.normal((2,))])()
        assert [tensor.device for tensor in made] == [DEVICE] * 3


def test_all_of_a_step_is_placed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user writes, losses and metrics included, runs where tensors are made beside data."""
    inside: list[bool] = []
    heard: list[str] = []

    def recorded(device: torch.device, run: Any) -> Any:
        def step(*args: Any) -> Any:
            inside.append(True)
            try:
                return run(*args)
            finally:
                inside.pop()

        return step

    def hear(name: str) -> None:
        assert inside, name
        heard.append(name)

    def loss(y_true: Any, y_pred: Any) -> Any:
        hear("loss")
        return ops.mean(ops.square(y_true - y_pred), axis=-1)

    def metric(y_true: Any, y_pred: Any) -> Any:
        hear("metric")
        return ops.mean(y_pred, axis=-1)

    class Own(nnkit.Sequential):
        def train_step(self, data: Any) -> Any:
            hear("train_step")
            return super().train_step(data)

        def test_step(self, data: Any) -> Any:
            hear("test_step")
            return super().test_step(data)

        def predict_step(self, data: Any) -> Any:
            hear("predict_step")
            return super().predict_step(data)

    monkeypatch.setattr(nnkit.training.compiled, "placed", recorded)
    x, y = torch.rand(4, 3), torch.rand(4, 1)
    for kind in (nnkit.Sequential, Own):
        model = kind([nnkit.Input((3,)), layers.Dense(1)])
        model.compile("sgd", loss, metrics=[metric])
        model.fit(x, y, verbose=0)
        model.evaluate(x, y, verbose=0)
        model.predict(x, verbose=0)
        model.train_on_batch(x, y)
        model.test_on_batch(x, y)
        model.predict_on_batch(x)
    assert set(heard) == {"loss", "metric", "train_step", "test_step", "predict_step"}
    assert not inside
