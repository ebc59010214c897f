"""Losses, metrics and weights for outputs by position, by name and nested, against Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import nnkit
from nnkit.errors import ArgumentError
from tests.parity.twins import NNKIT, fit_twins

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    # Where an output has no loss; ours says it in words of its own.
    pytest.mark.filterwarnings("ignore:Gradients do not exist:UserWarning"),
    pytest.mark.filterwarnings("ignore:There is no gradient:UserWarning"),
]

RNG = np.random.default_rng(0)
X, A, C = (RNG.normal(size=(48, size)).astype("float32") for size in (6, 1, 2))
B = RNG.integers(0, 3, 48)
HOT = np.eye(3, dtype="float32")[B]
W = RNG.uniform(0.1, 2, 48).astype("float32")
SPARSE = "sparse_categorical_crossentropy"
ALL = ["mse", SPARSE, "mae"]


def made(shape: Callable[..., Any]) -> Callable[[Any], Any]:
    def build(kit: Any) -> Any:
        inputs = kit.Input((6,))
        hidden = kit.Dense(5, activation="tanh")(inputs)
        a, c = kit.Dense(1, name="a")(hidden), kit.Dense(2, name="c")(hidden)
        b = kit.Dense(3, activation="softmax", name="b")(hidden)
        return kit.Model(inputs, shape(a, b, c))

    return build


FLAT = made(lambda a, b, c: [a, b, c])
DICT = made(lambda a, b, c: {"u": a, "v": b, "w": c})
NESTED = made(lambda a, b, c: {"p": {"a": a, "b": b}, "c": c})
LISTS = made(lambda a, b, c: [[a, b], c])
BOTH = made(lambda a, b, c: {"p": [a, b], "q": c})
INSIDE = made(lambda a, b, c: [{"a": a, "b": b}, c])
ONE = made(lambda a, b, c: [a])

CASES: list[tuple[Any, dict[str, Any], Any]] = [
    (FLAT, {"loss": ALL, "loss_weights": [1.0, 0.5, 2.0]}, [A, B, C]),
    (FLAT, {"loss": ALL, "metrics": ["mae", "accuracy", "mse"]}, [A, B, C]),
    (FLAT, {"loss": ["mse", None, "mae"]}, [A, B, C]),
    (FLAT, {"loss": "mse"}, [A, HOT, C]),
    (FLAT, {"loss": ALL, "weighted_metrics": [["mae"], ["accuracy"], []]}, [A, B, C]),
    (DICT, {"loss": {"u": "mse", "v": SPARSE, "w": "mae"}, "metrics": {"v": ["accuracy"]}},
     {"u": A, "v": B, "w": C}),
    (DICT, {"loss": {"u": "mse", "v": SPARSE}}, {"u": A, "v": B, "w": C}),
    (NESTED, {"loss": {"p": {"a": "mse", "b": SPARSE}, "c": "mae"}},
     {"p": {"a": A, "b": B}, "c": C}),
    (NESTED, {"loss": {"p": {"a": "mse", "b": SPARSE}, "c": "mae"},
              "metrics": {"p": {"a": ["mae"], "b": ["accuracy"]}, "c": ["mse"]}},
     {"p": {"a": A, "b": B}, "c": C}),
    (NESTED, {"loss": "mse"}, {"p": {"a": A, "b": HOT}, "c": C}),
    (LISTS, {"loss": [["mse", SPARSE], "mae"], "loss_weights": [[1.0, 2.0], 0.5]}, [[A, B], C]),
    (LISTS, {"loss": [["mse", SPARSE], "mae"], "metrics": [[["mae"], ["accuracy"]], ["mse"]]},
     [[A, B], C]),
    (BOTH, {"loss": {"p": ["mse", SPARSE], "q": "mae"},
            "loss_weights": {"p": [1.0, 0.5], "q": 2.0}},
     {"p": [A, B], "q": C}),
    (INSIDE, {"loss": [{"a": "mse", "b": SPARSE}, "mae"]}, [{"a": A, "b": B}, C]),
    (ONE, {"loss": ["mse"], "metrics": [["mae"]]}, [A]),
]  # fmt: skip


@pytest.mark.parametrize(("build", "settings", "y"), CASES)
@pytest.mark.parametrize("weights", [None, W])
def test_structures(build: Any, settings: dict[str, Any], y: Any, weights: Any) -> None:
    fit_twins(
        build, lambda kit: {"optimizer": "sgd", **settings}, X, y, sample_weight=weights, epochs=2
    )


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (
            {"p": {"a": "mse", "x": "mse"}},
            r"loss must be nested as the outputs are: \{'a': ..., 'b'",
        ),
        ([["mse"], "mse"], r"loss must be nested as the outputs are: \{'p': \{'a': ..."),
    ],
)
def test_other_nestings(loss: Any, message: str) -> None:
    model = NESTED(NNKIT)
    model.compile("sgd", loss)
    with pytest.raises(ArgumentError, match=message):
        model.fit(X, {"p": {"a": A, "b": B}, "c": C}, verbose=0)


@pytest.mark.parametrize("order", [["reg", "cls"], ["cls", "reg"]])
def test_evaluate_gives_the_losses_in_the_order_they_were_asked_for(order: list[str]) -> None:
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    y = {"reg": x[:, :1], "cls": np.arange(8) % 3}
    told = []
    for k in (keras, nnkit):
        inputs = k.Input((3,))
        outputs = {
            "reg": k.layers.Dense(1, name="reg")(inputs),
            "cls": k.layers.Dense(3, activation="softmax", name="cls")(inputs),
        }
        model = k.Model(inputs, outputs)
        model.set_weights([np.full(w.shape, 0.3) for w in model.get_weights()])
        losses = {"reg": "mse", "cls": "sparse_categorical_crossentropy"}
        model.compile("sgd", loss={name: losses[name] for name in order}, metrics={"cls": ["acc"]})
        told.append(model.evaluate(x, y, verbose=0))
    np.testing.assert_allclose(told[1], told[0], rtol=1e-5)
