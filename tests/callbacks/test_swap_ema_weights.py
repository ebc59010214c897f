"""SwapEMAWeights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnkit
from nnkit import layers, optimizers
from nnkit.callbacks import Callback, EarlyStopping, SwapEMAWeights
from nnkit.errors import ArgumentError

X = np.random.default_rng(0).normal(size=(12, 3)).astype("float32")
Y = X.sum(-1, keepdims=True)


def make(optimizer: Any = None) -> Any:
    nnkit.utils.set_random_seed(0)
    model = nnkit.Sequential([nnkit.Input((3,)), layers.Dense(1)])
    model.compile(optimizer or optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), "mse")
    return model


class Look(Callback):
    """Keeps the kernel and its average as they stand at each hook."""

    def __init__(self) -> None:
        self.seen: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        for hook in ("on_epoch_begin", "on_train_batch_end", "on_test_batch_end", "on_epoch_end"):
            setattr(self, hook, lambda *args, _hook=hook, logs=None: self.look(_hook))

    def look(self, hook: str) -> None:
        kernel = self.model.layers[0].weight
        average = self.model.optimizer.state[kernel]["average"]
        pair = (kernel.detach().numpy().copy(), average.numpy().copy())
        self.seen.setdefault(hook, []).append(pair)


@pytest.mark.parametrize("on_epoch", [False, True])
def test_where_the_averages_stand(on_epoch: bool) -> None:
    model, look = make(), Look()
    model.fit(
        X, Y, epochs=3, batch_size=6, verbose=0, validation_data=(X, Y),
        callbacks=[SwapEMAWeights(on_epoch), look],
    )  # fmt: skip
    last_trained = look.seen["on_train_batch_end"][1::2]
    for weight, average in look.seen["on_test_batch_end"]:
        np.testing.assert_array_equal(weight, average)
    for (weight, average), (trained, _) in zip(
        look.seen["on_epoch_end"], last_trained, strict=True
    ):
        np.testing.assert_array_equal(weight, average if on_epoch else trained)
        assert not np.array_equal(average, trained)
    for (weight, _), (trained, _) in zip(
        look.seen["on_epoch_begin"][1:], last_trained, strict=False
    ):
        np.testing.assert_array_equal(weight, trained)
    np.testing.assert_array_equal(
        model.get_weights()[0].T, look.seen["on_test_batch_end"][-1][1]
    )  # fit ends with the averages


def test_training_is_the_same_with_it() -> None:
    plain = make().fit(X, Y, epochs=3, verbose=0).history["loss"]
    for callback in (SwapEMAWeights(), SwapEMAWeights(swap_on_epoch=True)):
        history = make().fit(
            X, Y, epochs=3, verbose=0, validation_data=(X, Y), callbacks=[callback]
        )
        assert history.history["loss"] == plain


def test_early_stop_ends_with_the_averages() -> None:
    model, look = make(), Look()
    model.fit(
        X, Y, epochs=9, verbose=0,
        callbacks=[SwapEMAWeights(True), look, EarlyStopping("loss", min_delta=99, patience=1)],
    )  # fmt: skip
    np.testing.assert_array_equal(model.get_weights()[0].T, look.seen["on_epoch_end"][-1][1])


def test_evaluate_and_predict_leave_the_weights() -> None:
    model = make()
    model.fit(X, Y, verbose=0)
    model.layers[0].set_weights([np.ones((3, 1)), np.zeros(1)])
    average = model.optimizer.state[model.layers[0].weight]["average"].numpy().T
    swap = SwapEMAWeights()
    outputs = model.predict(X, verbose=0, callbacks=[swap])
    assert not np.allclose(outputs, Y)
    np.testing.assert_allclose(outputs - outputs[:1], (X - X[:1]) @ average, atol=1e-5)
    assert model.evaluate(X, Y, verbose=0, callbacks=[swap]) > 0.01
    np.testing.assert_array_equal(model.get_weights()[0], np.ones((3, 1)))


def test_an_evaluation_that_breaks_off_leaves_the_weights() -> None:
    class Break(Callback):
        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            raise ZeroDivisionError

    model = make()
    model.fit(X, Y, verbose=0)
    model.layers[0].set_weights([np.ones((3, 1)), np.zeros(1)])
    with pytest.raises(ZeroDivisionError):
        model.evaluate(X, Y, verbose=0, callbacks=[SwapEMAWeights(), Break()])
    np.testing.assert_array_equal(model.get_weights()[0], np.ones((3, 1)))


def test_needs_averages() -> None:
    with pytest.raises(ArgumentError, match=r"optimizer with use_ema=True, but the model has SGD"):
        make("sgd").fit(X, Y, verbose=0, validation_data=(X, Y), callbacks=[SwapEMAWeights()])
