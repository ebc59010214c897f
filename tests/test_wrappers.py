"""scikit-learn's view of models: fits, clones, pipelines, and the two old wrappers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nnkit
from nnkit import layers
from nnkit.errors import ArgumentError, DataError, NotCompiledError
from nnkit.wrappers import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer
from nnkit.wrappers.scikit_learn import KerasClassifier, KerasRegressor

X = np.random.RandomState(0).normal(size=(64, 3))
NAMES = np.array(["low", "high"])[(X[:, 0] > 0).astype(int)]


def classifier(X: Any, y: Any, rate: float = 0.1) -> nnkit.Model:
    outputs = layers.Dense(y.shape[1], activation="softmax")
    model = nnkit.Sequential([nnkit.Input((X.shape[1],)), outputs])
    model.compile(nnkit.optimizers.Adam(rate), "categorical_crossentropy")
    return model


def regressor(units: int = 1) -> nnkit.Model:
    model = nnkit.Sequential([nnkit.Input((3,)), layers.Dense(units)])
    model.compile(nnkit.optimizers.Adam(0.1), "mse")
    return model


def test_a_classifier_gives_back_the_names() -> None:
    estimator = SKLearnClassifier(
        classifier, model_kwargs={"rate": 0.2}, fit_kwargs={"epochs": 30, "verbose": 0}
    )
    assert estimator.fit(X, NAMES) is estimator
    assert estimator.classes_.tolist() == ["high", "low"]
    assert estimator.score(X, NAMES) > 0.9
    np.testing.assert_allclose(estimator.decision_function(X).sum(axis=1), 1, rtol=1e-5)
    assert len(estimator.history_.history["loss"]) == 30
    assert float(estimator.model_.optimizer.learning_rate) == 0.2


def test_a_clone_keeps_all_arguments_and_starts_anew() -> None:
    model = regressor()
    start = model.get_weights()
    estimator = SKLearnRegressor(model, fit_kwargs={"verbose": 0, "epochs": 3})
    estimator.fit(X, X[:, 1])
    copied = clone(estimator)
    assert copied.fit_kwargs == {"verbose": 0, "epochs": 3}
    assert not hasattr(copied, "model_")
    for one, other in zip(model.get_weights(), start, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("targets", [X[:, 1], X[:, 1:]])
def test_a_regressor_gives_the_targets_shape(targets: np.ndarray) -> None:
    model = regressor(1 if targets.ndim == 1 else 2)
    pipeline = make_pipeline(StandardScaler(), SKLearnRegressor(model))
    pipeline.fit(X, targets, sklearnregressor__epochs=80, sklearnregressor__verbose=0)
    assert pipeline.predict(X).shape == targets.shape
    assert pipeline.score(X, targets) > 0.8


def test_a_warm_start_goes_on() -> None:
    estimator = SKLearnRegressor(regressor(), warm_start=True, fit_kwargs={"verbose": 0})
    estimator.fit(X, X[:, 1])
    model = estimator.model_
    after = model.get_weights()
    estimator.fit(X, X[:, 1], epochs=2)
    assert estimator.model_ is model
    assert not np.allclose(model.get_weights()[0], after[0])


def test_a_transformer_passes_the_outputs_on() -> None:
    transformer = SKLearnTransformer(regressor(2), fit_kwargs={"verbose": 0})
    assert transformer.fit(X, X[:, :2]).transform(X).shape == (64, 2)


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (
            lambda: SKLearnRegressor(nnkit.Sequential([layers.Dense(1)])).fit(X, X[:, 0]),
            NotCompiledError,
            "needs a compiled model",
        ),
        (
            lambda: SKLearnClassifier(classifier).fit(X, np.zeros(64, int)),
            DataError,
            "only one class is present",
        ),
        (
            lambda: SKLearnClassifier(classifier).fit(X, X[:, 0]),
            DataError,
            "of the kind 'continuous'",
        ),
    ],
)
def test_mistakes(call: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        call()


@pytest.mark.filterwarnings("ignore:.*old spelling:FutureWarning")
class TestTheOldOnes:
    def test_names_one_hot_rows_and_two_classes(self) -> None:
        def softmax() -> nnkit.Model:
            return classifier(X, np.zeros((1, 2)))

        def sigmoid(rate: float = 0.1) -> nnkit.Model:
            dense = layers.Dense(1, activation="sigmoid")
            model = nnkit.Sequential([nnkit.Input((3,)), dense])
            model.compile(nnkit.optimizers.Adam(rate), "binary_crossentropy")
            return model

        for build, options in ((softmax, {}), (sigmoid, {"rate": 0.2})):
            old = KerasClassifier(build_fn=build, epochs=30, verbose=0, **options)
            history = old.fit(X, NAMES)
            assert len(history.history["loss"]) == 30
            assert old.score(X, NAMES) > 0.9
            assert old.predict_proba(X).shape == (64, 2)
        one_hot = np.eye(2)[(X[:, 0] > 0).astype(int)]
        old = KerasClassifier(build_fn=softmax, epochs=30, verbose=0)
        old.fit(X, one_hot)
        assert (old.predict(X) == one_hot.argmax(axis=1)).mean() > 0.9

    def test_parameters(self) -> None:
        old = KerasRegressor(build_fn=regressor, units=1, epochs=40, verbose=0)
        assert clone(old).get_params() == old.get_params()
        assert old.set_params(epochs=60).get_params()["epochs"] == 60
        old.fit(X, X[:, 1])
        assert old.predict(X).shape == (64,)
        assert old.score(X, X[:, 1]) > 0.8

    def test_an_argument_that_nothing_takes(self) -> None:
        with pytest.raises(ArgumentError, match="argument of KerasRegressor 'epoch'"):
            KerasRegressor(build_fn=regressor, epoch=3)
        with pytest.raises(ArgumentError, match="needs build_fn"):
            KerasRegressor(epochs=3)


def test_the_old_ones_warn() -> None:
    with pytest.warns(FutureWarning, match=r"scikit_learn is an old spelling.*SKLearnClassifier"):
        KerasRegressor(build_fn=regressor)
