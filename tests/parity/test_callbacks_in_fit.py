"""Callbacks in a real fit do what Keras's do there."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import nnkit

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

X = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
Y = X.sum(-1, keepdims=True)


def make(library: Any, **options: Any) -> Any:
    model = library.Sequential([library.Input((3,)), library.layers.Dense(1)])
    model.compile(library.optimizers.SGD(**{"learning_rate": 0.1, **options}), "mse")
    model.set_weights([np.ones((3, 1)) / 2, np.zeros(1)])
    return model


def both(train: Any, **options: Any) -> list[Any]:
    return [train(library, make(library, **options)) for library in (nnkit, keras)]


@pytest.mark.parametrize("on_epoch", [False, True])
@pytest.mark.parametrize("epochs", [1, 3])
def test_swap_ema_weights(on_epoch: bool, epochs: int) -> None:
    def train(library: Any, model: Any) -> Any:
        swap = library.callbacks.SwapEMAWeights(swap_on_epoch=on_epoch)
        kernels: list[Any] = []
        look = library.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: kernels.append(model.get_weights()[0])
        )
        history = model.fit(
            X, Y, batch_size=5, epochs=epochs, shuffle=False, verbose=0, validation_data=(X, Y),
            callbacks=[swap, look],
        )  # fmt: skip
        return history.history, kernels, model.get_weights()

    (logs, kernels, weights), (real_logs, real_kernels, real_weights) = both(
        train, use_ema=True, ema_momentum=0.7
    )
    assert list(logs) == list(real_logs)
    for name in logs:
        np.testing.assert_allclose(logs[name], real_logs[name], rtol=1e-4)
    np.testing.assert_allclose(kernels, real_kernels, rtol=1e-5)
    for mine, real in zip(weights, real_weights, strict=True):
        np.testing.assert_allclose(mine, real, rtol=1e-5)


def test_backup_and_restore(tmp_path: Any) -> None:
    """Interrupted in epoch 4, both go on there; ours also has the history of what was before."""

    def train(library: Any, model: Any) -> Any:
        ran: list[int] = []

        def interrupt(epoch: int, logs: Any = None) -> None:
            ran.append(epoch)
            if epoch == 4 and len(ran) == 5:
                raise RuntimeError("now")

        options: dict[str, Any] = {
            "batch_size": 5, "epochs": 8, "verbose": 0, "shuffle": False,
            "callbacks": [
                library.callbacks.BackupAndRestore(str(tmp_path / library.__name__)),
                library.callbacks.LambdaCallback(on_epoch_begin=interrupt),
            ],
        }  # fmt: skip
        with pytest.raises(RuntimeError, match="now"):
            model.fit(X, Y, **options)
        model.set_weights([np.zeros((3, 1)), np.zeros(1)])
        history = model.fit(X, Y, **options)
        assert not (tmp_path / library.__name__).exists()
        return ran, history.history["loss"], history.epoch, model.get_weights()[0]

    (ran, loss, epochs, kernel), (real_ran, real_loss, real_epochs, real_kernel) = both(train)
    assert ran == real_ran == [0, 1, 2, 3, 4, 4, 5, 6, 7]
    assert real_epochs == [4, 5, 6, 7]
    assert epochs == list(range(8))
    np.testing.assert_allclose(loss[4:], real_loss, rtol=1e-4)
    np.testing.assert_allclose(kernel, real_kernel, rtol=1e-5)
