"""compile(jit_compile=True): the numbers of eager steps, and eager steps where it cannot be."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from nnkit import layers, optimizers, random
from nnkit.layers import Dense, Input
from nnkit.models import Model, Sequential
from nnkit.training.jit import Jit
from nnkit.tree import flatten
from tests.training.conftest import SPARSE, Data, make_classifier, make_two_outputs


@pytest.fixture(autouse=True)
def without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs are made and differentiated as with inductor, but run by torch's own kernels."""
    monkeypatch.setattr(Jit, "backend", "aot_eager")
    torch._dynamo.reset()


def convnet() -> Any:
    return Sequential(
        [
            Input((6,)),
            layers.Reshape((3, 2, 1)),
            layers.Conv2D(4, 2, padding="same", activity_regularizer="l2"),
            layers.BatchNormalization(),
            layers.GlobalMaxPooling2D(),
            layers.Dropout(0.3),
            Dense(3, "softmax", kernel_regularizer="l2"),
        ]
    )


def mixed() -> Any:
    return Sequential(
        [
            Input((6,)),
            Dense(8, "relu", dtype="mixed_bfloat16"),
            Dense(3, "softmax", dtype="float32"),
        ]
    )


def masked() -> Any:
    inputs = Input((6,))
    x = layers.Masking()(layers.Reshape((6, 1))(inputs))
    return Model(inputs, layers.TimeDistributed(Dense(1))(x))


def fitted(make: Callable[[], Any], x: Any, y: Any, jit: bool, **settings: Any) -> Any:
    random.set_random_seed(3)
    model = make()
    settings = {"optimizer": "adam", "loss": SPARSE, "metrics": ["accuracy"], **settings}
    model.compile(**settings, jit_compile=jit)
    history = model.fit(
        x, y, 16, epochs=2, verbose=0, shuffle=False, validation_data=(x, y)
    ).history
    return model, history


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (make_classifier, {"weighted_metrics": ["accuracy"], "metrics": None}),
        pytest.param(make_classifier, {"optimizer": torch.optim.Adam}, marks=pytest.mark.slow),
        (make_classifier, {"optimizer": optimizers.SGD(0.1, clipnorm=1.0, use_ema=True)}),
        (convnet, {}),
        (mixed, {}),
        pytest.param(masked, {"loss": "mse", "metrics": ["mae"]}, marks=pytest.mark.slow),
        (make_two_outputs, {"loss": [SPARSE, "mse"], "metrics": [["accuracy"], ["mae"]]}),
    ],
)
def test_numbers_are_those_of_eager_steps(
    make: Callable[[], Any], settings: dict[str, Any], data: Data
) -> None:
    y: Any = data.labels
    if make is masked:
        y = data.x[..., None]
    if make is make_two_outputs:
        y = [data.labels, data.values]
    runs = []
    for jit in (False, True):
        again = {**settings, "optimizer": copy.deepcopy(settings.get("optimizer", "adam"))}
        runs.append(fitted(make, data.x, y, jit, **again))
    (plain, expected), (model, found) = runs
    assert list(found) == list(expected)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-6)
    for one, other in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    assert not model._jit.failed
    assert {key[0] for key in model._jit._compiled} == {"train", "test"}
    assert plain._jit is None


def test_freezing_a_layer_makes_another_graph(data: Data) -> None:
    model, _ = fitted(make_classifier, data.x, data.labels, True)
    model.layers[0].trainable = False
    before = model.layers[0].get_weights()[0]
    last = model.layers[1].get_weights()[0]
    model.fit(data.x, data.labels, 16, verbose=0)
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], before)
    assert (model.layers[1].get_weights()[0] != last).any()
    assert not model._jit.failed


class Peeking(Sequential):
    """Its computation depends on values, which no graph can."""

    def call(self, x: Any) -> Any:
        return super().call(x * 2 if float(x.sum()) > 0 else x)


@pytest.mark.parametrize("make", [make_classifier, convnet, make_two_outputs])
def test_predict_and_evaluate_are_compiled(make: Callable[[], Any], data: Data) -> None:
    model = make()
    two = make is make_two_outputs
    y: Any = [data.labels, data.values] if two else data.labels
    expected = [model.predict(x, 16, verbose=0) for x in (data.x, data.x[:5])]
    model.compile("sgd", [SPARSE, "mse"] if two else SPARSE)
    loss = model.evaluate(data.x, y, 16, verbose=0)
    model.compile("sgd", [SPARSE, "mse"] if two else SPARSE, jit_compile=True)
    found = [model.predict(x, 16, verbose=0) for x in (data.x, data.x[:5])]
    for one, other in zip(flatten(found), flatten(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.evaluate(data.x, y, 16, verbose=0), loss, rtol=1e-5)
    # The last batches and the 5 samples came once only.
    assert [key[0] for key in model._jit._compiled] == ["predict", "test"]
    model.predict(data.x[:5], verbose=0)
    assert [key[0] for key in model._jit._compiled] == ["predict", "test", "predict"]
    assert not model._jit.failed


def test_predictions_follow_the_weights(data: Data) -> None:
    model = make_classifier()
    model.compile("sgd", SPARSE, jit_compile=True)
    first = [model.predict(data.x[:8], verbose=0) for _ in range(3)][-1]
    model.set_weights([weight * 2 for weight in model.get_weights()])
    second = model.predict(data.x[:8], verbose=0)
    assert model._jit._compiled
    model.compile("sgd", SPARSE)
    np.testing.assert_allclose(second, model.predict(data.x[:8], verbose=0), rtol=1e-5)
    assert (first != second).any()


def test_many_models_compile_in_one_process(data: Data) -> None:
    for units in range(4, 14):
        model = Sequential([Input((6,)), Dense(units), Dense(3, "softmax")])
        model.compile("sgd", SPARSE, jit_compile=True)
        for _ in range(2):
            model.predict(data.x[:4], verbose=0)
        assert len(model._jit._compiled) == 1


def test_the_number_of_graphs_is_limited(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Jit, "most", 2)
    model = make_classifier()
    model.compile("sgd", SPARSE, jit_compile=True)
    for size in (3, 4, 5, 6):
        for _ in range(2):
            assert model.predict(data.x[:size], verbose=0).shape == (size, 3)
    assert len(model._jit._compiled) == 2


def test_a_graph_that_stops_fitting_gives_way_to_eager_steps(data: Data) -> None:
    class Changing(Sequential):
        kind = "a"

        def call(self, x: Any) -> Any:
            self.kind += "a"  # every call would need a graph of its own
            return super().call(x) * len(self.kind)

    model = Changing(make_classifier().layers)
    model.compile("sgd", SPARSE, jit_compile=True)
    with pytest.warns(UserWarning, match="cannot be compiled"):
        found = [model.predict(data.x[:4], verbose=0) for _ in range(14)][-1]
    np.testing.assert_allclose(found.sum(-1), len(model.kind), rtol=1e-5)


def test_what_cannot_be_compiled_runs_eagerly_and_says_so_once(data: Data) -> None:
    def make() -> Any:
        return Peeking(make_classifier().layers)

    with pytest.warns(
        UserWarning, match=r"cannot be compiled \(jit_compile=True\).*says: "
    ) as seen:
        model, found = fitted(make, data.x, data.labels, True)
    assert len(seen) == 1
    assert model._jit.failed
    _, expected = fitted(make, data.x, data.labels, False)
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-6)


def test_a_mistake_raises_as_without_compiling(data: Data) -> None:
    class Wrong(Sequential):
        calls = 0

        def call(self, x: Any) -> Any:
            type(self).calls += 1
            if self.calls > 3:
                raise KeyError("mine")
            return super().call(x)

    model = Wrong(make_classifier().layers)
    model.compile("sgd", SPARSE, jit_compile=True)
    with pytest.raises(KeyError, match="mine"):
        model.fit(data.x, data.labels, 16, epochs=3, verbose=0)


def test_copies_compile_for_themselves(data: Data) -> None:
    model, _ = fitted(make_classifier, data.x, data.labels, True)
    twin = copy.deepcopy(model)
    assert twin._jit._compiled == {}
    for each in (model, twin):
        each.fit(data.x, data.labels, 16, verbose=0, shuffle=False)
    np.testing.assert_allclose(twin.get_weights()[0], model.get_weights()[0], rtol=1e-5, atol=1e-6)


def test_run_eagerly_wins(data: Data) -> None:
    model = make_classifier()
    with pytest.warns(UserWarning, match="no effect with run_eagerly=True"):
        model.compile("sgd", SPARSE, jit_compile=True, run_eagerly=True)
    assert (model.jit_compile, model.run_eagerly) == (False, True)
    for given in ("auto", False, None):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.compile("sgd", SPARSE, jit_compile=given)
        assert model.jit_compile is False


@pytest.mark.slow
def test_with_the_real_compiler(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Jit, "backend", "inductor")
    _, expected = fitted(convnet, data.x, data.labels, False)
    model, found = fitted(convnet, data.x, data.labels, True)
    assert not model._jit.failed
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-5)


def test_a_step_of_ones_own_is_not_compiled() -> None:
    class Own(Sequential):
        def train_step(self, data: Any) -> Any:
            return super().train_step(data)

    with pytest.warns(UserWarning, match="the train_step of Own runs as it is written"):
        Own(make_classifier().layers).compile("sgd", SPARSE, jit_compile=True)
