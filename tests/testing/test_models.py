"""check_model passes good models and catches each kind of fault in a broken one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from nnkit.errors import ArgumentError
from nnkit.layers import BatchNormalization, Concatenate, Conv2D, Dense, Dropout, Flatten, Input
from nnkit.losses import SparseCategoricalCrossentropy
from nnkit.models import Model, Sequential
from nnkit.testing import MODEL_PROPERTIES, ConformanceError, check_model

QUICK = {"compile": "to be quick", "export": "to be quick"}


class Net(Model):
    """A good model."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden = Dense(5, "tanh")
        self.drop = Dropout(0.3)
        self.last = Dense(2)

    def call(self, inputs: Any) -> Any:
        return self.last(self.drop(self.hidden(inputs)))


class TwoNames(Net):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.last = Dense(2, name="dense")


class FindsNothing(Net):
    def get_layer(self, name: Any = None, index: Any = None) -> Any:
        return self.last


class SaysNothing(Net):
    def summary(self, *args: Any, **kwargs: Any) -> None:
        kwargs["print_fn"]("a model")


class SaysTooLittle(Net):
    def summary(self, *args: Any, **kwargs: Any) -> None:
        kwargs["print_fn"]("dense, dropout, dense_1; Trainable params: 3")


class LoadsNothing(Net):
    def load_weights(self, *args: Any, **kwargs: Any) -> None:
        pass


class LooksAtOthers(Net):
    def call(self, inputs: Any) -> Any:
        return super().call(inputs - inputs.mean(0))


class PredictsOtherwise(Net):
    def predict_step(self, data: Any) -> Any:
        return super().predict_step(data) * 2


class LearnsNothing(Net):
    def train_step(self, data: Any) -> Any:
        return {"loss": 0.5}


class Diverges(Net):
    def train_step(self, data: Any) -> Any:
        return {"loss": float("inf")}


class StaysInTraining(Net):
    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        self.train()
        return {"loss": 0.5}


class ReturnsNoLogs(Net):
    def train_step(self, data: Any) -> Any:
        return [0.5]


class Unregistered(Model):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parts = SimpleNamespace(dense=Dense(3))  # where nobody looks

    def call(self, inputs: Any) -> Any:
        return self.parts.dense(inputs)


@pytest.mark.parametrize(
    ("broken", "name", "said"),
    [
        (TwoNames, "names", "2 layers are called 'dense'"),
        (FindsNothing, "names", "get_layer('dense') gave another layer"),
        (SaysNothing, "summary", "the layer 'dense' is not in it"),
        (SaysTooLittle, "summary", "it does not tell of 37 trainable numbers"),
        (LoadsNothing, "files", "the model that loaded gave output that differs"),
        (LooksAtOthers, "predict", "depend on that sample only, on no other of its batch"),
        (PredictsOtherwise, "predict", "predict gave output that differs"),
        (LearnsNothing, "training", "no weight changed"),
        (Diverges, "training", "fit gave loss=[inf]"),
        (StaysInTraining, "training", "it is left in training mode"),
        (ReturnsNoLogs, "training", "train_step must return a dict of logs, got list"),
        (Unregistered, "state_dict", "the fresh one gave output that differs"),
    ],
)
@pytest.mark.filterwarnings("ignore:The loss is inf")
def test_catches(broken: type, name: str, said: str) -> None:
    with pytest.raises(ConformanceError) as caught:
        check_model(broken, (4,), skip=QUICK)
    assert caught.value.property == name
    assert said in str(caught.value)


def test_every_property_of_models_alone_is_caught_by_a_test_above() -> None:
    rows = test_catches.pytestmark[1].args[1]  # type: ignore[attr-defined]
    assert {"names", "summary", "files", "predict", "training"} <= {name for _, name, _ in rows}
    assert {"names", "summary", "files", "predict", "training"} <= set(MODEL_PROPERTIES)


def branched() -> Model:
    first, second = Input((4,), name="a"), Input((None,), dtype="int64", name="b")
    joined = Concatenate()([Dense(3)(first), second.float().mean(1, keepdim=True)])
    outputs = {"kind": Dense(2, "softmax")(joined), "size": Dense(1)(joined)}
    return Model({"a": first, "b": second}, outputs)


def test_passes_a_subclassed_model_with_everything_checked() -> None:
    check_model(Net, (4,))


def test_passes_a_functional_model_with_everything_checked() -> None:
    check_model(branched)


def test_takes_a_model_and_leaves_it_alone() -> None:
    layers = [Input((6, 6, 3)), Conv2D(4, 3), BatchNormalization(), Flatten(), Dense(3)]
    model = Sequential(layers)
    before = model.get_weights()
    check_model(model, skip=QUICK)
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not model.compiled


def test_trains_a_compiled_model_on_its_targets() -> None:
    seen: list[int] = []

    def targets(count: int) -> torch.Tensor:
        seen.append(count)
        return torch.arange(count) % 2

    model = Net()
    model.compile("adam", SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    check_model(model, (4,), targets=targets, skip=QUICK)
    assert seen == [4]


def test_a_fixed_batch_size() -> None:
    model = Sequential([Input((4,), batch_size=3), Dense(2)])
    check_model(model, skip=QUICK)


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: check_model(Dense(3)), ArgumentError, r"check_model needs a model, or a class"),
        (lambda: check_model(lambda: 3), ArgumentError, r"check_model needs a model, or a class"),
        (lambda: check_model(Net), ArgumentError, r"does not tell its inputs. Give check_model\("),
        (
            lambda: check_model(Net, (4,), skip={"sumary": "no"}),
            ArgumentError,
            r"Unknown property in skip 'sumary'. Did you mean 'summary'",
        ),
        (
            lambda: check_model(Net, (4,), targets=torch.zeros, skip=QUICK),
            ConformanceError,
            r"targets were given for a model without a loss. Compile it first",
        ),
    ],
)
def test_refuses(call: Any, error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        call()
