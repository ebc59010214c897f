"""A loss that is no longer a number stops fit, and the weights stay finite."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import nnkit
from nnkit import layers, metrics, optimizers
from nnkit.callbacks import BackupAndRestore, Callback, TerminateOnNaN
from nnkit.training.watch import LossWatch

X = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
Y = X.sum(-1, keepdims=True)
STOPS = "The loss became (inf|nan) in epoch {} at batch {}: fit stops. The weights are from before"


def make(loss: Any = "mse", optimizer: Any = None, **options: Any) -> Any:
    nnkit.utils.set_random_seed(0)
    model = nnkit.Sequential(
        [nnkit.Input((3,)), layers.Dense(4), layers.BatchNormalization(), layers.Dense(1)]
    )
    model.compile(optimizer or optimizers.Adam(0.01), loss, **options)
    return model


class Poison:
    """The mean squared error, but a bad value at one of its calls."""

    def __init__(self, at: int, value: str = "nan", gradient: bool = False) -> None:
        self.at, self.value, self.gradient, self.calls = at, float(value), gradient, 0

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        self.calls += 1
        loss = (y_true - y_pred) ** 2
        if self.calls != self.at:
            return loss
        if self.gradient:  # the square root of zero has an infinite slope
            return loss + (y_pred - y_pred.detach()).abs().sqrt()
        return loss * self.value


def fit(model: Any, **options: Any) -> Any:
    options = {"batch_size": 8, "epochs": 3, "verbose": 0, "shuffle": False, **options}
    return model.fit(X, Y, **options)


def is_finite(model: Any) -> bool:
    tensors = [*model.parameters(), *model.buffers()]
    return all(bool(torch.isfinite(each).all()) for each in tensors)


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_stops_before_the_update(value: str) -> None:
    """Batch 3 of epoch 2 is the eighth: the weights are those that seven updates made."""
    reference = make()
    reference.fit(X, Y, batch_size=8, epochs=1, verbose=0, shuffle=False)
    fit_two = reference.fit(
        X, Y, batch_size=8, epochs=2, initial_epoch=1, steps_per_epoch=2, verbose=0, shuffle=False
    )
    assert fit_two.epoch == [1]
    model = make(Poison(8, value))
    with pytest.warns(UserWarning, match=STOPS.format(2, 3) + " that batch") as warned:
        history = fit(model)
    assert warned[0].filename == __file__
    for ours, theirs in zip(model.parameters(), reference.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert is_finite(model)
    assert history.epoch == [0, 1]
    assert not np.isfinite(history.history["loss"][1])
    assert np.isfinite(fit(model).history["loss"]).all()


def test_a_loss_that_grows_beyond_all_bounds() -> None:
    model = make(optimizer=optimizers.SGD(1e15))
    with pytest.warns(UserWarning, match=r"Try a smaller learning rate or clipnorm=1.0"):
        fit(model)
    assert is_finite(model)


@pytest.mark.parametrize("optimizer", [lambda: optimizers.Adam(0.01), lambda: torch.optim.Adam])
def test_bad_gradients_of_a_good_loss(optimizer: Any) -> None:
    """They are seen a batch later, when the weights are spoilt: a copy takes their place."""
    model = make(Poison(8, gradient=True), optimizer())
    with pytest.warns(UserWarning, match=STOPS.format(2, 4) + " batch 1 of epoch 1, the last copy"):
        fit(model)
    assert is_finite(model)
    history = fit(model)  # also the optimizer can go on
    assert np.isfinite(history.history["loss"]).all()
    assert is_finite(model)


def test_on_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    """There the losses are read at the end of the epoch, or a second later; the batch is named."""
    monkeypatch.setattr(LossWatch, "_can_wait_for", staticmethod(lambda loss: False))
    model = make(Poison(8))
    with pytest.warns(UserWarning, match=STOPS.format(2, 3) + " batch 1 of epoch 1"):
        history = fit(model)
    assert is_finite(model)
    assert history.epoch == [0, 1]


def test_goes_on_when_told_to() -> None:
    model = make(Poison(8))
    with pytest.warns(UserWarning, match="The loss is nan after epoch [23]"):
        history = fit(model, stop_on_nan=False)
    assert history.epoch == [0, 1, 2]
    assert not is_finite(model)


def test_terminate_on_nan_still_decides() -> None:
    """Callbacks hear of the batch with its loss."""
    heard: list[float] = []

    class Hear(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            heard.append(logs["loss"])

    with (
        pytest.warns(UserWarning, match=STOPS.format(1, 4)),
        pytest.raises(RuntimeError, match="The loss is nan at batch 4"),
    ):
        fit(make(Poison(4)), callbacks=[Hear(), TerminateOnNaN(raise_error=True)])
    assert len(heard) == 4
    assert np.isnan(heard[-1])


def test_a_step_of_ones_own() -> None:
    class Own(nnkit.Model):
        def train_step(self, data: Any) -> Any:
            x, y = data
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
            self.zero_grad()
            loss.backward()
            weights = self.trainable_weights
            self.optimizer.apply([weight.grad for weight in weights], weights)
            return {"loss": loss}

    nnkit.utils.set_random_seed(0)
    inputs = nnkit.Input((3,))
    model = Own(inputs, layers.Dense(1)(inputs))
    model.compile("adam", Poison(3))
    with pytest.warns(UserWarning, match=STOPS.format(1, 3) + " batch 1 of epoch 1"):
        fit(model)
    assert is_finite(model)


def test_the_state_for_resuming_is_from_before(tmp_path: Any) -> None:
    from nnkit.training.state_file import read_state

    kept = BackupAndRestore(tmp_path, 1)
    with pytest.warns(UserWarning, match="fit stops"):
        fit(make(Poison(8)), callbacks=[kept])
    [file] = tmp_path.iterdir()
    state = read_state(file)
    assert (state["epoch"], state["steps"]) == (1, 2)
    assert all(bool(value.isfinite().all()) for value in state["model"]["tensors"].values())


def test_validation_may_be_no_number() -> None:
    """Only training is stopped."""
    x = np.full((8, 3), 1e30, "float32")
    history = fit(make(), validation_data=(x, x[:, :1]))
    assert history.epoch == [0, 1, 2]
    assert not np.isfinite(history.history["val_loss"]).any()


def test_metrics_do_not_matter() -> None:
    class Odd(metrics.Metric):
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            pass

        def result(self) -> Any:
            return torch.tensor(float("nan"))

    assert fit(make(metrics=[Odd()])).epoch == [0, 1, 2]
