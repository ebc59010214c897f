"""Steps, losses and metrics of one's own, in torch's style and in Keras's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nnkit import losses, metrics, optimizers
from nnkit.callbacks import Callback
from nnkit.layers.core import Dense
from nnkit.layers.input import Input
from nnkit.layers.merging import Concatenate
from nnkit.models import Model, Sequential
from tests.training.conftest import SPARSE, Data, make_classifier


class TorchStyle(Sequential):
    """backward() and step(), as in a torch loop."""

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        loss = F.nll_loss(self(x, training=True).log(), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss}


class KerasStyle(Sequential):
    """The step of Keras's guide for torch."""

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        y_pred = self(x, training=True)
        loss = self.compute_loss(y=y, y_pred=y_pred)
        self.zero_grad()
        loss.backward()
        weights = list(self.trainable_weights)
        gradients = [weight.grad for weight in weights]
        with torch.no_grad():
            self.optimizer.apply(gradients, weights)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics}


class ComputeMetrics(KerasStyle):
    """The same, with compute_metrics for the last part."""

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        y_pred = self(x, training=True)
        loss = self.compute_loss(x=x, y=y, y_pred=y_pred)
        gradients = torch.autograd.grad(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        self._loss_tracker.update_state(loss, sample_weight=len(x))
        return self.compute_metrics(x, y, y_pred)


def layers() -> list[Any]:
    return [Input((6,)), Dense(8, "tanh"), Dense(3, "softmax")]


@pytest.mark.parametrize("kind", [TorchStyle, KerasStyle, ComputeMetrics])
def test_train_step(kind: Any, data: Data) -> None:
    """Own steps and the built-in one end with the same weights."""
    model, twin = kind(layers()), Sequential(layers())
    twin.set_weights(model.get_weights())
    for each in (model, twin):
        each.compile("adam", SPARSE, metrics=["accuracy"])
        history = each.fit(data.x, data.labels, 25, epochs=3, shuffle=False, verbose=0).history
        each.logs = history
    for one, other in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    names = {TorchStyle: ["loss"]}.get(kind, ["accuracy", "loss"])
    assert list(model.logs) == names
    if kind is not TorchStyle:  # that one logs the last batch alone
        np.testing.assert_allclose(model.logs["loss"], twin.logs["loss"], rtol=1e-5)
        np.testing.assert_allclose(model.logs["accuracy"], twin.logs["accuracy"], rtol=1e-5)
    assert all(type(value) is float and value > 0 for value in model.logs["loss"])


def test_train_step_with_a_torch_optimizer(data: Data) -> None:
    model = TorchStyle(layers())
    model.compile(torch.optim.Adam(model.parameters(), lr=0.05), None)
    losses_of = model.fit(data.x, data.labels, epochs=20, verbose=0).history["loss"]
    assert losses_of[-1] < losses_of[0] / 2


def test_steps_of_an_unbuilt_model(data: Data) -> None:
    for kind in (TorchStyle, KerasStyle):
        model = kind(layers()[1:])
        model.compile("adam", SPARSE)
        assert model.fit(data.x, data.labels, verbose=0).history["loss"][0] > 0
        assert model.train_on_batch(data.x, data.labels) > 0


class OwnTest(Sequential):
    """test_step and predict_step that say whether gradients are off."""

    def test_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        assert not torch.is_grad_enabled()
        return {"right": (self(x).argmax(-1) == y).float().mean()}

    def predict_step(self, data: Any) -> Any:
        assert not torch.is_grad_enabled()
        return self(data[0]).argmax(-1)


def test_test_step_and_predict_step(data: Data) -> None:
    model = OwnTest(layers())
    model.compile("sgd", SPARSE)
    labels = model.predict(data.x, verbose=0)
    assert labels.shape == (50,)
    np.testing.assert_array_equal(model.predict_on_batch(data.x), labels)
    right = (labels == data.labels).mean()
    logs = model.evaluate(data.x, data.labels, 50, return_dict=True, verbose=0)
    assert logs == {"right": pytest.approx(right)}
    assert model.test_on_batch(data.x, data.labels) == pytest.approx(right)
    history = model.fit(
        data.x, data.labels, 50, validation_data=(data.x, data.labels), verbose=0
    ).history
    assert list(history) == ["loss", "val_right"]


class OwnLoss(Sequential):
    """compute_loss overridden, with and without `training`."""

    factor = 3.0

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
    ) -> Any:
        loss = super().compute_loss(x, y, y_pred, sample_weight)
        return loss * self.factor


class LossWithoutCompiled(Sequential):
    def compute_loss(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, training: bool = True
    ) -> Any:
        return (y_pred - x[:, :3]).square().mean()


def test_compute_loss(data: Data) -> None:
    model, plain = OwnLoss(layers()), Sequential(layers())
    plain.set_weights(model.get_weights())
    for each in (model, plain):
        each.compile("sgd", SPARSE, metrics=["accuracy"])
    values = [each.evaluate(data.x, data.labels, verbose=0) for each in (model, plain)]
    assert values[0] == [pytest.approx(3 * values[1][0], rel=1e-5), values[1][1]]
    first = model.fit(data.x, data.labels, 50, verbose=0).history["loss"]
    assert first == [pytest.approx(values[0][0], rel=1e-5)]

    free = LossWithoutCompiled(layers())
    free.compile("adam")
    history = free.fit(data.x, epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0]


class OwnMetrics(Sequential):
    """compute_metrics that adds a value of its own."""

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        logs = super().compute_metrics(x, y, y_pred, sample_weight)
        return {**logs, "largest": y_pred.max(), "inputs": x.abs().max()}


def test_compute_metrics(data: Data) -> None:
    model = OwnMetrics(layers())
    model.compile("sgd", SPARSE, metrics=["accuracy"])
    history = model.fit(data.x, data.labels, verbose=0, validation_data=(data.x, data.labels))
    names = ["accuracy", "inputs", "largest", "loss"]
    assert list(history.history) == names + [f"val_{name}" for name in names]
    logs = model.evaluate(data.x, data.labels, 50, verbose=0, return_dict=True)
    assert logs["inputs"] == pytest.approx(np.abs(data.x).max())
    assert logs["largest"] == pytest.approx(model.predict(data.x, verbose=0).max())


class Autoencoder(Model):
    """Own trackers in `metrics`, own compile, own train_step."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.outside = Dense(2), Dense(6)
        self.error = metrics.Mean(name="error")
        self.spread = metrics.Mean(name="spread")

    def compile(self, optimizer: Any, error: Any) -> None:  # type: ignore[override]
        super().compile(optimizer=optimizer)
        self.error_function = error

    @property
    def metrics(self) -> list[Any]:
        return [self.error, self.spread]

    def call(self, x: Any) -> Any:
        return self.outside(self.inside(x))

    def train_step(self, data: Any) -> dict[str, Any]:
        (x,) = data
        y_pred = self(x, training=True)
        loss = self.error_function(x, y_pred)
        gradients = torch.autograd.grad(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        self.error.update_state(loss)
        self.spread.update_state(y_pred.std())
        return {metric.name: metric.result() for metric in self.metrics}


def test_own_trackers_and_compile(data: Data) -> None:
    model = Autoencoder()
    model.compile(optimizers.Adam(0.05), losses.MeanSquaredError())
    history = model.fit(data.x, epochs=15, batch_size=25, verbose=0).history
    assert list(history) == ["error", "spread"]
    assert history["error"][-1] < history["error"][0] / 1.3
    again = model.fit(data.x, batch_size=50, verbose=0).history["error"][0]
    assert again < history["error"][0]  # started anew, not averaged with the first epochs


def test_metrics_kept_as_attributes_are_logged_and_reset(data: Data) -> None:
    class Watching(Model):
        def __init__(self) -> None:
            super().__init__()
            self.output_layer = Dense(3, "softmax")
            self.seen = metrics.Sum(name="seen")
            self.others = [metrics.Mean(name="mean")]

        def call(self, x: Any) -> Any:
            self.seen.update_state(torch.ones(len(x)))
            self.others[0].update_state(x)
            return self.output_layer(x)

    model = Watching()
    model.compile("sgd", SPARSE)
    model.predict(data.x, verbose=0)
    history = model.fit(data.x, data.labels, epochs=2, verbose=0).history
    assert list(history) == ["loss", "mean", "seen"]
    assert history["seen"][-1] == 50
    assert history["mean"][-1] == pytest.approx(data.x.mean(), abs=1e-5)


class GAN(Model):
    """Two networks, two optimizers, no `call`."""

    def __init__(self) -> None:
        super().__init__()
        self.judge = Sequential([Input((1,)), Dense(8, "tanh"), Dense(1)])
        self.maker = Sequential([Input((2,)), Dense(1)])
        self.judge_loss = metrics.Mean(name="judge_loss")
        self.maker_loss = metrics.Mean(name="maker_loss")

    def compile(self, judge_optimizer: Any, maker_optimizer: Any) -> None:  # type: ignore[override]
        super().compile()
        self.judge_optimizer, self.maker_optimizer = judge_optimizer, maker_optimizer
        self.loss_function = losses.BinaryCrossentropy(from_logits=True)

    @property
    def metrics(self) -> list[Any]:
        return [self.judge_loss, self.maker_loss]

    def train_step(self, data: Any) -> dict[str, Any]:
        real = data[0]
        noise = torch.randn(len(real), 2)
        fake = self.maker(noise)
        judged = self.judge(torch.cat([real, fake.detach()]))
        labels = torch.cat([torch.ones_like(real), torch.zeros_like(real)])
        loss = self.loss_function(labels, judged)
        gradients = torch.autograd.grad(loss, self.judge.trainable_weights)
        self.judge_optimizer.apply(gradients, self.judge.trainable_weights)
        maker_loss = self.loss_function(torch.ones_like(real), self.judge(self.maker(noise)))
        gradients = torch.autograd.grad(maker_loss, self.maker.trainable_weights)
        self.maker_optimizer.apply(gradients, self.maker.trainable_weights)
        self.judge_loss.update_state(loss)
        self.maker_loss.update_state(maker_loss)
        return {"judge_loss": self.judge_loss.result(), "maker_loss": self.maker_loss.result()}


def test_gan() -> None:
    """The maker's mean moves to that of the data."""
    model = GAN()
    model.compile(optimizers.Adam(0.03), optimizers.Adam(0.03))
    real = np.random.default_rng(0).normal(3, 1, (256, 1)).astype("float32")
    history = model.fit(real, epochs=25, batch_size=32, verbose=0).history
    assert list(history) == ["judge_loss", "maker_loss"]
    made = model.maker.predict(np.random.default_rng(1).normal(size=(500, 2)), verbose=0)
    assert 1.5 < made.mean() < 4.5


class VAE(Model):
    """The divergence by add_loss, the rest compiled."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.outside = Dense(4), Dense(6)

    def call(self, x: Any, training: bool = False) -> Any:
        mean, log_variance = self.inside(x).chunk(2, -1)
        divergence = (mean.square() + log_variance.exp() - log_variance - 1).sum(-1).mean() / 2
        self.add_loss(0.01 * divergence)
        noise = torch.randn_like(mean) * (0.5 * log_variance).exp() if training else 0
        return self.outside(mean + noise)


def test_vae(data: Data) -> None:
    model = VAE()
    model.compile(optimizers.Adam(0.03), "mse")
    history = model.fit(data.x, data.x, epochs=40, verbose=0).history["loss"]
    assert history[-1] < history[0] / 1.5
    error = np.square(model.predict(data.x, verbose=0) - data.x).mean()
    divergence = model.evaluate(data.x, data.x, 50, verbose=0) - error
    assert 0 < divergence < 0.2


def test_torch_loop_over_a_model(data: Data) -> None:
    """A model is a module: nothing of nnkit's training is needed."""
    inputs = Input((6,))
    both = Concatenate()([Dense(4, "relu")(inputs), Dense(4, "tanh")(inputs)])
    model = Model(inputs, Dense(3)(both))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    x, y = torch.tensor(data.x), torch.tensor(data.labels)
    model.train()
    values = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < values[0] / 3
    model.compile(optimizer, torch.nn.CrossEntropyLoss(), metrics=["accuracy"])
    assert model.evaluate(data.x, data.labels, verbose=0)[0] <= values[-1]


def test_logs_of_own_steps_reach_batch_callbacks(data: Data) -> None:
    seen = []

    class Watch(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append(dict(logs))

    model = TorchStyle(layers())
    model.compile("sgd", SPARSE)
    model.fit(data.x, data.labels, 25, verbose=0, callbacks=[Watch()])
    assert [list(logs) for logs in seen] == [["loss"], ["loss"]]
    assert type(seen[0]["loss"]) is float


def test_metrics_of_an_inner_model_stay_inside(data: Data) -> None:
    inner = make_classifier()
    inner.compile("sgd", SPARSE, metrics=["accuracy"])
    inner.own = metrics.Mean(name="own")
    inputs = Input((6,))
    outer = Model(inputs, inner(inputs))
    outer.compile("sgd", SPARSE)
    assert list(outer.fit(data.x, data.labels, verbose=0).history) == ["loss"]


def test_losses_of_a_class_are_those_that_it_trains_on() -> None:
    class Own(Sequential):
        @property
        def losses(self) -> list[Any]:
            return [torch.square(self.layers[0].weight).sum()]

    model = Own([Input((2,)), Dense(1, use_bias=False, kernel_regularizer="l2")])
    kernel = torch.tensor([[1.0], [2.0]])
    model.set_weights([kernel])
    model.compile("sgd", "mse")
    logs = model.train_on_batch(torch.zeros(1, 2), torch.zeros(1, 1), return_dict=True)
    assert logs["loss"] == pytest.approx(5.0)
    np.testing.assert_allclose(model.get_weights()[0], kernel * 0.98, rtol=1e-6)
