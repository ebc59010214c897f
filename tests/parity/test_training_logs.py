"""What callbacks hear from fit, evaluate and predict: hooks, their order, their logs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nnkit.callbacks.base import HOOKS
from tests.parity.twins import KERAS, NNKIT, compiled_twins

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

random = np.random.default_rng(1)
X = random.normal(size=(20, 4)).astype("float32")
Y = random.normal(size=(20, 1)).astype("float32")


def recorder(kit: SimpleNamespace, stop_at: tuple[str, int] | None = None) -> Any:
    """A callback that writes down each hook, its number and its logs; it can stop the model."""
    heard: list[tuple[Any, ...]] = []

    def hook(name: str) -> Any:
        def method(self: Any, *args: Any, logs: dict[str, Any] | None = None) -> None:
            if args and isinstance(args[-1], dict):
                *args, logs = args
            values = {
                key: np.asarray(value.detach() if hasattr(value, "detach") else value)
                for key, value in (logs or {}).items()
            }
            heard.append((name, tuple(args), values))
            if stop_at == (name, *args):
                kind = name.split("_")[1]
                word = {"train": "training", "epoch": "training", "test": "evaluating"}
                setattr(self.model, f"stop_{word.get(kind, 'predicting')}", True)

        return method

    names = [name for name in HOOKS if name not in ("on_batch_begin", "on_batch_end")]
    kind = type("Recorder", (kit.Callback,), {name: hook(name) for name in names})
    made = kind()
    made.heard = heard
    return made


def build(kit: SimpleNamespace) -> Any:
    inputs = kit.Input((4,))
    hidden = kit.Dense(3, "tanh", name="hidden")(inputs)
    return kit.Model(inputs, [kit.Dense(1, name="one")(hidden), kit.Dense(1, name="two")(hidden)])


def settings(kit: SimpleNamespace) -> dict[str, Any]:
    return {
        "optimizer": "sgd",
        "loss": ["mse", "mae"],
        "metrics": [["mae"], []],
        "weighted_metrics": [["mae"], ["mse"]],
    }


def compare(run: Any, stop_at: tuple[str, int] | None = None) -> list[tuple[Any, ...]]:
    """Run on both sides; assert that the callbacks heard the same."""
    both = []
    for kit, model in zip((KERAS, NNKIT), compiled_twins(build, settings), strict=True):
        callback = recorder(kit, stop_at)
        run(model, callback)
        both.append(callback.heard)
    theirs, mine = both
    assert [event[:2] for event in mine] == [event[:2] for event in theirs]
    for (name, _, logs), (_, _, expected) in zip(mine, theirs, strict=True):
        assert set(logs) == set(expected), name
        for key, value in expected.items():
            np.testing.assert_allclose(
                logs[key], value, rtol=1e-4, atol=1e-5, err_msg=f"{name} {key}"
            )
    return mine


def fit(model: Any, callback: Any, **arguments: Any) -> None:
    arguments = {"batch_size": 8, "epochs": 2, "shuffle": False, "verbose": 0, **arguments}
    model.fit(X, [Y, Y], callbacks=[callback], **arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"validation_data": (X, [Y, Y])},
        {"validation_split": 0.25},
        {"validation_split": 0.25, "validation_freq": 2, "epochs": 3},
        {"validation_data": (X, [Y, Y]), "validation_steps": 1, "validation_batch_size": 5},
        {"initial_epoch": 1, "epochs": 3},
        {"steps_per_epoch": 2, "epochs": 1},
        {"epochs": 0},
    ],
    ids=range(8),
)
def test_fit(arguments: dict[str, Any]) -> None:
    heard = compare(lambda model, callback: fit(model, callback, **arguments))
    assert heard[0][0] == "on_train_begin"
    assert heard[-1][0] == "on_train_end"


def test_keys_of_an_epoch() -> None:
    heard = compare(lambda model, callback: fit(model, callback, validation_split=0.25))
    logs = [logs for name, _, logs in heard if name == "on_epoch_end"][-1]
    keys = ["loss", "one_loss", "one_mae", "one_weighted_mae", "two_loss", "two_mse"]
    assert list(logs) == keys + [f"val_{key}" for key in keys]


@pytest.mark.parametrize(
    "stop_at",
    [
        ("on_train_batch_end", 1),
        ("on_train_batch_begin", 0),
        ("on_epoch_end", 0),
        ("on_epoch_begin", 1),
        ("on_test_batch_end", 0),
        ("on_test_batch_begin", 1),
    ],
)
def test_stopping(stop_at: tuple[str, int]) -> None:
    compare(lambda m, c: fit(m, c, validation_data=(X, [Y, Y]), epochs=3), stop_at)


@pytest.mark.parametrize("arguments", [{}, {"batch_size": 7}, {"steps": 1}, {"return_dict": True}])
@pytest.mark.parametrize("stop_at", [None, ("on_test_batch_end", 0)])
def test_evaluate(arguments: dict[str, Any], stop_at: Any) -> None:
    arguments = {"batch_size": 8, "verbose": 0, **arguments}
    compare(lambda m, c: m.evaluate(X, [Y, Y], callbacks=[c], **arguments), stop_at)


@pytest.mark.parametrize("arguments", [{}, {"batch_size": 7}, {"batch_size": 64}, {"steps": 2}])
@pytest.mark.parametrize("stop_at", [None, ("on_predict_batch_end", 0)])
def test_predict(arguments: dict[str, Any], stop_at: Any) -> None:
    results = []

    def run(model: Any, callback: Any) -> None:
        given = {"batch_size": 8, "verbose": 0, **arguments}
        results.append(model.predict(X, callbacks=[PredictOnly(callback)], **given))

    class PredictOnly:
        """Leaves out the outputs of a batch, which are a list of tensors."""

        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            if name != "on_predict_batch_end":
                return getattr(self.inner, name)

            def method(batch: int, logs: dict[str, Any] | None = None) -> None:
                assert logs is not None
                assert list(logs) == ["outputs"]
                assert [tuple(part.shape)[1] for part in logs["outputs"]] == [1, 1]
                self.inner.on_predict_batch_end(batch, {"parts": len(logs["outputs"])})

            return method

    compare(run, stop_at)
    assert [part.shape for part in results[0]] == [part.shape for part in results[1]]


def test_params_of_callbacks() -> None:
    found = []

    def run(model: Any, callback: Any) -> None:
        fit(model, callback, validation_split=0.25)
        found.append({key: callback.params[key] for key in ("epochs", "steps", "verbose")})
        assert callback.model is model

    compare(run)
    assert found[0] == found[1] == {"epochs": 2, "steps": 2, "verbose": 0}


@pytest.mark.parametrize(
    ("again", "logged"),
    [
        (
            {"loss": "mae"},
            ["loss", "one_loss", "one_mae", "one_weighted_mae", "two_loss", "two_mse"],
        ),
        ({}, ["loss", "one_loss", "one_mae", "one_weighted_mae", "two_loss", "two_mse"]),
        (
            {"loss": ["mse", "mse"], "loss_weights": [1, 2], "metrics": []},
            ["loss", "one_loss", "two_loss"],
        ),
        ({"weighted_metrics": [[], ["mae"]]}, ["loss", "one_loss", "two_loss", "two_mae"]),
    ],
    ids=["loss", "nothing", "no metrics", "other metrics"],
)
def test_compiling_again_keeps_what_is_not_given(again: dict[str, Any], logged: list[str]) -> None:
    def run(model: Any, callback: Any) -> None:
        model.compile("sgd", **again)
        fit(model, callback)
        assert list(model.history.history) == logged

    compare(run)
